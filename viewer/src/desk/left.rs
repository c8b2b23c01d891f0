//! The left panel: episodes of a run, or what to play live; below them what is drawn.

use super::chooser::policy_combo;
use super::style::{self, WEAK};
use super::toast::Toast;
use super::{Desk, Tab, layers};
use crate::app::Layers;
use crate::pane::{Mode, Show};
use bevy_egui::egui::{Button, Panel, RichText, Ui, vec2};

/// Draws the panel.
pub fn show(ui: &mut Ui, show: &mut Show, switches: &mut Layers, desk: &mut Desk) {
    let wide = ui.ctx().viewport_rect().width() >= 1600.0;
    Panel::left("left")
        .exact_size(if wide { 320.0 } else { 256.0 })
        .resizable(false)
        .frame(style::panel_frame())
        .show(ui, |ui| {
            Panel::bottom("layers")
                .exact_size(126.0)
                .resizable(false)
                .frame(
                    bevy_egui::egui::Frame::new().inner_margin(bevy_egui::egui::Margin {
                        top: 7,
                        ..Default::default()
                    }),
                )
                .show(ui, |ui| layers::show(ui, switches));
            if !show.runs.is_empty() {
                tabs(ui, &mut desk.tab);
            }
            if show.runs.is_empty() || desk.tab == Tab::Live {
                desk.chooser.show(ui, show);
                return;
            }
            let takes_over = show.mode == Mode::Recorded;
            let below = if takes_over { 34.0 } else { 0.0 };
            if let Some(words) = desk.episodes.show(ui, show, below) {
                desk.toasts.say(Toast::Failed(words));
            }
            if takes_over {
                take_over(ui, show, desk);
            }
        });
}

fn tabs(ui: &mut Ui, tab: &mut Tab) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        let width = 0.5 * (ui.available_width() - 4.0);
        for (this, name, tip) in [
            (Tab::Episodes, "Recorded", "Episodes of the opened runs"),
            (Tab::Live, "Live", "Play something while watching"),
        ] {
            let button = Button::selectable(*tab == this, name).min_size(vec2(width, 25.0));
            if ui.add(button).on_hover_text(tip).clicked() {
                *tab = this;
            }
        }
    });
}

/// Who goes on where a recording is left.
fn take_over(ui: &mut Ui, show: &mut Show, desk: &mut Desk) {
    ui.horizontal(|ui| {
        let go = ui.button("Go on live").on_hover_text(
            "Leaves the recording at the step on show; the policy at the right takes over (C)",
        );
        ui.label(RichText::new("with").color(WEAK));
        let policies = &desk.chooser.catalogue(show).policies;
        let mut chosen = show.choice.policy;
        policy_combo(ui, "take over", policies, &mut chosen);
        show.choice.policy = chosen;
        if go.clicked() {
            show.resume_here();
        }
    });
}
