//! Whether the hand stands still.

use bitvla_sim::World;
use nalgebra::Isometry3;
use std::collections::VecDeque;

/// Control steps that have to pass without motion: twice what closing the fingers takes.
const STEPS: usize = 24;
/// Motion since the first of them that is none: translation, m, and rotation, rad, of the hand; opening between the fingers, m.
const TRANSLATION: f64 = 0.004;
const ROTATION: f64 = 0.05;
const OPENING: f64 = 0.002;

/// Tells whether the hand has stood still for a while, from its pose after each control step.
#[derive(Default)]
pub(crate) struct StallDetector {
    /// Pose of the hand, world frame, and opening, m, after the last steps, oldest first.
    recent: VecDeque<(Isometry3<f64>, f64)>,
}

impl StallDetector {
    /// Takes the state of the world after a control step; returns true if the hand has stood still.
    pub(crate) fn observe(&mut self, world: &World) -> bool {
        let fingers = world.observation().gripper_qpos;
        self.observe_hand(world.eef_pose(), fingers[0] - fingers[1])
    }

    fn observe_hand(&mut self, pose: Isometry3<f64>, opening: f64) -> bool {
        self.recent.push_back((pose, opening));
        if self.recent.len() <= STEPS {
            return false;
        }
        self.recent.pop_front();
        self.recent.iter().all(|(then, opening_then)| {
            (pose.translation.vector - then.translation.vector).norm() < TRANSLATION
                && pose.rotation.angle_to(&then.rotation) < ROTATION
                && (opening - opening_then).abs() < OPENING
        })
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: a hand stands still after 24 steps without motion of hand and fingers, and not before.
    use super::{STEPS, StallDetector};
    use nalgebra::{Isometry3, Vector3};

    fn after(steps: usize, speed: f64, opening_speed: f64, turn: f64) -> bool {
        let mut detector = StallDetector::default();
        let mut stalled = false;
        for i in 0..steps {
            let t = i as f64;
            let pose = Isometry3::new(Vector3::x() * speed * t, Vector3::y() * turn * t);
            stalled = detector.observe_hand(pose, 0.08 - opening_speed * t);
        }
        stalled
    }

    #[test]
    fn motion_of_hand_or_fingers_is_no_stall() {
        assert!(after(STEPS + 1, 0.0, 0.0, 0.0));
        assert!(!after(STEPS, 0.0, 0.0, 0.0));
        assert!(!after(100, 0.0005, 0.0, 0.0));
        assert!(!after(100, 0.0, 0.0005, 0.0));
        assert!(!after(100, 0.0, 0.0, 0.01));
        assert!(after(100, 0.0001, 0.0, 0.0));
    }
}
