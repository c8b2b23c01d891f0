//! Section of the operational-space responses.

use super::{MetricList, NamedChart, Section};
use crate::Quantity;
use crate::measure::Measured;
use crate::measure::osc::ResponseErrors;
use bitvla_reports::{Chart, ChartLine, TextTable, format_value, largest, median};

/// Targets in free motion.
const FREE_MM: f64 = 3.0;
const FREE_DEG: f64 = 0.5;

/// Sequence through a singular posture, and what MuJoCo does in it (measured by `tests/mujoco_contacts.py --sensitivity`).
const SINGULAR: (&str, &str) = (
    "goto_points",
    "osc: `goto_points` passes a singular posture, in which MuJoCo itself enlarges differences about a thousandfold: 1e-5 rad in one \
     joint at the start move the end effector by up to 3.2 mm (docs/libero.md)",
);

/// First step in free motion that is outside one of the targets.
fn first_step_outside(e: &ResponseErrors) -> Option<usize> {
    let inside = |i: usize| e.position_mm[i] <= FREE_MM && e.angle_deg[i] <= FREE_DEG;
    (0..e.free_steps()).find(|i| !inside(*i))
}

pub(crate) fn section(measured: Measured<ResponseErrors>) -> Section {
    let Measured { rows, mut notes } = measured;
    let all = &rows;
    let gather = |part: fn(&ResponseErrors) -> &[f64]| -> Vec<f64> {
        all.iter().flat_map(part).copied().collect()
    };
    let free_mm = gather(|e| &e.position_mm[..e.free_steps()]);
    let free_deg = gather(|e| &e.angle_deg[..e.free_steps()]);
    let contact_mm = gather(|e| &e.position_mm[e.free_steps()..]);
    let contact_deg = gather(|e| &e.angle_deg[e.free_steps()..]);
    let fingers = gather(|e| &e.finger_mm);
    let worst = |values: &[f64]| largest(values.iter().copied());
    let inside = all
        .iter()
        .filter(|e| e.free_steps() > 0 && first_step_outside(e).is_none())
        .count();

    let mut m = MetricList::new(Quantity::Osc);
    let over = format!("{} sequences, {} free steps", all.len(), free_mm.len());
    let (mm, deg) = (worst(&free_mm), worst(&free_deg));
    m.at_most("free motion, position, worst", (mm, "mm"), FREE_MM, &over);
    let name = "free motion, angle, worst";
    m.at_most(name, (deg, "degree"), FREE_DEG, &over);
    let (mm, deg) = (median(&free_mm), median(&free_deg));
    m.report("free motion, position, median", (mm, "mm"), &over);
    m.report("free motion, angle, median", (deg, "degree"), &over);
    let name = "sequences inside both throughout";
    m.report(name, (Some(inside as f64), ""), &over);
    if !contact_mm.is_empty() {
        let over = format!("{} steps after a contact", contact_mm.len());
        let (mm, deg) = (worst(&contact_mm), worst(&contact_deg));
        m.report("with contact, position, worst", (mm, "mm"), &over);
        m.report("with contact, angle, worst", (deg, "degree"), &over);
    }
    let over = format!("{} sequences, {} steps", all.len(), fingers.len());
    m.report("finger position, worst", (worst(&fingers), "mm"), &over);

    for e in all {
        if let Some(step) = first_step_outside(e) {
            notes.push(format!(
                "osc: `{}` leaves {FREE_MM} mm or {FREE_DEG} degree at step {step}",
                e.name
            ));
            if e.name == SINGULAR.0 {
                notes.push(SINGULAR.1.to_owned());
            }
        }
    }
    Section {
        metrics: m.finish(),
        tables: vec![("osc_steps", steps_table(all)), ("osc", summary_table(all))],
        charts: vec![
            chart(
                ("osc_position", "End effector against MuJoCo: position"),
                ("distance, mm", FREE_MM),
                (all, |e| &e.position_mm),
            ),
            chart(
                ("osc_angle", "End effector against MuJoCo: orientation"),
                ("angle, degrees", FREE_DEG),
                (all, |e| &e.angle_deg),
            ),
        ],
        notes,
    }
}

fn steps_table(all: &[ResponseErrors]) -> TextTable {
    let mut table = TextTable::new(&[
        "sequence",
        "step",
        "contact",
        "position_mm",
        "angle_deg",
        "finger_mm",
    ]);
    for e in all {
        for step in 0..e.position_mm.len() {
            table.push([
                e.name.clone(),
                step.to_string(),
                u8::from(step >= e.free_steps()).to_string(),
                format!("{:.4}", e.position_mm[step]),
                format!("{:.4}", e.angle_deg[step]),
                format!("{:.4}", e.finger_mm[step]),
            ]);
        }
    }
    table
}

fn summary_table(all: &[ResponseErrors]) -> TextTable {
    let mut table = TextTable::new(&[
        "sequence",
        "steps",
        "free steps",
        "max mm",
        "last mm",
        "max deg",
        "max finger mm",
    ]);
    let worst = |values: &[f64], unit| format_value(largest(values.iter().copied()), unit);
    for e in all {
        table.push([
            e.name.clone(),
            e.position_mm.len().to_string(),
            e.free_steps().to_string(),
            worst(&e.position_mm, "mm"),
            format_value(e.position_mm.last().copied(), "mm"),
            worst(&e.angle_deg, "degree"),
            worst(&e.finger_mm, "mm"),
        ]);
    }
    table
}

/// Selects one error over the control steps of a sequence.
type ErrorSeries = fn(&ResponseErrors) -> &Vec<f64>;

/// Errors over control steps, one line per sequence, another colour from the first contact on.
fn chart(
    (name, title): (&'static str, &'static str),
    (y, target): (&str, f64),
    (all, errors): (&[ResponseErrors], ErrorSeries),
) -> NamedChart {
    let mut lines = Vec::new();
    for e in all {
        let values = errors(e).iter().enumerate();
        let points: Vec<[f64; 2]> = values.map(|(i, v)| [i as f64, *v]).collect();
        let free = e.free_steps().min(points.len());
        lines.push(ChartLine {
            label: "free motion".to_owned(),
            color: 0,
            points: points[..free].to_vec(),
        });
        if free < points.len() {
            lines.push(ChartLine {
                label: "after a contact".to_owned(),
                color: 3,
                points: points[free.saturating_sub(1)..].to_vec(),
            });
        }
    }
    NamedChart {
        name,
        title,
        subtitle: "one line per recorded sequence of actions",
        chart: Chart::Lines {
            x: "control step".to_owned(),
            y: y.to_owned(),
            lines,
            target: Some(target),
            top: None,
        },
    }
}
