//! Timeline at the bottom of the window: transport controls, and one track per episode for seeking.

use super::labels::marker_label;
use super::markers::{self, ROW, TimeAxis};
use super::theme::{self, ACCENT, DIVERGED, LINE, STRONG, TEXT, WEAK, WELL, episode_colour};
use super::transport::{self, UiRequest};
use crate::session::{Session, SessionMode};
use bevy_egui::egui::{
    Align2, CornerRadius, CursorIcon, FontId, Panel, Popup, PopupKind, Rect, RectAlign, Response,
    RichText, Sense, Shape, Stroke, TextWrapMode, Ui, pos2, vec2,
};

/// Height of the step numbers below the tracks, logical pixels.
const AXIS_HEIGHT: f32 = 15.0;
/// Markers this near the pointer are listed in the tooltip, logical pixels.
const HOVER_DISTANCE: f32 = 6.0;

/// Last control step on the timeline.
pub fn range(session: &Session) -> f64 {
    let horizon = session.episodes.iter().filter_map(|p| p.info.as_ref());
    let horizon = horizon.map(|o| o.horizon).max().unwrap_or(1);
    let last = session.last();
    let steps = if session.mode != SessionMode::Live && session.finished() && last > 0 {
        last
    } else {
        last.max(horizon)
    };
    steps as f64
}

/// Draws the panel. Returns the request of a button that concerns the window.
pub fn show(ui: &mut Ui, session: &mut Session, recording: bool) -> Option<UiRequest> {
    let rows = session.episodes.len().max(1) as f32;
    let height = 14.0 + 25.0 + 5.0 + rows * ROW + AXIS_HEIGHT;
    Panel::bottom("timeline")
        .exact_size(height)
        .frame(theme::panel_frame())
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 5.0;
            let request = transport::show(ui, session, recording);
            track(ui, session, rows * ROW);
            request
        })
        .inner
}

fn track(ui: &mut Ui, session: &mut Session, height: f32) {
    let size = vec2(ui.available_width(), height + AXIS_HEIGHT);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
    let labels = if session.episodes.len() == 2 {
        label_width(ui, session)
    } else {
        0.0
    };
    let track_rect = Rect::from_min_max(
        pos2(rect.left() + labels, rect.top()),
        pos2(rect.right(), rect.top() + height),
    );
    let time_axis = TimeAxis {
        left: track_rect.left() + 10.0,
        right: track_rect.right() - 10.0,
        steps: range(session),
    };
    let painter = ui.painter();
    painter.rect_filled(track_rect, CornerRadius::same(5), WELL);
    for (i, episode) in session.episodes.iter().enumerate() {
        let top = track_rect.top() + i as f32 * ROW;
        let done = Rect::from_min_max(
            pos2(time_axis.left, top + 1.5),
            pos2(
                time_axis.x(episode.trajectory.last() as f64),
                top + ROW - 1.5,
            ),
        );
        painter.rect_filled(
            done,
            CornerRadius::same(3),
            theme::BUTTON.gamma_multiply(0.75),
        );
        markers::paint_markers(painter, episode, &time_axis, top);
        if labels > 0.0 {
            painter.text(
                pos2(rect.left(), top + 0.5 * ROW),
                Align2::LEFT_CENTER,
                &episode.name,
                FontId::proportional(12.0),
                episode_colour(i),
            );
        }
    }
    axis(ui, &time_axis, track_rect.bottom());
    for step in [session.divergence.state, session.divergence.pose]
        .into_iter()
        .flatten()
    {
        let x = time_axis.x(step as f64);
        let line = [pos2(x, track_rect.top()), pos2(x, track_rect.bottom())];
        let stroke = Stroke::new(1.3, DIVERGED);
        painter.extend(Shape::dashed_line(&line, stroke, 3.0, 2.0));
    }
    playhead(ui, time_axis.x(session.playhead), &track_rect);
    hover(ui, &response, session, &time_axis, &track_rect);
    if (response.clicked() || response.dragged())
        && let Some(at) = response.interact_pointer_pos()
    {
        session.seek(time_axis.step(at.x).round());
    }
}

fn label_width(ui: &Ui, session: &Session) -> f32 {
    let width = |text: &str| {
        let font = FontId::proportional(12.0);
        let galley = ui.painter().layout_no_wrap(text.to_owned(), font, TEXT);
        galley.size().x
    };
    let widest = session
        .episodes
        .iter()
        .map(|p| width(&p.name))
        .fold(0.0, f32::max);
    widest + 10.0
}

fn axis(ui: &Ui, time_axis: &TimeAxis, top: f32) {
    let painter = ui.painter();
    let per_step = (time_axis.right - time_axis.left) / time_axis.steps.max(1.0) as f32;
    let spacing = [1, 2, 5, 10, 20, 50, 100, 200, 500]
        .into_iter()
        .find(|s| *s as f32 * per_step >= 64.0)
        .unwrap_or(1000);
    let font = FontId::monospace(10.5);
    for step in (0..=time_axis.steps as usize).step_by(spacing) {
        let x = time_axis.x(step as f64);
        painter.vline(x, top..=top + 3.0, Stroke::new(1.0, LINE));
        let at = pos2(x, top + 9.5);
        painter.text(
            at,
            Align2::CENTER_CENTER,
            step.to_string(),
            font.clone(),
            WEAK,
        );
    }
}

fn playhead(ui: &Ui, x: f32, track_rect: &Rect) {
    let painter = ui.painter();
    painter.vline(
        x,
        track_rect.top()..=track_rect.bottom(),
        Stroke::new(1.5, STRONG),
    );
    let y = track_rect.bottom();
    let points = vec![
        pos2(x, y - 4.0),
        pos2(x + 5.0, y + 3.0),
        pos2(x - 5.0, y + 3.0),
    ];
    painter.add(Shape::convex_polygon(points, ACCENT, Stroke::NONE));
}

/// Draws the tooltip: step, time and markers under the pointer.
fn hover(ui: &Ui, response: &Response, session: &Session, time_axis: &TimeAxis, track_rect: &Rect) {
    let Some(at) = response.hover_pos() else {
        return;
    };
    let step = time_axis.step(at.x).round();
    let painter = ui.painter();
    let x = time_axis.x(step);
    let line = Stroke::new(1.0, WEAK.gamma_multiply(0.7));
    painter.vline(x, track_rect.top()..=track_rect.bottom(), line);
    ui.ctx().set_cursor_icon(CursorIcon::PointingHand);
    let anchor = Rect::from_center_size(
        pos2(x, track_rect.center().y),
        vec2(1.0, track_rect.height()),
    );
    Popup::new(
        response.id.with("hover"),
        ui.ctx().clone(),
        anchor,
        response.layer_id,
    )
    .kind(PopupKind::Tooltip)
    .align(RectAlign::TOP)
    .align_alternatives(&[RectAlign::TOP_START, RectAlign::TOP_END])
    .gap(8.0)
    .interactable(false)
    .show(|ui| {
        ui.style_mut().wrap_mode = Some(TextWrapMode::Extend);
        ui.spacing_mut().item_spacing.y = 2.0;
        let secs = step / crate::playback::CONTROL_HZ;
        ui.monospace(format!("step {step:.0}   {secs:.2} s"));
        for (word, diverged) in transport::divergences(session) {
            if (time_axis.x(diverged as f64) - at.x).abs() <= HOVER_DISTANCE {
                ui.colored_label(DIVERGED, word);
            }
        }
        let two = session.episodes.len() == 2;
        for (i, episode) in session.episodes.iter().enumerate() {
            if two
                && (at.y < track_rect.top() + i as f32 * ROW
                    || at.y > track_rect.top() + (i + 1) as f32 * ROW)
            {
                continue;
            }
            let near = episode.trajectory.markers().iter();
            let near = near.filter(|m| (time_axis.x(m.step as f64) - at.x).abs() <= HOVER_DISTANCE);
            for marker in near {
                let text = marker_label(episode, marker.kind);
                let colour = if two { episode_colour(i) } else { TEXT };
                ui.label(RichText::new(format!("{:>4}  {text}", marker.step)).color(colour));
            }
        }
    });
}
