//! `<joint>` and `<inertial>` elements.

use super::document::MjcfElement;
use super::pose::{AngleSettings, inertia_desc, pose_to_desc};
use crate::error::TaskError;
use bitvla_sim::{InertiaDesc, JointDesc, JointKind};
use nalgebra::{Matrix3, Vector3};

/// Largest absolute position of a joint without limits, rad or m.
const UNLIMITED: f64 = 1e6;

/// Reads a joint and its position in the frame of its body, m.
pub(super) fn read_joint(
    el: &MjcfElement,
    angles: &AngleSettings,
) -> Result<(JointDesc, [f64; 3]), TaskError> {
    let kind = match el.get("type")?.unwrap_or("hinge") {
        "hinge" => JointKind::Hinge,
        "slide" => JointKind::Slide,
        other => return Err(el.fail(format!("type `{other}`"), "hinge or slide")),
    };
    let axis = Vector3::from(el.vector::<3>("axis")?.unwrap_or([0.0, 0.0, 1.0]));
    if axis.norm() < 1e-10 {
        return Err(el.fail("axis of length 0", "a direction"));
    }
    let losses = [
        el.number("damping", 0.0)?,
        el.number("frictionloss", 0.0)?,
        el.number("armature", 0.0)?,
    ];
    if losses.iter().any(|x| *x < 0.0) {
        let found = format!("damping, frictionloss, armature {losses:?}");
        return Err(el.fail(found, "numbers of 0 or more"));
    }
    let joint = JointDesc {
        name: el.need("name")?.to_owned(),
        kind,
        axis: axis.normalize().into(),
        range: read_range(el, kind, angles)?,
        damping: losses[0],
        friction_loss: losses[1],
        armature: losses[2],
    };
    Ok((joint, el.vector::<3>("pos")?.unwrap_or_default()))
}

/// Lowest and highest position of a joint, rad or m.
fn read_range(
    el: &MjcfElement,
    kind: JointKind,
    angles: &AngleSettings,
) -> Result<[f64; 2], TaskError> {
    let range = el.vector::<2>("range")?;
    let limited = el.flag("limited")?.unwrap_or(range.is_some());
    let unit = match kind {
        JointKind::Hinge => angles.radians_per_unit(),
        JointKind::Slide => 1.0,
    };
    let range = match range {
        Some(range) if limited => range.map(|x| x * unit),
        None if limited => return Err(el.fail("no range", "a range, as it is limited")),
        _ => [-UNLIMITED, UNLIMITED],
    };
    if range[0] > range[1] {
        return Err(el.fail(format!("range {range:?}"), "low and high"));
    }
    Ok(range)
}

/// Reads an `<inertial>`: mass (kg), centre of mass (m) and inertia about it (kg m^2) in the frame of the body.
pub(super) fn read_inertial(
    el: &MjcfElement,
    angles: &AngleSettings,
) -> Result<InertiaDesc, TaskError> {
    let mass = el.number("mass", -1.0)?;
    if mass < 0.0 {
        return Err(el.fail("no mass of 0 or more", "a mass"));
    }
    let pose = angles.pose(el)?;
    let (com, quat_wxyz) = pose_to_desc(&pose);
    if let Some([xx, yy, zz, xy, xz, yz]) = el.vector::<6>("fullinertia")? {
        let full = Matrix3::new(xx, xy, xz, xy, yy, yz, xz, yz, zz);
        return Ok(inertia_desc(mass, com.into(), full));
    }
    let diagonal = el.vector::<3>("diaginertia")?.unwrap_or_default();
    if diagonal.iter().any(|x| *x < 0.0) {
        let found = format!("diaginertia {diagonal:?}");
        return Err(el.fail(found, "numbers of 0 or more"));
    }
    Ok(InertiaDesc {
        mass,
        com,
        diagonal,
        quat_wxyz,
    })
}
