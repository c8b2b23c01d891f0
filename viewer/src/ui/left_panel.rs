//! Left panel: the episode list of loaded runs or the selection of a live episode, above the layer toggles.

use super::layer_toggles;
use super::selection_panel::policy_combo;
use super::state::{Tab, UiState};
use super::theme::{self, WEAK};
use super::toast::Toast;
use crate::resources::VisibleLayers;
use crate::session::{Session, SessionMode};
use bevy_egui::egui::{Button, Panel, RichText, Ui, vec2};

/// Draws the panel.
pub fn show(
    ui: &mut Ui,
    session: &mut Session,
    layers: &mut VisibleLayers,
    ui_state: &mut UiState,
) {
    let wide = ui.ctx().viewport_rect().width() >= 1600.0;
    Panel::left("left")
        .exact_size(if wide { 320.0 } else { 256.0 })
        .resizable(false)
        .frame(theme::panel_frame())
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
                .show(ui, |ui| layer_toggles::show(ui, layers));
            if !session.runs.is_empty() {
                tabs(ui, &mut ui_state.tab);
            }
            if session.runs.is_empty() || ui_state.tab == Tab::Live {
                ui_state.selection_panel.show(ui, session);
                return;
            }
            let offers_takeover = session.mode == SessionMode::Recorded;
            let below = if offers_takeover { 34.0 } else { 0.0 };
            if let Some(text) = ui_state.episode_list.show(ui, session, below) {
                ui_state.toasts.show_message(Toast::Failed(text));
            }
            if offers_takeover {
                takeover_row(ui, session, ui_state);
            }
        });
}

fn tabs(ui: &mut Ui, tab: &mut Tab) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        let width = 0.5 * (ui.available_width() - 4.0);
        for (this, name, tip) in [
            (Tab::Episodes, "Recorded", "Episodes of the opened runs"),
            (
                Tab::Live,
                "Live",
                "Episodes simulated while they are displayed",
            ),
        ] {
            let button = Button::selectable(*tab == this, name).min_size(vec2(width, 25.0));
            if ui.add(button).on_hover_text(tip).clicked() {
                *tab = this;
            }
        }
    });
}

/// Draws the button that continues a recording live, and the policy to continue with.
fn takeover_row(ui: &mut Ui, session: &mut Session, ui_state: &mut UiState) {
    ui.horizontal(|ui| {
        let go = ui.button("Continue live").on_hover_text(
            "Leaves the recording at the displayed step; the policy at the right takes over (C)",
        );
        ui.label(RichText::new("with").color(WEAK));
        let policies = &ui_state.selection_panel.catalogue(session).policies;
        let mut chosen = session.selection.policy.clone();
        policy_combo(ui, "take over", policies, &mut chosen);
        session.selection.policy = chosen;
        if go.clicked() {
            session.continue_live();
        }
    });
}
