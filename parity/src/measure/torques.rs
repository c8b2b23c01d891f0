//! Joint torques pointwise: at recorded random states, inertia matrix, Jacobian, bias and the torque that the controller
//! commands (docs/reference/libero.md, section 4).

use super::{MeasureContext, Measured};
use crate::ParityError;
use crate::reference::{PointwiseFile, PointwiseSample};
use bitvla_reports::{ReportError, largest, read_json};
use bitvla_sim::osc::{OscGoal, OscSettings, arm_torques};
use bitvla_sim::panda::{JointVector, Panda};
use nalgebra::{Matrix3, Vector3};

const FILE: &str = "osc_pointwise.json";
/// Base of the recorded arm, m, world frame: the table arena.
const BASE: [f64; 3] = [-0.66, 0.0, 0.912];

/// Errors at one state; relative ones are the largest difference over the largest recorded value.
pub(crate) struct TorqueErrors {
    /// Distance of the grip sites, m.
    pub grip_site: f64,
    /// Jacobian of the grip site, relative.
    pub jacobian: f64,
    /// Joint-space inertia matrix, relative.
    pub inertia_matrix: f64,
    /// Bias forces, relative.
    pub bias: f64,
    /// Commanded torque before clipping, relative.
    pub torque: f64,
    /// Largest difference of the torque of one joint, N m.
    pub joint_torque: f64,
}

pub(crate) fn measure(ctx: &MeasureContext<'_>) -> Result<Measured<TorqueErrors>, ParityError> {
    let path = ctx.data.join(FILE);
    let data: PointwiseFile = read_json(&path)?;
    let model = ctx.scenes.assets.robot()?;
    let panda = Panda::new(&model, bitvla_sim::isometry(BASE, [1.0, 0.0, 0.0, 0.0]))?;
    let mut rows = Vec::new();
    for (index, s) in data.samples.iter().enumerate() {
        for (name, found, expected) in [("J", s.jacobian.len(), 42), ("M", s.mass.len(), 49)] {
            if found != expected {
                let text =
                    format!("sample {index}: {name} has {found} numbers, expected {expected}");
                return Err(ReportError::format(&path, text).into());
            }
        }
        rows.push(compare(&panda, s)?);
    }
    let notes = Vec::new();
    Ok(Measured { rows, notes })
}

fn compare(panda: &Panda, s: &PointwiseSample) -> Result<TorqueErrors, ParityError> {
    let join = |a: &[f64; 7], b: &[f64; 2]| {
        JointVector::from_fn(|i, _| if i < 7 { a[i] } else { b[i - 7] })
    };
    let q = join(&s.q, &s.finger_q);
    let qd = join(&s.qd, &s.finger_qd);
    let kin = panda.kinematics(&q);
    let (mass, jacobian) = (panda.mass_matrix(&kin), panda.jacobian(&kin));
    let bias = panda.bias(&kin, &qd);
    let goal = OscGoal {
        pos: Vector3::from(s.goal_pos),
        rot: Matrix3::from_row_slice(&s.goal_ori),
    };
    let settings = OscSettings::default();
    let tau = arm_torques(&settings, &goal, &kin, &jacobian, &mass, &bias, &q, &qd)?;
    let site = kin.grip_site.translation.vector;
    let joint = (0..7).map(|i| (tau[i] - s.tau_unclipped[i]).abs());
    Ok(TorqueErrors {
        grip_site: (site - Vector3::from(s.ee_pos)).norm(),
        jacobian: relative_error(&s.jacobian, |i| jacobian[(i / 7, i % 7)]),
        inertia_matrix: relative_error(&s.mass, |i| mass[(i / 7, i % 7)]),
        bias: relative_error(&s.bias, |i| bias[i]),
        torque: relative_error(&s.tau_unclipped, |i| tau[i]),
        joint_torque: largest(joint).unwrap_or(f64::NAN),
    })
}

/// Largest difference over the largest recorded value (at least 1, so that zeros do not divide); NaN if one is NaN.
fn relative_error(recorded: &[f64], ours: impl Fn(usize) -> f64) -> f64 {
    let scale = recorded.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    let differences = recorded.iter().enumerate();
    largest(differences.map(|(i, v)| (ours(i) - v).abs())).map_or(f64::NAN, |d| d / scale)
}
