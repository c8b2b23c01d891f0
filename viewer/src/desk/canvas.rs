//! What is written over the scene: who is who, that it is being opened, why it cannot be, and how to drive.

use super::drive::{Drive, hints};
use super::style::{BAD, CARE, LINE, PANEL, STRONG, TEXT, WEAK, pane_colour};
use super::words::verdict;
use crate::app::Canvas;
use crate::pane::{Mode, Pane, Show};
use bevy::math::Vec2;
use bevy_egui::egui::{
    Align2, Color32, Context, CornerRadius, FontId, LayerId, Order, Painter, Pos2, Rect, Stroke,
    StrokeKind, pos2, vec2,
};

/// Writes over what the panels left free, and says where that is.
pub fn show(ctx: &Context, free: Rect, show: &Show, drive: &Drive) -> Canvas {
    let painter = Painter::new(ctx.clone(), LayerId::background(), free);
    let count = show.panes.len().max(1) as f32;
    for (i, pane) in show.panes.iter().enumerate() {
        let width = free.width() / count;
        let left = free.left() + i as f32 * width;
        let part = Rect::from_min_size(pos2(left, free.top()), vec2(width, free.height()));
        let within = painter.with_clip_rect(part);
        if i > 0 {
            painter.vline(left, free.y_range(), Stroke::new(1.0, LINE));
        }
        if show.panes.len() == 2 || show.mode == Mode::Compare {
            caption(&within, part, show, pane, i);
        }
        if let Some(why) = &pane.failed {
            failure(&within, part, why);
        } else if pane.scene().is_none() || pane.track.is_empty() {
            note(&within, part, show, pane);
        }
    }
    if show.driving {
        hints_box(&painter, free, drive);
    }
    let pointer = ctx.input(|i| i.pointer.latest_pos());
    let over = pointer.is_some_and(|at| {
        let above = ctx.layer_id_at(at);
        !free.contains(at) || above.is_some_and(|l| l.order != Order::Background)
    });
    let busy =
        over || ctx.egui_is_using_pointer() || ctx.any_popup_open() || ctx.text_edit_focused();
    Canvas {
        min: Vec2::new(free.left(), free.top()),
        max: Vec2::new(free.right(), free.bottom()),
        busy,
    }
}

fn plate(painter: &Painter, rect: Rect, line: Color32) {
    painter.rect(
        rect,
        CornerRadius::same(6),
        PANEL.gamma_multiply(0.95),
        Stroke::new(1.0, line),
        StrokeKind::Inside,
    );
}

/// The name and outcome of one of two.
fn caption(painter: &Painter, part: Rect, show: &Show, pane: &Pane, index: usize) {
    let stands = verdict(show, pane);
    let who = painter.layout_no_wrap(
        pane.who.clone(),
        FontId::proportional(14.0),
        pane_colour(index),
    );
    let words = stands.words.trim_start_matches("recorded: ").to_owned();
    let how = painter.layout_no_wrap(words, FontId::proportional(13.0), stands.colour);
    let size = vec2(who.size().x + how.size().x + 32.0, 26.0);
    let rect = Rect::from_center_size(pos2(part.center().x, part.top() + 21.0), size);
    plate(painter, rect, LINE);
    let y = |height: f32| rect.center().y - 0.5 * height;
    let left = rect.left() + 10.0;
    painter.galley(pos2(left, y(who.size().y)), who.clone(), TEXT);
    let left = left + who.size().x + 12.0;
    painter.galley(pos2(left, y(how.size().y)), how.clone(), TEXT);
}

fn note(painter: &Painter, part: Rect, show: &Show, pane: &Pane) {
    let choice = &show.choice;
    let words = format!(
        "opening {}, task {}, initial state {}, {} ...",
        choice.suite, choice.task, choice.init, pane.who
    );
    let font = FontId::proportional(15.0);
    let galley = painter.layout(words, font, WEAK, part.width() - 40.0);
    painter.galley(part.center() - 0.5 * galley.size(), galley.clone(), WEAK);
}

/// Why there is nothing to see.
fn failure(painter: &Painter, part: Rect, why: &str) {
    let width = (part.width() - 80.0).clamp(80.0, 540.0);
    let title = painter.layout(
        "This cannot be shown".into(),
        FontId::proportional(16.0),
        BAD,
        width,
    );
    let words = painter.layout(why.to_owned(), FontId::proportional(14.0), STRONG, width);
    let inner = vec2(
        title.size().x.max(words.size().x),
        title.size().y + words.size().y + 8.0,
    );
    let rect = Rect::from_center_size(part.center(), inner + vec2(36.0, 28.0));
    plate(painter, rect, BAD.gamma_multiply(0.6));
    let at: Pos2 = rect.min + vec2(18.0, 14.0);
    let below = at + vec2(0.0, title.size().y + 8.0);
    painter.galley(at, title, BAD);
    painter.galley(below, words, STRONG);
}

/// Keys and present action of a person who drives.
fn hints_box(painter: &Painter, free: Rect, drive: &Drive) {
    let size = vec2((free.width() - 20.0).min(560.0), 84.0);
    let centre = pos2(free.center().x, free.bottom() - 12.0 - 0.5 * size.y);
    let rect = Rect::from_center_size(centre, size);
    plate(painter, rect, CARE.gamma_multiply(0.7));
    let left = rect.left() + 14.0;
    let line = |row: f32| pos2(left, rect.top() + 17.0 + row * 24.0);
    let small = FontId::proportional(13.0);
    for (row, words) in hints().iter().enumerate() {
        let at = line(row as f32);
        painter.text(at, Align2::LEFT_CENTER, words, small.clone(), TEXT);
    }
    painter.text(
        line(2.0),
        Align2::LEFT_CENTER,
        drive.words(),
        FontId::monospace(12.0),
        CARE,
    );
}
