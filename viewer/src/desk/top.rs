//! The bar at the top: what the robot is told, how it stands, where one is, and what the policy's last
//! answer cost.

use super::style::{self, BAD, CARE, Line, STRONG, TEXT, WEAK};
use super::words::verdict;
use crate::pane::{Mode, Pane, Show};
use crate::theatre::Asked;
use bevy_egui::egui::{Align, Label, Layout, Panel, RichText, Ui};
use bitvla_reports::QueryRecord;

/// Draws the bar.
pub fn show(ui: &mut Ui, show: &Show) {
    Panel::top("top")
        .exact_size(62.0)
        .frame(style::panel_frame())
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            let two = show.panes.len() == 2;
            row(
                ui,
                |ui| instruction(ui, show),
                |ui| {
                    if two {
                        latency(ui, show, 0);
                    } else if let Some(pane) = show.panes.first() {
                        badges(ui, show, pane);
                    }
                },
            );
            row(
                ui,
                |ui| place(ui, show),
                |ui| latency(ui, show, usize::from(two)),
            );
        });
}

/// Something at the right end, and what fits to the left of it.
fn row(ui: &mut Ui, left: impl FnOnce(&mut Ui), right: impl FnOnce(&mut Ui)) {
    let size = bevy_egui::egui::vec2(ui.available_width(), 23.0);
    ui.allocate_ui_with_layout(size, Layout::right_to_left(Align::Center), |ui| {
        right(ui);
        ui.add_space(6.0);
        ui.with_layout(Layout::left_to_right(Align::Center), left);
    });
}

fn instruction(ui: &mut Ui, show: &Show) {
    let words = show
        .panes
        .iter()
        .find_map(|p| p.opening.as_ref())
        .map_or("", |o| o.instruction.as_str());
    let text = RichText::new(words).size(16.0).color(STRONG);
    ui.add(Label::new(text).truncate());
}

fn badges(ui: &mut Ui, show: &Show, pane: &Pane) {
    let stands = verdict(show, pane);
    let badge = style::badge(ui, &stands.words, stands.colour);
    if !stands.more.is_empty() {
        badge.on_hover_text(stands.more);
    }
    touched(ui, show);
}

fn touched(ui: &mut Ui, show: &Show) {
    if show.touched() {
        style::badge(ui, "hands on: not a result", CARE).on_hover_text(
            "Somebody pulled at an object or took the arm before this step, so what follows says nothing about the \
             policy.",
        );
    }
}

fn place(ui: &mut Ui, show: &Show) {
    let opening = show.panes.iter().find_map(|p| p.opening.as_ref());
    let mut line = Line::default();
    if let Some(o) = opening {
        line = line
            .name(&o.suite, TEXT)
            .words("   task ")
            .number(&o.task.to_string())
            .words("   initial state ")
            .number(&o.init.to_string())
            .words("   ");
    }
    for (i, pane) in show.panes.iter().enumerate() {
        if i > 0 {
            line = line.words(" beside ");
        }
        let colour = if show.mode == Mode::Compare {
            style::pane_colour(i)
        } else {
            TEXT
        };
        line = line.name(&pane.who, colour);
    }
    if show.mode == Mode::Compare && opening.is_some_and(|o| o.recorded.is_some()) {
        line = line.words(", recorded");
    }
    let step = show.at.floor();
    line = line
        .words("     step")
        .number(&format!("{step:>4.0}"))
        .words("   ")
        .number(&format!("{:>6.2} s", step / crate::pane::CONTROL_HZ));
    ui.add(Label::new(line.job()).truncate());
    if show.mode == Mode::Compare {
        touched(ui, show);
    }
}

/// What the query at the present step cost, and the median so far.
fn latency(ui: &mut Ui, show: &Show, index: usize) {
    let Some(pane) = show.panes.get(index) else {
        return;
    };
    let mut line = Line::default();
    if show.panes.len() == 2 {
        line = line.name(&format!("{}  ", pane.who), style::pane_colour(index));
    }
    let Some(asked) = pane.track.query_at(show.at.floor() as usize) else {
        let words = if pane.failed.is_some() {
            ""
        } else if pane.track.ending().is_some() && pane.track.queries().is_empty() {
            "no policy queries"
        } else {
            "no query yet"
        };
        ui.label(line.words(words).job());
        return;
    };
    let t = &asked.times;
    if t.total_ms() == 0.0 {
        ui.label(line.words("no policy queries").job());
        return;
    }
    line = line
        .words("query")
        .number(&ms(t.total_ms()))
        .words(" ms:  vision")
        .number(&ms(t.vision_ms))
        .words("  language")
        .number(&ms(t.language_ms))
        .words("  head")
        .number(&ms(t.head_ms))
        .words("  prep")
        .number(&ms(t.preprocessing_ms))
        .words("   median")
        .number(&ms(median(pane, asked)));
    let label = ui.label(line.job());
    label.on_hover_ui(|ui| explain(ui, t, asked));
}

fn explain(ui: &mut Ui, t: &QueryRecord, asked: &Asked) {
    ui.label(format!(
        "Query {} at step {}, wall clock:",
        t.query, asked.step
    ));
    for (what, took) in [
        ("preprocessing", t.preprocessing_ms),
        ("vision tower and connector", t.vision_ms),
        ("language model", t.language_ms),
        ("action head", t.head_ms),
        ("together", t.total_ms()),
        ("rendering the cameras, not counted", t.render_ms),
    ] {
        let line = Line::default().number(&ms(took)).words(" ms  ").words(what);
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

/// Milliseconds in a constant width.
fn ms(value: f64) -> String {
    format!("{value:>6.1}")
}

/// Median of the totals of the queries up to one, ms.
fn median(pane: &Pane, until: &Asked) -> f64 {
    let queries = pane.track.queries().iter();
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
