//! The subcommand `sweep`: success against simulated latency.

use super::compare::run_folders;
use super::evaluate::{PolicyRun, evaluate_all, label};
use super::output;
use super::{PolicyNames, PolicyOptions, RunArgs, parse_positive};
use crate::asset_resolver::AssetResolver;
use crate::{EvalError, SimulatedLatency, open_run_folder};
use bitvla_reports::{
    EpisodeRecord, FolderLock, Sweep, SweepLine, SweepPoint, summarise, write_sweep_plot,
    write_text,
};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Options of a sweep.
#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    /// Simulated latencies of a query, ms
    #[arg(long, value_delimiter = ',', required = true, value_name = "MS,...")]
    latency: Vec<f64>,
    /// Suite of tasks, or `all`
    #[arg(long, default_value = "spatial")]
    suite: String,
    /// Policies with a network
    #[arg(long, default_value_t, value_name = "NAME,...")]
    policy: PolicyNames,
    /// Tasks to run, for example 0,3 [default: all]
    #[arg(long, value_delimiter = ',', value_name = "TASK,...")]
    tasks: Option<Vec<usize>>,
    /// Episodes per task, one per stored initial state
    #[arg(long, default_value_t = 10, value_parser = parse_positive)]
    episodes: usize,
    /// Worker threads; never changes a result [default: all cores]
    #[arg(long, value_parser = parse_positive)]
    jobs: Option<usize>,
    /// Latency to mark in the plot, for example of the full-size model on a machine
    #[arg(long = "mark", value_parser = parse_mark, value_name = "NAME=MS")]
    marks: Vec<(String, f64)>,
    /// Folder of the runs, the table and the plot; an interrupted sweep goes on when it is named again
    #[arg(long, default_value = "runs/sweep", value_name = "DIR")]
    out: PathBuf,
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

/// Runs every policy with every latency and draws success against latency.
pub(super) fn sweep(resolver: &AssetResolver, args: &SweepArgs) -> Result<ExitCode, EvalError> {
    let mut latencies = args.latency.clone();
    latencies.sort_by(f64::total_cmp);
    latencies.dedup();
    let run = RunArgs {
        suite: args.suite.clone(),
        init: None,
        policy: args.policy.clone(),
        tasks: args.tasks.clone(),
        episodes: args.episodes,
        shard: None,
        seed: None,
        jobs: args.jobs,
        out: None,
        video: 0,
        options: PolicyOptions::default(),
        backwards: false,
        query_limit: None,
        view: false,
    };
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
        let mut episodes: Vec<EpisodeRecord> = Vec::new();
        for run in run_folders(folder)? {
            episodes.extend(open_run_folder(&run)?.episodes);
        }
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
