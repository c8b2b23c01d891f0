//! Inference of the phase of a skill that puts an object into a container that opens to the side.

use super::{
    AROUND, HandState, LIFTED, OPEN_FROM, STANDING, angle_to, is_supported, stalled_steps,
};
use crate::expert::hand_frame::instance_origin;
use crate::expert::insert::{Insert, PREGRASP_DISTANCE, Phase};
use bitvla_sim::{Owner, World};
use nalgebra::{Point3, Vector3};

/// Distance of the grasp point from the box around the object within which the fingers have just let go of it, m.
const NEAR_OBJECT: f64 = 0.03;
/// Steps in the grasp phase after which the next action lifts.
const GRASPED_STEPS: usize = 12;
/// Height below that of the carried object from which it is lifted first, m.
const LIFTING: f64 = 0.012;
/// Distance from the middle of the opening, m, and angle from the wanted orientation, rad, from which the object goes in.
const BEFORE_OPENING: (f64, f64) = (0.014, 0.1);
/// Distance that is left from which the object is inside the opening, m.
const INSIDE: f64 = 0.06;
/// Angle from the posture within which the hand goes to the pregrasp pose, rad.
const IN_POSTURE: f64 = 0.25;
/// Distance from the line to the grasp point within which the hand advances, m, and angle, rad.
const ADVANCING: (f64, f64) = (0.014, 0.1);

/// Puts a skill into the phase that the world is in. `rest_z` is the resting height of the origin of the object (world
/// frame, m), if that is known.
pub(super) fn infer(world: &World, skill: &mut Insert, rest_z: Option<f64>) {
    let hand = HandState::observe(world);
    let object = instance_origin(world, skill.object);
    skill.state.servo.last_eef = hand.eef;
    let touched = world.in_contact(Owner::Robot, Owner::Instance(skill.object));
    let supported = is_supported(world, skill.object);
    let about = hand.is_about(world, skill.object, AROUND);
    let lifted = rest_z.is_some_and(|z| object.z > z + LIFTED) && !supported;
    if about && hand.grips() && (touched || lifted) {
        infer_holding(world, skill, &hand, (object, rest_z), supported);
    } else if about && hand.closes() {
        begin(skill, Phase::Grasp, hand.closed_steps(), hand.eef);
    } else if hand.opening < OPEN_FROM && hand.is_about(world, skill.object, NEAR_OBJECT) {
        begin(skill, Phase::Release, hand.opened_steps(), hand.eef);
    } else {
        infer_reaching(world, skill, &hand);
    }
}

fn begin(skill: &mut Insert, phase: Phase, steps: usize, start: Point3<f64>) {
    skill.state.enter(phase, start);
    skill.state.steps = steps;
}

/// The object is between the fingers.
fn infer_holding(
    world: &World,
    skill: &mut Insert,
    hand: &HandState,
    (object, rest_z): (Point3<f64>, Option<f64>),
    supported: bool,
) {
    // It is held where the fingers are, whatever was planned.
    let pose = world.instance_pose(skill.object);
    skill.grasp = pose.inverse_transform_point(&hand.eef).coords;
    let left = skill.distance_left(world);
    let inside = left < INSIDE;
    let standing = supported && !inside && rest_z.is_none_or(|z| object.z < z + STANDING);
    let rise = match rest_z {
        Some(z) if !standing => (object.z - z).max(0.0),
        _ => 0.0,
    };
    skill.rest_z = object.z - rise;
    let start = hand.eef - Vector3::z() * rise;
    if standing {
        begin(skill, Phase::Grasp, GRASPED_STEPS, hand.eef);
        return;
    }
    begin(skill, Phase::Transfer, 0, hand.eef);
    let angle = angle_to(world, &skill.orientation());
    let off = (skill.sill - object).dot(&skill.across()).abs();
    let before_opening = off < BEFORE_OPENING.0 && angle < BEFORE_OPENING.1;
    if left < 0.004 {
        begin(skill, Phase::Lower, 2, hand.eef);
        skill.state.servo.stalled_steps = stalled_steps(world);
    } else if inside || (before_opening && object.z > skill.carry_height() - LIFTING) {
        begin(skill, Phase::Insert, 0, hand.eef);
    } else if object.z < skill.carry_height() - LIFTING {
        begin(skill, Phase::Lift, 0, start);
    }
}

/// The fingers are open, or nothing is near them.
fn infer_reaching(world: &World, skill: &mut Insert, hand: &HandState) {
    let grasp_point = skill.grasp_point(world);
    let (along, across) = hand.along_line(grasp_point, skill.approach);
    let angle = angle_to(world, &skill.orientation());
    let open = hand.opening > OPEN_FROM;
    if open
        && across < ADVANCING.0
        && angle < ADVANCING.1
        && along > -ADVANCING.0
        && along < PREGRASP_DISTANCE
    {
        begin(skill, Phase::Advance, 0, hand.eef);
    } else if angle < IN_POSTURE {
        begin(skill, Phase::Align, 0, hand.eef);
    }
}
