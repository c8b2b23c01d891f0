//! The subcommand `sweep`: success against simulated latency, or against the strength of perturbations.

use super::compare::run_folders;
use super::evaluate::{PolicyRun, evaluate_all, label};
use super::output;
use super::perturbation_sweep::sweep_perturbations;
use super::{PolicyNames, PolicyOptions, RunArgs, parse_positive};
use crate::asset_resolver::AssetResolver;
use crate::{EvalError, SimulatedLatency, open_run_folder};
use bitvla_perturbations::{Perturbation, swept_axes};
use bitvla_reports::{
    EpisodeRecord, FolderLock, Sweep, SweepLine, SweepPoint, summarise, write_sweep_plot,
    write_text,
};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Options of a sweep.
#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    /// Simulated latencies of a query, ms
    #[arg(
        long,
        value_delimiter = ',',
        required_unless_present = "perturb",
        conflicts_with = "perturb",
        value_name = "MS,..."
    )]
    latency: Vec<f64>,
    /// Axes of perturbation: language, layout, robot, background, light, camera, noise; events in mid-episode, with two draws as levels
    /// (event-light, ...); cases of LIBERO-PRO, with one (pro-swap, ...)
    #[arg(long, value_delimiter = ',', value_name = "AXIS,...", value_parser = parse_axis)]
    pub(super) perturb: Vec<String>,
    /// Levels of strength of each axis, 1 to 5
    #[arg(long, value_delimiter = ',', default_value = "1,2,3,4,5", value_name = "LEVEL,...", value_parser = clap::value_parser!(u8).range(1..=5), conflicts_with = "latency")]
    pub(super) levels: Vec<u8>,
    /// Suite of tasks, or `all`
    #[arg(long, default_value = "spatial")]
    pub(super) suite: String,
    /// Policies with a network
    #[arg(long, default_value_t, value_name = "NAME,...")]
    pub(super) policy: PolicyNames,
    /// Tasks to run, for example 0,3 [default: all]
    #[arg(long, value_delimiter = ',', value_name = "TASK,...")]
    pub(super) tasks: Option<Vec<usize>>,
    /// Episodes per task, one per stored initial state
    #[arg(long, default_value_t = 10, value_parser = parse_positive)]
    pub(super) episodes: usize,
    /// Worker threads; never changes a result [default: all cores]
    #[arg(long, value_parser = parse_positive)]
    pub(super) jobs: Option<usize>,
    /// Latency to mark in the plot, for example of the full-size model on a machine
    #[arg(long = "mark", value_parser = parse_mark, value_name = "NAME=MS")]
    marks: Vec<(String, f64)>,
    /// Folder of the runs, the table and the plot; an interrupted sweep goes on when it is named again
    #[arg(long, default_value = "runs/sweep", value_name = "DIR")]
    pub(super) out: PathBuf,
}

/// An axis of [`swept_axes`].
fn parse_axis(text: &str) -> Result<String, String> {
    match Perturbation::levels_of(text) {
        0 => Err(format!("expected one of {}", swept_axes().join(", "))),
        _ => Ok(text.to_owned()),
    }
}

/// `NAME=MS`.
fn parse_mark(text: &str) -> Result<(String, f64), String> {
    let (name, ms) = text.rsplit_once('=').ok_or("expected NAME=MS")?;
    match ms.parse::<f64>() {
        Ok(ms) if ms >= 0.0 && ms.is_finite() => Ok((name.to_owned(), ms)),
        _ => Err(format!(
            "found `{ms}`, expected milliseconds behind the last ="
        )),
    }
}

impl SweepArgs {
    /// Options of one run without latency or perturbation.
    pub(super) fn run(&self) -> RunArgs {
        RunArgs {
            suite: self.suite.clone(),
            init: None,
            policy: self.policy.clone(),
            tasks: self.tasks.clone(),
            left_out: Vec::new(),
            episodes: Some(self.episodes),
            shard: None,
            seed: None,
            jobs: self.jobs,
            out: None,
            video: 0,
            options: PolicyOptions::default(),
            perturb: Vec::new(),
            backwards: false,
            query_limit: None,
            view: false,
        }
    }
}

/// Runs every policy with every latency, or with every level of every axis of perturbation.
pub(super) fn sweep(resolver: &AssetResolver, args: &SweepArgs) -> Result<ExitCode, EvalError> {
    match args.perturb.is_empty() {
        true => sweep_latency(resolver, args),
        false => sweep_perturbations(resolver, args),
    }
}

/// Episodes of a run folder, or of all run folders in it.
pub(super) fn episodes_of(folder: &Path) -> Result<Vec<EpisodeRecord>, EvalError> {
    let mut episodes = Vec::new();
    for run in run_folders(folder)? {
        episodes.extend(open_run_folder(&run)?.episodes);
    }
    Ok(episodes)
}

/// Runs every policy with every latency and draws success against latency.
fn sweep_latency(resolver: &AssetResolver, args: &SweepArgs) -> Result<ExitCode, EvalError> {
    let mut latencies = args.latency.clone();
    latencies.sort_by(f64::total_cmp);
    latencies.dedup();
    let run = args.run();
    let mut runs = Vec::new();
    for policy in run.policy.iter() {
        for ms in &latencies {
            let latency = SimulatedLatency::constant(*ms);
            let latency = latency.map_err(|what| EvalError::Input(format!("--latency: {what}")))?;
            let mut with_latency = run.clone();
            with_latency.options.latency = Some(latency);
            runs.push(PolicyRun {
                out: args.out.join(label(&with_latency, policy)),
                policy: policy.clone(),
                perturbation: None,
                args: with_latency,
            });
        }
    }
    let code = evaluate_all(resolver, &runs)?;
    if code != ExitCode::SUCCESS {
        return Ok(code);
    }
    let mut lines: Vec<SweepLine> = Vec::new();
    for (run, latency_ms) in runs.iter().zip(latencies.iter().copied().cycle()) {
        let policy = run.policy.name().to_owned();
        let folder = &run.out;
        let episodes = episodes_of(folder)?;
        let score = summarise(&episodes).1;
        let point = SweepPoint { latency_ms, score };
        match lines.iter_mut().find(|line| line.policy == policy) {
            Some(line) => line.points.push(point),
            None => lines.push(SweepLine {
                policy,
                points: vec![point],
            }),
        }
    }
    let sweep = Sweep {
        lines,
        marks: args.marks.clone(),
    };
    let _lock = FolderLock::acquire(&args.out)?;
    let table = sweep.table();
    write_text(&args.out.join("summary.txt"), &table.text())?;
    table.write_csv(&args.out.join("sweep.csv"))?;
    let title = format!("suite {}, {} episodes a task", args.suite, args.episodes);
    write_sweep_plot(&args.out.join("plots"), &title, &sweep)?;
    output::print(&format!("\n{}\n{}\n", table.text(), args.out.display()));
    Ok(ExitCode::SUCCESS)
}
