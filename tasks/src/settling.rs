//! Settling: a drawn state is stepped until its objects rest, and rejected if they do not rest where they were put.

use crate::assets::Assets;
use crate::bddl::Problem;
use crate::error::TaskError;
use crate::extent::{lowest_point, support_top};
use crate::init_state::{InitState, pose_to_array};
use crate::predicates::predicate_holds;
use crate::sampling::StateSampler;
use crate::scene::{arena_of, build_world};
use crate::suite::SETTLE_ACTION;
use bitvla_sim::World;
use nalgebra::{Isometry3, Vector3};
use std::collections::BTreeMap;

/// Control steps given to dropped objects: 2 s, some ten times the fall.
const SETTLE_STEPS: usize = 40;
/// Control steps at the end of the settling over which rest is measured: 0.1 s.
const REST_WINDOW_STEPS: usize = 2;
/// Largest displacement of an object at rest over that window, m (5 mm/s).
const MAX_REST_DISPLACEMENT: f64 = 5e-4;
/// Largest horizontal displacement from the drawn position, m: the radius within which `On` of two objects holds.
const MAX_HORIZONTAL_SHIFT: f64 = 0.03;
/// Largest descent from the drawn position, m: LIBERO drops objects on a fixture from up to 17 cm.
const MAX_DESCENT: f64 = 0.20;
/// Least cosine of the angle between the object's drawn and settled vertical: 10 degrees.
const MIN_UPRIGHT_COSINE: f64 = 0.985;
/// Largest change of a stated joint position, rad or m: less than the width of the sampled ranges.
const MAX_JOINT_SHIFT: f64 = 0.02;
/// States rejected before a seed is given up.
const MAX_DRAWS: usize = 200;
/// Depth of an object inside the arena that is resolved by lifting, m: more than the depth at which objects rest, less
/// than that of an object under a shelf.
const RESOLVED_DEPTH: std::ops::Range<f64> = 0.0005..0.05;

/// Draws a state and lets it settle. The same seed gives the same state on every machine.
///
/// # Errors
/// Fails if the arena or a category has no model, `:init` cannot be drawn, or no state of 200 comes to rest in place.
pub fn sample_init_state(
    assets: &Assets,
    problem: &Problem,
    seed: u64,
) -> Result<InitState, TaskError> {
    sample_wider_init_state(assets, problem, seed, 0.0)
}

/// Does the same with every range of fixtures and objects wider by `margin` on each side, m: with none, the same state to the bit.
///
/// # Errors
/// As [`sample_init_state`].
pub fn sample_wider_init_state(
    assets: &Assets,
    problem: &Problem,
    seed: u64,
    margin: f64,
) -> Result<InitState, TaskError> {
    let mut sampler = StateSampler::new(assets, problem, seed, margin)?;
    for _ in 0..MAX_DRAWS {
        let Some(drawn) = sampler.draw()? else {
            continue;
        };
        if let Some(settled) = settle(assets, problem, &drawn)? {
            return Ok(settled);
        }
    }
    let message = format!("no state of {MAX_DRAWS} drawn came to rest in place");
    Err(problem.error(message).into())
}

/// Lets dropped objects land. Returns `None` if one of them ended up somewhere else, tipped over or still moves, if a
/// joint was pushed, or if a part of the goal that `:init` does not state holds already (with Or or Not: the whole goal).
fn settle(
    assets: &Assets,
    problem: &Problem,
    drawn: &InitState,
) -> Result<Option<InitState>, TaskError> {
    let mut world = build_world(assets, problem, drawn)?;
    for _ in 0..SETTLE_STEPS - REST_WINDOW_STEPS {
        world.step(&SETTLE_ACTION)?;
    }
    let before: Vec<Isometry3<f64>> = (0..world.scene().instances.len())
        .map(|i| world.instance_pose(i))
        .collect();
    for _ in 0..REST_WINDOW_STEPS {
        world.step(&SETTLE_ACTION)?;
    }
    let mut settled = drawn.clone();
    for (i, (instance, before)) in world.scene().instances.iter().zip(&before).enumerate() {
        let joints = joint_positions(&world, i)?;
        let was_pushed = drawn.joints.get(&instance.name).is_some_and(|start| {
            (start.iter()).any(|(name, q)| {
                (joints.get(name)).is_none_or(|now| (now - q).abs() > MAX_JOINT_SHIFT)
            })
        });
        if was_pushed {
            return Ok(None);
        }
        if !joints.is_empty() {
            settled.joints.insert(instance.name.clone(), joints);
        }
        if instance.fixed {
            continue;
        }
        let pose = world.instance_pose(i);
        if !rests_in_place(&instance.pose, before, &pose) {
            return Ok(None);
        }
        (settled.objects).insert(instance.name.clone(), pose_to_array(&pose));
    }
    if !problem.goal.condition.is_conjunction() {
        return Ok((!problem.compile_goal(&world)?.holds(&world)).then_some(settled));
    }
    for wanted in &problem.goal.predicates {
        let is_stated =
            (problem.init.iter()).any(|f| f.predicate == wanted.predicate && f.args == wanted.args);
        if !is_stated && predicate_holds(&world, problem, wanted)? {
            return Ok(None);
        }
    }
    Ok(Some(settled))
}

/// Returns true if an object that started at `start` and moved from `before` to `now` over the rest window lies where
/// it was put.
fn rests_in_place(start: &Isometry3<f64>, before: &Isometry3<f64>, now: &Isometry3<f64>) -> bool {
    let shift = now.translation.vector - start.translation.vector;
    let up = (now.rotation * start.rotation.inverse()) * Vector3::z();
    let moved = (before.translation.vector - now.translation.vector).norm();
    libm::hypot(shift.x, shift.y) <= MAX_HORIZONTAL_SHIFT
        && shift.z >= -MAX_DESCENT
        && up.z >= MIN_UPRIGHT_COSINE
        && moved <= MAX_REST_DISPLACEMENT
}

/// Joint positions of an instance by name, rad or m.
fn joint_positions(world: &World, instance: usize) -> Result<BTreeMap<String, f64>, TaskError> {
    let described = &world.scene().instances[instance];
    (described.model.bodies.iter())
        .filter_map(|body| body.joint.as_ref())
        .map(|joint| {
            let q = (world.joint_position(instance, &joint.name)).ok_or_else(|| {
                TaskError::Unknown {
                    kind: "joint",
                    name: joint.name.clone(),
                    known: Vec::new(),
                }
            })?;
            Ok((joint.name.clone(), q))
        })
        .collect()
}

/// Lifts objects that a state holds inside the table or floor onto it. LIBERO stores some up to 38 mm inside
/// (`docs/reference/libero.md`, section 7: they are dropped from a height that does not depend on their size); in MuJoCo
/// they rise straight up, while this engine would push them a centimetre aside.
///
/// # Errors
/// Fails if the arena or a category has no model.
pub fn resolve_penetration(
    assets: &Assets,
    problem: &Problem,
    init: &mut InitState,
) -> Result<(), TaskError> {
    let (_, arena) = arena_of(assets, problem)?;
    for object in &problem.objects {
        let Some([x, y, z, w, i, j, k]) = init.objects.get_mut(&object.name) else {
            continue;
        };
        let (model, _) = assets.model(&object.category)?;
        let lowest = *z + lowest_point(&model, [*w, *i, *j, *k]);
        let Some(top) = support_top(&arena, *x, *y) else {
            continue;
        };
        let depth = top - lowest;
        if RESOLVED_DEPTH.contains(&depth) {
            *z += depth;
        }
    }
    Ok(())
}
