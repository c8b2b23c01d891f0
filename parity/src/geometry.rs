//! Distances between recorded and simulated poses.

use bitvla_sim::isometry;
use nalgebra::{Isometry3, UnitQuaternion, Vector3};

/// Pose from position (m) and quaternion `[x, y, z, w, x, y, z]`, world frame.
pub(crate) fn pose(v: &[f64; 7]) -> Isometry3<f64> {
    isometry([v[0], v[1], v[2]], [v[3], v[4], v[5], v[6]])
}

/// Distance of two points given in m, in mm.
pub(crate) fn distance_mm(a: &Vector3<f64>, b: &Vector3<f64>) -> f64 {
    (a - b).norm() * 1e3
}

/// Angle between two orientations, degrees.
pub(crate) fn angle_deg(a: &UnitQuaternion<f64>, b: &UnitQuaternion<f64>) -> f64 {
    // From the vector part: exact for small angles, where the cosine is not.
    let d = a.rotation_to(b);
    let v = match d.imag().norm() {
        // Rounding; NaN stays NaN, unlike with `min`.
        v if v > 1.0 => 1.0,
        v => v,
    };
    2.0 * libm::atan2(v, d.w.abs()).to_degrees()
}
