//! The free motion of the arm over one physics step in double precision: motor forces against bias,
//! viscous damping (implicit), dry friction and joint limits as MuJoCo's soft constraints (fact sheet
//! sections 1 and 3). Contacts act afterwards, in Rapier, on the velocity this gives.

use crate::panda::{ARM, DOFS, JointMatrix, Joints, Panda};

const TIME_CONSTANT: f64 = 0.02;
const IMPEDANCE_MIN: f64 = 0.9;
const IMPEDANCE_MAX: f64 = 0.95;
const IMPEDANCE_WIDTH: f64 = 0.001;
/// Velocity gain of the reference acceleration, 1/s.
const B: f64 = 2.0 / (IMPEDANCE_MAX * TIME_CONSTANT);
/// Position gain of the reference acceleration, 1/s^2.
const K: f64 = 1.0 / (IMPEDANCE_MAX * IMPEDANCE_MAX * TIME_CONSTANT * TIME_CONSTANT);

#[derive(Clone, Copy, PartialEq)]
enum Friction {
    Slip(f64),
    Stick,
}

/// Joint acceleration over the coming step of `dt` seconds, as used by the velocity update.
///
/// `force` is motor force minus the bias that the caller wants counted. Finger friction reacts to
/// velocity only, so that it never takes part in carrying a grip force.
pub fn acceleration(
    panda: &Panda,
    mass: &JointMatrix,
    force: &Joints,
    q: &Joints,
    qd: &Joints,
    finger_floor: f64,
    dt: f64,
) -> Joints {
    let smooth = force - panda.damping.component_mul(qd);
    let mut friction = [Friction::Stick; DOFS];
    let mut limit_on = [true; DOFS];
    // Rows of joints beyond their range: sign of the push, gain, reference acceleration.
    let mut limit: [Option<(f64, f64, f64)>; DOFS] = [None; DOFS];
    for i in 0..DOFS {
        let [mut low, mut high] = panda.range[i];
        if i == ARM {
            low += finger_floor;
        } else if i == ARM + 1 {
            high -= finger_floor;
        }
        let (depth, sign) = if q[i] < low {
            (low - q[i], 1.0)
        } else if q[i] > high {
            (q[i] - high, -1.0)
        } else {
            continue;
        };
        let imp = impedance(depth);
        let r = (1.0 - imp) / imp * panda.inv_weight[i];
        limit[i] = Some((sign, 1.0 / r, -B * sign * qd[i] + K * imp * depth));
    }
    let mut a = Joints::zeros();
    for _ in 0..12 {
        let mut lhs = *mass;
        let mut rhs = smooth;
        for i in 0..DOFS {
            let g = IMPEDANCE_MIN / ((1.0 - IMPEDANCE_MIN) * panda.inv_weight[i]);
            let share = if i < ARM { 1.0 } else { B * dt };
            match friction[i] {
                Friction::Slip(f) => rhs[i] += f,
                Friction::Stick => {
                    lhs[(i, i)] += g * share;
                    rhs[i] -= g * B * qd[i];
                }
            }
            if let (Some((sign, gain, reference)), true) = (limit[i], limit_on[i]) {
                lhs[(i, i)] += gain;
                rhs[i] += gain * sign * reference;
            }
        }
        let Some(factor) = lhs.cholesky() else {
            return Joints::zeros();
        };
        a = factor.solve(&rhs);
        let mut changed = false;
        for i in 0..DOFS {
            let g = IMPEDANCE_MIN / ((1.0 - IMPEDANCE_MIN) * panda.inv_weight[i]);
            let share = if i < ARM { 1.0 } else { B * dt };
            let wanted = -g * (share * a[i] + B * qd[i]);
            let loss = panda.friction_loss[i];
            let next = if wanted > loss {
                Friction::Slip(loss)
            } else if wanted < -loss {
                Friction::Slip(-loss)
            } else {
                Friction::Stick
            };
            changed |= next != friction[i];
            friction[i] = next;
            if let Some((sign, _, reference)) = limit[i] {
                let on = reference - sign * a[i] > 0.0;
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
    match implicit.cholesky() {
        Some(factor) => factor.solve(&(mass * a)),
        None => a,
    }
}

fn impedance(depth: f64) -> f64 {
    let x = (depth / IMPEDANCE_WIDTH).min(1.0);
    let y = if x < 0.5 {
        2.0 * x * x
    } else {
        1.0 - 2.0 * (1.0 - x) * (1.0 - x)
    };
    IMPEDANCE_MIN + y * (IMPEDANCE_MAX - IMPEDANCE_MIN)
}
