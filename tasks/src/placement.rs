//! Initial states: drawn from the regions of a problem, dropped and settled in the world
//! (fact sheet section 7).
//!
//! The sampler is ChaCha8 seeded with `seed_from_u64`; a uniform number takes the upper 53 bits of one
//! 64-bit word. Order of draws: fixtures in file order (x, y, yaw), stated joints in order of `:init`,
//! movable objects in order of `:init` (supports first), then the robot. A draw whose objects do not
//! come to rest where they were put is thrown away and the stream continues.
//!
//! Two habits of LIBERO are kept: on table and floor arenas the range of a movable object shrinks by
//! its placement radius on each side (which may turn it inside out), and objects are dropped from a
//! few centimetres, but never from inside the support. Fixture ranges do not shrink. An object whose
//! model states a range of yaw (a book) takes one more number, after x and y. The robot starts at its
//! reset posture plus normal noise of 0.02 rad per joint, as LIBERO's stored states do.

use crate::bddl::{Fact, Predicate, Problem};
use crate::extent::{lowest_point, support_top};
use crate::predicates::fact_holds;
use crate::{Assets, TaskError};
use bitvla_sim::panda::RESET_QPOS;
use bitvla_sim::{InstanceDesc, ModelDesc, SceneDesc, World, isometry};
use nalgebra::{Isometry3, Quaternion};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Standard deviation of the noise on the arm's reset posture, rad.
pub const ROBOT_NOISE: f64 = 0.02;

/// Control steps given to dropped objects.
const SETTLE_STEPS: usize = 40;
/// How far above its support an object starts at least, m.
const CLEARANCE: f64 = 0.002;
/// How deep an object lies inside the arena that is lifted out of it, m: from deeper than things rest, to less deep than
/// things under a shelf.
const LIFTED: [f64; 2] = [0.0005, 0.05];
/// Draws of one object before the whole state is thrown away.
const MAX_TRIES: usize = 5000;
/// States thrown away before giving up.
const MAX_DRAWS: usize = 200;

/// Everything that differs between two episodes of a task.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitState {
    /// Movable objects: x, y, z (m), quaternion w, x, y, z.
    pub objects: BTreeMap<String, [f64; 7]>,
    /// Fixtures, same layout.
    pub fixtures: BTreeMap<String, [f64; 7]>,
    /// Joint positions by instance and joint name.
    pub joints: BTreeMap<String, BTreeMap<String, f64>>,
    /// Seven arm joints and two fingers.
    pub robot_qpos: [f64; 9],
}

fn pose_of(v: &[f64; 7]) -> Isometry3<f64> {
    isometry([v[0], v[1], v[2]], [v[3], v[4], v[5], v[6]])
}

fn numbers_of(pose: &Isometry3<f64>) -> [f64; 7] {
    let (t, q) = (pose.translation.vector, pose.rotation);
    [t.x, t.y, t.z, q.w, q.i, q.j, q.k]
}

/// The scene of a problem in a given state: objects, then fixtures, in file order.
pub fn scene(assets: &Assets, problem: &Problem, init: &InitState) -> Result<SceneDesc, TaskError> {
    let name = problem
        .arena()
        .ok_or_else(|| problem_error(problem, "unknown problem name"))?;
    let arena = assets.arena(name)?;
    let mut instances = Vec::new();
    for thing in problem.objects.iter().chain(problem.model_fixtures()) {
        let (model, fixed) = assets.model(&thing.category)?;
        let poses = if fixed { &init.fixtures } else { &init.objects };
        let pose = poses.get(&thing.name).map(pose_of).ok_or_else(|| {
            problem_error(
                problem,
                &format!("the initial state has no pose for `{}`", thing.name),
            )
        })?;
        instances.push(InstanceDesc {
            name: thing.name.clone(),
            model,
            pose,
            fixed,
            joint_positions: init.joints.get(&thing.name).cloned().unwrap_or_default(),
        });
    }
    Ok(SceneDesc {
        robot: assets.robot_in(name)?,
        arena,
        instances,
    })
}

/// A world of a problem in a given state.
pub fn world(assets: &Assets, problem: &Problem, init: &InitState) -> Result<World, TaskError> {
    let mut world = World::new(&scene(assets, problem, init)?)?;
    world.set_robot_qpos(&init.robot_qpos);
    Ok(world)
}

/// Puts objects that a state holds inside the table or floor onto it. LIBERO stores some up to 38 mm inside (fact sheet
/// section 7: they are dropped from a height that does not know their size); in MuJoCo they rise straight up, while
/// here they would be thrown and come to rest a centimetre aside.
///
/// # Errors
/// When the arena or a category has no model.
pub fn lift_out(assets: &Assets, problem: &Problem, init: &mut InitState) -> Result<(), TaskError> {
    let name = problem
        .arena()
        .ok_or_else(|| problem_error(problem, "unknown problem name"))?;
    let arena = assets.arena(name)?;
    for thing in &problem.objects {
        let Some([x, y, z, w, i, j, k]) = init.objects.get_mut(&thing.name) else {
            continue;
        };
        let (model, _) = assets.model(&thing.category)?;
        let lowest = *z + lowest_point(&model, [*w, *i, *j, *k]);
        let inside = support_top(&arena, *x, *y).map_or(0.0, |top| top - lowest);
        if (LIFTED[0]..LIFTED[1]).contains(&inside) {
            *z += inside;
        }
    }
    Ok(())
}

/// Draws a state and lets it settle. The same seed gives the same state on every machine.
pub fn sample_init_state(
    assets: &Assets,
    problem: &Problem,
    seed: u64,
) -> Result<InitState, TaskError> {
    let mut rng = Uniform(ChaCha8Rng::seed_from_u64(seed));
    for _ in 0..MAX_DRAWS {
        let Some(drawn) = draw(assets, problem, &mut rng)? else {
            continue;
        };
        if let Some(settled) = settle(assets, problem, &drawn)? {
            return Ok(settled);
        }
    }
    Err(problem_error(
        problem,
        &format!("no state of {MAX_DRAWS} drawn came to rest in place"),
    ))
}

/// Lets dropped objects land; `None` if one of them ended up somewhere else, fell over or still
/// moves, if a joint was pushed, or if a part of the goal that `:init` does not state holds already.
fn settle(
    assets: &Assets,
    problem: &Problem,
    drawn: &InitState,
) -> Result<Option<InitState>, TaskError> {
    let mut world = world(assets, problem, drawn)?;
    let mut before = Vec::new();
    for step in 0..SETTLE_STEPS {
        world.step(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0])?;
        if step + 3 == SETTLE_STEPS {
            before = (0..world.scene().instances.len())
                .map(|i| world.instance_pose(i))
                .collect();
        }
    }
    let mut out = drawn.clone();
    for (i, instance) in world.scene().instances.iter().enumerate() {
        let joints: BTreeMap<String, f64> = instance
            .model
            .bodies
            .iter()
            .filter_map(|b| b.joint.as_ref())
            .filter_map(|j| Some((j.name.clone(), world.joint_position(i, &j.name)?)))
            .collect();
        let pushed = drawn.joints.get(&instance.name).is_some_and(|start| {
            (start.iter())
                .any(|(name, q)| joints.get(name).is_none_or(|now| (now - q).abs() > 0.02))
        });
        if pushed {
            return Ok(None);
        }
        if !joints.is_empty() {
            out.joints.insert(instance.name.clone(), joints);
        }
        if instance.fixed {
            continue;
        }
        let pose = world.instance_pose(i);
        let start = instance.pose;
        let shift = pose.translation.vector - start.translation.vector;
        let up = (pose.rotation * start.rotation.inverse()) * nalgebra::Vector3::z();
        let speed = before.get(i).map_or(0.0, |b| {
            (b.translation.vector - pose.translation.vector).norm()
        });
        let sideways = libm::hypot(shift.x, shift.y);
        if sideways > 0.03 || shift.z < -0.20 || up.z < 0.985 || speed > 5e-4 {
            return Ok(None);
        }
        out.objects.insert(instance.name.clone(), numbers_of(&pose));
    }
    for fact in &problem.goal.facts {
        let stated =
            (problem.init.iter()).any(|f| f.predicate == fact.predicate && f.args == fact.args);
        if !stated && fact_holds(&world, problem, fact)? {
            return Ok(None);
        }
    }
    Ok(Some(out))
}

/// Uniform and normal numbers from a ChaCha8 stream.
struct Uniform(ChaCha8Rng);

impl Uniform {
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Between two ends in either order.
    fn between(&mut self, ends: [f64; 2]) -> f64 {
        ends[0] + (ends[1] - ends[0]) * self.unit()
    }

    /// Standard normal (Box-Muller).
    fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.unit()));
        radius * libm::cos(std::f64::consts::TAU * self.unit())
    }
}

/// A placed movable object, for overlaps and for objects put on it.
struct Placed {
    xyz: [f64; 3],
    quat_wxyz: [f64; 4],
    model: Arc<ModelDesc>,
    on_support: bool,
}

fn draw(
    assets: &Assets,
    problem: &Problem,
    rng: &mut Uniform,
) -> Result<Option<InitState>, TaskError> {
    let name = problem
        .arena()
        .ok_or_else(|| problem_error(problem, "unknown problem name"))?;
    let arena = assets.arena(name)?;
    let w = arena.workspace_offset;
    let mut state = InitState {
        robot_qpos: RESET_QPOS,
        ..InitState::default()
    };
    for thing in problem.model_fixtures() {
        let (model, _) = assets.model(&thing.category)?;
        let (fact, region) = problem
            .init
            .iter()
            .filter(|f| f.predicate == Predicate::On && f.args[0] == thing.name)
            .find_map(|f| Some((f, problem.region(&f.args[1])?)))
            .ok_or_else(|| problem_error(problem, &format!("`{}` is nowhere", thing.name)))?;
        let Some(&[x0, y0, x1, y1]) = region.ranges.first() else {
            return Err(fact_error(problem, fact, "the region has no range"));
        };
        let (x, y) = (rng.between([x0, x1]) + w[0], rng.between([y0, y1]) + w[1]);
        let yaw = rng.between(region.yaw);
        let z = w[2] + arena.fixture_z_offset - model.placement.bottom_offset;
        let (sin, cos) = (libm::sin(0.5 * yaw), libm::cos(0.5 * yaw));
        state
            .fixtures
            .insert(thing.name.clone(), [x, y, z, cos, 0.0, 0.0, sin]);
    }
    for fact in &problem.init {
        stated_joint(assets, problem, fact, &mut state, rng)?;
    }
    let mut placed: BTreeMap<String, Placed> = BTreeMap::new();
    let mut waiting: Vec<&Fact> = problem
        .init
        .iter()
        .filter(|f| f.predicate.arity() == 2 && problem.objects.iter().any(|o| o.name == f.args[0]))
        .collect();
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|f| {
            problem.objects.iter().all(|o| o.name != f.args[1]) || placed.contains_key(&f.args[1])
        });
        let Some(next) = ready else {
            return Err(fact_error(
                problem,
                waiting[0],
                "objects stand on each other in a circle",
            ));
        };
        let fact = waiting.remove(next);
        let mut found = false;
        for _ in 0..MAX_TRIES {
            let one = place(assets, problem, fact, &state, &placed, &arena, rng)?;
            let radius = one.model.placement.horizontal_radius;
            let clear = !one.on_support
                || placed.values().filter(|p| p.on_support).all(|p| {
                    libm::hypot(p.xyz[0] - one.xyz[0], p.xyz[1] - one.xyz[1])
                        > p.model.placement.horizontal_radius + radius
                });
            if clear {
                let q = one.quat_wxyz;
                let [x, y, z] = one.xyz;
                state
                    .objects
                    .insert(fact.args[0].clone(), [x, y, z, q[0], q[1], q[2], q[3]]);
                placed.insert(fact.args[0].clone(), one);
                found = true;
                break;
            }
        }
        if !found {
            return Ok(None);
        }
    }
    for q in state.robot_qpos.iter_mut().take(7) {
        *q += ROBOT_NOISE * rng.normal();
    }
    Ok(Some(state))
}

/// Joint position for a fact such as (Open cabinet_top_region).
fn stated_joint(
    assets: &Assets,
    problem: &Problem,
    fact: &Fact,
    state: &mut InitState,
    rng: &mut Uniform,
) -> Result<(), TaskError> {
    if fact.predicate.arity() != 1 {
        return Ok(());
    }
    let region = problem.region(&fact.args[0]);
    let owner = region.map_or(&fact.args[0], |r| &r.target);
    let model = model_of(assets, problem, fact, owner)?;
    let range = model
        .articulation
        .as_ref()
        .and_then(|a| match fact.predicate {
            Predicate::Open => a.sample_open,
            Predicate::Close => a.sample_close,
            Predicate::TurnOn => a.sample_on,
            _ => a.sample_off,
        });
    let range =
        range.ok_or_else(|| fact_error(problem, fact, "the model states no range to sample"))?;
    for body in &model.bodies {
        let wanted = region.is_none_or(|r| body.site.iter().any(|s| s.name == r.local));
        if let (Some(joint), true) = (&body.joint, wanted) {
            let joints = state.joints.entry(owner.clone()).or_default();
            joints.insert(joint.name.clone(), rng.between(range));
        }
    }
    Ok(())
}

fn place(
    assets: &Assets,
    problem: &Problem,
    fact: &Fact,
    state: &InitState,
    placed: &BTreeMap<String, Placed>,
    arena: &bitvla_sim::ArenaDesc,
    rng: &mut Uniform,
) -> Result<Placed, TaskError> {
    let model = model_of(assets, problem, fact, &fact.args[0])?;
    let (bottom, radius) = (
        model.placement.bottom_offset,
        model.placement.horizontal_radius,
    );
    let w = arena.workspace_offset;
    let Some(region) = problem.region(&fact.args[1]) else {
        let below = placed
            .get(&fact.args[1])
            .ok_or_else(|| fact_error(problem, fact, "only objects can carry an object"))?;
        let [x, y, z] = below.xyz;
        let z = z + below.model.placement.top_offset - bottom + 0.01;
        return Ok(Placed {
            xyz: [x, y, z],
            quat_wxyz: turned(&model, rng),
            model,
            on_support: false,
        });
    };
    if problem.is_support(&region.target) {
        let Some(&[x0, y0, x1, y1]) = region.ranges.first() else {
            return Err(fact_error(problem, fact, "the region has no range"));
        };
        let shrink = if arena.shrink_regions { radius } else { 0.0 };
        let x = rng.between([x0 + shrink, x1 - shrink]) + w[0];
        let y = rng.between([y0 + shrink, y1 - shrink]) + w[1];
        let quat_wxyz = turned(&model, rng);
        let free =
            support_top(arena, x, y).map(|top| top + CLEARANCE - lowest_point(&model, quat_wxyz));
        let z = (w[2] + 0.01 - bottom).max(free.unwrap_or(f64::MIN));
        return Ok(Placed {
            xyz: [x, y, z],
            quat_wxyz,
            model,
            on_support: true,
        });
    }
    let carrier = model_of(assets, problem, fact, &region.target)?;
    let base = state
        .fixtures
        .get(&region.target)
        .map(pose_of)
        .ok_or_else(|| fact_error(problem, fact, "the carrier of the region is not placed"))?;
    let joints = state.joints.get(&region.target);
    let (site, half) = site_of(&carrier, joints, &region.local)
        .ok_or_else(|| fact_error(problem, fact, &format!("no site `{}`", region.local)))?;
    let s = (base * site).translation.vector;
    let (x, y, z) = match fact.predicate {
        Predicate::In => (s.x, s.y, s.z - bottom),
        _ => {
            let reach = |h: f64| (0.5 * h - radius).abs();
            let x = s.x + rng.between([-reach(half[0]), reach(half[0])]);
            let y = s.y + rng.between([-reach(half[1]), reach(half[1])]);
            (x, y, s.z + carrier.placement.top_offset - bottom)
        }
    };
    Ok(Placed {
        xyz: [x, y, z],
        quat_wxyz: turned(&model, rng),
        model,
        on_support: false,
    })
}

/// Orientation of a freshly placed object. A number is drawn only where the model states a range.
fn turned(model: &ModelDesc, rng: &mut Uniform) -> [f64; 4] {
    let placement = &model.placement;
    if placement.yaw_range == [0.0; 2] {
        return placement.quat_wxyz;
    }
    let half = 0.5 * rng.between(placement.yaw_range);
    let turn = Quaternion::new(libm::cos(half), 0.0, 0.0, libm::sin(half));
    let [w, x, y, z] = placement.quat_wxyz;
    let q = turn * Quaternion::new(w, x, y, z);
    [q.w, q.i, q.j, q.k]
}

/// Pose of a site in the root frame of its model, for given joint positions, and its half sizes.
fn site_of(
    model: &ModelDesc,
    joints: Option<&BTreeMap<String, f64>>,
    name: &str,
) -> Option<(Isometry3<f64>, [f64; 3])> {
    let (mut at, site) = model
        .bodies
        .iter()
        .enumerate()
        .find_map(|(i, b)| Some((i, b.site.iter().find(|s| s.name == name)?)))?;
    let mut pose = isometry(site.pos, site.quat_wxyz);
    // Up the tree; a parent always stands before its child.
    while let Some(parent) = &model.bodies[at].parent {
        let body = &model.bodies[at];
        let mut here = isometry(body.pos, body.quat_wxyz);
        if let Some(joint) = &body.joint {
            let q = joints
                .and_then(|j| j.get(&joint.name).copied())
                .unwrap_or(0.0);
            let axis = nalgebra::Vector3::from(joint.axis) * q;
            here *= match joint.kind {
                bitvla_sim::JointKind::Slide => Isometry3::translation(axis.x, axis.y, axis.z),
                bitvla_sim::JointKind::Hinge => Isometry3::rotation(axis),
            };
        }
        pose = here * pose;
        at = model.bodies.iter().position(|b| &b.name == parent)?;
    }
    Some((pose, site.half))
}

fn model_of(
    assets: &Assets,
    problem: &Problem,
    fact: &Fact,
    name: &str,
) -> Result<Arc<ModelDesc>, TaskError> {
    let thing = problem
        .objects
        .iter()
        .chain(&problem.fixtures)
        .find(|t| t.name == name)
        .ok_or_else(|| fact_error(problem, fact, &format!("unknown object `{name}`")))?;
    Ok(assets.model(&thing.category)?.0)
}

fn fact_error(problem: &Problem, fact: &Fact, message: &str) -> TaskError {
    crate::bddl::BddlError {
        file: problem.file.clone(),
        place: fact.place,
        message: message.to_owned(),
    }
    .into()
}

fn problem_error(problem: &Problem, message: &str) -> TaskError {
    let place = crate::bddl::Place { line: 1, column: 1 };
    crate::bddl::BddlError {
        file: problem.file.clone(),
        place,
        message: message.to_owned(),
    }
    .into()
}
