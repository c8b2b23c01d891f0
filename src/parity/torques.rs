//! Joint torques pointwise: at recorded random states, inertia matrix, Jacobian, bias and the torque
//! that the controller asks for (fact sheet section 4).

use super::reference::{self, Pointwise};
use super::{Context, Section, SectionResult, at_most, plain};
use crate::EvalError;
use bitvla_reports::{Chart, Table, number};
use bitvla_sim::osc::{OscGoal, OscSettings, arm_torques};
use bitvla_sim::panda::{JointVector, Panda};
use nalgebra::{Matrix3, Vector3};

/// Where the recorded arm stands: the table arena.
const BASE: [f64; 3] = [-0.66, 0.0, 0.912];

const QUANTITIES: [&str; 5] = ["grip site", "Jacobian", "inertia matrix", "bias", "torque"];

pub(super) fn run(ctx: &Context<'_>) -> Result<SectionResult, EvalError> {
    let file = "osc_pointwise.json";
    let data: Pointwise = reference::read(ctx.data, file)?;
    let model = ctx.scenes.assets.robot()?;
    let panda = Panda::new(&model, bitvla_sim::isometry(BASE, [1.0, 0.0, 0.0, 0.0]))?;
    let mut table = Table::new(&[
        "state",
        "grip_site_m",
        "jacobian_relative",
        "inertia_relative",
        "bias_relative",
        "torque_relative",
        "torque_worst_joint_nm",
    ]);
    let mut worst = [0.0f64; 5];
    let mut states = Vec::new();
    for (index, s) in data.samples.iter().enumerate() {
        for (what, found, expected) in [("J", s.jacobian.len(), 42), ("M", s.mass.len(), 49)] {
            if found != expected {
                return Err(EvalError::Format {
                    path: ctx.data.join(file),
                    what: format!(
                        "sample {index}: {what} has {found} numbers, expected {expected}"
                    ),
                });
            }
        }
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
        let errors = [
            (site - Vector3::from(s.ee_pos)).norm(),
            relative(&s.jacobian, |i| jacobian[(i / 7, i % 7)]),
            relative(&s.mass, |i| mass[(i / 7, i % 7)]),
            relative(&s.bias, |i| bias[i]),
            relative(&s.tau_unclipped, |i| tau[i]),
        ];
        let newton_metres = (0..7)
            .map(|i| (tau[i] - s.tau_unclipped[i]).abs())
            .fold(0.0, f64::max);
        for (w, e) in worst.iter_mut().zip(errors) {
            *w = w.max(e);
        }
        states.push(errors);
        table.push(
            std::iter::once(index.to_string())
                .chain(errors.map(number))
                .chain([number(newton_metres)]),
        );
    }
    let over = format!("{} recorded states", data.samples.len());
    let s = Section::Torques;
    let mut figures = vec![at_most(
        s,
        "joint torque, relative, worst",
        100.0 * worst[4],
        "%",
        1.0,
        &over,
    )];
    for i in [2, 1, 3] {
        let name = format!("{}, relative, worst", QUANTITIES[i]);
        figures.push(plain(s, &name, 100.0 * worst[i], "%", &over));
    }
    figures.push(plain(
        s,
        "grip site from the joints, worst",
        1e3 * worst[0],
        "mm",
        &over,
    ));
    let groups = (1..5)
        .map(|i| {
            let values = states.iter().map(|e| 100.0 * e[i]).collect();
            (QUANTITIES[i].to_owned(), values)
        })
        .collect();
    Ok(SectionResult {
        figures,
        tables: vec![("torques", table)],
        charts: vec![(
            "torques",
            "Joint torques at the same state and goal".to_owned(),
            "share of recorded states whose relative error is at most this".to_owned(),
            Chart::Cumulative {
                x: "relative error, %".to_owned(),
                groups,
                target: Some(1.0),
                low: 1e-8,
            },
        )],
        notes: Vec::new(),
    })
}

/// Largest difference over the largest recorded value (at least 1, so that zeros do not divide).
fn relative(recorded: &[f64], ours: impl Fn(usize) -> f64) -> f64 {
    let scale = recorded.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    recorded
        .iter()
        .enumerate()
        .fold(0.0f64, |m, (i, v)| m.max((ours(i) - v).abs()))
        / scale
}
