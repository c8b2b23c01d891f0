//! The part of a page that repeats episodes.

use crate::{Replay, Report, ReportError, printable};
use minijinja::Value;
use serde::Serialize;

/// Script of the worker that holds the simulator: it answers `{id, name, args}` with `{id, result}` or `{id, error}`.
pub const WORKER: &str = include_str!("replay_worker.js");
/// Script of the player.
pub(super) const SCRIPT: &str = include_str!("replay.js");
/// Style of the player.
pub(super) const STYLE: &str = include_str!("replay.css");

/// The player and what it reads; all but the names is written as it is.
#[derive(Serialize)]
pub(super) struct ReplayView {
    /// Names of the episodes.
    episodes: Vec<String>,
    worker: Value,
    record: Value,
    module: Value,
}

/// A button that plays an episode.
#[derive(Serialize)]
pub(super) struct ReplayButton {
    /// Index of the episode.
    index: usize,
    policy: String,
    init: usize,
    outcome: &'static str,
}

/// The player of a report.
///
/// # Errors
/// If the files cannot be compressed.
pub(super) fn replay_view(replay: &Replay) -> Result<ReplayView, ReportError> {
    Ok(ReplayView {
        episodes: (replay.episodes.iter())
            .map(|episode| printable(&episode.name()).into_owned())
            .collect(),
        worker: Value::from_safe_string(WORKER.to_owned()),
        record: Value::from_safe_string(replay.record()?),
        module: Value::from_safe_string(replay.module_text()),
    })
}

/// Buttons of the episodes of a task.
pub(super) fn replay_buttons(report: &Report, suite: &str, task: usize) -> Vec<ReplayButton> {
    let episodes = report.replay.iter().flat_map(|replay| &replay.episodes);
    let of = (episodes.enumerate()).filter(|(_, e)| e.suite == suite && e.actions.task == task);
    of.map(|(index, episode)| ReplayButton {
        index,
        policy: printable(&episode.label).into_owned(),
        init: episode.actions.init,
        outcome: episode.outcome,
    })
    .collect()
}
