//! The subcommand `failures`: failed episodes of a run by task and phase.

use super::jobs::all_cores;
use super::output;
use super::subcommands::recorded_suite;
use crate::asset_resolver::AssetResolver;
use crate::{EvalError, FailedEpisode, FailurePhase, RunFolder, failure_phases, open_run_folder};
use bitvla_reports::TextTable;
use std::path::Path;
use std::process::ExitCode;

/// Prints a table of the failed episodes by task and phase, and one row for each of them.
pub(super) fn failures(
    resolver: &AssetResolver,
    run_dir: &Path,
    jobs: Option<usize>,
) -> Result<ExitCode, EvalError> {
    let RunFolder {
        manifest,
        actions,
        episodes,
        ..
    } = open_run_folder(run_dir)?;
    let failed = |task: usize, init: usize| {
        let found = episodes.iter().find(|e| (e.task, e.init) == (task, init));
        found.is_some_and(|e| e.completed() && !e.success)
    };
    let finished = actions.len();
    let failed: Vec<_> = (actions.into_iter())
        .filter(|episode| failed(episode.task, episode.init))
        .collect();
    let loaded = recorded_suite(resolver, run_dir, &manifest)?;
    let context = loaded.context(manifest.protocol.seed);
    let found = failure_phases(context, &failed, jobs.unwrap_or_else(all_cores))?;
    let mut by_task = TextTable::new(&["task", "failed"]);
    let phases = FailurePhase::ALL.map(|phase| (phase, found.iter().any(|f| f.phase == phase)));
    let phases: Vec<_> = (phases.iter().filter(|p| p.1)).map(|p| p.0).collect();
    by_task
        .header
        .extend(phases.iter().map(|p| p.name().to_owned()));
    let mut row = |name: String, of: &dyn Fn(&FailedEpisode) -> bool| {
        let of: Vec<_> = found.iter().filter(|f| of(f)).collect();
        let count = |phase: &FailurePhase| of.iter().filter(|f| f.phase == *phase).count();
        let counts = phases.iter().map(|phase| count(phase).to_string());
        by_task.push([name, of.len().to_string()].into_iter().chain(counts));
    };
    for &task in &manifest.tasks {
        row(task.to_string(), &|f| f.task == task);
    }
    row("all".to_owned(), &|_| true);
    let mut each = TextTable::new(&["task", "state", "holds", "first that does not", "phase"]);
    for f in &found {
        let (holding, all) = f.holding;
        each.push([
            f.task.to_string(),
            f.init.to_string(),
            format!("{holding} of {all}"),
            f.predicate.clone(),
            f.phase.name().to_owned(),
        ]);
    }
    output::print_line(&format!(
        "{} of {finished} episodes failed\n\n{}",
        found.len(),
        by_task.text()
    ));
    if !found.is_empty() {
        output::print_line(&each.text());
    }
    Ok(ExitCode::SUCCESS)
}
