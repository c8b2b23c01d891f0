//! Timeline markers of one episode: queries, contacts, gripper commands, predicates and termination.

use super::icons::star;
use super::theme::{ACCENT, BAD, CARE, GOOD, STRONG};
use crate::playback::{MarkerKind, Termination};
use crate::session::EpisodePlayback;
use bevy_egui::egui::{Color32, CornerRadius, Painter, Pos2, Rect, Shape, Stroke, pos2, vec2};

/// Height of an episode's row of markers, logical pixels.
pub const ROW: f32 = 27.0;

/// Linear map between control steps and horizontal positions in logical pixels.
#[derive(Debug, Clone, Copy)]
pub struct TimeAxis {
    /// Position of step 0.
    pub left: f32,
    /// Position of the last step.
    pub right: f32,
    /// Number of the last step.
    pub steps: f64,
}

impl TimeAxis {
    /// Position of a step.
    pub fn x(&self, step: f64) -> f32 {
        let share = (step / self.steps.max(1.0)) as f32;
        self.left + share * (self.right - self.left)
    }

    /// Step at a position, clamped to the axis.
    pub fn step(&self, x: f32) -> f64 {
        let share = (x - self.left) / (self.right - self.left).max(1.0);
        f64::from(share.clamp(0.0, 1.0)) * self.steps
    }
}

/// Draws the markers of an episode in a row with its top at `top`.
pub fn paint_markers(painter: &Painter, episode: &EpisodePlayback, axis: &TimeAxis, top: f32) {
    contact_bars(painter, episode, axis, top);
    for marker in episode.trajectory.markers() {
        let x = axis.x(marker.step as f64);
        match marker.kind {
            MarkerKind::Query => query_marker(painter, x, top),
            MarkerKind::Gripper(close) => gripper_marker(painter, pos2(x, top + 20.5), close),
            MarkerKind::Predicate(_, truth) => {
                predicate_marker(painter, pos2(x, top + 20.5), truth)
            }
            MarkerKind::Success => star(painter, pos2(x, top + 13.0), 7.5, GOOD),
            MarkerKind::ContactBegin(_) | MarkerKind::ContactEnd(_) => {}
        }
    }
    let end = axis.x(episode.trajectory.last() as f64);
    match episode.trajectory.termination() {
        Some(Termination::Horizon) => end_flag(painter, pos2(end, top), BAD),
        Some(Termination::Error(_)) => end_flag(painter, pos2(end, top), CARE),
        Some(Termination::Success) | None => {}
    }
}

fn query_marker(painter: &Painter, x: f32, top: f32) {
    let tick = Stroke::new(1.0, ACCENT.gamma_multiply(0.8));
    painter.vline(x, top + 3.0..=top + 9.0, tick);
}

/// Draws a bar for each interval in which the robot is in contact with an object or fixture.
fn contact_bars(painter: &Painter, episode: &EpisodePlayback, axis: &TimeAxis, top: f32) {
    let bar = |from: usize, to: usize| {
        let (from, to) = (axis.x(from as f64), axis.x(to as f64));
        let rect = Rect::from_min_max(pos2(from, top + 11.0), pos2(to.max(from + 1.5), top + 15.0));
        painter.rect_filled(rect, CornerRadius::same(1), CARE.gamma_multiply(0.55));
        painter.vline(
            from,
            top + 10.0..=top + 16.0,
            Stroke::new(1.0, CARE.gamma_multiply(0.9)),
        );
    };
    let markers = episode.trajectory.markers();
    for (i, marker) in markers.iter().enumerate() {
        let MarkerKind::ContactBegin(instance) = marker.kind else {
            continue;
        };
        let ends = markers.iter().skip(i + 1);
        let end = ends
            .filter(|m| m.kind == MarkerKind::ContactEnd(instance))
            .map(|m| m.step)
            .next();
        bar(marker.step, end.unwrap_or(episode.trajectory.last()));
    }
}

/// Draws two fingers, together for a close command and apart for an open command.
pub fn gripper_marker(painter: &Painter, c: Pos2, close: bool) {
    let (tip, base) = if close { (0.8, 4.6) } else { (4.8, 1.0) };
    for side in [-1.0, 1.0] {
        let points = vec![
            pos2(c.x + side * tip, c.y),
            pos2(c.x + side * base, c.y - 3.8),
            pos2(c.x + side * base, c.y + 3.8),
        ];
        painter.add(Shape::convex_polygon(points, STRONG, Stroke::NONE));
    }
}

/// Draws a diamond, green when a predicate became true and red when it became false.
pub fn predicate_marker(painter: &Painter, c: Pos2, truth: bool) {
    let r = 4.8;
    let points = vec![
        c + vec2(0.0, -r),
        c + vec2(r, 0.0),
        c + vec2(0.0, r),
        c + vec2(-r, 0.0),
    ];
    let colour = if truth { GOOD } else { BAD };
    painter.add(Shape::convex_polygon(points, colour, Stroke::NONE));
}

/// Draws a flag at the last step.
pub fn end_flag(painter: &Painter, top: Pos2, colour: Color32) {
    let pole = Stroke::new(1.5, colour);
    painter.vline(top.x, top.y + 2.0..=top.y + ROW - 2.0, pole);
    let points = vec![
        top + vec2(0.0, 2.0),
        top + vec2(-9.0, 6.0),
        top + vec2(0.0, 10.0),
    ];
    painter.add(Shape::convex_polygon(points, colour, Stroke::NONE));
}
