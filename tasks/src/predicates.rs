//! When a goal holds: On, In, Open, Close, TurnOn, TurnOff with LIBERO's definitions
//! (fact sheet section 6).
//!
//! The geometry is in pure functions over poses and flags, so that it can be compared with recorded
//! samples; [`Goal::holds`] looks the poses and contacts up in a world.

use crate::bddl::{Fact, Goal, Predicate, Problem};
use crate::{Task, TaskError};
use bitvla_sim::{ArticulationDesc, Owner, World};
use nalgebra::{Isometry3, Point3, Rotation3, Vector3};

/// Half height of a region of the table, m.
const REGION_HALF_HEIGHT: f64 = 0.007;

/// On(A, B) of two objects: A's origin is not below B's, they touch, and the origins are less than
/// 3 cm apart horizontally.
pub fn on_object(a: Point3<f64>, b: Point3<f64>, contact: bool) -> bool {
    let d = a - b;
    b.z <= a.z && contact && libm::hypot(d.x, d.y) < 0.03
}

/// The box part of On(A, S): A's origin seen from the site lies over it, at most 10 cm above. As in
/// LIBERO the offset is multiplied by the site's rotation, not by its inverse.
pub fn above_site(a: Point3<f64>, site: &Isometry3<f64>, half: [f64; 3]) -> bool {
    let d = site.rotation * (a - Point3::from(site.translation.vector));
    half[2] - 0.005 < d.z && d.z < half[2] + 0.10 && d.x.abs() < half[0] && d.y.abs() < half[1]
}

/// In(A, S): A's origin lies in the box of the site, in world axes, with 1 cm more below. As in LIBERO
/// the half sizes are rotated first and made positive after.
pub fn in_site(a: Point3<f64>, site: &Isometry3<f64>, half: [f64; 3]) -> bool {
    let e = (site.rotation * Vector3::from(half)).abs();
    let d = a - Point3::from(site.translation.vector);
    (0..3).all(|i| {
        let below = if i == 2 { 0.01 } else { 0.0 };
        -e[i] - below < d[i] && d[i] < e[i]
    })
}

/// Whether a joint position satisfies a unary predicate; `None` if the model states no threshold.
/// Compared in single precision, which is what the engine's joint positions have: a joint that was put
/// on a threshold is on it.
pub fn joint_state(predicate: Predicate, limits: &ArticulationDesc, q: f64) -> Option<bool> {
    let q = q as f32;
    let single = |b: [f64; 2]| b.map(|v| v as f32);
    let inside = |b: [f32; 2]| b[0] < q && q < b[1];
    let inside = |b: [f64; 2]| inside(single(b));
    match predicate {
        Predicate::Open => limits.open.map(inside),
        Predicate::Close => limits.close.map(inside),
        Predicate::TurnOn => limits.turn_on.map(single).map(|b| b[0] <= q && q < b[1]),
        Predicate::TurnOff => limits.turn_off.map(inside),
        Predicate::On | Predicate::In => None,
    }
}

/// Open and TurnOn ask for any joint, Close and TurnOff for all of them.
pub fn joints_state(predicate: Predicate, joints: &[bool]) -> bool {
    match predicate {
        Predicate::Open | Predicate::TurnOn => joints.iter().any(|j| *j),
        _ => !joints.is_empty() && joints.iter().all(|j| *j),
    }
}

impl Goal {
    /// Whether all facts hold at this instant.
    pub fn holds(&self, world: &World, task: &Task) -> Result<bool, TaskError> {
        Ok(self.truth(world, task)?.into_iter().all(|t| t))
    }

    /// Truth of each fact, in the order of the file.
    pub fn truth(&self, world: &World, task: &Task) -> Result<Vec<bool>, TaskError> {
        self.facts
            .iter()
            .map(|fact| fact_holds(world, &task.problem, fact))
            .collect()
    }
}

/// Whether one fact of a problem holds in a world made from it.
pub fn fact_holds(world: &World, problem: &Problem, fact: &Fact) -> Result<bool, TaskError> {
    let first = fact.args.first().map(String::as_str).unwrap_or_default();
    match fact.predicate {
        Predicate::On | Predicate::In => {
            let a = instance(world, problem, fact, first)?;
            let p = Point3::from(world.instance_pose(a).translation.vector);
            let second = fact.args.get(1).map(String::as_str).unwrap_or_default();
            let Some(region) = problem.region(second) else {
                let b = instance(world, problem, fact, second)?;
                let q = Point3::from(world.instance_pose(b).translation.vector);
                let touch = world.in_contact(Owner::Instance(a), Owner::Instance(b));
                if fact.predicate == Predicate::In {
                    return Err(bad(
                        problem,
                        fact,
                        "In needs a region as its second argument",
                    ));
                }
                return Ok(on_object(p, q, touch));
            };
            if problem.is_support(&region.target) {
                let (pose, half) = arena_region(world, &region.ranges);
                return Ok(match fact.predicate {
                    Predicate::In => in_site(p, &pose, half),
                    _ => above_site(p, &pose, half),
                });
            }
            let owner = instance(world, problem, fact, &region.target)?;
            let (pose, half) = world
                .site_pose(owner, &region.local)
                .ok_or_else(|| bad(problem, fact, &format!("no site `{}`", region.local)))?;
            Ok(match fact.predicate {
                Predicate::In => in_site(p, &pose, half),
                _ => {
                    above_site(p, &pose, half)
                        && world.in_contact(Owner::Instance(a), Owner::Instance(owner))
                }
            })
        }
        unary => {
            let region = problem.region(first);
            let owner = instance(world, problem, fact, region.map_or(first, |r| &r.target))?;
            let model = &world.scene().instances[owner].model;
            let limits = model
                .articulation
                .as_ref()
                .ok_or_else(|| bad(problem, fact, "the model states no joint thresholds"))?;
            let mut states = Vec::new();
            for body in &model.bodies {
                let wanted = region.is_none_or(|r| body.site.iter().any(|s| s.name == r.local));
                let Some(joint) = body.joint.as_ref().filter(|_| wanted) else {
                    continue;
                };
                let q = world
                    .joint_position(owner, &joint.name)
                    .ok_or_else(|| bad(problem, fact, &format!("no joint `{}`", joint.name)))?;
                states.push(
                    joint_state(unary, limits, q)
                        .ok_or_else(|| bad(problem, fact, "the model states no threshold"))?,
                );
            }
            if states.is_empty() {
                return Err(bad(problem, fact, "there is no joint to look at"));
            }
            Ok(joints_state(unary, &states))
        }
    }
}

/// Pose and half sizes of a region of the table.
fn arena_region(world: &World, ranges: &[[f64; 4]]) -> (Isometry3<f64>, [f64; 3]) {
    let arena = &world.scene().arena;
    let [x0, y0, x1, y1] = ranges.first().copied().unwrap_or_default();
    let w = arena.workspace_offset;
    let centre = Vector3::new(
        0.5 * (x0 + x1) + w[0],
        0.5 * (y0 + y1) + w[1],
        arena.region_site_z,
    );
    let pose = Isometry3::from_parts(centre.into(), Rotation3::identity().into());
    (pose, [0.5 * (x1 - x0), 0.5 * (y1 - y0), REGION_HALF_HEIGHT])
}

fn instance(world: &World, problem: &Problem, fact: &Fact, name: &str) -> Result<usize, TaskError> {
    world
        .scene()
        .instance(name)
        .ok_or_else(|| bad(problem, fact, &format!("`{name}` is not in the scene")))
}

fn bad(problem: &Problem, fact: &Fact, message: &str) -> TaskError {
    crate::bddl::BddlError {
        file: problem.file.clone(),
        place: fact.place,
        message: format!("{:?}: {message}", fact.predicate),
    }
    .into()
}
