//! Top bar: instruction, status, position on the timeline, and the latency of the last policy query.

use super::labels::status_label;
use super::theme::{self, BAD, CARE, Line, STRONG, TEXT, WEAK};
use crate::playback::TracedQuery;
use crate::session::{EpisodePlayback, Session, SessionMode};
use bevy_egui::egui::{Align, Label, Layout, Panel, RichText, Ui};
use bitvla_reports::QueryRecord;

/// Draws the bar.
pub fn show(ui: &mut Ui, session: &Session) {
    Panel::top("top")
        .exact_size(62.0)
        .frame(theme::panel_frame())
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            let two = session.episodes.len() == 2;
            row(
                ui,
                |ui| instruction(ui, session),
                |ui| {
                    if two {
                        latency(ui, session, 0);
                    } else if let Some(episode) = session.episodes.first() {
                        badges(ui, session, episode);
                    }
                },
            );
            row(
                ui,
                |ui| position(ui, session),
                |ui| latency(ui, session, usize::from(two)),
            );
        });
}

/// Lays out `right` at the right end and `left` in the remaining space.
fn row(ui: &mut Ui, left: impl FnOnce(&mut Ui), right: impl FnOnce(&mut Ui)) {
    let size = bevy_egui::egui::vec2(ui.available_width(), 23.0);
    ui.allocate_ui_with_layout(size, Layout::right_to_left(Align::Center), |ui| {
        right(ui);
        ui.add_space(6.0);
        ui.with_layout(Layout::left_to_right(Align::Center), left);
    });
}

fn instruction(ui: &mut Ui, session: &Session) {
    let text = session
        .episodes
        .iter()
        .find_map(|p| p.info.as_ref())
        .map_or("", |o| o.instruction.as_str());
    let text = RichText::new(text).size(16.0).color(STRONG);
    ui.add(Label::new(text).truncate());
}

fn badges(ui: &mut Ui, session: &Session, episode: &EpisodePlayback) {
    let status = status_label(session, episode);
    let badge = theme::badge(ui, &status.short, status.colour);
    if !status.details.is_empty() {
        badge.on_hover_text(status.details);
    }
    intervention_badge(ui, session);
}

fn intervention_badge(ui: &mut Ui, session: &Session) {
    if session.intervened() {
        theme::badge(ui, "intervention: not a result", CARE).on_hover_text(
            "A person pulled at an object or teleoperated the arm before this step: from there on it is no result of the \
             policy.",
        );
    }
}

fn position(ui: &mut Ui, session: &Session) {
    let info = session.episodes.iter().find_map(|p| p.info.as_ref());
    let mut line = Line::default();
    if let Some(o) = info {
        line = line
            .name(&o.suite, TEXT)
            .text("   task ")
            .number(&o.task.to_string())
            .text("   initial state ")
            .number(&o.init.to_string())
            .text("   ");
    }
    for (i, episode) in session.episodes.iter().enumerate() {
        if i > 0 {
            line = line.text(" beside ");
        }
        let colour = if session.mode == SessionMode::Compare {
            theme::episode_colour(i)
        } else {
            TEXT
        };
        line = line.name(&episode.name, colour);
    }
    if session.mode == SessionMode::Compare && info.is_some_and(|o| o.recorded.is_some()) {
        line = line.text(", recorded");
    }
    let step = session.playhead.floor();
    line = line
        .text("     step")
        .number(&format!("{step:>4.0}"))
        .text("   ")
        .number(&format!("{:>6.2} s", step / crate::playback::CONTROL_HZ));
    ui.add(Label::new(line.job()).truncate());
    if session.mode == SessionMode::Compare {
        intervention_badge(ui, session);
    }
}

/// Draws the latency of the query at the playhead and the median so far, ms.
fn latency(ui: &mut Ui, session: &Session, index: usize) {
    let Some(episode) = session.episodes.get(index) else {
        return;
    };
    let mut line = Line::default();
    if session.episodes.len() == 2 {
        line = line.name(&format!("{}  ", episode.name), theme::episode_colour(index));
    }
    let Some(query) = episode
        .trajectory
        .query_at(session.playhead.floor() as usize)
    else {
        let text = if episode.failed.is_some() {
            ""
        } else if episode.trajectory.termination().is_some()
            && episode.trajectory.queries().is_empty()
        {
            "no policy queries"
        } else {
            "no query yet"
        };
        ui.label(line.text(text).job());
        return;
    };
    let t = &query.times;
    if t.total_ms() == 0.0 {
        ui.label(line.text("no policy queries").job());
        return;
    }
    line = line
        .text("query")
        .number(&ms(t.total_ms()))
        .text(" ms:  vision")
        .number(&ms(t.vision_ms))
        .text("  language")
        .number(&ms(t.language_ms))
        .text("  head")
        .number(&ms(t.head_ms))
        .text("  prep")
        .number(&ms(t.preprocessing_ms))
        .text("   median")
        .number(&ms(median(episode, query)));
    let label = ui.label(line.job());
    label.on_hover_ui(|ui| explain(ui, t, query));
}

fn explain(ui: &mut Ui, t: &QueryRecord, query: &TracedQuery) {
    ui.label(format!(
        "Query {} at step {}, wall clock:",
        t.query, query.step
    ));
    for (what, took) in [
        ("preprocessing", t.preprocessing_ms),
        ("vision tower and connector", t.vision_ms),
        ("language model", t.language_ms),
        ("action head", t.head_ms),
        ("policy server", t.server_ms),
        ("network", t.network_ms),
        ("together", t.total_ms()),
        ("rendering the cameras, not counted", t.render_ms),
    ] {
        let line = Line::default().number(&ms(took)).text(" ms  ").text(what);
        ui.label(line.job());
    }
    ui.label(
        RichText::new(
            "The window itself runs on the same cores, so a run without it is faster. The report of a run has the \
             figures to quote.",
        )
        .color(WEAK),
    );
    if !t.total_ms().is_finite() {
        ui.colored_label(BAD, "not measured");
    }
}

/// Formats milliseconds with constant width.
fn ms(value: f64) -> String {
    format!("{value:>6.1}")
}

/// Median total latency of the queries up to and including `until`, ms.
fn median(episode: &EpisodePlayback, until: &TracedQuery) -> f64 {
    let queries = episode.trajectory.queries().iter();
    let so_far = queries.take_while(|q| q.step <= until.step);
    let mut totals: Vec<f64> = so_far.map(|q| q.times.total_ms()).collect();
    totals.sort_by(f64::total_cmp);
    let half = totals.len() / 2;
    match (totals.get(half), totals.len() % 2) {
        (Some(upper), 0) => {
            let lower = half.checked_sub(1).and_then(|i| totals.get(i));
            0.5 * (upper + lower.unwrap_or(upper))
        }
        (Some(middle), _) => *middle,
        (None, _) => 0.0,
    }
}
