//! Operational-space control of the arm and the gripper's integrating position command (fact sheet
//! sections 3 and 4).

use crate::panda::{ARM, DOFS, JointMatrix, Joints, Kinematics, RESET_QPOS, SiteJacobian};
use nalgebra::{Matrix3, SMatrix, SVector, Vector3};

/// Seven arm torques, N m.
pub type Torques = SVector<f64, ARM>;

const KP: f64 = 150.0;
const KD: f64 = 24.494_897_427_831_78; // 2 sqrt(KP): critically damped
const POSTURE_KP: f64 = 10.0;
const POSTURE_KD: f64 = 6.324_555_320_336_759;
const TORQUE_LIMIT: [f64; ARM] = [80.0, 80.0, 80.0, 80.0, 80.0, 12.0, 12.0];
const MAX_STEP_M: f64 = 0.05;
const MAX_STEP_RAD: f64 = 0.5;
const FINGER_KP: f64 = 1000.0;
const FINGER_FORCE_LIMIT: f64 = 20.0;
const FINGER_RATE: f64 = 0.01;

/// Goal pose of the grip site.
#[derive(Debug, Clone, PartialEq)]
pub struct OscGoal {
    /// Goal position in the world, m.
    pub pos: Vector3<f64>,
    /// Goal orientation in the world.
    pub rot: Matrix3<f64>,
}

impl OscGoal {
    /// The goal of an arm that should stay where it is.
    pub fn at(k: &Kinematics) -> OscGoal {
        OscGoal {
            pos: k.grip_site.translation.vector,
            rot: *k.grip_site.rotation.to_rotation_matrix().matrix(),
        }
    }

    /// New goal for an action: the position counts from where the site is now; the orientation is
    /// kept unless a rotation is asked for.
    pub fn update(&mut self, k: &Kinematics, action: &[f64; 7]) {
        let scaled = |i: usize, by: f64| action[i].clamp(-1.0, 1.0) * by;
        self.pos = k.grip_site.translation.vector + Vector3::from_fn(|i, _| scaled(i, MAX_STEP_M));
        let turn = Vector3::from_fn(|i, _| scaled(i + 3, MAX_STEP_RAD));
        if turn != Vector3::zeros() {
            self.rot = rotation_vector(&turn) * k.grip_site.rotation.to_rotation_matrix().matrix();
        }
    }
}

/// Rodrigues' formula.
fn rotation_vector(v: &Vector3<f64>) -> Matrix3<f64> {
    let angle = libm::sqrt(v.dot(v));
    if angle == 0.0 {
        return Matrix3::identity();
    }
    let axis = (v / angle).cross_matrix();
    Matrix3::identity() + axis * libm::sin(angle) + axis * axis * (1.0 - libm::cos(angle))
}

fn inverse<const N: usize>(m: SMatrix<f64, N, N>) -> SMatrix<f64, N, N>
where
    nalgebra::Const<N>: nalgebra::DimMin<nalgebra::Const<N>, Output = nalgebra::Const<N>>,
{
    m.lu().try_inverse().unwrap_or_else(SMatrix::zeros)
}

/// Torques before clipping.
pub fn arm_torques(
    goal: &OscGoal,
    k: &Kinematics,
    jacobian: &SiteJacobian,
    mass: &JointMatrix,
    bias: &Joints,
    q: &Joints,
    qd: &Joints,
) -> Torques {
    let m: SMatrix<f64, ARM, ARM> = mass.fixed_view::<ARM, ARM>(0, 0).into_owned();
    let m_inv = m.cholesky().map_or_else(SMatrix::zeros, |c| c.inverse());
    let qd_arm: Torques = qd.fixed_rows::<ARM>(0).into_owned();
    let velocity: SVector<f64, 6> = jacobian * qd_arm;
    let rot = *k.grip_site.rotation.to_rotation_matrix().matrix();
    let e_pos = goal.pos - k.grip_site.translation.vector;
    let mut e_rot = Vector3::zeros();
    for c in 0..3 {
        e_rot += rot.column(c).cross(&goal.rot.column(c)) * 0.5;
    }
    let force = e_pos * KP - velocity.fixed_rows::<3>(0) * KD;
    let moment = e_rot * KP - velocity.fixed_rows::<3>(3) * KD;

    let mj = m_inv * jacobian.transpose();
    let lambda_inv: SMatrix<f64, 6, 6> = jacobian * mj;
    let lambda_p = inverse(lambda_inv.fixed_view::<3, 3>(0, 0).into_owned());
    let lambda_r = inverse(lambda_inv.fixed_view::<3, 3>(3, 3).into_owned());
    let lambda = inverse(lambda_inv);
    let mut wrench = SVector::<f64, 6>::zeros();
    wrench.fixed_rows_mut::<3>(0).copy_from(&(lambda_p * force));
    wrench
        .fixed_rows_mut::<3>(3)
        .copy_from(&(lambda_r * moment));
    let posture =
        m * Torques::from_fn(|i, _| POSTURE_KP * (RESET_QPOS[i] - q[i]) - POSTURE_KD * qd[i]);
    // N^T posture, with N = I - M^-1 J^T lambda J.
    let null = posture - jacobian.transpose() * (lambda * (mj.transpose() * posture));
    jacobian.transpose() * wrench + bias.fixed_rows::<ARM>(0) + null
}

/// Clips torques to what the motors give.
pub fn clip(tau: Torques) -> Torques {
    Torques::from_fn(|i, _| tau[i].clamp(-TORQUE_LIMIT[i], TORQUE_LIMIT[i]))
}

/// The gripper's command: it integrates the sign of the action every physics step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GripperCommand {
    s: [f64; 2],
}

impl GripperCommand {
    /// One physics step with the gripper component of the action (positive closes).
    pub fn update(&mut self, action: f64) {
        let sign = if action > 0.0 {
            1.0
        } else if action < 0.0 {
            -1.0
        } else {
            0.0
        };
        self.s[0] = (self.s[0] - FINGER_RATE * sign).clamp(-1.0, 1.0);
        self.s[1] = (self.s[1] + FINGER_RATE * sign).clamp(-1.0, 1.0);
    }

    /// The integrated command of both fingers, -1 to 1.
    pub fn state(&self) -> [f64; 2] {
        self.s
    }

    /// Target positions of both fingers, m.
    pub fn targets(&self) -> [f64; 2] {
        [0.02 + 0.02 * self.s[0], -0.02 + 0.02 * self.s[1]]
    }

    /// Forces on both fingers, N.
    pub fn forces(&self, q: &Joints) -> [f64; 2] {
        let t = self.targets();
        [0, 1].map(|i| {
            (FINGER_KP * (t[i] - q[ARM + i])).clamp(-FINGER_FORCE_LIMIT, FINGER_FORCE_LIMIT)
        })
    }
}

/// Joins arm torques and finger forces.
pub fn joint_forces(arm: &Torques, fingers: [f64; 2]) -> Joints {
    let mut out = Joints::zeros();
    out.fixed_rows_mut::<ARM>(0).copy_from(arm);
    out[ARM] = fingers[0];
    out[DOFS - 1] = fingers[1];
    out
}
