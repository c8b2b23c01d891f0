//! Pose of the hand: its frame, the orientations that skills need, and reach.
//!
//! The hand frame has its origin at the grasp point between the finger pads. Its z axis is the approach
//! direction, from the wrist towards the finger tips; the fingers open along its x axis. Everything here
//! is in the world frame.

use bitvla_sim::World;
use bitvla_sim::panda::ARM_DOFS;
use nalgebra::{Matrix3, Point3, Rotation3, Vector3};

/// Offset of the last joint from the wrist across the forearm, m (`docs/reference/libero.md`, section 3: link 7).
const WRIST_OFFSET: f64 = 0.088;
/// Height of the wrist above the grasp point of a hand that points straight down, m (section 3: right_hand and grip
/// site).
const WRIST_HEIGHT: f64 = 0.2035;
/// Height of the shoulder above the base of the robot, m (section 3: link 1).
const SHOULDER_HEIGHT: f64 = 0.333;

/// Position of the end effector (the grasp point), m.
pub(super) fn eef_position(world: &World) -> Point3<f64> {
    Point3::from(world.eef_pose().translation.vector)
}

/// Distance between the fingers up to which there is nothing between them, m.
pub(super) const EMPTY: f64 = 0.0024;
/// Distance between the fingers above which they count as open, m.
pub(super) const OPEN_FROM: f64 = 0.06;
/// Distance of the grasp point from the box around an object within which the fingers are about it, m.
pub(super) const AROUND: f64 = 0.012;

/// Distance between the fingers, m.
pub(super) fn finger_distance(world: &World) -> f64 {
    let (q, _) = world.robot_state();
    q[ARM_DOFS] - q[ARM_DOFS + 1]
}

/// Origin of an instance, m.
pub(super) fn instance_origin(world: &World, instance: usize) -> Point3<f64> {
    Point3::from(world.instance_pose(instance).translation.vector)
}

/// Position of the base of the robot, m.
pub(super) fn robot_base(world: &World) -> Point3<f64> {
    Point3::from(world.scene().arena.robot_base_pos)
}

/// Direction in which the fingers open, world frame, rad.
pub(super) fn opening_yaw(world: &World) -> f64 {
    let opening = world.eef_pose().rotation * Vector3::x();
    libm::atan2(opening.y, opening.x)
}

/// Horizontal unit vector at an angle from the x axis, rad.
pub(super) fn horizontal(yaw: f64) -> Vector3<f64> {
    Vector3::new(libm::cos(yaw), libm::sin(yaw), 0.0)
}

/// Orientation of a hand whose z axis lies along `approach` and whose x axis lies along `opening`,
/// projected off the approach.
pub(super) fn orientation(approach: Vector3<f64>, opening: Vector3<f64>) -> Rotation3<f64> {
    let z = approach.normalize();
    from_axes((opening - z * z.dot(&opening)).normalize(), z)
}

/// Like [`orientation`], with the opening axis either way round: the fingers are symmetric. Of the two it
/// is the one nearer to the hand that points down with the last joint in the middle of its range (x axis
/// between -x and y of the world), for which the last joint has room.
pub(super) fn symmetric_orientation(
    approach: Vector3<f64>,
    opening: Vector3<f64>,
) -> Rotation3<f64> {
    let reset = from_axes(Vector3::new(-1.0, 1.0, 0.0).normalize(), -Vector3::z());
    let (a, b) = (
        orientation(approach, opening),
        orientation(approach, -opening),
    );
    let angle = |r: &Rotation3<f64>| (r * reset.inverse()).angle();
    if angle(&b) < angle(&a) { b } else { a }
}

/// Orientation of a hand that points straight down and opens along the direction `yaw` (rad) or its
/// opposite, whichever is nearer to the present orientation.
pub(super) fn top_down_orientation(world: &World, yaw: f64) -> Rotation3<f64> {
    let now = world.eef_pose().rotation.to_rotation_matrix();
    let x = horizontal(yaw);
    let x = if (now * Vector3::x()).dot(&x) < 0.0 {
        -x
    } else {
        x
    };
    from_axes(x, -Vector3::z())
}

fn from_axes(x: Vector3<f64>, z: Vector3<f64>) -> Rotation3<f64> {
    Rotation3::from_matrix_unchecked(Matrix3::from_columns(&[x, z.cross(&x), z]))
}

/// Rotation vector from the present to the wanted orientation of the hand, rad.
pub(super) fn rotation_error(world: &World, wanted: &Rotation3<f64>) -> Vector3<f64> {
    let now = world.eef_pose().rotation.to_rotation_matrix();
    let error = (wanted * now.inverse()).scaled_axis();
    // The arc cosine of a trace that rounding has made larger than that of the identity.
    if error.x.is_nan() {
        Vector3::zeros()
    } else {
        error
    }
}

/// Distance of the hand at `eef` from the line that leads along the unit vector `direction` to `to`, m.
pub(super) fn distance_from_line(
    eef: Point3<f64>,
    to: Point3<f64>,
    direction: Vector3<f64>,
) -> f64 {
    direction.cross(&(eef - to)).norm()
}

/// Distance from shoulder to wrist with the hand pointing straight down at a point, m; the arm is nearly
/// stretched at 0.70. `base` is the base of the robot.
pub(super) fn shoulder_to_wrist(base: Point3<f64>, p: Point3<f64>) -> f64 {
    let horizontal = libm::hypot(p.x - base.x, p.y - base.y) - WRIST_OFFSET;
    let vertical = p.z + WRIST_HEIGHT - (base.z + SHOULDER_HEIGHT);
    libm::hypot(horizontal, vertical)
}

/// Guarantee: orientations have their z axis along the approach and their x axis in the plane of approach
/// and opening, and of the two that are equal up to the symmetry of the fingers the nearer one is taken.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_lie_along_approach_and_opening() {
        let approach = Vector3::new(0.3, 0.1, -0.9).normalize();
        let r = orientation(approach, Vector3::y());
        assert!((r * Vector3::z() - approach).norm() < 1e-12);
        let across = approach.cross(&Vector3::y());
        assert!((r * Vector3::x()).dot(&across).abs() < 1e-12);
        assert!((r.matrix().determinant() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_opening_axis_may_be_given_either_way_round() {
        for yaw in [0.2, 1.0, 2.0, 3.0] {
            let a = symmetric_orientation(-Vector3::z(), horizontal(yaw));
            let b = symmetric_orientation(-Vector3::z(), -horizontal(yaw));
            assert!((a.matrix() - b.matrix()).norm() < 1e-12, "yaw {yaw}");
        }
    }
}
