//! The part of a page about each task: success per policy, its episodes with the failed ones first, animations.

use super::base64;
use super::replay::{ReplayButton, replay_buttons};
use super::scores::ScoreView;
use crate::{EpisodeRecord, Report, RunFolder, format_bytes, printable, summarise};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A suite and its tasks.
#[derive(Serialize)]
pub(super) struct SuiteView {
    name: String,
    tasks: Vec<TaskView>,
}

/// A task; the lists are in the order of the policies.
#[derive(Serialize)]
struct TaskView {
    /// Anchor of its part of the page.
    id: String,
    task: usize,
    instruction: String,
    /// Score of each policy, `None` where it did not run.
    scores: Vec<Option<ScoreView>>,
    /// Episodes that failed or were not finished.
    failures: usize,
    /// Initial states in which two policies differ.
    discordant: usize,
    rows: Vec<StateRow>,
    animations: Vec<AnimationView>,
    replays: Vec<ReplayButton>,
}

/// Episodes from one initial state.
#[derive(Serialize)]
struct StateRow {
    init: usize,
    /// Class: `f` where one failed or was not finished, `d` where policies differ.
    class: String,
    /// Episode of each policy.
    cells: Vec<Option<Cell>>,
    /// Differences to the reference in words.
    differences: String,
    /// Harness errors.
    errors: Vec<String>,
}

/// An episode.
#[derive(Serialize)]
struct Cell {
    /// `s` success, `f` failed, `e` harness error; also its class.
    class: &'static str,
    outcome: &'static str,
    steps: usize,
    hash: String,
}

/// An animation of an episode.
#[derive(Serialize)]
struct AnimationView {
    policy: String,
    init: usize,
    /// `data:` address.
    source: String,
    side: usize,
    size: String,
}

/// Returns the tasks of every suite.
pub(super) fn suites(report: &Report) -> Vec<SuiteView> {
    let comparison = &report.comparison;
    let mut discordant: BTreeMap<(String, usize, usize), Vec<String>> = BTreeMap::new();
    for d in comparison.discordant() {
        let what = if d.gained { "gained" } else { "lost" };
        let step = d.parts_at.map_or_else(String::new, |step| {
            format!(", actions differ from step {step}")
        });
        let words = match comparison.policies().len() {
            2 => format!("{what}{step}"),
            _ => format!("{}: {what}{step}", printable(&d.policy)),
        };
        discordant
            .entry((d.suite, d.task, d.init))
            .or_default()
            .push(words);
    }
    let numbered = comparison.suites().iter().enumerate();
    numbered
        .map(|(s, suite)| {
            let runs: Vec<Option<&RunFolder>> = (comparison.policies().iter())
                .map(|p| p.runs.get(suite))
                .collect();
            let mut tasks: BTreeMap<usize, String> = BTreeMap::new();
            for row in runs.iter().flatten().flat_map(|run| &run.episodes) {
                tasks
                    .entry(row.task)
                    .or_insert_with(|| printable(&row.instruction).into_owned());
            }
            let scores: Vec<_> = (runs.iter())
                .map(|run| run.map(|run| summarise(&run.episodes).0))
                .collect();
            let tasks = tasks.into_iter().map(|(task, instruction)| {
                let rows = state_rows(&runs, task, |init| {
                    discordant.remove(&(suite.clone(), task, init))
                });
                let score = |of: &Option<Vec<crate::TaskSummary>>| {
                    let found = of.as_ref()?.iter().find(|t| t.task == task)?;
                    Some(ScoreView::of(&found.score))
                };
                TaskView {
                    id: format!("task-{s}-{task}"),
                    task,
                    instruction,
                    scores: scores.iter().map(score).collect(),
                    failures: rows
                        .iter()
                        .flat_map(|row| row.cells.iter().flatten())
                        .filter(|cell| cell.class != "s")
                        .count(),
                    discordant: rows.iter().filter(|r| !r.differences.is_empty()).count(),
                    rows,
                    animations: animations(report, suite, task),
                    replays: replay_buttons(report, suite, task),
                }
            });
            SuiteView {
                tasks: tasks.collect(),
                name: printable(suite).into_owned(),
            }
        })
        .collect()
}

/// One row per initial state, those with a failed episode first.
fn state_rows(
    runs: &[Option<&RunFolder>],
    task: usize,
    mut discordant: impl FnMut(usize) -> Option<Vec<String>>,
) -> Vec<StateRow> {
    let find = |run: &RunFolder, init: usize| -> Option<EpisodeRecord> {
        let at = run
            .episodes
            .binary_search_by_key(&(task, init), EpisodeRecord::key);
        at.ok().map(|at| run.episodes[at].clone())
    };
    let of_task = |run: &&RunFolder| -> Vec<usize> {
        let rows = run.episodes.iter().filter(|row| row.task == task);
        rows.map(|row| row.init).collect()
    };
    let inits: BTreeSet<usize> = runs.iter().flatten().flat_map(of_task).collect();
    let mut rows: Vec<StateRow> = inits
        .into_iter()
        .map(|init| {
            let found: Vec<Option<EpisodeRecord>> = (runs.iter())
                .map(|run| run.and_then(|run| find(run, init)))
                .collect();
            let errors = (found.iter().flatten())
                .filter(|row| !row.completed())
                .map(|row| printable(&row.error).into_owned());
            let differences = discordant(init).unwrap_or_default();
            let failed = found.iter().flatten().any(|row| !row.success);
            let class = match (failed, differences.is_empty()) {
                (true, true) => "f",
                (true, false) => "f d",
                (false, _) => "",
            };
            StateRow {
                init,
                class: class.to_owned(),
                errors: errors.collect(),
                differences: differences.join("; "),
                cells: found.iter().map(|row| row.as_ref().map(cell)).collect(),
            }
        })
        .collect();
    rows.sort_by_key(|row| (row.class.is_empty(), row.init));
    rows
}

fn cell(row: &EpisodeRecord) -> Cell {
    let (class, outcome) = match (row.completed(), row.success) {
        (false, _) => ("e", "error"),
        (true, true) => ("s", "success"),
        (true, false) => ("f", "failed"),
    };
    Cell {
        class,
        outcome,
        steps: row.steps,
        hash: printable(&row.state_hash).into_owned(),
    }
}

fn animations(report: &Report, suite: &str, task: usize) -> Vec<AnimationView> {
    let of = report.animations.iter();
    let of = of.filter(|a| a.suite == suite && a.task == task);
    of.map(|a| AnimationView {
        policy: printable(&a.label).into_owned(),
        init: a.init,
        source: format!("data:image/png;base64,{}", base64(&a.png)),
        side: a.size,
        size: format_bytes(a.png.len() as u64),
    })
    .collect()
}
