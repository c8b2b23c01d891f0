//! What happened, in words.

use super::style::{ACCENT, BAD, CARE, GOOD, WEAK};
use crate::pane::{Mode, Pane, Show};
use crate::theatre::{Ending, MarkKind};
use bevy_egui::egui::Color32;

/// How an episode stands.
pub struct Verdict {
    /// In a few words.
    pub words: String,
    /// In many, where there are more.
    pub more: String,
    /// Good or bad.
    pub colour: Color32,
}

/// How the episode of a pane stands or ended; for a recording what was recorded.
pub fn verdict(show: &Show, pane: &Pane) -> Verdict {
    let say = |words: String, colour: Color32| Verdict {
        words,
        more: String::new(),
        colour,
    };
    if let Some(why) = &pane.failed {
        return Verdict {
            more: why.clone(),
            ..say("error".into(), BAD)
        };
    }
    let Some(opening) = &pane.opening else {
        return say("opening".into(), WEAK);
    };
    let recorded = opening
        .recorded
        .as_ref()
        .filter(|_| show.mode != Mode::Live);
    let ending = pane.track.ending();
    let reached = pane.track.marks().iter().rev();
    let reached = reached
        .filter(|m| m.kind == MarkKind::Success)
        .map(|m| m.step)
        .next();
    let prefix = if recorded.is_some() { "recorded: " } else { "" };
    match recorded.or(ending) {
        Some(Ending::Success) => say(
            match reached {
                Some(step) => format!("{prefix}success at step {step}"),
                None => format!("{prefix}success"),
            },
            GOOD,
        ),
        Some(Ending::Horizon) => say(
            format!("{prefix}not reached at horizon {}", opening.horizon),
            BAD,
        ),
        Some(Ending::Broken(why)) => Verdict {
            more: why.clone(),
            ..say(format!("{prefix}error"), BAD)
        },
        None if show.driving => say("you drive".into(), CARE),
        None if show.mode == Mode::Live && !show.playing => say("paused".into(), WEAK),
        None => say("running".into(), ACCENT),
    }
}

/// A mark, in words.
pub fn mark_words(pane: &Pane, kind: MarkKind) -> String {
    let instance = |i: usize| {
        let name = pane.scene().and_then(|s| s.instances.get(i));
        name.map_or_else(|| format!("instance {i}"), |n| n.name.clone())
    };
    match kind {
        MarkKind::Query => "policy asked".into(),
        MarkKind::Touch(i) => format!("touches {}", instance(i)),
        MarkKind::Release(i) => format!("lets go of {}", instance(i)),
        MarkKind::Gripper(true) => "gripper told to close".into(),
        MarkKind::Gripper(false) => "gripper told to open".into(),
        MarkKind::Fact(i, truth) => {
            let fact = pane.opening.as_ref().and_then(|o| o.facts.get(i));
            let fact = fact.map_or_else(|| format!("predicate {i}"), Clone::clone);
            format!("{fact} becomes {}", if truth { "true" } else { "false" })
        }
        MarkKind::Success => "success: all predicates hold".into(),
    }
}

/// Text as part of a file name.
pub fn as_file_name(text: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    text.chars()
        .map(|c| if keep(c) { c } else { '-' })
        .collect()
}

/// What is on show, as the beginning of a file name.
pub fn file_stem(show: &Show) -> String {
    let opening = show.panes.iter().find_map(|p| p.opening.as_ref());
    let (suite, task, init) = match opening {
        Some(o) => (o.suite.as_str(), o.task, o.init),
        None => (
            show.choice.suite.as_str(),
            show.choice.task,
            show.choice.init,
        ),
    };
    let who: Vec<String> = show.panes.iter().map(|p| as_file_name(&p.who)).collect();
    format!(
        "bitvla-view_{}_t{task:02}_i{init:02}_{}_step{:04}",
        as_file_name(suite),
        who.join("-vs-"),
        show.at.floor() as usize
    )
}
