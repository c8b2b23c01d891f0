//! An expert for a world in the middle of an episode that somebody else drove: what the phase must
//! be is read off the fingers, the contacts and where hand and object are. What cannot be seen (how
//! long the expert has waited, which grips it tried) is estimated or forgotten.

use super::rim::{HOVER, Phase, RimPlace, origin, yaw_error};
use super::{Expert, Skill};
use crate::{Task, TaskError};
use bitvla_sim::panda::ARM_DOFS;
use bitvla_sim::{Owner, World};
use nalgebra::{Point3, Vector3};

/// Distance between fully opened fingers, m.
const WIDEST: f64 = 0.08;
/// Fingers further apart than this are as good as open, m.
const OPEN_FROM: f64 = 0.06;
/// Distance between fingers that hold a rim, m: least and most.
const HOLDING: [f64; 2] = [0.0024, 0.016];
/// Rate of the finger distance beyond which the fingers are on their way, m/s.
const MOVING: f64 = 0.012;
/// Control steps the fingers take from open to closed.
const CLOSING_STEPS: f64 = 9.0;
/// Rise assumed of an object in the air, m: far enough for full speed.
const RISEN: f64 = 0.05;
/// Height above its resting height from which an object counts as lifted, m.
const LIFTED: f64 = 0.0015;
/// Height above its resting height up to which an object in contact with something stands, m.
const STANDING: f64 = 0.005;
/// Most that a hand rises before the object between its fingers does, m.
const TURNING: f64 = 0.012;
/// Height of the hand above the grip point below which a rim under it is worth keeping, m.
const COMMITTED: f64 = 0.045;
/// Distance from the rim, m, and turn away from its radius, rad, at which one still is above it.
const NEAR_RIM: (f64, f64) = (0.020, 0.35);

/// Follows the height at which the object that a task moves last rested without being touched by the
/// robot. An expert that resumes a lift needs it and cannot see it.
#[derive(Clone)]
pub struct RestingHeight {
    object: usize,
    z: f64,
}

impl RestingHeight {
    /// Starts with the present height of the object, which must be at rest.
    ///
    /// # Errors
    /// When the goal of the task is none that the expert knows.
    pub fn new(world: &World, task: &Task) -> Result<RestingHeight, TaskError> {
        let object = Expert::new(world, task)?.object();
        let z = origin(world, object).z;
        Ok(RestingHeight { object, z })
    }

    /// To be called after every control step.
    pub fn observe(&mut self, world: &World) {
        let touched = world.in_contact(Owner::Robot, Owner::Instance(self.object));
        if !touched && supported(world, self.object) {
            self.z = origin(world, self.object).z;
        }
    }
}

/// What the world shows of the gripper and the object.
#[derive(Clone)]
struct Seen {
    eef: Point3<f64>,
    object: Point3<f64>,
    target: Point3<f64>,
    /// Distance between the fingers, m.
    opening: f64,
    /// Its rate, m/s; negative while closing.
    rate: f64,
    touching: bool,
    /// The object touches something other than the robot.
    supported: bool,
    on_target: bool,
    /// Height at which the object rested before it was lifted, m, where that is known.
    rest_z: Option<f64>,
}

/// Whether an object touches something other than the robot.
fn supported(world: &World, object: usize) -> bool {
    let others = (0..world.scene().instances.len())
        .filter(|i| *i != object)
        .map(Owner::Instance);
    std::iter::once(Owner::Arena)
        .chain(others)
        .any(|other| world.in_contact(Owner::Instance(object), other))
}

impl Seen {
    fn new(world: &World, object: usize, target: usize, rest_z: Option<f64>) -> Seen {
        let (q, qd) = world.robot_state();
        let it = Owner::Instance(object);
        Seen {
            eef: Point3::from(world.eef_pose().translation.vector),
            object: origin(world, object),
            target: origin(world, target),
            opening: q[ARM_DOFS] - q[ARM_DOFS + 1],
            rate: qd[ARM_DOFS] - qd[ARM_DOFS + 1],
            touching: world.in_contact(Owner::Robot, it),
            supported: supported(world, object),
            rest_z,
            on_target: world.in_contact(it, Owner::Instance(target)),
        }
    }

    fn flat(&self) -> f64 {
        (self.object.xy() - self.target.xy()).norm()
    }

    /// Height above where the object rested, m.
    fn rise(&self) -> f64 {
        match self.rest_z {
            Some(z) => (self.object.z - z).max(0.0),
            None if self.supported => 0.0,
            None => RISEN,
        }
    }

    /// Contacts flicker and a leaning wall goes on turning between the pads, so an object in the air
    /// between fingers this far apart is held whatever they say.
    fn held(&self) -> bool {
        let pinched = self.opening > HOLDING[0]
            && self.opening < HOLDING[1]
            && self.rate < MOVING
            && (self.eef - self.object).norm() < 0.09;
        let lifted = self.rest_z.is_some() && self.rise() > LIFTED;
        pinched && (lifted || (self.touching && self.rate > -MOVING))
    }
}

impl Expert {
    /// An expert for a world in the middle of an episode: it goes on from where things stand, as far
    /// as the world shows it. Grips are chosen as at the start of an episode, except that a hand
    /// already descending near another point of the rim keeps to that one.
    pub fn resume(world: &World, task: &Task) -> Result<Expert, TaskError> {
        Expert::taking_over(world, task, None)
    }

    /// The same for somebody who knows at which height the object rested: that tells an object that
    /// stands from one in the air, and how gently a lift has to go on.
    pub fn resume_knowing(
        world: &World,
        task: &Task,
        rest: &RestingHeight,
    ) -> Result<Expert, TaskError> {
        Expert::taking_over(world, task, Some(rest.z))
    }

    fn taking_over(world: &World, task: &Task, rest_z: Option<f64>) -> Result<Expert, TaskError> {
        let mut expert = Expert::new(world, task)?;
        if let Skill::Rim(rim) = &mut expert.skill {
            let seen = Seen::new(world, rim.object, rim.target, rest_z);
            rim.course.hand.last_eef = seen.eef;
            rim.infer(world, &seen);
        }
        Ok(expert)
    }
}

impl RimPlace {
    fn infer(&mut self, world: &World, seen: &Seen) {
        let from_axis = (seen.eef.xy() - seen.object.xy()).norm();
        let above_grip = seen.eef.z - seen.object.z - self.grasp.offset.z;
        let radius = self.grasp.offset.xy().norm();
        // One finger inside the rim and one outside, whatever the angle.
        let astride =
            (from_axis - radius).abs() < 0.025 && above_grip > -0.02 && above_grip < 0.012;
        if seen.on_target && seen.flat() < 0.03 && seen.touching && seen.opening > HOLDING[1] {
            self.keep_turn(world);
            self.begin(Phase::Open, opened_steps(seen), seen.eef);
        } else if seen.held() {
            self.infer_carrying(world, seen);
        } else if seen.rate < -MOVING && seen.opening < WIDEST && astride {
            self.keep_turn(world);
            self.begin(Phase::Close, closed_steps(seen), seen.eef);
        } else if seen.opening < OPEN_FROM {
            let close_by = (seen.eef - seen.object).norm() < 0.10;
            if seen.touching || astride || close_by {
                self.keep_turn(world);
                self.begin(Phase::Open, opened_steps(seen), seen.eef);
            }
        } else {
            self.infer_reaching(world, seen);
        }
    }

    fn begin(&mut self, phase: Phase, steps: usize, grip: Point3<f64>) {
        self.course.enter(phase, grip);
        self.course.steps = steps;
        self.grip = grip;
    }

    /// Keeps the hand turned as it is: the object is, or has just been, between the fingers.
    fn keep_turn(&mut self, world: &World) {
        let along = world.eef_pose().rotation * Vector3::x();
        self.grasp.yaw = libm::atan2(along.y, along.x);
    }

    /// The object is between the fingers.
    fn infer_carrying(&mut self, world: &World, seen: &Seen) {
        self.held = seen.object - seen.eef;
        self.keep_turn(world);
        let flat = seen.flat();
        let low = seen.object.z < seen.target.z + 0.035;
        if flat < 0.007 || (flat < 0.02 && low) {
            self.begin(Phase::Lower, 0, seen.eef);
            self.course.hand.still = still(world);
        } else if seen.supported
            && seen.rest_z.is_none_or(|z| seen.object.z < z + STANDING)
            && seen.eef.z - seen.object.z < self.grasp.offset.z + 0.006
        {
            // Closed long enough, so far as one can see: the next action lifts.
            self.begin(Phase::Close, 13, seen.eef);
            self.rest_z = seen.object.z;
        } else {
            let wanted = self.clear_height(seen.object, seen.target);
            // The hand rises before the object does: a wall turns between the pads first.
            let ahead = seen.eef.z - seen.object.z - self.grasp.offset.z;
            let rise = seen.rise() + ahead.clamp(0.0, TURNING);
            let phase = if seen.object.z > wanted - 0.02 {
                Phase::Carry
            } else {
                Phase::Lift
            };
            self.begin(phase, 0, seen.eef - Vector3::z() * rise);
            self.rest_z = seen.object.z - rise;
        }
    }

    /// The fingers are open.
    fn infer_reaching(&mut self, world: &World, seen: &Seen) {
        let above_grip = seen.eef.z - self.grip.z;
        let flat = (seen.eef.xy() - self.grip.xy()).norm();
        let turned = yaw_error(world, self.grasp.yaw).abs() < 0.1;
        let planned = turned && flat < 0.015 && above_grip < HOVER - 0.004;
        if planned || (above_grip < COMMITTED && self.keep_near_grip(world, seen)) {
            let grip = self.grip;
            self.begin(Phase::Descend, 8, grip);
            self.course.hand.still = still(world);
        }
    }

    /// Takes the point of the rim under the hand if the hand is about to close on it.
    fn keep_near_grip(&mut self, world: &World, seen: &Seen) -> bool {
        let from_axis = seen.eef.xy() - seen.object.xy();
        let near = self.grasp.at_angle(libm::atan2(from_axis.y, from_axis.x));
        let away = (near.offset.xy() - from_axis).norm();
        let grip = seen.object + near.offset;
        let keep = away < NEAR_RIM.0
            && yaw_error(world, near.yaw).abs() < NEAR_RIM.1
            && self.obstacles.clearance(grip, near.yaw, 0.0) > 0.002;
        if keep {
            self.grasp = near;
            self.grip = grip;
        }
        keep
    }
}

fn closed_steps(seen: &Seen) -> usize {
    (CLOSING_STEPS * (1.0 - seen.opening / WIDEST)).clamp(0.0, CLOSING_STEPS) as usize
}

fn opened_steps(seen: &Seen) -> usize {
    (8.0 * seen.opening / WIDEST).clamp(0.0, 8.0) as usize
}

/// How many control steps the hand seems to have stood still.
fn still(world: &World) -> usize {
    let (_, qd) = world.robot_state();
    let fastest = (0..ARM_DOFS).map(|i| qd[i].abs()).fold(0.0, f64::max);
    if fastest < 0.02 { 2 } else { 0 }
}
