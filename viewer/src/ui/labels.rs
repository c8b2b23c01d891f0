//! Texts about episodes: status, timeline markers, file names.

use super::theme::{ACCENT, BAD, CARE, GOOD, WEAK};
use crate::playback::{MarkerKind, Termination};
use crate::session::{EpisodePlayback, Session, SessionMode};
use bevy_egui::egui::Color32;

/// Status of an episode.
pub struct StatusLabel {
    /// Short text of the badge.
    pub short: String,
    /// Details for the tooltip; empty if there are none.
    pub details: String,
    /// Colour of the badge.
    pub colour: Color32,
}

/// Returns the status of an episode; for a recording, the recorded outcome.
pub fn status_label(session: &Session, episode: &EpisodePlayback) -> StatusLabel {
    let say = |text: String, colour: Color32| StatusLabel {
        short: text,
        details: String::new(),
        colour,
    };
    if let Some(reason) = &episode.failed {
        return StatusLabel {
            details: reason.clone(),
            ..say("error".into(), BAD)
        };
    }
    let Some(info) = &episode.info else {
        return say("opening".into(), WEAK);
    };
    let recorded = info
        .recorded
        .as_ref()
        .filter(|_| session.mode != SessionMode::Live);
    let termination = episode.trajectory.termination();
    let reached = episode.trajectory.markers().iter().rev();
    let reached = reached
        .filter(|m| m.kind == MarkerKind::Success)
        .map(|m| m.step)
        .next();
    let prefix = if recorded.is_some() { "recorded: " } else { "" };
    match recorded.or(termination) {
        Some(Termination::Success) => say(
            match reached {
                Some(step) => format!("{prefix}success at step {step}"),
                None => format!("{prefix}success"),
            },
            GOOD,
        ),
        Some(Termination::Horizon) => say(
            format!("{prefix}not reached at horizon {}", info.horizon),
            BAD,
        ),
        Some(Termination::Error(reason)) => StatusLabel {
            details: reason.clone(),
            ..say(format!("{prefix}error"), BAD)
        },
        None if session.teleoperating => say("teleoperation".into(), CARE),
        None if session.mode == SessionMode::Live && !session.playing => say("paused".into(), WEAK),
        None => say("running".into(), ACCENT),
    }
}

/// Text of a timeline marker.
pub fn marker_label(episode: &EpisodePlayback, kind: MarkerKind) -> String {
    let instance = |i: usize| {
        let name = episode.scene().and_then(|s| s.instances.get(i));
        name.map_or_else(|| format!("instance {i}"), |n| n.name.clone())
    };
    match kind {
        MarkerKind::Query => "policy query".into(),
        MarkerKind::ContactBegin(i) => format!("touches {}", instance(i)),
        MarkerKind::ContactEnd(i) => format!("loses contact with {}", instance(i)),
        MarkerKind::Gripper(true) => "gripper commanded to close".into(),
        MarkerKind::Gripper(false) => "gripper commanded to open".into(),
        MarkerKind::Predicate(i, truth) => {
            let predicate = episode.info.as_ref().and_then(|o| o.predicates.get(i));
            let predicate = predicate.map_or_else(|| format!("predicate {i}"), Clone::clone);
            format!(
                "{predicate} becomes {}",
                if truth { "true" } else { "false" }
            )
        }
        MarkerKind::Success => "success: all predicates hold".into(),
    }
}

/// Replaces every character other than ASCII letters, digits, `-`, `.` and `_` by `-`.
pub fn as_file_name(text: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    text.chars()
        .map(|c| if keep(c) { c } else { '-' })
        .collect()
}

/// File name stem of captures: suite, task, initial state, policies and step.
pub fn file_stem(session: &Session) -> String {
    let info = session.episodes.iter().find_map(|p| p.info.as_ref());
    let (suite, task, init) = match info {
        Some(o) => (o.suite.as_str(), o.task, o.init),
        None => (
            session.selection.suite.as_str(),
            session.selection.task,
            session.selection.init,
        ),
    };
    let name: Vec<String> = session
        .episodes
        .iter()
        .map(|p| as_file_name(&p.name))
        .collect();
    format!(
        "bitvla-view_{}_t{task:02}_i{init:02}_{}_step{:04}",
        as_file_name(suite),
        name.join("-vs-"),
        session.playhead.floor() as usize
    )
}
