//! When a phase is complete, and which one follows.

use super::{Phase, PickPlace};
use crate::expert::grasp::{Grasp, left_behind};
use crate::expert::hand_frame::{horizontal, instance_origin};
use bitvla_sim::World;
use nalgebra::Point3;

/// Distance of a piece from the middle between the fingers, along their opening, at which they may close on it where they have
/// the room, m: half of the way from there to an open finger.
const MOST_BETWEEN: f64 = 0.02;
/// Height above the grasp point at which the fingers may close, m.
const LOW_ENOUGH: f64 = 0.003;
/// Horizontal error at which the fingers may close on a rim, and error across their opening at which they may close on anything else, m.
const NEAR_ENOUGH: f64 = 0.006;
/// Horizontal error at which a stalled transfer is good enough, m.
const NEARLY_ARRIVED: f64 = 0.02;

impl PickPlace {
    /// Enters the next phase when the present one is complete.
    pub(super) fn advance(&mut self, world: &World, eef: Point3<f64>, goal: Point3<f64>) {
        let object = instance_origin(world, self.object);
        let n = self.state.steps;
        match self.state.phase {
            Phase::Approach => {
                let (pregrasp, _) = self.pregrasp();
                let distance = self.distance_across(eef);
                let aligned = self.orientation_error(world) < self.tuning.approach_alignment;
                let low = eef.z - pregrasp.z < 0.03;
                let late = n > self.tuning.approach_steps;
                let replans = self.tuning.replans_approach;
                if (distance < self.approach_arrived && aligned && low) || (late && !replans) {
                    self.grasp_point = self.grasp.point(object, self.grasp_point);
                    self.state.enter(Phase::Descend, eef);
                } else if replans && (late || self.state.stalled(12, 30)) {
                    // An obstacle blocks the approach to this grasp.
                    self.give_up_grasp(eef);
                }
            }
            Phase::Descend => {
                let off = eef - self.grasp_point;
                let there = match self.grasp {
                    // Wherever the wall is between the fingers.
                    Grasp::Rim(_) => off.xy().norm() < NEAR_ENOUGH && off.z < LOW_ENOUGH,
                    Grasp::Antipodal(grasp) => {
                        let opening = horizontal(grasp.yaw);
                        let along = off.dot(&opening);
                        let between = MOST_BETWEEN.min(self.room_beside_grasp());
                        along.abs() < between && (off - opening * along).norm() < NEAR_ENOUGH
                    }
                    _ => off.norm() < 0.004,
                };
                if (there && n > 2) || self.state.stalled(4, 8) || n > 30 {
                    // A hand that has arrived goes on to the exact point while the fingers close.
                    if !there || matches!(self.grasp, Grasp::Rim(_)) {
                        self.grasp_point = eef;
                    }
                    self.state.enter(Phase::Grasp, eef);
                }
            }
            Phase::Grasp => {
                if n > self.tuning.grasp_steps {
                    self.held_offset = object - eef;
                    let hand = world.eef_pose().rotation.to_rotation_matrix();
                    let pose = world.instance_pose(self.object).rotation;
                    self.held_orientation = pose.to_rotation_matrix().inverse() * hand;
                    self.state.enter(Phase::Lift, eef);
                }
            }
            Phase::Lift => {
                let wanted = self.transfer_height(world, object, goal);
                let rise = eef.z - self.grasp_point.z;
                if left_behind(object.z, self.rest_z, rise) {
                    self.give_up_grasp(eef);
                } else if object.z > wanted - 0.012 || n > 40 {
                    self.state.enter(Phase::Transfer, eef);
                }
            }
            Phase::Transfer => {
                let distance = (object.xy() - goal.xy()).norm();
                let aligned = self.orientation_error(world) < self.tuning.transfer_alignment;
                if self.dropped(object, eef) {
                    self.give_up_grasp(eef);
                } else if (distance < self.tuning.transfer_arrived && n > 3 && aligned)
                    || (distance < NEARLY_ARRIVED
                        && self.state.servo.stalled_steps >= self.tuning.transfer_stall)
                {
                    self.release_height = self.clear_release_height(world, eef, object, goal);
                    self.state.enter(Phase::Lower, eef);
                }
            }
            Phase::Lower => {
                let low = self.target.has_resting_height()
                    && object.z < goal.z + self.release_height + 0.002;
                if self.dropped(object, eef) {
                    self.give_up_grasp(eef);
                } else if (low && (self.release_height > 0.0 || n > 8))
                    || self.state.stalled(3, 5)
                    || n > self.tuning.lower_steps
                {
                    self.grasp_point = eef;
                    self.state.enter(Phase::Release, eef);
                }
            }
            Phase::Release => {
                if n > 7 {
                    self.state.enter(Phase::Retreat, eef);
                }
            }
            Phase::Retreat => {
                if n > 10 {
                    self.plan(world);
                }
            }
        }
    }

    /// True if the object is no longer where it was in the hand. An object held by opposite faces turns with
    /// the hand: only its distance counts.
    fn dropped(&self, object: Point3<f64>, eef: Point3<f64>) -> bool {
        let offset = object - eef;
        let moved = match self.grasp {
            Grasp::Rim(_) => (offset - self.held_offset).norm(),
            _ => (offset.norm() - self.held_offset.norm()).abs(),
        };
        moved > self.tuning.slip
    }
}
