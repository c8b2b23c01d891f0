//! Guarantee: inertia matrix, grip-site Jacobian, bias and controller torque equal the reference simulator's at recorded
//! random states to 1e-5 (`docs/reference/libero.md`, section 4; data/osc_pointwise.json).
#![allow(clippy::unwrap_used)]

mod common;

use bitvla_sim::osc::{OscGoal, OscSettings, arm_torques};
use bitvla_sim::panda::{JointVector, Panda};
use common::{numbers, panda_model, reference};
use nalgebra::{Matrix3, Vector3};

#[test]
#[ignore = "needs ../shared: reference/libero/data/osc_pointwise.json"]
fn controller_quantities_match_the_reference() {
    let data = reference("osc_pointwise.json");
    let settings = OscSettings::default();
    let base = bitvla_sim::isometry([-0.66, 0.0, 0.912], [1.0, 0.0, 0.0, 0.0]);
    let panda = Panda::new(&panda_model(), base).unwrap();
    let mut worst = [0.0f64; 5];
    let samples = data["samples"].as_array().unwrap();
    for s in samples {
        let get = |key: &str| numbers(&s[key]);
        let join = |a: &str, b: &str| -> JointVector {
            JointVector::from_iterator(get(a).into_iter().chain(get(b)))
        };
        let q = join("q", "finger_q");
        let qd = join("qd", "finger_qd");
        let kin = panda.kinematics(&q);
        let mass = panda.mass_matrix(&kin);
        let jac = panda.jacobian(&kin);
        let bias = panda.bias(&kin, &qd);
        let goal = OscGoal {
            pos: Vector3::from_vec(get("goal_pos")),
            rot: Matrix3::from_row_slice(&get("goal_ori")),
        };
        let tau = arm_torques(&settings, &goal, &kin, &jac, &mass, &bias, &q, &qd).unwrap();
        let scale = |r: &[f64]| r.iter().fold(1.0f64, |m, v| m.max(v.abs()));
        let mut check = |slot: usize, key: &str, mine: &dyn Fn(usize) -> f64| {
            let want = get(key);
            let scale = scale(&want);
            for (i, w) in want.iter().enumerate() {
                worst[slot] = worst[slot].max((mine(i) - w).abs() / scale);
            }
        };
        check(0, "ee_pos", &|i| kin.grip_site.translation.vector[i]);
        check(1, "J", &|i| jac[(i / 7, i % 7)]);
        check(2, "M", &|i| mass[(i / 7, i % 7)]);
        check(3, "bias", &|i| bias[i]);
        check(4, "tau_unclipped", &|i| tau[i]);
    }
    println!(
        "{} states, worst relative error: position {:.1e}, J {:.1e}, M {:.1e}, bias {:.1e}, torque {:.1e}",
        samples.len(),
        worst[0],
        worst[1],
        worst[2],
        worst[3],
        worst[4]
    );
    assert!(worst.iter().all(|w| *w < 1e-5), "{worst:?}");
}
