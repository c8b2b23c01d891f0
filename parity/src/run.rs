//! A whole comparison: measurements, sections of the report, files.

use crate::measure::{self, MeasureContext};
use crate::recorded_scenes::{RecordedScenes, data_dir};
use crate::report::{self, Section};
use crate::{ParityConfig, ParityError, ParityProgress, Quantity, SUITES};
use bitvla_reports::{
    FolderLock, Metric, TextTable, metrics_table, write_chart, write_json, write_text,
};
use bitvla_tasks::Assets;
use serde::Serialize;
use std::path::Path;

/// Longest table that `parity.txt` and `parity.json` hold, rows; longer ones are in CSV files only.
const MAX_ROWS: usize = 60;

/// Report of a comparison, as in `parity.json`.
#[derive(Debug, Clone, Serialize)]
pub struct ParityReport {
    /// Suites that were compared.
    pub suites: Vec<String>,
    /// Largest number of episodes per task.
    pub episodes: usize,
    /// Metrics with their targets.
    #[serde(rename = "figures")]
    pub metrics: Vec<Metric>,
    /// Items that were left out, and conditions.
    pub notes: Vec<String>,
    /// Short tables by name.
    pub tables: Vec<(String, TextTable)>,
    /// Text of `parity.txt`.
    #[serde(skip)]
    pub text: String,
}

impl ParityReport {
    /// Returns a sentence per metric whose target is missed or was not measured; empty where all are met.
    pub fn failures(&self) -> Vec<String> {
        self.metrics.iter().filter_map(Metric::failure).collect()
    }
}

/// Measures the quantities of the configuration and writes the report into the folder `out`. A missed target is no error:
/// see [`ParityReport::failures`].
///
/// # Errors
/// If a file of the reference or the checkout is missing or malformed, a world cannot be built, or a file cannot be
/// written.
pub fn run_parity(
    assets: Assets,
    config: &ParityConfig,
    out: &Path,
    progress: &(dyn Fn(&ParityProgress) + Sync),
) -> Result<ParityReport, ParityError> {
    let data = data_dir(&config.reference)?;
    if let Some(unknown) = config.suites.iter().find(|s| !SUITES.contains(&s.as_str())) {
        return Err(ParityError::Input(format!(
            "there are no recorded runs of suite `{unknown}`, expected some of: {}",
            SUITES.join(", ")
        )));
    }
    let scenes = RecordedScenes::open(assets, &config.libero, &data)?;
    let beside = || data.parent().unwrap_or(&data).join("images");
    let ctx = MeasureContext {
        config,
        data: &data,
        images: config.images.clone().unwrap_or_else(beside),
        scenes: &scenes,
        progress,
    };
    let _lock = FolderLock::acquire(out)?;
    let mut report = ParityReport {
        suites: config.suites.clone(),
        episodes: config.episodes,
        metrics: Vec::new(),
        notes: Vec::new(),
        tables: Vec::new(),
        text: String::new(),
    };
    for quantity in Quantity::ALL {
        if config.quantities.contains(&quantity) {
            let section = section(&ctx, quantity)?;
            write_section(&mut report, section, out)?;
        }
    }
    report.notes.extend(scenes.assets.notices());
    report.text = text(&report);
    write_text(&out.join("parity.txt"), &report.text)?;
    write_json(&out.join("parity.json"), &report)?;
    Ok(report)
}

fn section(ctx: &MeasureContext<'_>, quantity: Quantity) -> Result<Section, ParityError> {
    Ok(match quantity {
        Quantity::Osc => report::osc::section(measure::osc::measure(ctx)?),
        Quantity::Torques => report::torques::section(measure::torques::measure(ctx)?),
        Quantity::Settle => report::settle::section(measure::settle::measure(ctx)?),
        Quantity::Predicates => report::predicates::section(measure::predicates::measure(ctx)?),
        Quantity::Replay => report::replay::section(measure::replay::measure(ctx)?),
        Quantity::Inertia => report::inertia::section(measure::inertia::measure(ctx)?),
        Quantity::Contacts => report::contacts::section(measure::contacts::measure(ctx)?),
        Quantity::Images => report::images::section(measure::images::measure(ctx)?),
    })
}

/// Writes charts and CSV files of a section and adds the rest of it to the report.
fn write_section(
    report: &mut ParityReport,
    section: Section,
    out: &Path,
) -> Result<(), ParityError> {
    for c in &section.charts {
        write_chart(&out.join("plots"), c.name, (c.title, c.subtitle), &c.chart)?;
    }
    for (name, table) in section.tables {
        table.write_csv(&out.join(format!("{name}.csv")))?;
        if table.rows.len() <= MAX_ROWS && !table.rows.is_empty() {
            report.tables.push((name.to_owned(), table));
        }
    }
    report.metrics.extend(section.metrics);
    report.notes.extend(section.notes);
    Ok(())
}

fn text(report: &ParityReport) -> String {
    let notes: String = report.notes.iter().map(|n| format!("- {n}\n")).collect();
    let tables: String = report
        .tables
        .iter()
        .map(|(name, table)| format!("\n{name}\n{}", table.text()))
        .collect();
    format!(
        "our world against recorded MuJoCo runs\n\n{}\n{notes}{tables}",
        metrics_table(&report.metrics)
    )
}
