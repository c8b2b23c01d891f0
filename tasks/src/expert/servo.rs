//! Proportional-integral position control of the hand, and the encoding of an action: translation and
//! rotation increments of the operational-space controller and the gripper command
//! (`docs/reference/libero.md`, section 4).

use super::hand_frame::eef_position;
use bitvla_sim::World;
use nalgebra::{Point3, Vector3};

/// Translation of an action component of 1, m.
const TRANSLATION_SCALE: f64 = 0.05;
/// Rotation of an action component of 1, rad.
const ROTATION_SCALE: f64 = 0.5;
/// Gain of the position error.
const PROPORTIONAL_GAIN: f64 = 1.4;
/// Gain of the integral, and its largest component, m.
const INTEGRAL_GAIN: f64 = 0.25;
const INTEGRAL_LIMIT: f64 = 0.02;
/// Position error below which the integral accumulates, m; it decays beyond.
const INTEGRAL_RANGE: f64 = 0.02;
/// Displacement per control step below which the hand counts as standing still, m.
const STALL_DISPLACEMENT: f64 = 0.0008;
/// Largest vertical action component at the start of a slow lift.
const SLOW_LIFT: f64 = 0.2;
/// Rise at the full [`SLOW_LIFT`] limit, and the distance over which the limit then rises to 1, m.
const SLOW_LIFT_RISE: f64 = 0.015;
const SLOW_LIFT_RAMP: f64 = 0.02;
/// Distance from its target below which a braking hand slows down, m, and its least translation component.
const BRAKING_DISTANCE: f64 = 0.16;
const LEAST_SPEED: f64 = 0.25;

/// Largest component of the rotation while the arm changes its posture, rad.
pub(super) const POSTURE_ROTATION: f64 = 0.25;
/// Gripper component that opens the fingers.
pub(super) const GRIPPER_OPEN: f64 = -1.0;
/// Gripper component that closes the fingers.
pub(super) const GRIPPER_CLOSE: f64 = 1.0;

/// Position controller of the end effector in the world frame.
#[derive(Debug, Clone)]
pub(super) struct CartesianServo {
    /// Integral of the position error, m.
    integral: Vector3<f64>,
    /// Position at the last observation, m.
    pub(super) last_eef: Point3<f64>,
    /// Control steps for which the hand has stood still.
    pub(super) stalled_steps: usize,
}

impl Default for CartesianServo {
    fn default() -> Self {
        CartesianServo {
            integral: Vector3::zeros(),
            last_eef: Point3::origin(),
            stalled_steps: 0,
        }
    }
}

impl CartesianServo {
    /// Returns the position of the end effector, m, and counts the steps without motion.
    pub(super) fn observe(&mut self, world: &World) -> Point3<f64> {
        let eef = eef_position(world);
        let moved = (eef - self.last_eef).norm();
        self.stalled_steps = if moved < STALL_DISPLACEMENT {
            self.stalled_steps + 1
        } else {
            0
        };
        self.last_eef = eef;
        eef
    }

    /// Clears the integral and the count of motionless steps, for the start of a new motion.
    pub(super) fn reset(&mut self) {
        self.stalled_steps = 0;
        self.integral = Vector3::zeros();
    }

    /// Translation from `eef` towards `waypoint` (world frame, m) in action units, not limited. The
    /// integral acts near the waypoint only, against joint friction.
    pub(super) fn translation(&mut self, eef: Point3<f64>, waypoint: Point3<f64>) -> Vector3<f64> {
        let error = waypoint - eef;
        if error.norm() < INTEGRAL_RANGE {
            let limit = Vector3::repeat(INTEGRAL_LIMIT);
            self.integral = (self.integral + INTEGRAL_GAIN * error)
                .sup(&-limit)
                .inf(&limit);
        } else {
            self.integral *= 0.5;
        }
        (error * PROPORTIONAL_GAIN + self.integral) / TRANSLATION_SCALE
    }
}

/// The action of a translation (action units, world frame), a rotation vector (rad, world frame) and a
/// gripper command. Translation and rotation keep their directions and are each scaled down until no
/// component exceeds 1.
pub(super) fn action(translation: Vector3<f64>, rotation: Vector3<f64>, gripper: f64) -> [f64; 7] {
    let a = translation / translation.amax().max(1.0);
    let r = rotation / ROTATION_SCALE;
    let r = r / r.amax().max(1.0);
    [a.x, a.y, a.z, r.x, r.y, r.z, gripper]
}

/// A rotation vector scaled down until no component exceeds `limit`, rad. Used while the arm changes its
/// posture: turning at full speed, it would stretch.
pub(super) fn limited_rotation(rotation: Vector3<f64>, limit: f64) -> Vector3<f64> {
    rotation * (limit / rotation.amax().max(limit))
}

/// A translation (action units) scaled down until no component exceeds `limit`.
pub(super) fn limited_translation(a: Vector3<f64>, limit: f64) -> Vector3<f64> {
    if a.amax() > limit {
        a * (limit / a.amax())
    } else {
        a
    }
}

/// A translation (action units) of a hand at `distance` (m) from its target, slower and slower: at full speed
/// the hand would swing out away from the base where the arm is nearly stretched.
pub(super) fn braked_translation(a: Vector3<f64>, distance: f64) -> Vector3<f64> {
    limited_translation(a, (distance / BRAKING_DISTANCE).max(LEAST_SPEED))
}

/// The vertical action component of a lift by a thin wall that has risen by `rise`, m: slow at first,
/// while the tilted wall turns until it lies flat between the pads.
pub(super) fn limited_lift(z: f64, rise: f64) -> f64 {
    let ramp = ((rise.max(0.0) - SLOW_LIFT_RISE) / SLOW_LIFT_RAMP).clamp(0.0, 1.0);
    let limit = SLOW_LIFT + ramp * (1.0 - SLOW_LIFT);
    z.clamp(-limit, limit)
}

/// Guarantee: an action keeps the directions of translation and rotation and exceeds 1 in no component; the
/// rotation limit bounds the rotation, the lift limit the vertical component.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_keep_direction_and_stay_within_one() {
        let a = action(
            Vector3::new(3.0, -6.0, 0.0),
            Vector3::new(0.0, 0.1, 2.0),
            GRIPPER_CLOSE,
        );
        assert_eq!(a, [0.5, -1.0, 0.0, 0.0, 0.05, 1.0, 1.0]);
        let small = action(Vector3::new(0.25, 0.0, 0.5), Vector3::zeros(), GRIPPER_OPEN);
        assert_eq!(small, [0.25, 0.0, 0.5, 0.0, 0.0, 0.0, -1.0]);
    }

    #[test]
    fn rotation_is_limited_without_a_change_of_direction() {
        let limited = limited_rotation(Vector3::new(0.5, -1.0, 0.0), 0.25);
        assert_eq!(limited, Vector3::new(0.125, -0.25, 0.0));
        let small = Vector3::new(0.1, 0.0, -0.2);
        assert_eq!(limited_rotation(small, 0.25), small);
    }

    #[test]
    fn a_lift_starts_slowly_and_reaches_full_speed() {
        assert_eq!(limited_lift(1.0, 0.0), SLOW_LIFT);
        assert_eq!(limited_lift(-1.0, -0.1), -SLOW_LIFT);
        assert_eq!(limited_lift(1.0, 0.05), 1.0);
    }
}
