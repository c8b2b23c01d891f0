//! Inference of the phase of a skill that stacks a bowl, held by its rim.

use super::{
    ASKEW_OPENING, ASSUMED_RISE, DESCENDING_STEPS, FINGERS_MOVING, FINGERS_OPENING, HELD_DISTANCE,
    HandState, LIFTED, OPEN_FROM, RIM_OPENING, STANDING, is_supported, rise_above, stalled_steps,
};
use crate::expert::grasp::Grasp;
use crate::expert::hand_frame::{
    instance_origin, opening_yaw, rotation_error, top_down_orientation,
};
use crate::expert::pick_place::{PREGRASP_DISTANCE, Phase, PickPlace};
use crate::expert::rim_grasp::{GraspPreference, HandPose, RimGrasp};
use bitvla_sim::{Owner, World};
use nalgebra::{Point3, Vector3};
use std::f64::consts::TAU;

/// Distance of the bowl from the target within which it is lowered, m, and that within which one on its way down goes on.
const OVER_TARGET: f64 = 0.013;
const LOWERING: f64 = 0.025;
/// Height below that of the transfer from which the object is carried across, m; the same near the target, and how near that is, m.
const LIFTED_TO: f64 = 0.02;
const LOW_TRANSFER: f64 = 0.045;
const NEAR_TARGET: f64 = 0.12;
/// Distance from the grasp point beside it and above it within which a hand closes, m.
const CLOSING: (f64, f64) = (0.010, 0.0035);
/// Angle about the axis of the bowl between the hand and the planned grasp within which a grasp under the hand is kept, rad.
const NEAR_ANGLE: f64 = 1.0;
/// Turn from the planned direction within which the hand descends, rad.
const TURNED: f64 = 0.2;
/// Steps in the grasp phase after which the next action lifts.
const GRASPED_STEPS: usize = 13;
/// Largest rise of a hand before the object between its fingers rises, m.
const MAX_WALL_TURN: f64 = 0.012;
/// Distance from hand to origin of the object within which open fingers are near it, m.
const NEAR_OBJECT: f64 = 0.10;
/// Height of the hand above the grasp point below which a grasp under it is kept, m.
const COMMITTED_HEIGHT: f64 = 0.045;
/// Distance from a rim point, m, and turn away from its opening direction, rad, within which the hand is
/// above it.
const ABOVE_RIM_POINT: (f64, f64) = (0.020, 0.35);

/// Puts a skill that stacks an object on the instance `base` into the phase that the world is in. `rest` is the resting
/// position of the origin of the object (world frame, m), if that is known.
pub(super) fn infer(world: &World, skill: &mut PickPlace, base: usize, rest: Option<Point3<f64>>) {
    // A hand that is near goes on with the grasp that it is about to make; from afar all go to the same.
    let hand = HandPose {
        eef: HandState::observe(world).eef,
        yaw: opening_yaw(world),
    };
    let near = (hand.eef - instance_origin(world, skill.object)).norm() < NEAR_OBJECT;
    let preference = match near {
        true => GraspPreference::NearHand(hand),
        false => GraspPreference::LikeScenes,
    };
    skill.plan_preferring(world, preference);
    let Grasp::Rim(grasp) = skill.grasp else {
        return;
    };
    let seen = ManipulationState::observe(world, skill.object, base, rest);
    skill.state.servo.last_eef = seen.hand.eef;
    let mut resumption = Resumption {
        world,
        seen,
        grasp,
        skill,
    };
    resumption.infer();
}

/// Observable state of gripper, object and target; positions in the world frame, m.
#[derive(Clone, Copy)]
struct ManipulationState {
    hand: HandState,
    object: Point3<f64>,
    target: Point3<f64>,
    /// The robot touches the object.
    touched: bool,
    /// The object touches something other than the robot.
    supported: bool,
    /// The object touches the target.
    on_target: bool,
    /// Where the object rested before it was lifted, m, if that is known.
    rest: Option<Point3<f64>>,
}

impl ManipulationState {
    fn observe(world: &World, object: usize, target: usize, rest: Option<Point3<f64>>) -> Self {
        let owner = Owner::Instance(object);
        ManipulationState {
            hand: HandState::observe(world),
            object: instance_origin(world, object),
            target: instance_origin(world, target),
            touched: world.in_contact(Owner::Robot, owner),
            supported: is_supported(world, object),
            on_target: world.in_contact(owner, Owner::Instance(target)),
            rest,
        }
    }

    /// Horizontal distance of the object from the target, m.
    fn target_distance(&self) -> f64 {
        (self.object.xy() - self.target.xy()).norm()
    }

    /// Height of the object above where it rested, m, as [`rise_above`].
    fn rise(&self) -> f64 {
        match self.rest {
            Some(rest) => rise_above(self.object, rest),
            None if self.supported => 0.0,
            None => ASSUMED_RISE,
        }
    }

    /// True if the fingers hold the object. Contacts flicker and a tilted wall goes on turning between the
    /// pads, so an object in the air between fingers at this distance is held whatever the contacts are.
    fn is_held(&self) -> bool {
        let near = (self.hand.eef - self.object).norm() < HELD_DISTANCE;
        let lifted = (self.rest).is_some_and(|rest| self.object.z > rest.z + LIFTED);
        let still = self.hand.opening_rate > -FINGERS_MOVING;
        let HandState { opening, .. } = self.hand;
        let grasped = match opening {
            _ if opening <= RIM_OPENING[0] || self.hand.opening_rate >= FINGERS_OPENING => false,
            _ if opening < RIM_OPENING[1] => lifted || (self.touched && still),
            // Askew: the bowl has left the ground with it.
            _ => opening < ASKEW_OPENING && lifted && (still || !self.supported),
        };
        near && grasped
    }
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
        let from_axis = (seen.hand.eef.xy() - seen.object.xy()).norm();
        let above_grasp = seen.hand.eef.z - seen.object.z - self.grasp.offset.z;
        let radius = self.grasp.offset.xy().norm();
        // One finger inside the rim and one outside, whatever the angle.
        let astride =
            (from_axis - radius).abs() < 0.025 && above_grasp > -0.02 && above_grasp < 0.012;
        let placed = seen.on_target && seen.target_distance() < 0.03;
        if placed && seen.touched && seen.hand.opening > RIM_OPENING[1] {
            self.keep_yaw();
            self.begin(Phase::Release, seen.hand.opened_steps(), seen.hand.eef);
        } else if seen.is_held() {
            self.infer_holding();
        } else if seen.hand.opening < OPEN_FROM {
            // What the fingers do next depends on where they are, not on their speed, which no image shows: about the wall they close; empty or beside it,
            // they open on the way up.
            let near = (seen.hand.eef - seen.object).norm() < NEAR_OBJECT;
            if astride && seen.hand.opening > RIM_OPENING[0] {
                self.keep_yaw();
                self.begin(Phase::Grasp, seen.hand.closed_steps(), seen.hand.eef);
            } else if seen.touched || astride || near {
                self.keep_yaw();
                self.begin(Phase::Retreat, 0, seen.hand.eef);
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
        let yaw = opening_yaw(self.world);
        self.set_grasp(RimGrasp { yaw, ..self.grasp });
    }

    /// The object is between the fingers.
    fn infer_holding(&mut self) {
        let seen = self.seen;
        self.skill.held_offset = seen.object - seen.hand.eef;
        self.keep_yaw();
        let distance = seen.target_distance();
        let low = seen.object.z < seen.target.z + 0.035;
        if distance < OVER_TARGET || (distance < LOWERING && low) {
            self.begin(Phase::Lower, 0, seen.hand.eef);
            self.skill.state.servo.stalled_steps = stalled_steps(self.world);
        } else if seen.supported
            && (seen.rest).is_none_or(|rest| rise_above(seen.object, rest) < STANDING)
            && seen.hand.eef.z - seen.object.z < self.grasp.offset.z + 0.006
        {
            // Closed long enough, as far as it can be observed: the next action lifts.
            self.begin(Phase::Grasp, GRASPED_STEPS, seen.hand.eef);
            self.skill.rest_z = seen.object.z;
        } else {
            let wanted = self
                .skill
                .transfer_height(self.world, seen.object, seen.target);
            // The hand rises before the object does: a wall turns between the pads first.
            let ahead = seen.hand.eef.z - seen.object.z - self.grasp.offset.z;
            let rise = match seen.on_target {
                // It has come down on the edge of the target: up again, at full speed.
                true => ASSUMED_RISE,
                false => seen.rise() + ahead.clamp(0.0, MAX_WALL_TURN),
            };
            // Near the target it goes up and across at once: straight up below a height that images hardly show, and across above it, would
            // leave a policy between the two.
            let slack = match distance < NEAR_TARGET && !seen.on_target {
                true => LOW_TRANSFER,
                false => LIFTED_TO,
            };
            let phase = match seen.object.z > wanted - slack {
                true => Phase::Transfer,
                false => Phase::Lift,
            };
            self.begin(phase, 0, seen.hand.eef - Vector3::z() * rise);
            self.skill.rest_z = seen.object.z - rise;
        }
    }

    /// The fingers are open.
    fn infer_reaching(&mut self) {
        let eef = self.seen.hand.eef;
        let above_grasp = eef.z - self.skill.grasp_point.z;
        let distance = (eef.xy() - self.skill.grasp_point.xy()).norm();
        let turned = self.yaw_error(self.grasp.yaw).abs() < TURNED;
        let arrived = self.skill.approach_arrived + 0.002;
        let planned = turned && distance < arrived && above_grasp < PREGRASP_DISTANCE - 0.004;
        let near = above_grasp < COMMITTED_HEIGHT && self.keep_near_grasp();
        if !(near || planned) {
            return;
        }
        let grasp_point = self.skill.grasp_point;
        let off = eef - grasp_point;
        if off.z < CLOSING.1 && off.xy().norm() < CLOSING.0 {
            self.begin(Phase::Grasp, 0, eef);
        } else {
            self.begin(Phase::Descend, DESCENDING_STEPS, grasp_point);
            self.skill.state.servo.stalled_steps = stalled_steps(self.world);
        }
    }

    /// Takes the point of the rim under the hand, and the turn of the hand as it is, if the hand is about to close there: on the side of the planned grasp,
    /// so that a hand over the middle of the bowl is sent to one side of it only.
    fn keep_near_grasp(&mut self) -> bool {
        let from_axis = self.seen.hand.eef.xy() - self.seen.object.xy();
        let near = self.grasp.at_angle(libm::atan2(from_axis.y, from_axis.x));
        let apart = (near.angle - self.grasp.angle).rem_euclid(TAU);
        if apart.min(TAU - apart) > NEAR_ANGLE {
            return false;
        }
        let distance = (near.offset.xy() - from_axis).norm();
        let grasp_point = self.seen.object + near.offset;
        let obstacles = &self.skill.obstacles;
        let keep = distance < ABOVE_RIM_POINT.0
            && self.yaw_error(near.yaw).abs() < ABOVE_RIM_POINT.1
            && obstacles.top_down_clearance(grasp_point, near.yaw, 0.0) > 0.002;
        if keep {
            self.set_grasp(near);
            self.keep_yaw();
            self.skill.grasp_point = grasp_point;
        }
        keep
    }

    /// Turn about the vertical from the present orientation of the hand to one that opens along `yaw`, rad.
    fn yaw_error(&self, yaw: f64) -> f64 {
        rotation_error(self.world, &top_down_orientation(self.world, yaw)).z
    }
}
