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
mod overlay;
mod plots;
mod right_panel;
mod selection_panel;
mod teleoperation;
mod theme;
mod timeline;
mod toast;
mod top_bar;
mod transport;

use crate::app::{UpdateSet, ViewportArea, VisibleLayers};
use crate::session::Session;
use bevy::prelude::*;
use bevy_egui::egui::{self, LayerId, UiBuilder};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass, EguiUserTextures};
use std::thread::JoinHandle;
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

/// Tab of the left panel, shown when runs are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Tab {
    #[default]
    Episodes,
    Live,
}

/// State of the user interface that persists between frames.
#[derive(Resource, Default)]
struct UiState {
    theme_applied: bool,
    /// True while a text field has keyboard focus.
    typing: bool,
    tab: Tab,
    selection_panel: selection_panel::SelectionPanel,
    episode_list: episode_list::EpisodeList,
    camera_insets: camera_insets::CameraInsets,
    plots: plots::Plots,
    teleoperation: teleoperation::KeyboardTeleop,
    toasts: toast::Toasts,
    screenshot_requested: bool,
    clip_toggle_requested: bool,
    clip: Option<clip::Clip>,
    /// Encoder threads that are still writing a clip.
    clip_writers: Vec<JoinHandle<()>>,
}

impl UiState {
    fn finish_clip(&mut self, clip: clip::Clip) {
        self.clip_writers.retain(|thread| !thread.is_finished());
        self.clip_writers.push(clip.end());
    }
}

impl Drop for UiState {
    /// Waits for clips that are still being written.
    fn drop(&mut self) {
        if let Some(clip) = self.clip.take() {
            self.finish_clip(clip);
        }
        for thread in self.clip_writers.drain(..) {
            // The message of a panic is on standard error.
            let _ = thread.join();
        }
    }
}

fn refresh_insets(
    mut ui_state: ResMut<UiState>,
    session: Res<Session>,
    layers: Res<VisibleLayers>,
    mut images: ResMut<Assets<Image>>,
    mut textures: ResMut<EguiUserTextures>,
) {
    if layers.insets && layers.panels {
        ui_state
            .camera_insets
            .refresh(&session, &mut images, &mut textures);
    }
}

fn draw(
    mut contexts: EguiContexts,
    mut ui_state: ResMut<UiState>,
    mut session: ResMut<Session>,
    mut layers: ResMut<VisibleLayers>,
    mut viewport_area: ResMut<ViewportArea>,
) -> Result {
    let ctx = contexts.ctx_mut()?.clone();
    let (ui_state, session, layers) = (&mut *ui_state, &mut *session, &mut *layers);
    if !ui_state.theme_applied {
        ui_state.theme_applied = true;
        theme::apply(&ctx);
    }
    let mut ui = egui::Ui::new(
        ctx.clone(),
        "desk".into(),
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
