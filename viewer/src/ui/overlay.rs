//! Text over the 3D viewport: captions of compared episodes, loading and error messages, teleoperation hints.

use super::labels::status_label;
use super::teleoperation::{KeyboardTeleop, key_hints};
use super::theme::{BAD, CARE, LINE, PANEL, STRONG, TEXT, WEAK, episode_colour};
use crate::resources::ViewportArea;
use crate::session::{EpisodePlayback, Session, SessionMode};
use bevy::math::Vec2;
use bevy_egui::egui::{
    Align2, Color32, Context, CornerRadius, FontId, LayerId, Order, Painter, Pos2, Rect, Stroke,
    StrokeKind, pos2, vec2,
};

/// Draws the overlay on the area `free` that the panels leave, and returns it as the viewport area.
pub fn show(
    ctx: &Context,
    free: Rect,
    session: &Session,
    teleoperation: &KeyboardTeleop,
) -> ViewportArea {
    let painter = Painter::new(ctx.clone(), LayerId::background(), free);
    let count = session.episodes.len().max(1) as f32;
    for (i, episode) in session.episodes.iter().enumerate() {
        let width = free.width() / count;
        let left = free.left() + i as f32 * width;
        let rect_of_episode =
            Rect::from_min_size(pos2(left, free.top()), vec2(width, free.height()));
        let within = painter.with_clip_rect(rect_of_episode);
        if i > 0 {
            painter.vline(left, free.y_range(), Stroke::new(1.0, LINE));
        }
        if session.episodes.len() == 2 || session.mode == SessionMode::Compare {
            caption(&within, rect_of_episode, session, episode, i);
        }
        if let Some(reason) = &episode.failed {
            error_box(&within, rect_of_episode, reason);
        } else if episode.scene().is_none() || episode.trajectory.is_empty() {
            loading_message(&within, rect_of_episode, session, episode);
        }
    }
    if session.teleoperating {
        hints_box(&painter, free, teleoperation);
    }
    let pointer = ctx.input(|i| i.pointer.latest_pos());
    let over = pointer.is_some_and(|at| {
        let above = ctx.layer_id_at(at);
        !free.contains(at) || above.is_some_and(|l| l.order != Order::Background)
    });
    let input_captured =
        over || ctx.egui_is_using_pointer() || ctx.any_popup_open() || ctx.text_edit_focused();
    ViewportArea {
        min: Vec2::new(free.left(), free.top()),
        max: Vec2::new(free.right(), free.bottom()),
        input_captured,
    }
}

fn background(painter: &Painter, rect: Rect, line: Color32) {
    painter.rect(
        rect,
        CornerRadius::same(6),
        PANEL.gamma_multiply(0.95),
        Stroke::new(1.0, line),
        StrokeKind::Inside,
    );
}

/// Draws the name and status of one of two episodes.
fn caption(
    painter: &Painter,
    rect_of_episode: Rect,
    session: &Session,
    episode: &EpisodePlayback,
    index: usize,
) {
    let status = status_label(session, episode);
    let name = painter.layout_no_wrap(
        episode.name.clone(),
        FontId::proportional(14.0),
        episode_colour(index),
    );
    let text = status.short.trim_start_matches("recorded: ").to_owned();
    let how = painter.layout_no_wrap(text, FontId::proportional(13.0), status.colour);
    let size = vec2(name.size().x + how.size().x + 32.0, 26.0);
    let rect = Rect::from_center_size(
        pos2(rect_of_episode.center().x, rect_of_episode.top() + 21.0),
        size,
    );
    background(painter, rect, LINE);
    let y = |height: f32| rect.center().y - 0.5 * height;
    let left = rect.left() + 10.0;
    painter.galley(pos2(left, y(name.size().y)), name.clone(), TEXT);
    let left = left + name.size().x + 12.0;
    painter.galley(pos2(left, y(how.size().y)), how.clone(), TEXT);
}

fn loading_message(
    painter: &Painter,
    rect_of_episode: Rect,
    session: &Session,
    episode: &EpisodePlayback,
) {
    let selection = &session.selection;
    let text = format!(
        "opening {}, task {}, initial state {}, {} ...",
        selection.suite, selection.task, selection.init, episode.name
    );
    let font = FontId::proportional(15.0);
    let galley = painter.layout(text, font, WEAK, rect_of_episode.width() - 40.0);
    painter.galley(
        rect_of_episode.center() - 0.5 * galley.size(),
        galley.clone(),
        WEAK,
    );
}

/// Draws the error message of an episode that cannot be displayed.
fn error_box(painter: &Painter, rect_of_episode: Rect, reason: &str) {
    let width = (rect_of_episode.width() - 80.0).clamp(80.0, 540.0);
    let title = painter.layout(
        "This episode cannot be displayed".into(),
        FontId::proportional(16.0),
        BAD,
        width,
    );
    let text = painter.layout(reason.to_owned(), FontId::proportional(14.0), STRONG, width);
    let inner = vec2(
        title.size().x.max(text.size().x),
        title.size().y + text.size().y + 8.0,
    );
    let rect = Rect::from_center_size(rect_of_episode.center(), inner + vec2(36.0, 28.0));
    background(painter, rect, BAD.gamma_multiply(0.6));
    let at: Pos2 = rect.min + vec2(18.0, 14.0);
    let below = at + vec2(0.0, title.size().y + 8.0);
    painter.galley(at, title, BAD);
    painter.galley(below, text, STRONG);
}

/// Draws the teleoperation keys and the present action.
fn hints_box(painter: &Painter, free: Rect, teleoperation: &KeyboardTeleop) {
    let size = vec2((free.width() - 20.0).min(560.0), 84.0);
    let centre = pos2(free.center().x, free.bottom() - 12.0 - 0.5 * size.y);
    let rect = Rect::from_center_size(centre, size);
    background(painter, rect, CARE.gamma_multiply(0.7));
    let left = rect.left() + 14.0;
    let line = |row: f32| pos2(left, rect.top() + 17.0 + row * 24.0);
    let small = FontId::proportional(13.0);
    for (row, text) in key_hints().iter().enumerate() {
        let at = line(row as f32);
        painter.text(at, Align2::LEFT_CENTER, text, small.clone(), TEXT);
    }
    painter.text(
        line(2.0),
        Align2::LEFT_CENTER,
        teleoperation.action_text(),
        FontId::monospace(12.0),
        CARE,
    );
}
