//! Poses in MJCF: positions with any of its notations of an orientation.

use super::document::MjcfElement;
use crate::error::TaskError;
use bitvla_sim::{InertiaDesc, isometry};
use nalgebra::{Isometry3, Matrix3, Rotation3, UnitQuaternion, Vector3};

/// Pose of an element in the frame of its parent, m. Angles are radians and `euler` turns about the rotated x, y and z:
/// robosuite drops the `<compiler>` of a file.
pub(super) fn read_pose(el: &MjcfElement) -> Result<Isometry3<f64>, TaskError> {
    let pos = el.vector::<3>("pos")?.unwrap_or_default();
    let turn = orientation(el)?;
    Ok(Isometry3::from_parts(Vector3::from(pos).into(), turn))
}

fn orientation(el: &MjcfElement) -> Result<UnitQuaternion<f64>, TaskError> {
    let direction = |v: [f64; 3], what: &str| -> Result<Vector3<f64>, TaskError> {
        let v = Vector3::from(v);
        if v.norm() < 1e-10 {
            return Err(el.fail(format!("{what} of length 0"), "a direction"));
        }
        Ok(v.normalize())
    };
    if let Some(q) = el.vector::<4>("quat")? {
        return unit_quaternion(el, "quat", q);
    }
    if let Some([x, y, z, angle]) = el.vector::<4>("axisangle")? {
        let axis = direction([x, y, z], "axis")?;
        return Ok(UnitQuaternion::from_scaled_axis(axis * angle));
    }
    if let Some(euler) = el.vector::<3>("euler")? {
        let mut turn = UnitQuaternion::identity();
        for (axis, angle) in [Vector3::x(), Vector3::y(), Vector3::z()]
            .into_iter()
            .zip(euler)
        {
            turn *= UnitQuaternion::from_scaled_axis(axis * angle);
        }
        return Ok(turn);
    }
    if let Some([a, b, c, d, e, f]) = el.vector::<6>("xyaxes")? {
        let x = direction([a, b, c], "x axis")?;
        let y = Vector3::new(d, e, f);
        let y = y - x * x.dot(&y);
        let y = direction(y.into(), "y axis")?;
        let turn = Matrix3::from_columns(&[x, y, x.cross(&y)]);
        return Ok(UnitQuaternion::from_rotation_matrix(
            &Rotation3::from_matrix_unchecked(turn),
        ));
    }
    if let Some(z) = el.vector::<3>("zaxis")? {
        return Ok(rotation_from_z(direction(z, "z axis")?));
    }
    Ok(UnitQuaternion::identity())
}

/// Rotation of a quaternion w x y z of an attribute.
pub(super) fn unit_quaternion(
    el: &MjcfElement,
    name: &str,
    q: [f64; 4],
) -> Result<UnitQuaternion<f64>, TaskError> {
    if q.iter().map(|x| x * x).sum::<f64>() < 1e-20 {
        return Err(el.fail(format!("{name} of length 0"), "a quaternion w x y z"));
    }
    Ok(isometry([0.0; 3], q).rotation)
}

/// Position (m) and quaternion `[w, x, y, z]` of a pose.
pub(super) fn pose_to_desc(pose: &Isometry3<f64>) -> ([f64; 3], [f64; 4]) {
    let q = pose.rotation;
    (pose.translation.vector.into(), [q.w, q.i, q.j, q.k])
}

/// Smallest rotation that takes z to a unit vector; half a turn about x for -z.
pub(super) fn rotation_from_z(z: Vector3<f64>) -> UnitQuaternion<f64> {
    UnitQuaternion::rotation_between(&Vector3::z(), &z)
        .unwrap_or_else(|| UnitQuaternion::from_scaled_axis(Vector3::x() * std::f64::consts::PI))
}

/// Describes an inertia about the centre of mass (kg m^2, axes of the parent) in its principal axes.
pub(super) fn inertia_desc(mass: f64, com: Vector3<f64>, inertia: Matrix3<f64>) -> InertiaDesc {
    // Scaled, because the decomposition squares its numbers.
    let largest = inertia.amax().max(f64::MIN_POSITIVE);
    let eigen = (inertia / largest).symmetric_eigen();
    let mut axes = eigen.eigenvectors;
    if axes.determinant() < 0.0 {
        axes.column_mut(2).neg_mut();
    }
    let turn = UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix_unchecked(axes));
    InertiaDesc {
        mass,
        com: com.into(),
        diagonal: eigen.eigenvalues.map(|x| x.max(0.0) * largest).into(),
        quat_wxyz: [turn.w, turn.i, turn.j, turn.k],
    }
}
