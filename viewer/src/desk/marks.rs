//! Marks of one episode on the timeline: queries, contacts, the gripper, predicates, and how it ended.

use super::icons::star;
use super::style::{ACCENT, BAD, CARE, GOOD, STRONG};
use crate::pane::Pane;
use crate::theatre::{Ending, MarkKind};
use bevy_egui::egui::{Color32, CornerRadius, Painter, Pos2, Rect, Shape, Stroke, pos2, vec2};

/// Height of a row of marks.
pub const ROW: f32 = 27.0;

/// Where steps are across the window.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Step 0.
    pub left: f32,
    /// The last step there can be.
    pub right: f32,
    /// Its number.
    pub steps: f64,
}

impl Scale {
    /// Where a step is.
    pub fn x(&self, step: f64) -> f32 {
        let share = (step / self.steps.max(1.0)) as f32;
        self.left + share * (self.right - self.left)
    }

    /// Which step is there.
    pub fn step(&self, x: f32) -> f64 {
        let share = (x - self.left) / (self.right - self.left).max(1.0);
        f64::from(share.clamp(0.0, 1.0)) * self.steps
    }
}

/// Draws the row of marks of a pane with its top at `top`.
pub fn paint_row(painter: &Painter, pane: &Pane, scale: &Scale, top: f32) {
    contacts(painter, pane, scale, top);
    for mark in pane.track.marks() {
        let x = scale.x(mark.step as f64);
        match mark.kind {
            MarkKind::Query => query(painter, x, top),
            MarkKind::Gripper(close) => gripper(painter, pos2(x, top + 20.5), close),
            MarkKind::Fact(_, truth) => fact(painter, pos2(x, top + 20.5), truth),
            MarkKind::Success => star(painter, pos2(x, top + 13.0), 7.5, GOOD),
            MarkKind::Touch(_) | MarkKind::Release(_) => {}
        }
    }
    let end = scale.x(pane.track.last() as f64);
    match pane.track.ending() {
        Some(Ending::Horizon) => flag(painter, pos2(end, top), BAD),
        Some(Ending::Broken(_)) => flag(painter, pos2(end, top), CARE),
        Some(Ending::Success) | None => {}
    }
}

fn query(painter: &Painter, x: f32, top: f32) {
    let tick = Stroke::new(1.0, ACCENT.gamma_multiply(0.8));
    painter.vline(x, top + 3.0..=top + 9.0, tick);
}

/// A bar for each time that the robot touches something.
fn contacts(painter: &Painter, pane: &Pane, scale: &Scale, top: f32) {
    let bar = |from: usize, to: usize| {
        let (from, to) = (scale.x(from as f64), scale.x(to as f64));
        let rect = Rect::from_min_max(pos2(from, top + 11.0), pos2(to.max(from + 1.5), top + 15.0));
        painter.rect_filled(rect, CornerRadius::same(1), CARE.gamma_multiply(0.55));
        painter.vline(
            from,
            top + 10.0..=top + 16.0,
            Stroke::new(1.0, CARE.gamma_multiply(0.9)),
        );
    };
    let marks = pane.track.marks();
    for (i, mark) in marks.iter().enumerate() {
        let MarkKind::Touch(instance) = mark.kind else {
            continue;
        };
        let ends = marks.iter().skip(i + 1);
        let end = ends
            .filter(|m| m.kind == MarkKind::Release(instance))
            .map(|m| m.step)
            .next();
        bar(mark.step, end.unwrap_or(pane.track.last()));
    }
}

/// Two fingers: together when told to close, apart when told to open.
pub fn gripper(painter: &Painter, c: Pos2, close: bool) {
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

/// A diamond: green when a predicate became true, red when it became false.
pub fn fact(painter: &Painter, c: Pos2, truth: bool) {
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

/// A flag whose pole stands on the last step.
pub fn flag(painter: &Painter, top: Pos2, colour: Color32) {
    let pole = Stroke::new(1.5, colour);
    painter.vline(top.x, top.y + 2.0..=top.y + ROW - 2.0, pole);
    let points = vec![
        top + vec2(0.0, 2.0),
        top + vec2(-9.0, 6.0),
        top + vec2(0.0, 10.0),
    ];
    painter.add(Shape::convex_polygon(points, colour, Stroke::NONE));
}
