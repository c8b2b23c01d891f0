//! Section of the camera images.

use super::{MetricList, NamedChart, Section};
use crate::Quantity;
use crate::measure::Measured;
use crate::measure::images::{ImageRow, Similarity};
use bitvla_reports::{Chart, TextTable, mean};

/// Similarity that the mean over the scenes is to reach.
const AGENTVIEW_TARGET: f64 = 0.85;
const WRIST_TARGET: f64 = 0.80;

pub(crate) fn section(measured: Measured<ImageRow>) -> Section {
    let rows = &measured.rows;
    let over = format!("{} scenes, luma", rows.len());
    let without = format!("{over}, without masked objects");
    let agentview: fn(&ImageRow) -> Similarity = |r| r.agentview;
    let wrist: fn(&ImageRow) -> Similarity = |r| r.wrist;
    let mut m = MetricList::new(Quantity::Images);
    for (name, camera, target) in [
        ("agentview, similarity, mean", agentview, AGENTVIEW_TARGET),
        ("wrist, similarity, mean", wrist, WRIST_TARGET),
    ] {
        let masked: Vec<f64> = rows.iter().filter_map(|r| camera(r).masked).collect();
        m.at_least(name, (mean(&masked), ""), target, &without);
    }
    for (name, camera) in [
        ("agentview, whole image, mean", agentview),
        ("wrist, whole image, mean", wrist),
    ] {
        let whole: Vec<f64> = rows.iter().map(|r| camera(r).whole).collect();
        m.report(name, (mean(&whole), ""), &over);
    }
    let chart = |name, title, camera: fn(&ImageRow) -> Similarity, color, target| {
        let bars = rows.iter().filter_map(|r| {
            let label = format!("{} {}", r.suite, r.task);
            Some((label, camera(r).masked?, color))
        });
        NamedChart {
            name,
            title,
            subtitle: "structural similarity with MuJoCo's image of the first initial state",
            chart: Chart::Bars {
                top: 1.0,
                unit: String::new(),
                target: Some(target),
                rows: bars.collect(),
            },
        }
    };
    Section {
        metrics: m.finish(),
        tables: vec![("images", table(rows))],
        charts: vec![
            chart(
                "images_agentview",
                "Images: agentview",
                agentview,
                0,
                AGENTVIEW_TARGET,
            ),
            chart("images_wrist", "Images: wrist", wrist, 1, WRIST_TARGET),
        ],
        notes: measured.notes,
    }
}

fn table(rows: &[ImageRow]) -> TextTable {
    let mut table = TextTable::new(&[
        "suite",
        "task",
        "agentview",
        "wrist",
        "agentview_masked",
        "wrist_masked",
        "left_out",
    ]);
    let cell = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
    for r in rows {
        table.push([
            r.suite.clone(),
            r.task.to_string(),
            cell(Some(r.agentview.whole)),
            cell(Some(r.wrist.whole)),
            cell(r.agentview.masked),
            cell(r.wrist.masked),
            r.masked.join(" "),
        ]);
    }
    table
}
