//! A camera that orbits a point.

use bitvla_sim::{CameraDesc, isometry};
use nalgebra::{Isometry3, Matrix3, Point3, Rotation3, UnitQuaternion, Vector3};

/// Name of the free camera in the scene that is drawn.
pub(crate) const FREE: &str = "free";
/// Vertical field of view, degrees.
const FOVY_DEG: f64 = 45.0;

/// Where the free camera looks from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Orbit {
    /// Angle about the vertical, radians: 0 is on the side of +x.
    pub yaw: f64,
    /// Angle above the horizontal, radians.
    pub pitch: f64,
    /// Distance from the point, m.
    pub distance: f64,
    /// The point, world frame, m.
    pub target: [f64; 3],
}

impl Orbit {
    /// Pose of the camera: view direction -z, +y up.
    fn pose(&self) -> Isometry3<f64> {
        let (sin_yaw, cos_yaw) = libm::sincos(self.yaw);
        let (sin_pitch, cos_pitch) = libm::sincos(self.pitch);
        let backwards = Vector3::new(cos_pitch * cos_yaw, cos_pitch * sin_yaw, sin_pitch);
        let right = Vector3::new(-sin_yaw, cos_yaw, 0.0);
        let up = backwards.cross(&right);
        let axes = Matrix3::from_columns(&[right, up, backwards]);
        let rotation = Rotation3::from_matrix_unchecked(axes);
        let position = Vector3::from(self.target) + backwards * self.distance;
        Isometry3::from_parts(
            position.into(),
            UnitQuaternion::from_rotation_matrix(&rotation),
        )
    }

    /// The camera of a scene that looks from there.
    pub(crate) fn camera(&self) -> CameraDesc {
        let pose = self.pose();
        let q = pose.rotation;
        CameraDesc {
            name: FREE.to_owned(),
            body: None,
            pos: pose.translation.vector.into(),
            quat_wxyz: [q.w, q.i, q.j, q.k],
            fovy_deg: FOVY_DEG,
        }
    }

    /// Place of a point in an image, as fractions of its width and height from the top left; none behind the camera.
    pub(crate) fn project(&self, point: [f64; 3], aspect: f64) -> Option<[f64; 2]> {
        let camera = self.camera();
        let pose = isometry(camera.pos, camera.quat_wxyz);
        let seen = pose.inverse_transform_point(&Point3::from(point));
        let depth = -seen.z;
        if depth < 0.01 {
            return None;
        }
        let half = libm::tan(FOVY_DEG.to_radians() * 0.5);
        let x = seen.x / (depth * half * aspect);
        let y = seen.y / (depth * half);
        Some([0.5 + 0.5 * x, 0.5 - 0.5 * y])
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: the camera looks at its target, upright, and what lies to its right is drawn to the right.
    use super::*;

    #[test]
    fn the_target_is_in_the_middle() {
        let orbit = Orbit {
            yaw: 0.7,
            pitch: 0.5,
            distance: 1.5,
            target: [0.1, 0.2, 0.9],
        };
        let [x, y] = orbit.project(orbit.target, 4.0 / 3.0).unwrap();
        assert!((x - 0.5).abs() < 1e-9 && (y - 0.5).abs() < 1e-9, "{x} {y}");
        let above = orbit.project([0.1, 0.2, 1.0], 4.0 / 3.0).unwrap();
        assert!((above[0] - 0.5).abs() < 1e-9 && above[1] < 0.5, "{above:?}");
        let right = [0.1 - 0.1 * libm::sin(0.7), 0.2 + 0.1 * libm::cos(0.7), 0.9];
        assert!(orbit.project(right, 4.0 / 3.0).unwrap()[0] > 0.5);
        let behind = [0.1 + 9.0 * libm::cos(0.7), 0.2 + 9.0 * libm::sin(0.7), 9.0];
        assert!(orbit.project(behind, 4.0 / 3.0).is_none());
    }
}
