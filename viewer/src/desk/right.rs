//! The right panel: what the policy sees, what of the goal holds, and what the arm feels.

use super::insets::Insets;
use super::plots::Plots;
use super::{predicates, style, timeline};
use crate::app::Layers;
use crate::pane::Show;
use bevy_egui::egui::{Panel, ScrollArea, Ui};

/// Draws the panel.
pub fn show(ui: &mut Ui, show: &mut Show, layers: &Layers, insets: &Insets, plots: &mut Plots) {
    let window = ui.ctx().viewport_rect().size();
    // Camera images are 256 pixels wide: whole where there is room, else halved.
    let side = if window.x >= 1800.0 && window.y >= 950.0 {
        256.0
    } else {
        128.0
    };
    let width = 2.0 * side + ui.spacing().item_spacing.x + 30.0;
    Panel::right("right")
        .exact_size(width)
        .resizable(false)
        .frame(style::panel_frame())
        .show(ui, |ui| {
            let area = ScrollArea::vertical().id_salt("right").auto_shrink(false);
            area.show(ui, |ui| {
                let top = ui.cursor().top();
                let whole = ui.clip_rect().height() - 4.0;
                if layers.insets {
                    insets.show(ui, show, side);
                    ui.add_space(3.0);
                }
                ui.scope(|ui| predicates::show(ui, show));
                if layers.plots {
                    ui.add_space(4.0);
                    let used = ui.cursor().top() - top;
                    // Two headings and the gaps between.
                    let tall = (0.5 * (whole - used - 56.0)).clamp(56.0, 240.0);
                    let seek = ui.scope(|ui| plots.show(ui, show, timeline::range(show), tall));
                    if let Some(step) = seek.inner {
                        show.seek(step.round());
                    }
                }
            });
        });
}
