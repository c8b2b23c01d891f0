//! An expert for a world in the middle of an episode that another policy has driven.
//!
//! The phase of a stacking subgoal is inferred from the fingers, the contacts and the poses of hand and
//! object. What cannot be observed (how long the expert has waited, which grasps have failed) is estimated
//! or forgotten. Every other skill starts anew, with its first phase.

use super::controller::Expert;
use super::grasp::Grasp;
use super::hand_frame::{eef_position, instance_origin, rotation_error, top_down_orientation};
use super::pick_place::{PREGRASP_DISTANCE, Phase, PickPlace};
use super::place_target::PlaceTarget;
use super::rim_grasp::RimGrasp;
use super::skill::Skill;
use super::subgoal::Subgoal;
use crate::error::TaskError;
use crate::suite::Task;
use bitvla_sim::panda::ARM_DOFS;
use bitvla_sim::{Owner, World};
use nalgebra::{Point3, Vector3};

/// Distance between fully opened fingers, m.
const FULL_OPENING: f64 = 0.08;
/// Distance between the fingers above which they count as open, m.
const OPEN_FROM: f64 = 0.06;
/// Distance between fingers that hold a rim, m: least and most.
const RIM_OPENING: [f64; 2] = [0.0024, 0.016];
/// Rate of the finger distance beyond which the fingers count as moving, m/s.
const FINGERS_MOVING: f64 = 0.012;
/// Rate beyond which the fingers are being opened, m/s: a wall that turns between closed pads moves them more slowly, the
/// opening gripper faster.
const FINGERS_OPENING: f64 = 0.04;
/// Control steps the fingers take from open to closed, and from closed to open.
const CLOSING_STEPS: f64 = 9.0;
const OPENING_STEPS: f64 = 8.0;
/// Steps in the grasp phase after which the next action lifts.
const GRASPED_STEPS: usize = 13;
/// Steps in the descent that are assumed of a hand that is under way.
const DESCENDING_STEPS: usize = 8;
/// Rise assumed of an object in the air whose resting height is not known, m: far enough for full speed.
const ASSUMED_RISE: f64 = 0.05;
/// Height above its resting height from which an object counts as lifted, m.
const LIFTED: f64 = 0.0015;
/// Height above its resting height up to which a supported object counts as standing, m.
const STANDING: f64 = 0.005;
/// Largest rise of a hand before the object between its fingers rises, m.
const MAX_WALL_TURN: f64 = 0.012;
/// Distance from hand to origin of the object within which the fingers hold it, and within which open
/// fingers are near it, m.
const HELD_DISTANCE: f64 = 0.09;
const NEAR_OBJECT: f64 = 0.10;
/// Height of the hand above the grasp point below which a grasp under it is kept, m.
const COMMITTED_HEIGHT: f64 = 0.045;
/// Distance from a rim point, m, and turn away from its opening direction, rad, within which the hand is
/// above it.
const ABOVE_RIM_POINT: (f64, f64) = (0.020, 0.35);
/// Joint speed below which the arm counts as standing still, rad/s.
const ARM_STILL: f64 = 0.02;

/// Height (world frame, m) at which the object that a task moves first was last supported without being touched
/// by the robot. An expert that resumes a lift needs it and cannot observe it.
#[derive(Clone)]
pub struct RestingHeight {
    object: usize,
    z: f64,
}

impl RestingHeight {
    /// Starts with the present height of the object, which must be at rest.
    ///
    /// # Errors
    /// As [`Expert::new`].
    pub fn new(world: &World, task: &Task) -> Result<RestingHeight, TaskError> {
        let object = Expert::new(world, task)?.object();
        let z = instance_origin(world, object).z;
        Ok(RestingHeight { object, z })
    }

    /// Updates the height from the world; to be called after every control step.
    pub fn observe(&mut self, world: &World) {
        let touched = world.in_contact(Owner::Robot, Owner::Instance(self.object));
        let origin = instance_origin(world, self.object);
        let (q, _) = world.robot_state();
        // Contacts flicker: an object between closed fingers is held even where none is reported.
        let between_fingers = q[ARM_DOFS] - q[ARM_DOFS + 1] < RIM_OPENING[1]
            && (eef_position(world) - origin).norm() < HELD_DISTANCE;
        if !touched && !between_fingers && is_supported(world, self.object) {
            self.z = origin.z;
        }
    }
}

/// True if an object touches something other than the robot.
fn is_supported(world: &World, object: usize) -> bool {
    let others = (0..world.scene().instances.len())
        .filter(|i| *i != object)
        .map(Owner::Instance);
    std::iter::once(Owner::Arena)
        .chain(others)
        .any(|other| world.in_contact(Owner::Instance(object), other))
}

/// Observable state of gripper, object and target; positions in the world frame, m.
#[derive(Clone, Copy)]
struct ManipulationState {
    eef: Point3<f64>,
    object: Point3<f64>,
    target: Point3<f64>,
    /// Distance between the fingers, m.
    opening: f64,
    /// Its rate, m/s; negative while closing.
    opening_rate: f64,
    /// The robot touches the object.
    touched: bool,
    /// The object touches something other than the robot.
    supported: bool,
    /// The object touches the target.
    on_target: bool,
    /// Height at which the object rested before it was lifted, m, where that is known.
    rest_z: Option<f64>,
}

impl ManipulationState {
    fn observe(world: &World, object: usize, target: usize, rest_z: Option<f64>) -> Self {
        let (q, qd) = world.robot_state();
        let owner = Owner::Instance(object);
        ManipulationState {
            eef: Point3::from(world.eef_pose().translation.vector),
            object: instance_origin(world, object),
            target: instance_origin(world, target),
            opening: q[ARM_DOFS] - q[ARM_DOFS + 1],
            opening_rate: qd[ARM_DOFS] - qd[ARM_DOFS + 1],
            touched: world.in_contact(Owner::Robot, owner),
            supported: is_supported(world, object),
            on_target: world.in_contact(owner, Owner::Instance(target)),
            rest_z,
        }
    }

    /// Horizontal distance of the object from the target, m.
    fn target_distance(&self) -> f64 {
        (self.object.xy() - self.target.xy()).norm()
    }

    /// Height of the object above where it rested, m.
    fn rise(&self) -> f64 {
        match self.rest_z {
            Some(z) => (self.object.z - z).max(0.0),
            None if self.supported => 0.0,
            None => ASSUMED_RISE,
        }
    }

    /// True if the fingers hold the object. Contacts flicker and a tilted wall goes on turning between the
    /// pads, so an object in the air between fingers at this distance is held whatever the contacts are.
    fn is_held(&self) -> bool {
        let grasped = self.opening > RIM_OPENING[0]
            && self.opening < RIM_OPENING[1]
            && self.opening_rate < FINGERS_OPENING
            && (self.eef - self.object).norm() < HELD_DISTANCE;
        let lifted = self.rest_z.is_some() && self.rise() > LIFTED;
        grasped && (lifted || (self.touched && self.opening_rate > -FINGERS_MOVING))
    }

    /// Steps since the fingers began to close.
    fn closed_steps(&self) -> usize {
        (CLOSING_STEPS * (1.0 - self.opening / FULL_OPENING)).clamp(0.0, CLOSING_STEPS) as usize
    }

    /// Steps since the fingers began to open.
    fn opened_steps(&self) -> usize {
        (OPENING_STEPS * self.opening / FULL_OPENING).clamp(0.0, OPENING_STEPS) as usize
    }
}

impl Expert {
    /// An expert for a world in the middle of an episode: it continues from the observable state. Grasps
    /// are chosen as at the start of an episode, except that a hand already descending near another point
    /// of the rim keeps to that one.
    ///
    /// # Errors
    /// As [`Expert::new`].
    pub fn resume(world: &World, task: &Task) -> Result<Expert, TaskError> {
        Expert::with_start(world, task, |world, subgoal| {
            resumed_skill(world, subgoal, None)
        })
    }

    /// As [`Expert::resume`] with a known resting height of the object, which distinguishes an object that stands
    /// from one in the air, and decides the speed at which a lift continues.
    ///
    /// # Errors
    /// As [`Expert::new`].
    pub fn resume_knowing(
        world: &World,
        task: &Task,
        rest: &RestingHeight,
    ) -> Result<Expert, TaskError> {
        Expert::with_start(world, task, |world, subgoal| {
            resumed_skill(world, subgoal, Some(rest.z))
        })
    }
}

/// The skill of a subgoal, in the phase inferred from the world.
fn resumed_skill(world: &World, subgoal: &Subgoal, rest_z: Option<f64>) -> Box<dyn Skill> {
    let Subgoal::PickPlace {
        object,
        target: target @ PlaceTarget::StackOn(base),
    } = subgoal
    else {
        return subgoal.start(world);
    };
    let mut skill = PickPlace::new(world, *object, target.clone());
    if let Grasp::Rim(grasp) = skill.grasp {
        let seen = ManipulationState::observe(world, *object, *base, rest_z);
        skill.state.servo.last_eef = seen.eef;
        Resumption {
            world,
            seen,
            grasp,
            skill: &mut skill,
        }
        .infer();
    }
    Box::new(skill)
}

/// Inference of the phase of a skill that stacks a bowl.
struct Resumption<'a> {
    world: &'a World,
    seen: ManipulationState,
    /// The grasp planned for the present state.
    grasp: RimGrasp,
    skill: &'a mut PickPlace,
}

impl Resumption<'_> {
    fn infer(&mut self) {
        let seen = self.seen;
        let from_axis = (seen.eef.xy() - seen.object.xy()).norm();
        let above_grasp = seen.eef.z - seen.object.z - self.grasp.offset.z;
        let radius = self.grasp.offset.xy().norm();
        // One finger inside the rim and one outside, whatever the angle.
        let astride =
            (from_axis - radius).abs() < 0.025 && above_grasp > -0.02 && above_grasp < 0.012;
        let placed = seen.on_target && seen.target_distance() < 0.03;
        if placed && seen.touched && seen.opening > RIM_OPENING[1] {
            self.keep_yaw();
            self.begin(Phase::Release, seen.opened_steps(), seen.eef);
        } else if seen.is_held() {
            self.infer_holding();
        } else if seen.opening_rate < -FINGERS_MOVING && seen.opening < FULL_OPENING && astride {
            self.keep_yaw();
            self.begin(Phase::Grasp, seen.closed_steps(), seen.eef);
        } else if seen.opening < OPEN_FROM {
            let near = (seen.eef - seen.object).norm() < NEAR_OBJECT;
            if seen.touched || astride || near {
                self.keep_yaw();
                self.begin(Phase::Release, seen.opened_steps(), seen.eef);
            }
        } else {
            self.infer_reaching();
        }
    }

    fn begin(&mut self, phase: Phase, steps: usize, grasp_point: Point3<f64>) {
        self.skill.state.enter(phase, grasp_point);
        self.skill.state.steps = steps;
        self.skill.grasp_point = grasp_point;
    }

    fn set_grasp(&mut self, grasp: RimGrasp) {
        self.grasp = grasp;
        self.skill.grasp = Grasp::Rim(grasp);
    }

    /// Keeps the hand turned as it is: the object is, or has just been, between the fingers.
    fn keep_yaw(&mut self) {
        let opening = self.world.eef_pose().rotation * Vector3::x();
        let yaw = libm::atan2(opening.y, opening.x);
        self.set_grasp(RimGrasp { yaw, ..self.grasp });
    }

    /// The object is between the fingers.
    fn infer_holding(&mut self) {
        let seen = self.seen;
        self.skill.held_offset = seen.object - seen.eef;
        self.keep_yaw();
        let distance = seen.target_distance();
        let low = seen.object.z < seen.target.z + 0.035;
        if distance < 0.007 || (distance < 0.02 && low) {
            self.begin(Phase::Lower, 0, seen.eef);
            self.skill.state.servo.stalled_steps = stalled_steps(self.world);
        } else if seen.supported
            && seen.rest_z.is_none_or(|z| seen.object.z < z + STANDING)
            && seen.eef.z - seen.object.z < self.grasp.offset.z + 0.006
        {
            // Closed long enough, as far as it can be observed: the next action lifts.
            self.begin(Phase::Grasp, GRASPED_STEPS, seen.eef);
            self.skill.rest_z = seen.object.z;
        } else {
            let wanted = self
                .skill
                .transfer_height(self.world, seen.object, seen.target);
            // The hand rises before the object does: a wall turns between the pads first.
            let ahead = seen.eef.z - seen.object.z - self.grasp.offset.z;
            let rise = seen.rise() + ahead.clamp(0.0, MAX_WALL_TURN);
            let phase = if seen.object.z > wanted - 0.02 {
                Phase::Transfer
            } else {
                Phase::Lift
            };
            self.begin(phase, 0, seen.eef - Vector3::z() * rise);
            self.skill.rest_z = seen.object.z - rise;
        }
    }

    /// The fingers are open.
    fn infer_reaching(&mut self) {
        let eef = self.seen.eef;
        let above_grasp = eef.z - self.skill.grasp_point.z;
        let distance = (eef.xy() - self.skill.grasp_point.xy()).norm();
        let turned = self.yaw_error(self.grasp.yaw).abs() < 0.1;
        let planned = turned && distance < 0.008 && above_grasp < PREGRASP_DISTANCE - 0.004;
        if planned || (above_grasp < COMMITTED_HEIGHT && self.keep_near_grasp()) {
            let grasp_point = self.skill.grasp_point;
            self.begin(Phase::Descend, DESCENDING_STEPS, grasp_point);
            self.skill.state.servo.stalled_steps = stalled_steps(self.world);
        }
    }

    /// Takes the point of the rim under the hand if the hand is about to close on it.
    fn keep_near_grasp(&mut self) -> bool {
        let from_axis = self.seen.eef.xy() - self.seen.object.xy();
        let near = self.grasp.at_angle(libm::atan2(from_axis.y, from_axis.x));
        let distance = (near.offset.xy() - from_axis).norm();
        let grasp_point = self.seen.object + near.offset;
        let obstacles = &self.skill.obstacles;
        let keep = distance < ABOVE_RIM_POINT.0
            && self.yaw_error(near.yaw).abs() < ABOVE_RIM_POINT.1
            && obstacles.top_down_clearance(grasp_point, near.yaw, 0.0) > 0.002;
        if keep {
            self.set_grasp(near);
            self.skill.grasp_point = grasp_point;
        }
        keep
    }

    /// Turn about the vertical from the present orientation of the hand to one that opens along `yaw`, rad.
    fn yaw_error(&self, yaw: f64) -> f64 {
        rotation_error(self.world, &top_down_orientation(self.world, yaw)).z
    }
}

/// Estimated number of control steps for which the hand has stood still.
fn stalled_steps(world: &World) -> usize {
    let (_, qd) = world.robot_state();
    let fastest = (0..ARM_DOFS).map(|i| qd[i].abs()).fold(0.0, f64::max);
    if fastest < ARM_STILL { 2 } else { 0 }
}
