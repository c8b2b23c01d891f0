//! The flat part of the window: panels, timeline, plots, insets, keys, screenshots and clips.
//!
//! Each frame lays the panels out and gives what they leave to [`Canvas`]; all that moves time or changes an
//! episode goes through [`Show`].

mod canvas;
mod capture;
mod catalogue;
mod chooser;
mod clip;
mod drive;
mod episodes;
mod help;
mod icons;
mod insets;
mod keys;
mod layers;
mod left;
mod marks;
mod plots;
mod predicates;
mod right;
mod style;
mod timeline;
mod toast;
mod top;
mod transport;
mod words;

use crate::app::{Canvas, Layers, Step};
use crate::pane::Show;
use bevy::prelude::*;
use bevy_egui::egui::{self, LayerId, UiBuilder};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass, EguiUserTextures};
use std::thread::JoinHandle;
use transport::Wish;

/// Everything that is drawn flat, and what hands do.
pub struct DeskPlugin;

impl Plugin for DeskPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<Desk>()
            .add_systems(Update, (keys::hands, keys::leave).in_set(Step::Hands))
            .add_systems(
                Update,
                (refresh_insets, capture::take).chain().in_set(Step::Draw),
            )
            .add_systems(EguiPrimaryContextPass, draw);
    }
}

/// What the left panel shows where runs are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Tab {
    #[default]
    Episodes,
    Live,
}

/// What the flat part remembers from frame to frame.
#[derive(Resource, Default)]
struct Desk {
    styled: bool,
    /// Whether a text field has the keyboard.
    typing: bool,
    tab: Tab,
    chooser: chooser::Chooser,
    episodes: episodes::Episodes,
    insets: insets::Insets,
    plots: plots::Plots,
    drive: drive::Drive,
    toasts: toast::Toasts,
    wish_shot: bool,
    wish_clip: bool,
    clip: Option<clip::Clip>,
    /// Threads that still write a clip.
    writing: Vec<JoinHandle<()>>,
}

impl Desk {
    fn filming_ended(&mut self, clip: clip::Clip) {
        self.writing.retain(|thread| !thread.is_finished());
        self.writing.push(clip.end());
    }
}

impl Drop for Desk {
    /// A clip that is still being written when the window closes is finished first.
    fn drop(&mut self) {
        if let Some(clip) = self.clip.take() {
            self.filming_ended(clip);
        }
        for thread in self.writing.drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

fn refresh_insets(
    mut desk: ResMut<Desk>,
    show: Res<Show>,
    layers: Res<Layers>,
    mut images: ResMut<Assets<Image>>,
    mut textures: ResMut<EguiUserTextures>,
) {
    if layers.insets && layers.panels {
        desk.insets.refresh(&show, &mut images, &mut textures);
    }
}

fn draw(
    mut contexts: EguiContexts,
    mut desk: ResMut<Desk>,
    mut show: ResMut<Show>,
    mut layers: ResMut<Layers>,
    mut canvas: ResMut<Canvas>,
) -> Result {
    let ctx = contexts.ctx_mut()?.clone();
    let (desk, show, layers) = (&mut *desk, &mut *show, &mut *layers);
    if !desk.styled {
        desk.styled = true;
        style::apply(&ctx);
    }
    let mut ui = egui::Ui::new(
        ctx.clone(),
        "desk".into(),
        UiBuilder::new()
            .layer_id(LayerId::background())
            .max_rect(ctx.viewport_rect()),
    );
    top::show(&mut ui, show);
    let filming = desk.clip.is_some();
    match timeline::show(&mut ui, show, filming) {
        Some(Wish::Shot) => desk.wish_shot = true,
        Some(Wish::Clip) => desk.wish_clip = true,
        Some(Wish::Help) => layers.help = !layers.help,
        None => {}
    }
    if layers.panels {
        left::show(&mut ui, show, layers, desk);
        right::show(&mut ui, show, layers, &desk.insets, &mut desk.plots);
    }
    let free = ui.available_rect_before_wrap();
    help::show(&ctx, layers);
    filming_sign(&ctx, free, desk);
    desk.toasts.show(&ctx, free);
    let next = canvas::show(&ctx, free, show, &desk.drive);
    canvas.set_if_neq(next);
    desk.typing = ctx.text_edit_focused();
    if !desk.typing {
        // Keys belong to the window, not to the button that was clicked last.
        ctx.memory_mut(|memory| {
            if let Some(focused) = memory.focused() {
                memory.surrender_focus(focused);
            }
        });
    }
    Ok(())
}

/// That a clip is being made, and for how long.
fn filming_sign(ctx: &egui::Context, free: egui::Rect, desk: &Desk) {
    let Some(clip) = &desk.clip else {
        return;
    };
    let painter = egui::Painter::new(ctx.clone(), LayerId::background(), free);
    let at = free.right_top() + egui::vec2(-18.0, 16.0);
    let words = format!("{:>4.1} s", clip.elapsed().as_secs_f64());
    let font = egui::FontId::monospace(13.0);
    let text = painter.layout_no_wrap(words, font, style::BAD);
    let rect = egui::Align2::RIGHT_TOP.anchor_size(at, text.size());
    let dot = rect.left_center() - egui::vec2(11.0, 0.0);
    let plate = rect.union(egui::Rect::from_center_size(dot, egui::Vec2::splat(10.0)));
    let plate = plate.expand2(egui::vec2(8.0, 5.0));
    painter.rect_filled(plate, 6.0, style::WELL.gamma_multiply(0.85));
    painter.galley(rect.min, text, style::BAD);
    painter.circle_filled(dot, 5.0, style::BAD);
}
