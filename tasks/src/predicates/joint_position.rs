//! Open, Close, TurnOn and TurnOff: predicates of joint positions (`docs/reference/libero.md`, section 6).

use super::compiled::{CompiledPredicate, Resolver};
use crate::bddl::Predicate;
use crate::error::TaskError;
use bitvla_sim::{ArticulationDesc, JointHandle, World};

/// Joint positions (rad or m) that satisfy a predicate, in the single precision of the engine's joint positions, so that
/// a joint that was set to a threshold is exactly on it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct JointInterval {
    low: f32,
    high: f32,
    /// `low` itself belongs to it; `high` never does.
    includes_low: bool,
}

impl JointInterval {
    /// The interval that the model of the joint states for a predicate, if it does.
    fn of(predicate: Predicate, limits: &ArticulationDesc) -> Option<JointInterval> {
        let interval = match predicate {
            Predicate::Open => limits.open,
            Predicate::Close => limits.close,
            Predicate::TurnOn => limits.turn_on,
            Predicate::TurnOff => limits.turn_off,
            _ => None,
        };
        interval.map(|[low, high]| JointInterval {
            low: low as f32,
            high: high as f32,
            includes_low: predicate == Predicate::TurnOn,
        })
    }

    fn contains(&self, q: f64) -> bool {
        let q = q as f32;
        (self.low < q || (self.includes_low && self.low == q)) && q < self.high
    }
}

/// Returns true if a joint position `q` (rad or m) satisfies a unary predicate; `None` if the model states no threshold.
pub fn joint_state(predicate: Predicate, limits: &ArticulationDesc, q: f64) -> Option<bool> {
    JointInterval::of(predicate, limits).map(|interval| interval.contains(q))
}

/// Combines the joints of an instance: Open and TurnOn need any joint, Close and TurnOff all of them. False
/// without joints.
pub fn joints_state(predicate: Predicate, joints: &[bool]) -> bool {
    match predicate {
        Predicate::Open | Predicate::TurnOn => joints.iter().any(|j| *j),
        _ => !joints.is_empty() && joints.iter().all(|j| *j),
    }
}

/// Range from which the joint position (rad or m) is drawn where `:init` states the predicate; `None` if the model gives
/// none or the predicate is not one of joints.
pub(crate) fn initial_range(predicate: Predicate, limits: &ArticulationDesc) -> Option<[f64; 2]> {
    match predicate {
        Predicate::Open => limits.sample_open,
        Predicate::Close => limits.sample_close,
        Predicate::TurnOn => limits.sample_on,
        Predicate::TurnOff => limits.sample_off,
        _ => None,
    }
}

/// Compiles a predicate of the joints of an instance, or of those joints that carry a region of it.
pub(super) fn compile(names: &Resolver<'_>) -> Result<Box<dyn CompiledPredicate>, TaskError> {
    let argument = names.argument(0)?;
    let predicate = names.instance.predicate;
    let region = names.problem.region(argument);
    let owner = names.object(region.map_or(argument, |r| &r.target))?;
    let model = names.model(owner);
    let limits = (model.articulation.as_ref())
        .ok_or_else(|| names.error("the model states no joint thresholds"))?;
    let interval = JointInterval::of(predicate, limits)
        .ok_or_else(|| names.error("the model states no threshold"))?;
    let joints = (model.bodies.iter())
        .filter(|body| region.is_none_or(|r| body.site.iter().any(|s| s.name == r.local)))
        .filter_map(|body| body.joint.as_ref())
        .map(|joint| names.joint(owner, &joint.name))
        .collect::<Result<Vec<_>, _>>()?;
    if joints.is_empty() {
        return Err(names.error("there is no joint that it applies to"));
    }
    Ok(Box::new(JointsInInterval {
        predicate,
        interval,
        joints,
    }))
}

/// Any or all of some joints in an interval, as [`joints_state`] says.
#[derive(Debug)]
struct JointsInInterval {
    predicate: Predicate,
    interval: JointInterval,
    joints: Vec<JointHandle>,
}

impl CompiledPredicate for JointsInInterval {
    fn holds(&self, world: &World) -> bool {
        let contains = |joint: &JointHandle| self.interval.contains(world.joint_position_of(joint));
        match self.predicate {
            Predicate::Open | Predicate::TurnOn => self.joints.iter().any(contains),
            _ => self.joints.iter().all(contains),
        }
    }
}
