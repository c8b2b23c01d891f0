//! Section of the joint torques.

use super::{MetricList, NamedChart, Section};
use crate::Quantity;
use crate::measure::Measured;
use crate::measure::torques::TorqueErrors;
use bitvla_reports::{Chart, TextTable, format_number, largest};

/// Largest relative error of the torque, %.
const TARGET_PERCENT: f64 = 1.0;

/// Selects one error of a state.
type ErrorOfState = fn(&TorqueErrors) -> f64;

pub(crate) fn section(measured: Measured<TorqueErrors>) -> Section {
    let states = &measured.rows;
    let worst = |part: fn(&TorqueErrors) -> f64, scale: f64| {
        largest(states.iter().map(part)).map(|w| scale * w)
    };
    let over = format!("{} recorded states", states.len());
    let mut m = MetricList::new(Quantity::Torques);
    m.at_most(
        "joint torque, relative, worst",
        (worst(|e| e.torque, 100.0), "%"),
        TARGET_PERCENT,
        &over,
    );
    let relative: [(&str, ErrorOfState); 3] = [
        ("inertia matrix, relative, worst", |e| e.inertia_matrix),
        ("Jacobian, relative, worst", |e| e.jacobian),
        ("bias, relative, worst", |e| e.bias),
    ];
    for (name, part) in relative {
        m.report(name, (worst(part, 100.0), "%"), &over);
    }
    let site = worst(|e| e.grip_site, 1e3);
    m.report("grip site from the joints, worst", (site, "mm"), &over);

    let group = |name: &str, part: fn(&TorqueErrors) -> f64| {
        let values = states.iter().map(|e| 100.0 * part(e)).collect();
        (name.to_owned(), values)
    };
    Section {
        metrics: m.finish(),
        tables: vec![("torques", table(states))],
        charts: vec![NamedChart {
            name: "torques",
            title: "Joint torques at the same state and goal",
            subtitle: "share of recorded states whose relative error is at most this",
            chart: Chart::Cumulative {
                x: "relative error, %".to_owned(),
                groups: vec![
                    group("Jacobian", |e| e.jacobian),
                    group("inertia matrix", |e| e.inertia_matrix),
                    group("bias", |e| e.bias),
                    group("torque", |e| e.torque),
                ],
                target: Some(TARGET_PERCENT),
                low: 1e-8,
            },
        }],
        notes: measured.notes,
    }
}

fn table(states: &[TorqueErrors]) -> TextTable {
    let mut table = TextTable::new(&[
        "state",
        "grip_site_m",
        "jacobian_relative",
        "inertia_relative",
        "bias_relative",
        "torque_relative",
        "torque_worst_joint_nm",
    ]);
    for (index, e) in states.iter().enumerate() {
        let errors = [
            e.grip_site,
            e.jacobian,
            e.inertia_matrix,
            e.bias,
            e.torque,
            e.joint_torque,
        ];
        table.push(std::iter::once(index.to_string()).chain(errors.map(format_number)));
    }
    table
}
