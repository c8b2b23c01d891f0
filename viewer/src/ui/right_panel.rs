//! Right panel: camera insets, goal predicates, plots.

use super::camera_insets::CameraInsets;
use super::plots::Plots;
use super::{goal_predicates, theme, timeline};
use crate::resources::VisibleLayers;
use crate::session::Session;
use bevy_egui::egui::{Panel, ScrollArea, Ui};

/// Draws the panel.
pub fn show(
    ui: &mut Ui,
    session: &mut Session,
    layers: &VisibleLayers,
    insets: &CameraInsets,
    plots: &mut Plots,
) {
    let window = ui.ctx().viewport_rect().size();
    // Camera images are 256 pixels wide: full size where there is space, else half.
    let side = if window.x >= 1800.0 && window.y >= 950.0 {
        256.0
    } else {
        128.0
    };
    let width = 2.0 * side + ui.spacing().item_spacing.x + 30.0;
    Panel::right("right")
        .exact_size(width)
        .resizable(false)
        .frame(theme::panel_frame())
        .show(ui, |ui| {
            let area = ScrollArea::vertical().id_salt("right").auto_shrink(false);
            area.show(ui, |ui| {
                let top = ui.cursor().top();
                let whole = ui.clip_rect().height() - 4.0;
                if layers.insets {
                    insets.show(ui, session, side);
                    ui.add_space(3.0);
                }
                ui.scope(|ui| goal_predicates::show(ui, session));
                if layers.plots {
                    ui.add_space(4.0);
                    let used = ui.cursor().top() - top;
                    // Two headings and the spacing between them.
                    let height = (0.5 * (whole - used - 56.0)).clamp(56.0, 240.0);
                    let seek =
                        ui.scope(|ui| plots.show(ui, session, timeline::range(session), height));
                    if let Some(step) = seek.inner {
                        session.seek(step.round());
                    }
                }
            });
        });
}
