//! Inference of the phase of a skill that puts an object into a container that opens to the side.

use super::{Fingers, HandState, Held, OPEN_FROM, angle_to, stalled_steps};
use crate::expert::insert::{IN_OPENING, Insert, PREGRASP_DISTANCE, Phase};
use bitvla_sim::World;
use nalgebra::{Point3, Vector3};

/// Steps in the grasp phase after which the next action lifts.
const GRASPED_STEPS: usize = 12;
/// Height below that of the carried object from which it is lifted straight up first, m.
const LIFTING: f64 = 0.03;
/// Angle from the posture within which the hand goes to the pregrasp pose, rad.
const IN_POSTURE: f64 = 0.25;
/// Distance behind the grasp point up to which the hand is on its way there, m.
const BEYOND: f64 = 0.014;

/// Puts a skill into the phase that the world is in. `rest` is the resting position of the origin of the object (world
/// frame, m), if that is known.
pub(super) fn infer(world: &World, skill: &mut Insert, rest: Option<Point3<f64>>) {
    let hand = HandState::observe(world);
    skill.state.servo.last_eef = hand.eef;
    match Fingers::about(world, &hand, skill.object, rest) {
        Fingers::Holding(held) => infer_holding(world, skill, &hand, &held),
        Fingers::Closing => {
            begin(skill, Phase::Grasp, hand.closed_steps(), hand.eef);
        }
        Fingers::Opening => {
            begin(skill, Phase::Release, hand.opened_steps(), hand.eef);
        }
        Fingers::Reaching => infer_reaching(world, skill, &hand),
    }
}

fn begin(skill: &mut Insert, phase: Phase, steps: usize, start: Point3<f64>) {
    skill.state.enter(phase, start);
    skill.state.steps = steps;
}

/// The object is between the fingers.
fn infer_holding(world: &World, skill: &mut Insert, hand: &HandState, held: &Held) {
    let object = held.object;
    // It is held where the fingers are, whatever was planned.
    let pose = world.instance_pose(skill.object);
    skill.grasp = pose.inverse_transform_point(&hand.eef).coords;
    let left = skill.distance_left(world);
    let inside = left < IN_OPENING;
    let standing = held.standing && !inside;
    let rise = if standing { 0.0 } else { held.rise };
    skill.rest_z = object.z - rise;
    let start = hand.eef - Vector3::z() * rise;
    if standing {
        begin(skill, Phase::Grasp, GRASPED_STEPS, hand.eef);
        return;
    }
    begin(skill, Phase::Transfer, 0, hand.eef);
    if left < 0.004 {
        begin(skill, Phase::Lower, 2, hand.eef);
        skill.state.servo.stalled_steps = stalled_steps(world);
    } else if inside || skill.obstruction(world, object) == 0.0 {
        begin(skill, Phase::Insert, 0, hand.eef);
    } else if object.z < skill.carry_height() - LIFTING {
        begin(skill, Phase::Lift, 0, start);
    }
}

/// The fingers are open, or nothing is near them.
fn infer_reaching(world: &World, skill: &mut Insert, hand: &HandState) {
    let grasp_point = skill.grasp_point(world);
    let (along, _) = hand.along_line(grasp_point, skill.approach);
    let open = hand.opening > OPEN_FROM;
    let on_line = along > -BEYOND && along < PREGRASP_DISTANCE;
    if open && on_line && skill.misalignment(world, hand.eef) == 0.0 {
        begin(skill, Phase::Advance, 0, hand.eef);
    } else if angle_to(world, &skill.orientation()) < IN_POSTURE {
        begin(skill, Phase::Align, 0, hand.eef);
    }
}
