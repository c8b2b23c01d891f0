//! Section of mass, centre of mass and inertia.

use super::{MetricList, NamedChart, Section};
use crate::Quantity;
use crate::measure::Measured;
use crate::measure::inertia::ModelErrors;
use bitvla_reports::{Chart, TextTable, format_number, largest};

/// Tolerances of a model: mass (%), centre of mass (mm), inertia (%).
const NEAR: [f64; 3] = [1.0, 1.0, 5.0];

pub(crate) fn section(measured: Measured<ModelErrors>) -> Section {
    let models = &measured.rows;
    let worst: Vec<[f64; 3]> = models.iter().map(ModelErrors::worst).collect();
    let column = |k: usize| worst.iter().map(move |e| e[k]);
    let inside = worst
        .iter()
        .filter(|e| e.iter().zip(NEAR).all(|(error, near)| *error <= near))
        .count();
    let over = format!(
        "{} models and the robot, bodies that move",
        models.len().saturating_sub(1)
    );
    let mut m = MetricList::new(Quantity::Inertia);
    m.report("mass, relative, worst", (largest(column(0)), "%"), &over);
    m.report("centre of mass, worst", (largest(column(1)), "mm"), &over);
    m.report("inertia, relative, worst", (largest(column(2)), "%"), &over);
    let unit = format!("of {}", models.len());
    let name = "models within 1 %, 1 mm and 5 %";
    m.report(name, (Some(inside as f64), &unit), &over);
    let groups = [(0, "mass, %"), (1, "centre of mass, mm"), (2, "inertia, %")];
    Section {
        metrics: m.finish(),
        tables: vec![("inertia", table(models))],
        charts: vec![NamedChart {
            name: "inertia",
            title: "Mass, centre of mass and inertia against MuJoCo's models",
            subtitle: "share of models whose worst moving body is at most this far away",
            chart: Chart::Cumulative {
                x: "relative error, %; distance, mm".to_owned(),
                groups: groups
                    .map(|(k, name)| (name.to_owned(), column(k).collect()))
                    .to_vec(),
                target: None,
                low: 1e-4,
            },
        }],
        notes: measured.notes,
    }
}

fn table(models: &[ModelErrors]) -> TextTable {
    let mut table = TextTable::new(&[
        "model",
        "body",
        "moves",
        "mass_kg",
        "mujoco_kg",
        "mass_percent",
        "com_mm",
        "inertia_percent",
    ]);
    for model in models {
        for b in model.bodies.iter().flatten() {
            table.push([
                model.name.clone(),
                b.name.clone(),
                u8::from(b.moves).to_string(),
                format!("{:.6}", b.mass_kg),
                format!("{:.6}", b.recorded_mass_kg),
                format_number(b.mass_percent),
                format_number(b.com_mm),
                format_number(b.inertia_percent),
            ]);
        }
    }
    table
}
