//! The bottom of the window: buttons, and the track that one clicks or drags to go to a step.

use super::marks::{self, ROW, Scale};
use super::style::{self, ACCENT, LINE, PARTED, STRONG, TEXT, WEAK, WELL, pane_colour};
use super::transport::{self, Wish};
use super::words::mark_words;
use crate::pane::{Mode, Show};
use bevy_egui::egui::{
    Align2, CornerRadius, CursorIcon, FontId, Panel, Popup, PopupKind, Rect, RectAlign, Response,
    RichText, Sense, Shape, Stroke, TextWrapMode, Ui, pos2, vec2,
};

/// Height of the numbers under the marks.
const AXIS: f32 = 15.0;
/// Marks this near the mouse are spoken of, pixels.
const NEAR: f32 = 6.0;

/// The last step that the timeline shows.
pub fn range(show: &Show) -> f64 {
    let horizon = show.panes.iter().filter_map(|p| p.opening.as_ref());
    let horizon = horizon.map(|o| o.horizon).max().unwrap_or(1);
    let last = show.last();
    let steps = if show.mode != Mode::Live && show.over() && last > 0 {
        last
    } else {
        last.max(horizon)
    };
    steps as f64
}

/// Draws the panel; what a button asks for and cannot do itself is the answer.
pub fn show(ui: &mut Ui, show: &mut Show, filming: bool) -> Option<Wish> {
    let rows = show.panes.len().max(1) as f32;
    let height = 14.0 + 25.0 + 5.0 + rows * ROW + AXIS;
    Panel::bottom("timeline")
        .exact_size(height)
        .frame(style::panel_frame())
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 5.0;
            let wish = transport::show(ui, show, filming);
            track(ui, show, rows * ROW);
            wish
        })
        .inner
}

fn track(ui: &mut Ui, show: &mut Show, tall: f32) {
    let size = vec2(ui.available_width(), tall + AXIS);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
    let labels = if show.panes.len() == 2 {
        label_width(ui, show)
    } else {
        0.0
    };
    let well = Rect::from_min_max(
        pos2(rect.left() + labels, rect.top()),
        pos2(rect.right(), rect.top() + tall),
    );
    let scale = Scale {
        left: well.left() + 10.0,
        right: well.right() - 10.0,
        steps: range(show),
    };
    let painter = ui.painter();
    painter.rect_filled(well, CornerRadius::same(5), WELL);
    for (i, pane) in show.panes.iter().enumerate() {
        let top = well.top() + i as f32 * ROW;
        let done = Rect::from_min_max(
            pos2(scale.left, top + 1.5),
            pos2(scale.x(pane.track.last() as f64), top + ROW - 1.5),
        );
        painter.rect_filled(
            done,
            CornerRadius::same(3),
            style::BUTTON.gamma_multiply(0.75),
        );
        marks::paint_row(painter, pane, &scale, top);
        if labels > 0.0 {
            painter.text(
                pos2(rect.left(), top + 0.5 * ROW),
                Align2::LEFT_CENTER,
                &pane.who,
                FontId::proportional(12.0),
                pane_colour(i),
            );
        }
    }
    axis(ui, &scale, well.bottom());
    for step in [show.parting.bits, show.parting.places]
        .into_iter()
        .flatten()
    {
        let x = scale.x(step as f64);
        let line = [pos2(x, well.top()), pos2(x, well.bottom())];
        let stroke = Stroke::new(1.3, PARTED);
        painter.extend(Shape::dashed_line(&line, stroke, 3.0, 2.0));
    }
    playhead(ui, scale.x(show.at), &well);
    hover(ui, &response, show, &scale, &well);
    if (response.clicked() || response.dragged())
        && let Some(at) = response.interact_pointer_pos()
    {
        show.seek(scale.step(at.x).round());
    }
}

fn label_width(ui: &Ui, show: &Show) -> f32 {
    let width = |words: &str| {
        let font = FontId::proportional(12.0);
        let galley = ui.painter().layout_no_wrap(words.to_owned(), font, TEXT);
        galley.size().x
    };
    let widest = show.panes.iter().map(|p| width(&p.who)).fold(0.0, f32::max);
    widest + 10.0
}

fn axis(ui: &Ui, scale: &Scale, top: f32) {
    let painter = ui.painter();
    let per_step = (scale.right - scale.left) / scale.steps.max(1.0) as f32;
    let spacing = [1, 2, 5, 10, 20, 50, 100, 200, 500]
        .into_iter()
        .find(|s| *s as f32 * per_step >= 64.0)
        .unwrap_or(1000);
    let font = FontId::monospace(10.5);
    for step in (0..=scale.steps as usize).step_by(spacing) {
        let x = scale.x(step as f64);
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

fn playhead(ui: &Ui, x: f32, well: &Rect) {
    let painter = ui.painter();
    painter.vline(x, well.top()..=well.bottom(), Stroke::new(1.5, STRONG));
    let y = well.bottom();
    let points = vec![
        pos2(x, y - 4.0),
        pos2(x + 5.0, y + 3.0),
        pos2(x - 5.0, y + 3.0),
    ];
    painter.add(Shape::convex_polygon(points, ACCENT, Stroke::NONE));
}

/// Step, time and marks under the mouse.
fn hover(ui: &Ui, response: &Response, show: &Show, scale: &Scale, well: &Rect) {
    let Some(at) = response.hover_pos() else {
        return;
    };
    let step = scale.step(at.x).round();
    let painter = ui.painter();
    let x = scale.x(step);
    let line = Stroke::new(1.0, WEAK.gamma_multiply(0.7));
    painter.vline(x, well.top()..=well.bottom(), line);
    ui.ctx().set_cursor_icon(CursorIcon::PointingHand);
    let anchor = Rect::from_center_size(pos2(x, well.center().y), vec2(1.0, well.height()));
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
        let secs = step / crate::pane::CONTROL_HZ;
        ui.monospace(format!("step {step:.0}   {secs:.2} s"));
        for (word, parted) in transport::partings(show) {
            if (scale.x(parted as f64) - at.x).abs() <= NEAR {
                ui.colored_label(PARTED, word);
            }
        }
        let two = show.panes.len() == 2;
        for (i, pane) in show.panes.iter().enumerate() {
            if two
                && (at.y < well.top() + i as f32 * ROW || at.y > well.top() + (i + 1) as f32 * ROW)
            {
                continue;
            }
            let near = pane.track.marks().iter();
            let near = near.filter(|m| (scale.x(m.step as f64) - at.x).abs() <= NEAR);
            for mark in near {
                let words = mark_words(pane, mark.kind);
                let colour = if two { pane_colour(i) } else { TEXT };
                ui.label(RichText::new(format!("{:>4}  {words}", mark.step)).color(colour));
            }
        }
    });
}
