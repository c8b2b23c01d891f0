//! Inference of the phase of a skill that pushes a flat object.

use super::{HandState, angle_to};
use crate::expert::hand_frame::instance_origin;
use crate::expert::push::{
    FUNNEL, PREPUSH_DISTANCE, PUSH_HEIGHT, Phase, Push, approach, orientation,
};
use bitvla_sim::World;
use nalgebra::Vector3;

/// Height above that of the push below which the hand pushes, m.
const LOW: f64 = 0.012;
/// Angle from the wanted orientation, rad, and from the direction to the goal.
const TURNED: f64 = 0.2;
const TOWARDS_GOAL: f64 = 0.6;
/// Distance of the hand in front of the place where the fingers come down, across the push, m.
const BEHIND_OBJECT: f64 = 0.03;

/// Puts a skill into the phase that the world is in.
pub(super) fn infer(world: &World, skill: &mut Push) {
    let hand = HandState::observe(world);
    let object = instance_origin(world, skill.object);
    skill.state.servo.last_eef = hand.eef;
    let to_go = Vector3::new(skill.goal.x - object.x, skill.goal.y - object.y, 0.0);
    if to_go.norm() < 1e-6 {
        return;
    }
    // The direction in which the hand leans is that of a push that has begun.
    let down = world.eef_pose().rotation * Vector3::z();
    let leaning = -Vector3::new(down.x, down.y, 0.0);
    let wanted = to_go.normalize();
    let direction = match leaning.try_normalize(0.2) {
        Some(direction) if direction.angle(&wanted) < TOWARDS_GOAL => direction,
        _ => skill.free_direction(world, object, wanted),
    };
    let turned = angle_to(world, &orientation(direction)) < TURNED;
    let arrived = FUNNEL.arrived.0;
    let behind = skill.behind(object, direction);
    let left = behind - hand.eef;
    let (along, across) = hand.along_line(behind, approach(direction));
    let sideways = left - direction * left.dot(&direction);
    let low = hand.eef.z < skill.goal.z + PUSH_HEIGHT + LOW;
    let pushing = low
        && left.dot(&direction) < BEHIND_OBJECT
        && (object - hand.eef).dot(&direction) > 0.0
        && Vector3::new(sideways.x, sideways.y, 0.0).norm() < BEHIND_OBJECT;
    if turned && pushing {
        skill.direction = direction;
        skill.state.enter(Phase::Push, hand.eef);
    } else if turned && across < arrived && along < PREPUSH_DISTANCE && along > -arrived {
        skill.direction = direction;
        skill.state.enter(Phase::Descend, hand.eef);
    }
}
