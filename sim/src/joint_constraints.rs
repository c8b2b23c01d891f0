//! Free motion of the arm over one physics step in double precision: motor forces against bias, viscous
//! damping (implicit), dry friction and joint limits as MuJoCo's soft constraints
//! (`docs/reference/libero.md`, sections 1 and 3). Contacts act afterwards, in Rapier, on the resulting
//! velocity.

use crate::error::SimError;
use crate::panda::{ARM_DOFS, DOFS, JointMatrix, JointVector, Panda};
use serde::{Deserialize, Serialize};

/// Iterations after which the set of sticking joints and active limits is taken as it is.
const MAX_ITERATIONS: usize = 12;

/// MuJoCo's soft-constraint parameters `solref` and `solimp` for dry friction and limits of the robot's joints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JointConstraintSettings {
    /// Time constant (`solref[0]`), s; the damping ratio is 1.
    pub time_constant_secs: f64,
    /// Impedance at zero depth (`solimp[0]`).
    pub impedance_min: f64,
    /// Impedance at full depth (`solimp[1]`).
    pub impedance_max: f64,
    /// Full depth (`solimp[2]`), rad or m.
    pub impedance_width: f64,
}

impl Default for JointConstraintSettings {
    fn default() -> Self {
        JointConstraintSettings {
            time_constant_secs: 0.02,
            impedance_min: 0.9,
            impedance_max: 0.95,
            impedance_width: 0.001,
        }
    }
}

/// State of the dry friction of a joint.
#[derive(Clone, Copy, PartialEq)]
enum FrictionState {
    /// The joint moves against this force, N m or N.
    Slip(f64),
    Stick,
}

/// Limit of a joint beyond its range.
#[derive(Clone, Copy)]
struct ActiveLimit {
    /// Direction of the push back into the range.
    sign: f64,
    /// Inverse of the constraint's regularisation, kg m^2 or kg.
    gain: f64,
    /// Reference acceleration into the range, rad/s^2 or m/s^2.
    reference: f64,
}

/// Joint accelerations over the coming physics step of `dt` seconds, rad/s^2 and m/s^2, as used by the velocity
/// update.
///
/// `force` is motor force minus the bias that the caller wants counted. Finger friction reacts to velocity
/// only, so that it never takes part in carrying a grip force. `finger_stop_offset` (m) narrows the range of
/// both fingers.
///
/// # Errors
/// [`SimError::SingularMatrix`] when the inertia, with or without the constraints, is not positive definite.
#[allow(clippy::too_many_arguments)]
pub(crate) fn acceleration(
    settings: &JointConstraintSettings,
    panda: &Panda,
    mass: &JointMatrix,
    force: &JointVector,
    q: &JointVector,
    qd: &JointVector,
    finger_stop_offset: f64,
    dt: f64,
) -> Result<JointVector, SimError> {
    let JointConstraintSettings {
        time_constant_secs: time_constant,
        impedance_min,
        impedance_max,
        ..
    } = *settings;
    // Gains of the reference acceleration: of velocity, 1/s, and of position, 1/s^2.
    let velocity_gain = 2.0 / (impedance_max * time_constant);
    let position_gain = 1.0 / (impedance_max * impedance_max * time_constant * time_constant);
    // Friction rows: gain, and the share of the acceleration that counts.
    let friction_gain = |i: usize| impedance_min / ((1.0 - impedance_min) * panda.inv_weight[i]);
    let share = |i: usize| {
        if i < ARM_DOFS {
            1.0
        } else {
            velocity_gain * dt
        }
    };
    let smooth = force - panda.damping.component_mul(qd);
    let mut friction = [FrictionState::Stick; DOFS];
    let mut limit_on = [true; DOFS];
    let mut limits: [Option<ActiveLimit>; DOFS] = [None; DOFS];
    for i in 0..DOFS {
        let [mut low, mut high] = panda.range[i];
        if i == ARM_DOFS {
            low += finger_stop_offset;
        } else if i == ARM_DOFS + 1 {
            high -= finger_stop_offset;
        }
        let (depth, sign) = if q[i] < low {
            (low - q[i], 1.0)
        } else if q[i] > high {
            (q[i] - high, -1.0)
        } else {
            continue;
        };
        let impedance = impedance(settings, depth);
        let r = (1.0 - impedance) / impedance * panda.inv_weight[i];
        limits[i] = Some(ActiveLimit {
            sign,
            gain: 1.0 / r,
            reference: -velocity_gain * sign * qd[i] + position_gain * impedance * depth,
        });
    }
    let mut a = JointVector::zeros();
    for _ in 0..MAX_ITERATIONS {
        let mut lhs = *mass;
        let mut rhs = smooth;
        for i in 0..DOFS {
            let gain = friction_gain(i);
            match friction[i] {
                FrictionState::Slip(f) => rhs[i] += f,
                FrictionState::Stick => {
                    lhs[(i, i)] += gain * share(i);
                    rhs[i] -= gain * velocity_gain * qd[i];
                }
            }
            if let (Some(limit), true) = (limits[i], limit_on[i]) {
                lhs[(i, i)] += limit.gain;
                rhs[i] += limit.gain * limit.sign * limit.reference;
            }
        }
        a = (lhs.cholesky())
            .ok_or(SimError::SingularMatrix {
                quantity: "joint-space inertia with constraints",
            })?
            .solve(&rhs);
        let mut changed = false;
        for i in 0..DOFS {
            let gain = friction_gain(i);
            let wanted = -gain * (share(i) * a[i] + velocity_gain * qd[i]);
            let loss = panda.friction_loss[i];
            let next = if wanted > loss {
                FrictionState::Slip(loss)
            } else if wanted < -loss {
                FrictionState::Slip(-loss)
            } else {
                FrictionState::Stick
            };
            changed |= next != friction[i];
            friction[i] = next;
            if let Some(limit) = limits[i] {
                let on = limit.reference - limit.sign * a[i] > 0.0;
                changed |= on != limit_on[i];
                limit_on[i] = on;
            }
        }
        if !changed {
            break;
        }
    }
    // Implicit damping of the integrator: (M + dt D) a' = M a.
    let mut implicit = *mass;
    for i in 0..DOFS {
        implicit[(i, i)] += dt * panda.damping[i];
    }
    Ok((implicit.cholesky())
        .ok_or(SimError::SingularMatrix {
            quantity: "joint-space inertia with implicit damping",
        })?
        .solve(&(mass * a)))
}

/// MuJoCo's impedance of a constraint at a depth (rad or m): a quadratic spline between the two ends.
fn impedance(settings: &JointConstraintSettings, depth: f64) -> f64 {
    let x = (depth / settings.impedance_width).min(1.0);
    let y = if x < 0.5 {
        2.0 * x * x
    } else {
        1.0 - 2.0 * (1.0 - x) * (1.0 - x)
    };
    settings.impedance_min + y * (settings.impedance_max - settings.impedance_min)
}
