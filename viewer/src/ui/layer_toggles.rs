//! Toggles of the visible layers in the left panel, each with its key.

use super::theme::{ACCENT, BUTTON, LINE, STRONG, TEXT, WEAK, section};
use crate::resources::VisibleLayers;
use bevy_egui::egui::{Align2, CornerRadius, FontId, Sense, Stroke, StrokeKind, Ui, pos2, vec2};

/// Key, name, tooltip and accessor of a layer.
type LayerToggle = (
    &'static str,
    &'static str,
    &'static str,
    fn(&mut VisibleLayers) -> &mut bool,
);

/// All toggles in the order of their keys.
pub const LAYER_TOGGLES: [LayerToggle; 8] = [
    (
        "1",
        "collision",
        "Collision shapes over the visual ones",
        |l| &mut l.collision,
    ),
    ("2", "contacts", "Contact points and their forces", |l| {
        &mut l.contacts
    }),
    (
        "3",
        "frames",
        "Axes of the joints and the frame of the hand",
        |l| &mut l.frames,
    ),
    ("4", "trail", "Past path of the end effector", |l| {
        &mut l.trail
    }),
    (
        "5",
        "chunk",
        "Predicted path of the policy's action chunk",
        |l| &mut l.chunk,
    ),
    ("6", "regions", "Regions of the goal", |l| &mut l.regions),
    ("7", "insets", "The policy's two camera images", |l| {
        &mut l.insets
    }),
    ("8", "plots", "Joint torques and gripper width", |l| {
        &mut l.plots
    }),
];

/// Draws the toggles in two columns.
pub fn show(ui: &mut Ui, layers: &mut VisibleLayers) {
    section(ui, "SHOW");
    ui.spacing_mut().item_spacing = vec2(6.0, 3.0);
    let width = 0.5 * (ui.available_width() - 6.0);
    for pair in LAYER_TOGGLES.chunks(2) {
        ui.horizontal(|ui| {
            for (key, name, tip, of) in pair {
                toggle(ui, width, key, name, of(layers), tip);
            }
        });
    }
}

fn toggle(ui: &mut Ui, width: f32, key: &str, name: &str, on: &mut bool, tip: &str) {
    let (rect, response) = ui.allocate_exact_size(vec2(width, 22.0), Sense::click());
    if response.clicked() {
        *on = !*on;
    }
    let painter = ui.painter();
    if response.hovered() {
        painter.rect_filled(rect, CornerRadius::same(4), BUTTON);
    }
    let cap = bevy_egui::egui::Rect::from_min_size(rect.min + vec2(3.0, 3.0), vec2(17.0, 16.0));
    let (fill, line, text) = if *on {
        (ACCENT.gamma_multiply(0.35), ACCENT, STRONG)
    } else {
        (BUTTON, LINE, WEAK)
    };
    let line = Stroke::new(1.0, line);
    painter.rect(cap, CornerRadius::same(3), fill, line, StrokeKind::Inside);
    painter.text(
        cap.center(),
        Align2::CENTER_CENTER,
        key,
        FontId::monospace(11.0),
        text,
    );
    let colour = if *on { TEXT } else { WEAK };
    let at = pos2(cap.right() + 7.0, rect.center().y);
    painter.text(
        at,
        Align2::LEFT_CENTER,
        name,
        FontId::proportional(13.0),
        colour,
    );
    response.on_hover_text(format!("{tip} (key {key})"));
}
