//! How far our world is from MuJoCo's: the same states and actions as in recorded MuJoCo runs, played
//! here, compared quantity by quantity. The folder it writes holds `parity.json`, `parity.txt`, a CSV
//! file per table and every plot as SVG and PNG; the same inputs give the same bytes.

mod images;
mod inertia;
mod osc;
mod predicates;
mod reference;
mod replay;
mod scenes;
mod settle;
mod ssim;
mod torques;

use crate::EvalError;
use crate::parallel::in_parallel;
use bitvla_reports::{Chart, Figure, Table, Target, figures_table, write_chart, write_text};
use bitvla_tasks::Assets;
use scenes::Scenes;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Suites with recorded initial states, in the order of reports.
pub const SUITES: [&str; 4] = [
    "libero_spatial",
    "libero_object",
    "libero_goal",
    "libero_10",
];

/// A quantity that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Section {
    /// Operational-space responses.
    Osc,
    /// Joint torques at the same state.
    Torques,
    /// Where objects come to rest.
    Settle,
    /// Truth of predicates on recorded states.
    Predicates,
    /// Recorded actions played again.
    Replay,
    /// Mass, centre of mass, inertia.
    Inertia,
    /// Structural similarity of camera images.
    Images,
}

impl Section {
    /// All of them in the order of the report.
    pub const ALL: [Section; 7] = [
        Section::Osc,
        Section::Torques,
        Section::Settle,
        Section::Predicates,
        Section::Replay,
        Section::Inertia,
        Section::Images,
    ];

    /// Name as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Section::Osc => "osc",
            Section::Torques => "torques",
            Section::Settle => "settle",
            Section::Predicates => "predicates",
            Section::Replay => "replay",
            Section::Inertia => "inertia",
            Section::Images => "images",
        }
    }
}

/// What is to be compared.
#[derive(Debug, Clone)]
pub struct ParityPlan {
    /// A LIBERO checkout.
    pub libero: PathBuf,
    /// Folder of the recorded MuJoCo runs.
    pub reference: PathBuf,
    /// Folder of the recorded images; absent: `images` beside the runs.
    pub images: Option<PathBuf>,
    /// Quantities.
    pub only: Vec<Section>,
    /// Suites that are looked at.
    pub suites: Vec<String>,
    /// Episodes of each task at most.
    pub episodes: usize,
    /// Object categories whose pixels are left out of the comparison of images.
    pub exclude: Vec<String>,
    /// Where our camera images are written, if anywhere.
    pub frames: Option<PathBuf>,
    /// Worker threads; never changes a result.
    pub jobs: usize,
}

/// How far a comparison is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParityProgress {
    /// What is being compared.
    pub section: Section,
    /// Items of it that are done.
    pub done: usize,
    /// Items of it in all.
    pub total: usize,
}

/// The report.
#[derive(Debug, Clone, Serialize)]
pub struct ParityReport {
    /// Suites looked at.
    pub suites: Vec<String>,
    /// Episodes of each task at most.
    pub episodes: usize,
    /// Measured figures with their targets.
    pub figures: Vec<Figure>,
    /// What was left out, and conditions.
    pub notes: Vec<String>,
    /// Tables by name.
    pub tables: Vec<(String, Table)>,
    /// The whole as text.
    #[serde(skip)]
    pub text: String,
}

/// What a section hands back.
struct SectionResult {
    figures: Vec<Figure>,
    tables: Vec<(&'static str, Table)>,
    /// File name, title, subtitle.
    charts: Vec<(&'static str, String, String, Chart)>,
    notes: Vec<String>,
}

/// What every section needs.
struct Context<'a> {
    plan: &'a ParityPlan,
    data: &'a Path,
    images: PathBuf,
    scenes: &'a Scenes,
    progress: &'a (dyn Fn(&ParityProgress) + Sync),
}

impl Context<'_> {
    /// Works on the items of a section over the plan's threads; results arrive in any order.
    fn each<T: Sync, R: Send>(
        &self,
        section: Section,
        items: &[T],
        work: impl Fn(&T) -> Result<R, EvalError> + Sync,
        mut done: impl FnMut(R),
    ) -> Result<(), EvalError> {
        let mut state = ParityProgress {
            section,
            done: 0,
            total: items.len(),
        };
        (self.progress)(&state);
        in_parallel(
            items,
            self.plan.jobs,
            || Ok(()),
            |(), item| work(item),
            |result| {
                done(result);
                state.done += 1;
                (self.progress)(&state);
                Ok(())
            },
        )
    }

    /// Whether a task is looked at; what cannot be for want of a model becomes a note.
    fn wanted(
        &self,
        suite: &str,
        task: usize,
        section: Section,
        notes: &mut Vec<String>,
    ) -> Result<bool, EvalError> {
        if !self.plan.suites.iter().any(|s| s == suite) {
            return Ok(false);
        }
        let missing = self.scenes.missing(suite, task)?;
        if missing.is_empty() {
            return Ok(true);
        }
        let names: Vec<String> = missing.into_iter().collect();
        let note = format!(
            "{}: {suite} {task} is left out, there is no model of {}",
            section.name(),
            names.join(", ")
        );
        if !notes.contains(&note) {
            notes.push(note);
        }
        Ok(false)
    }
}

fn figure(
    section: Section,
    name: &str,
    (value, unit): (f64, &str),
    target: Option<Target>,
    over: &str,
) -> Figure {
    Figure {
        section: section.name().to_owned(),
        name: name.to_owned(),
        value,
        unit: unit.to_owned(),
        target,
        over: over.to_owned(),
    }
}

fn plain(section: Section, name: &str, value: f64, unit: &str, over: &str) -> Figure {
    figure(section, name, (value, unit), None, over)
}

fn at_most(section: Section, name: &str, value: f64, unit: &str, most: f64, over: &str) -> Figure {
    let target = Some(Target::AtMost(most));
    figure(section, name, (value, unit), target, over)
}

fn at_least(
    section: Section,
    name: &str,
    value: f64,
    unit: &str,
    least: f64,
    over: &str,
) -> Figure {
    let target = Some(Target::AtLeast(least));
    figure(section, name, (value, unit), target, over)
}

/// Compares what the plan asks for and writes the folder `out`.
///
/// # Errors
/// When a file of the reference or the checkout is missing or malformed, a world cannot be built, or
/// a file cannot be written.
pub fn parity(
    assets: Assets,
    plan: &ParityPlan,
    out: &Path,
    progress: &(dyn Fn(&ParityProgress) + Sync),
) -> Result<ParityReport, EvalError> {
    let data = scenes::data_dir(&plan.reference)?;
    if let Some(unknown) = plan.suites.iter().find(|s| !SUITES.contains(&s.as_str())) {
        return Err(EvalError::Input(format!(
            "there are no recorded runs of suite `{unknown}`, expected some of: {}",
            SUITES.join(", ")
        )));
    }
    let scenes = Scenes::open(assets, &plan.libero, &data)?;
    let beside = || data.parent().unwrap_or(&data).join("images");
    let ctx = Context {
        plan,
        data: &data,
        images: plan.images.clone().unwrap_or_else(beside),
        scenes: &scenes,
        progress,
    };
    std::fs::create_dir_all(out).map_err(EvalError::io(out))?;
    let mut report = ParityReport {
        suites: plan.suites.clone(),
        episodes: plan.episodes,
        figures: Vec::new(),
        notes: Vec::new(),
        tables: Vec::new(),
        text: String::new(),
    };
    let mut tables = String::new();
    for section in Section::ALL {
        if !plan.only.contains(&section) {
            continue;
        }
        let result = match section {
            Section::Osc => osc::run(&ctx),
            Section::Torques => torques::run(&ctx),
            Section::Settle => settle::run(&ctx),
            Section::Predicates => predicates::run(&ctx),
            Section::Replay => replay::run(&ctx),
            Section::Inertia => inertia::run(&ctx),
            Section::Images => images::run(&ctx),
        }?;
        for (name, title, subtitle, chart) in &result.charts {
            write_chart(&out.join("plots"), name, (title, subtitle), chart)?;
        }
        for (name, table) in result.tables {
            table.write_csv(&out.join(format!("{name}.csv")))?;
            // The long ones are for machines.
            if table.rows.len() <= 60 && !table.rows.is_empty() {
                tables += &format!("\n{name}\n{}", table.text());
                report.tables.push((name.to_owned(), table));
            }
        }
        report.figures.extend(result.figures);
        report.notes.extend(result.notes);
    }
    report.notes.extend(scenes.assets.notices());
    let notes: String = report.notes.iter().map(|n| format!("- {n}\n")).collect();
    report.text = format!(
        "our world against recorded MuJoCo runs\n\n{}\n{notes}{tables}",
        figures_table(&report.figures)
    );
    write_text(&out.join("parity.txt"), &report.text)?;
    let json = serde_json::to_string_pretty(&report).map_err(|e| EvalError::Format {
        path: out.join("parity.json"),
        what: e.to_string(),
    })?;
    write_text(&out.join("parity.json"), &(json + "\n"))?;
    Ok(report)
}
