//! `<joint>` and `<inertial>` elements.

use super::document::MjcfElement;
use super::pose::{inertia_desc, pose_to_desc, read_pose};
use crate::error::TaskError;
use bitvla_sim::{InertiaDesc, JointDesc, JointKind};
use nalgebra::{Isometry3, Matrix3, Translation3, UnitQuaternion, Vector3};

/// Largest absolute position of a joint without limits, rad or m.
const UNLIMITED: f64 = 1e6;

/// A joint as read.
pub(super) struct MjcfJoint {
    /// The joint, with its axis in the frame of the body.
    pub desc: JointDesc,
    /// Position in the frame of the body, m.
    pub at: [f64; 3],
    /// Motion of the body, in the frame of the joint, from the pose that the file states to joint position zero: against
    /// `ref`, the joint position in the pose of the file.
    pub to_zero: Isometry3<f64>,
}

/// Reads a joint.
pub(super) fn read_joint(el: &MjcfElement) -> Result<MjcfJoint, TaskError> {
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
    let stiffness = el.number("stiffness", 0.0)?;
    if stiffness < 0.0 {
        return Err(el.fail(format!("stiffness {stiffness}"), "a number of 0 or more"));
    }
    let axis = axis.normalize();
    let back = -el.number("ref", 0.0)?;
    let to_zero = match kind {
        JointKind::Hinge => {
            let turn = UnitQuaternion::from_scaled_axis(axis * back);
            Isometry3::from_parts(Translation3::identity(), turn)
        }
        JointKind::Slide => Isometry3::from_parts((axis * back).into(), UnitQuaternion::identity()),
    };
    let desc = JointDesc {
        name: el.need("name")?.to_owned(),
        kind,
        axis: axis.into(),
        range: read_range(el)?,
        stiffness,
        spring_reference: el.number("springref", 0.0)?,
        damping: losses[0],
        friction_loss: losses[1],
        armature: losses[2],
    };
    Ok(MjcfJoint {
        desc,
        at: el.vector::<3>("pos")?.unwrap_or_default(),
        to_zero,
    })
}

/// Lowest and highest position of a joint, rad or m.
fn read_range(el: &MjcfElement) -> Result<[f64; 2], TaskError> {
    let range = el.vector::<2>("range")?;
    let limited = el.flag("limited")?.unwrap_or(range.is_some());
    let range = match range {
        Some(range) if limited => range,
        None if limited => return Err(el.fail("no range", "a range, as it is limited")),
        _ => [-UNLIMITED, UNLIMITED],
    };
    if range[0] > range[1] {
        return Err(el.fail(format!("range {range:?}"), "low and high"));
    }
    Ok(range)
}

/// Reads an `<inertial>`: mass (kg), centre of mass (m) and inertia about it (kg m^2) in the frame of the body.
pub(super) fn read_inertial(el: &MjcfElement) -> Result<InertiaDesc, TaskError> {
    let mass = el.number("mass", -1.0)?;
    if mass < 0.0 {
        return Err(el.fail("no mass of 0 or more", "a mass"));
    }
    let pose = read_pose(el)?;
    let (com, quat_wxyz) = pose_to_desc(&pose);
    if let Some([xx, yy, zz, xy, xz, yz]) = el.vector::<6>("fullinertia")? {
        if el.get("diaginertia")?.is_some() || pose.rotation.angle() > 0.0 {
            let found = "`fullinertia` beside `diaginertia` or an orientation";
            return Err(el.fail(found, "one of them"));
        }
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
