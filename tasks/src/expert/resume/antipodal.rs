//! Inference of the phase of a skill that picks an object up by two opposite faces and places it.

use super::{
    DESCENDING_STEPS, Fingers, HandState, Held, ON_LINE, OPEN_FROM, TURNED, angle_to, stalled_steps,
};
use crate::expert::antipodal_grasp::AntipodalGrasp;
use crate::expert::grasp::Grasp;
use crate::expert::hand_frame::{instance_origin, opening_yaw};
use crate::expert::pick_place::{CROSSING, Phase, PickPlace};
use bitvla_sim::World;
use nalgebra::{Point3, Vector3};

/// Steps in the grasp phase after which the next action lifts.
const GRASPED_STEPS: usize = 12;
/// Steps in the lowering phase after which an object that stands is released.
const LOWERED_STEPS: usize = 9;
/// Horizontal distance from the goal, m, and angle from the wanted orientation, rad, within which an object is lowered: high above
/// the goal, and just above it. In between both grow in proportion, so that an object that drifts on its way down is not lifted again.
const OVER_GOAL: (f64, f64) = (0.012, 0.08);
const LOWERING: (f64, f64) = (0.03, 0.2);
/// Height above that of the release from which an object counts as high above the goal, m.
const HIGH: f64 = 0.06;
/// Height above that of the release below which it is there, m.
const DOWN: f64 = 0.006;

/// Puts a skill into the phase that the world is in. `rest` is the resting position of the origin of the object (world
/// frame, m), if that is known.
pub(super) fn infer(world: &World, skill: &mut PickPlace, rest: Option<Point3<f64>>) {
    let hand = HandState::observe(world);
    skill.state.servo.last_eef = hand.eef;
    skill.rest_z = instance_origin(world, skill.object).z;
    match Fingers::about(world, &hand, skill.object, rest) {
        Fingers::Holding(held) => infer_holding(world, skill, &hand, &held),
        Fingers::Closing => {
            hold(world, skill, &hand);
            begin(skill, Phase::Grasp, hand.closed_steps(), hand.eef);
        }
        Fingers::Opening => {
            hold(world, skill, &hand);
            begin(skill, Phase::Release, hand.opened_steps(), hand.eef);
        }
        Fingers::Reaching => infer_reaching(world, skill, &hand),
    }
}

fn begin(skill: &mut PickPlace, phase: Phase, steps: usize, grasp_point: Point3<f64>) {
    skill.state.enter(phase, grasp_point);
    skill.state.steps = steps;
    skill.grasp_point = grasp_point;
}

/// Takes the present pose of the hand for the grasp.
fn hold(world: &World, skill: &mut PickPlace, hand: &HandState) {
    let rotation = world.eef_pose().rotation;
    skill.grasp = Grasp::Antipodal(AntipodalGrasp {
        point: hand.eef,
        yaw: opening_yaw(world),
        approach: rotation * Vector3::z(),
        thickness: hand.opening,
    });
    skill.held_offset = instance_origin(world, skill.object) - hand.eef;
    let object = world.instance_pose(skill.object).rotation;
    skill.held_orientation = object.to_rotation_matrix().inverse() * rotation.to_rotation_matrix();
}

/// The object is between the fingers.
fn infer_holding(world: &World, skill: &mut PickPlace, hand: &HandState, held: &Held) {
    let object = held.object;
    hold(world, skill, hand);
    let goal = skill.goal(world);
    let rise = if held.standing { 0.0 } else { held.rise };
    skill.rest_z = object.z - rise;
    let lifted_from = hand.eef - Vector3::z() * rise;
    // Its orientation and height over the goal depend on the phase.
    begin(skill, Phase::Transfer, 0, lifted_from);
    let distance = (object.xy() - goal.xy()).norm();
    let angle = match skill.target.orientation() {
        Some(_) => skill.orientation_error(world),
        None => 0.0,
    };
    let wanted = skill.transfer_height(world, object, goal);
    let release_height = skill.clear_release_height(world, hand.eef, object, goal);
    let share = ((object.z - goal.z - release_height) / HIGH).clamp(0.0, 1.0);
    let allowed = |low: f64, high: f64| low + share * (high - low);
    if distance < allowed(LOWERING.0, OVER_GOAL.0) && angle < allowed(LOWERING.1, OVER_GOAL.1) {
        let down = object.z < goal.z + release_height + DOWN;
        let steps = if held.supported && down {
            LOWERED_STEPS
        } else {
            0
        };
        begin(skill, Phase::Lower, steps, hand.eef);
        skill.release_height = release_height;
        skill.state.servo.stalled_steps = stalled_steps(world);
    } else if held.standing {
        // Closed long enough, as far as it can be observed: the next action lifts.
        begin(skill, Phase::Grasp, GRASPED_STEPS, hand.eef);
    } else {
        let retracing = !held.carried_away && skill.retraces_to(hand.eef).is_some();
        if object.z < wanted - CROSSING || retracing {
            begin(skill, Phase::Lift, 0, lifted_from);
        }
    }
}

/// The fingers are open, or nothing is near them.
fn infer_reaching(world: &World, skill: &mut PickPlace, hand: &HandState) {
    skill.plan(world);
    skill.state.servo.last_eef = hand.eef;
    let approach = skill.grasp.approach();
    let (pregrasp, _) = skill.pregrasp();
    let distance = (pregrasp - skill.grasp_point).norm() - 0.004;
    let turned = angle_to(world, &skill.grasp.orientation(world)) < TURNED;
    let open = hand.opening > OPEN_FROM;
    if open
        && turned
        && hand.is_on_line(
            skill.grasp_point,
            approach,
            skill.approach_arrived + 0.002,
            distance,
        )
    {
        let (along, _) = hand.along_line(skill.grasp_point, approach);
        let grasp_point = skill.grasp_point;
        begin(skill, Phase::Descend, DESCENDING_STEPS, grasp_point);
        if along < ON_LINE {
            skill.state.servo.stalled_steps = stalled_steps(world);
        }
    }
}
