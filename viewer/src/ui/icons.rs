//! Icons drawn as vector shapes, because egui's built-in fonts lack some of them.

use super::theme::{ACCENT, TEXT, WEAK};
use bevy_egui::egui::{
    Color32, CornerRadius, Painter, Pos2, Rect, Response, Sense, Shape, Stroke, StrokeKind, Ui,
    Vec2, pos2, vec2,
};

/// Icons of buttons and lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icon {
    /// Jump to the start.
    Start,
    /// Step back.
    Back,
    /// Play.
    Play,
    /// Pause.
    Pause,
    /// Step forward.
    Forward,
    /// Jump to the end.
    End,
    /// Previous item.
    Previous,
    /// Next item.
    Next,
    /// Restart.
    Restart,
    /// Continue live from this step.
    Branch,
    /// True, or success.
    Check,
    /// Failure.
    Cross,
    /// Error of the harness.
    Warning,
    /// Not satisfied yet.
    Circle,
    /// Screenshot.
    Camera,
    /// Clip recording.
    Film,
    /// Teleoperation.
    Hand,
}

/// Draws an icon into a square with centre `c` and half side `r`, logical pixels.
pub fn paint(painter: &Painter, icon: Icon, c: Pos2, r: f32, colour: Color32) {
    let at = |x: f32, y: f32| pos2(c.x + x * r, c.y + y * r);
    let line = Stroke::new((r * 0.28).max(1.5), colour);
    let fill = |points: Vec<Pos2>| {
        painter.add(Shape::convex_polygon(points, colour, Stroke::NONE));
    };
    let bar = |x: f32| {
        let rect = Rect::from_center_size(at(x, 0.0), vec2(0.32 * r, 1.5 * r));
        painter.rect_filled(rect, CornerRadius::ZERO, colour);
    };
    let right = |x: f32, w: f32| fill(vec![at(x, -0.75), at(x + w, 0.0), at(x, 0.75)]);
    let left = |x: f32, w: f32| fill(vec![at(x, -0.75), at(x - w, 0.0), at(x, 0.75)]);
    let path = |points: &[(f32, f32)]| {
        let points = points.iter().map(|(x, y)| at(*x, *y)).collect();
        painter.add(Shape::line(points, line));
    };
    match icon {
        Icon::Play => right(-0.55, 1.3),
        Icon::Pause => {
            bar(-0.38);
            bar(0.38);
        }
        Icon::Start => {
            bar(-0.7);
            left(0.7, 1.15);
        }
        Icon::End => {
            bar(0.7);
            right(-0.7, 1.15);
        }
        Icon::Back => {
            left(0.15, 0.95);
            bar(0.6);
        }
        Icon::Forward => {
            right(-0.15, 0.95);
            bar(-0.6);
        }
        Icon::Previous => path(&[(0.3, -0.65), (-0.35, 0.0), (0.3, 0.65)]),
        Icon::Next => path(&[(-0.3, -0.65), (0.35, 0.0), (-0.3, 0.65)]),
        Icon::Check => path(&[(-0.65, 0.05), (-0.2, 0.5), (0.65, -0.5)]),
        Icon::Cross => {
            path(&[(-0.5, -0.5), (0.5, 0.5)]);
            path(&[(0.5, -0.5), (-0.5, 0.5)]);
        }
        Icon::Warning => {
            path(&[(0.0, -0.7), (0.75, 0.6), (-0.75, 0.6), (0.0, -0.7)]);
            path(&[(0.0, -0.2), (0.0, 0.25)]);
        }
        Icon::Circle => {
            painter.circle_stroke(c, 0.5 * r, Stroke::new(1.3, colour));
        }
        Icon::Restart => {
            let points: Vec<Pos2> = (0..=14)
                .map(|i| (0.9 + i as f32 * 0.36).sin_cos())
                .map(|(sin, cos)| at(0.68 * sin, -0.68 * cos))
                .collect();
            painter.add(Shape::line(points, line));
            fill(vec![at(-0.05, -1.0), at(0.5, -0.6), at(-0.05, -0.25)]);
        }
        Icon::Branch => {
            path(&[(-0.8, 0.0), (-0.2, 0.0), (0.35, -0.5)]);
            path(&[(-0.2, 0.0), (0.35, 0.5)]);
            fill(vec![at(0.25, -0.9), at(0.85, -0.75), at(0.6, -0.2)]);
            fill(vec![at(0.25, 0.9), at(0.85, 0.75), at(0.6, 0.2)]);
        }
        Icon::Camera => {
            let body = Rect::from_min_max(at(-0.8, -0.45), at(0.8, 0.65));
            painter.rect_stroke(body, CornerRadius::same(2), line, StrokeKind::Inside);
            painter.circle_stroke(at(0.0, 0.1), 0.28 * r, line);
            let bump = Rect::from_min_max(at(-0.3, -0.75), at(0.3, -0.4));
            painter.rect_filled(bump, CornerRadius::ZERO, colour);
        }
        Icon::Film => {
            painter.circle_filled(c, 0.6 * r, colour);
        }
        Icon::Hand => {
            path(&[(0.0, 0.8), (0.0, 0.2)]);
            path(&[(-0.55, -0.75), (-0.55, -0.1), (0.0, 0.2), (0.55, -0.1)]);
            path(&[(0.55, -0.1), (0.55, -0.75)]);
        }
    }
}

/// Draws a button with an icon, highlighted when `on`.
pub fn icon_button(ui: &mut Ui, icon: Icon, on: bool, enabled: bool, tip: &str) -> Response {
    let size = Vec2::splat(ui.spacing().interact_size.y + 2.0);
    let sense = if enabled {
        Sense::click()
    } else {
        Sense::hover()
    };
    let (rect, response) = ui.allocate_exact_size(size, sense);
    let visuals = if enabled {
        *ui.style().interact(&response)
    } else {
        ui.visuals().widgets.noninteractive
    };
    let (fill, line) = if enabled {
        (visuals.weak_bg_fill, visuals.bg_stroke)
    } else {
        (Color32::TRANSPARENT, Stroke::NONE)
    };
    ui.painter()
        .rect(rect, visuals.corner_radius, fill, line, StrokeKind::Inside);
    let colour = match (enabled, on) {
        (false, _) => WEAK.gamma_multiply(0.5),
        (true, true) => ACCENT,
        (true, false) => TEXT,
    };
    paint(ui.painter(), icon, rect.center(), 6.5, colour);
    response.on_hover_text(tip)
}

/// Draws an icon inline with text.
pub fn icon_label(ui: &mut Ui, icon: Icon, colour: Color32) -> Response {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(14.0), Sense::hover());
    paint(ui.painter(), icon, rect.center(), 6.0, colour);
    response
}

/// Draws a five-pointed star with outer radius `r`.
pub fn star(painter: &Painter, c: Pos2, r: f32, colour: Color32) {
    let ray = |i: usize, r: f32| {
        let (sin, cos) = (i as f32 * std::f32::consts::PI / 5.0).sin_cos();
        pos2(c.x + r * sin, c.y - r * cos)
    };
    for i in (0..10).step_by(2) {
        let points = vec![c, ray(i + 9, 0.42 * r), ray(i, r), ray(i + 1, 0.42 * r)];
        painter.add(Shape::convex_polygon(points, colour, Stroke::NONE));
    }
}
