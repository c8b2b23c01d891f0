//! Operational-space control of the arm (Khatib 1987, as in robosuite's `OSC_POSE`) and the position servo of
//! the gripper, whose command integrates the action (`docs/reference/libero.md`, sections 3 and 4).

use crate::error::SimError;
use crate::panda::{
    ARM_DOFS, DOFS, JointMatrix, JointVector, Kinematics, RESET_QPOS, SiteJacobian,
};
use nalgebra::{Matrix3, SMatrix, SVector, Vector3};
use serde::{Deserialize, Serialize};

/// Gains and limits of the operational-space controller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OscSettings {
    /// Stiffness of position and orientation, 1/s^2.
    pub kp: f64,
    /// Damping of position and orientation, 1/s; `2 sqrt(kp)` is critical.
    pub kd: f64,
    /// Stiffness of the null-space posture, 1/s^2.
    pub posture_kp: f64,
    /// Damping of the null-space posture, 1/s.
    pub posture_kd: f64,
    /// Joint positions of the null-space posture, rad.
    pub posture_qpos: [f64; ARM_DOFS],
    /// Largest torque of each motor, N m.
    pub torque_limits: [f64; ARM_DOFS],
    /// Translation of the goal for an action component of 1, m.
    pub max_translation: f64,
    /// Rotation of the goal for an action component of 1, rad.
    pub max_rotation: f64,
}

impl Default for OscSettings {
    fn default() -> Self {
        OscSettings {
            kp: 150.0,
            kd: 24.494_897_427_831_78,
            posture_kp: 10.0,
            posture_kd: 6.324_555_320_336_759,
            posture_qpos: std::array::from_fn(|i| RESET_QPOS[i]),
            torque_limits: [80.0, 80.0, 80.0, 80.0, 80.0, 12.0, 12.0],
            max_translation: 0.05,
            max_rotation: 0.5,
        }
    }
}

/// Position servo of the fingers, whose command integrates the sign of the gripper action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GripperSettings {
    /// Change of the command (-1 to 1) per physics step.
    pub command_rate: f64,
    /// Position of each finger for a command of 0, m.
    pub centre: [f64; 2],
    /// Displacement of each finger for a command of 1, m.
    pub half_stroke: f64,
    /// Stiffness of the servo, N/m.
    pub kp: f64,
    /// Largest force of each finger, N.
    pub force_limit: f64,
}

impl Default for GripperSettings {
    fn default() -> Self {
        GripperSettings {
            command_rate: 0.01,
            centre: [0.02, -0.02],
            half_stroke: 0.02,
            kp: 1000.0,
            force_limit: 20.0,
        }
    }
}

/// Torques of the seven arm joints, N m.
pub type ArmTorques = SVector<f64, ARM_DOFS>;

/// Goal pose of the grip site, world frame.
#[derive(Debug, Clone, PartialEq)]
pub struct OscGoal {
    /// Position, m.
    pub pos: Vector3<f64>,
    /// Orientation: columns are the site's axes.
    pub rot: Matrix3<f64>,
}

impl OscGoal {
    /// Goal at the present pose of the grip site.
    pub fn at(k: &Kinematics) -> OscGoal {
        OscGoal {
            pos: k.grip_site.translation.vector,
            rot: *k.grip_site.rotation.to_rotation_matrix().matrix(),
        }
    }

    /// Sets the goal of an action (three translations, three components of a rotation vector, gripper; each
    /// clamped to -1..1). Position and rotation count from the present pose of the site, in world axes; without
    /// any rotation the goal orientation stays as it was.
    pub fn update(&mut self, settings: &OscSettings, k: &Kinematics, action: &[f64; 7]) {
        let scaled = |i: usize, by: f64| action[i].clamp(-1.0, 1.0) * by;
        self.pos = k.grip_site.translation.vector
            + Vector3::from_fn(|i, _| scaled(i, settings.max_translation));
        let turn = Vector3::from_fn(|i, _| scaled(i + 3, settings.max_rotation));
        if turn != Vector3::zeros() {
            self.rot =
                rotation_from_vector(&turn) * k.grip_site.rotation.to_rotation_matrix().matrix();
        }
    }
}

/// Rotation matrix of a rotation vector (axis times angle, rad), by Rodrigues' formula.
fn rotation_from_vector(v: &Vector3<f64>) -> Matrix3<f64> {
    let angle = libm::sqrt(v.dot(v));
    if angle == 0.0 {
        return Matrix3::identity();
    }
    let axis = (v / angle).cross_matrix();
    Matrix3::identity() + axis * libm::sin(angle) + axis * axis * (1.0 - libm::cos(angle))
}

fn inverse<const N: usize>(
    m: SMatrix<f64, N, N>,
    quantity: &'static str,
) -> Result<SMatrix<f64, N, N>, SimError>
where
    nalgebra::Const<N>: nalgebra::DimMin<nalgebra::Const<N>, Output = nalgebra::Const<N>>,
{
    (m.lu().try_inverse()).ok_or(SimError::SingularMatrix { quantity })
}

/// Motor torques, N m, before they are clipped to the limits of the motors: a spring and damper on the pose of the grip
/// site, decoupled by its inertia, the bias forces, and a posture spring in the null space.
///
/// # Errors
/// [`SimError::SingularMatrix`] when the inertia of the arm or of the grip site cannot be inverted, as in an
/// exactly singular posture.
#[allow(clippy::too_many_arguments)]
pub fn arm_torques(
    settings: &OscSettings,
    goal: &OscGoal,
    k: &Kinematics,
    jacobian: &SiteJacobian,
    mass: &JointMatrix,
    bias: &JointVector,
    q: &JointVector,
    qd: &JointVector,
) -> Result<ArmTorques, SimError> {
    let m: SMatrix<f64, ARM_DOFS, ARM_DOFS> =
        mass.fixed_view::<ARM_DOFS, ARM_DOFS>(0, 0).into_owned();
    let m_inv = (m.cholesky())
        .ok_or(SimError::SingularMatrix {
            quantity: "joint-space inertia of the arm",
        })?
        .inverse();
    let qd_arm: ArmTorques = qd.fixed_rows::<ARM_DOFS>(0).into_owned();
    let velocity: SVector<f64, 6> = jacobian * qd_arm;
    let rot = *k.grip_site.rotation.to_rotation_matrix().matrix();
    let e_pos = goal.pos - k.grip_site.translation.vector;
    let mut e_rot = Vector3::zeros();
    for c in 0..3 {
        e_rot += rot.column(c).cross(&goal.rot.column(c)) * 0.5;
    }
    let OscSettings { kp, kd, .. } = *settings;
    let force = e_pos * kp - velocity.fixed_rows::<3>(0) * kd;
    let moment = e_rot * kp - velocity.fixed_rows::<3>(3) * kd;

    let mj = m_inv * jacobian.transpose();
    let lambda_inv: SMatrix<f64, 6, 6> = jacobian * mj;
    let lambda_p = inverse(
        lambda_inv.fixed_view::<3, 3>(0, 0).into_owned(),
        "inverse translational inertia of the grip site",
    )?;
    let lambda_r = inverse(
        lambda_inv.fixed_view::<3, 3>(3, 3).into_owned(),
        "inverse rotational inertia of the grip site",
    )?;
    let lambda = inverse(lambda_inv, "inverse inertia of the grip site")?;
    let mut wrench = SVector::<f64, 6>::zeros();
    wrench.fixed_rows_mut::<3>(0).copy_from(&(lambda_p * force));
    wrench
        .fixed_rows_mut::<3>(3)
        .copy_from(&(lambda_r * moment));
    let posture = m * ArmTorques::from_fn(|i, _| {
        settings.posture_kp * (settings.posture_qpos[i] - q[i]) - settings.posture_kd * qd[i]
    });
    // N^T posture, with N = I - M^-1 J^T lambda J.
    let null = posture - jacobian.transpose() * (lambda * (mj.transpose() * posture));
    Ok(jacobian.transpose() * wrench + bias.fixed_rows::<ARM_DOFS>(0) + null)
}

/// Clips torques (N m) to the limits of the motors.
pub(crate) fn clip_torques(settings: &OscSettings, torques: ArmTorques) -> ArmTorques {
    let limits = &settings.torque_limits;
    ArmTorques::from_fn(|i, _| torques[i].clamp(-limits[i], limits[i]))
}

/// Command of the gripper: it integrates the sign of the action every physics step.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct GripperCommand {
    command: [f64; 2],
}

impl GripperCommand {
    /// Advances by one physics step with the gripper component of the action (positive closes).
    pub fn update(&mut self, settings: &GripperSettings, action: f64) {
        let sign = if action > 0.0 {
            1.0
        } else if action < 0.0 {
            -1.0
        } else {
            0.0
        };
        let rate = settings.command_rate;
        self.command[0] = (self.command[0] - rate * sign).clamp(-1.0, 1.0);
        self.command[1] = (self.command[1] + rate * sign).clamp(-1.0, 1.0);
    }

    /// Integrated command of both fingers, -1 to 1.
    pub fn command(&self) -> [f64; 2] {
        self.command
    }

    /// Target positions of both fingers, m.
    pub fn targets(&self, settings: &GripperSettings) -> [f64; 2] {
        [0, 1].map(|i| settings.centre[i] + settings.half_stroke * self.command[i])
    }

    /// Forces on both fingers at joint positions `q`, N.
    pub fn forces(&self, settings: &GripperSettings, q: &JointVector) -> [f64; 2] {
        let t = self.targets(settings);
        let limit = settings.force_limit;
        [0, 1].map(|i| (settings.kp * (t[i] - q[ARM_DOFS + i])).clamp(-limit, limit))
    }
}

/// Joins arm torques (N m) and finger forces (N).
pub(crate) fn joint_forces(arm: &ArmTorques, fingers: [f64; 2]) -> JointVector {
    let mut out = JointVector::zeros();
    out.fixed_rows_mut::<ARM_DOFS>(0).copy_from(arm);
    out[ARM_DOFS] = fingers[0];
    out[DOFS - 1] = fingers[1];
    out
}
