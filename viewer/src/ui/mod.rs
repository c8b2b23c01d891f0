//! User interface: panels, timeline, plots, insets, key bindings, screenshots and clips.
//!
//! Each frame lays out the panels and writes the remaining area to [`ViewportArea`]. Everything that moves the playhead
//! or changes an episode goes through [`Session`].

mod camera_insets;
mod capture;
mod catalogue;
mod clip;
mod episode_list;
mod goal_predicates;
mod help;
mod icons;
mod keyboard;
mod labels;
mod layer_toggles;
mod left_panel;
mod markers;
mod output_file;
mod overlay;
mod plots;
mod right_panel;
mod selection_panel;
mod state;
mod teleoperation;
mod theme;
mod timeline;
mod toast;
mod top_bar;
mod transport;

use crate::resources::{DisplayedParts, UpdateSet, ViewportArea, VisibleLayers};
use crate::session::Session;
use bevy::prelude::*;
use bevy_egui::egui::{self, LayerId, UiBuilder};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass, EguiUserTextures};
use state::UiState;
use transport::UiRequest;

/// Bevy plugin of the user interface.
pub struct UiPlugin;

impl Plugin for UiPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<UiState>()
            .add_systems(
                Update,
                (keyboard::handle_keys, keyboard::quit).in_set(UpdateSet::Input),
            )
            .add_systems(
                Update,
                (refresh_insets, capture::take_captures)
                    .chain()
                    .in_set(UpdateSet::Draw),
            )
            .add_systems(EguiPrimaryContextPass, draw);
    }
}

/// Updates the camera insets to the state at the playhead.
fn refresh_insets(
    mut ui_state: ResMut<UiState>,
    mut parts: ResMut<DisplayedParts>,
    session: Res<Session>,
    layers: Res<VisibleLayers>,
    mut images: ResMut<Assets<Image>>,
    mut textures: ResMut<EguiUserTextures>,
) {
    let visible = layers.insets && layers.panels;
    if visible {
        ui_state
            .camera_insets
            .refresh(&session, &mut images, &mut textures);
    }
    parts.insets_current = !visible || ui_state.camera_insets.is_current(&session);
}

/// Draws all panels.
fn draw(
    mut contexts: EguiContexts,
    mut ui_state: ResMut<UiState>,
    mut session: ResMut<Session>,
    mut layers: ResMut<VisibleLayers>,
    mut viewport_area: ResMut<ViewportArea>,
    mut parts: ResMut<DisplayedParts>,
) -> Result {
    let ctx = contexts.ctx_mut()?.clone();
    let (ui_state, session, layers) = (&mut *ui_state, &mut *session, &mut *layers);
    if !ui_state.theme_applied {
        ui_state.theme_applied = true;
        theme::apply(&ctx);
    }
    let mut ui = egui::Ui::new(
        ctx.clone(),
        "panels".into(),
        UiBuilder::new()
            .layer_id(LayerId::background())
            .max_rect(ctx.viewport_rect()),
    );
    top_bar::show(&mut ui, session);
    let recording = ui_state.clip.is_some();
    match timeline::show(&mut ui, session, recording) {
        Some(UiRequest::Screenshot) => ui_state.screenshot_requested = true,
        Some(UiRequest::ToggleClip) => ui_state.clip_toggle_requested = true,
        Some(UiRequest::ToggleHelp) => layers.help = !layers.help,
        None => {}
    }
    if layers.panels {
        left_panel::show(&mut ui, session, layers, ui_state);
        right_panel::show(
            &mut ui,
            session,
            layers,
            &ui_state.camera_insets,
            &mut ui_state.plots,
        );
    }
    let free = ui.available_rect_before_wrap();
    help::show(&ctx, layers);
    recording_indicator(&ctx, free, ui_state);
    ui_state.toasts.show(&ctx, free);
    let next = overlay::show(&ctx, free, session, &ui_state.teleoperation);
    viewport_area.set_if_neq(next);
    parts.toast_visible = ui_state.toasts.is_visible();
    parts.clip_open = ui_state.clip_open();
    parts.files_written = ui_state.toasts.done();
    ui_state.typing = ctx.text_edit_focused();
    if !ui_state.typing {
        // Keys are handled by the key bindings, not by the button that was clicked last.
        ctx.memory_mut(|memory| {
            if let Some(focused) = memory.focused() {
                memory.surrender_focus(focused);
            }
        });
    }
    Ok(())
}

/// Draws a red dot and the elapsed time while a clip is recorded.
fn recording_indicator(ctx: &egui::Context, free: egui::Rect, ui_state: &UiState) {
    let Some(clip) = &ui_state.clip else {
        return;
    };
    let painter = egui::Painter::new(ctx.clone(), LayerId::background(), free);
    let at = free.right_top() + egui::vec2(-18.0, 16.0);
    let text = format!("{:>4.1} s", clip.elapsed().as_secs_f64());
    let font = egui::FontId::monospace(13.0);
    let text = painter.layout_no_wrap(text, font, theme::BAD);
    let rect = egui::Align2::RIGHT_TOP.anchor_size(at, text.size());
    let dot = rect.left_center() - egui::vec2(11.0, 0.0);
    let plate = rect.union(egui::Rect::from_center_size(dot, egui::Vec2::splat(10.0)));
    let plate = plate.expand2(egui::vec2(8.0, 5.0));
    painter.rect_filled(plate, 6.0, theme::WELL.gamma_multiply(0.85));
    painter.galley(rect.min, text, theme::BAD);
    painter.circle_filled(dot, 5.0, theme::BAD);
}
