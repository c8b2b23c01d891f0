//! Insets of the policy's two camera images at the playhead: pixel-identical to the observation, shown as textures.

use super::theme::{WEAK, WELL, episode_colour, section};
use crate::playback::{CameraImageRenderer, RenderedImages, StepState};
use crate::session::{EpisodePlayback, Session};
use bevy::asset::RenderAssetUsages;
use bevy::image::ImageSampler;
use bevy::platform::cell::SyncCell;
use bevy::prelude::*;
use bevy::render::render_resource::{Extent3d, TextureDimension, TextureFormat};
use bevy_egui::{EguiTextureHandle, EguiUserTextures, egui};
use bitvla_sim::render::CameraImage;
use egui::{Align2, Color32, CornerRadius, FontId, Rect, RichText, Sense, TextureId, pos2, vec2};
use std::sync::Arc;

/// Camera insets of every displayed episode.
#[derive(Default)]
pub struct CameraInsets {
    slots: [InsetSlot; 2],
}

/// Camera insets of one episode.
#[derive(Default)]
struct InsetSlot {
    renderer: Option<SyncCell<CameraImageRenderer>>,
    /// Episode id and state that were requested last.
    requested: Option<(u64, Arc<StepState>)>,
    /// Episode id and state that the textures show.
    shown: Option<(u64, Arc<StepState>)>,
    textures: [Option<InsetTexture>; 2],
    failed: Option<String>,
}

struct InsetTexture {
    image: Handle<Image>,
    id: TextureId,
    size: UVec2,
}

impl CameraInsets {
    /// Requests images of the step at the playhead where they are missing, and uploads finished ones.
    pub fn refresh(
        &mut self,
        session: &Session,
        images: &mut Assets<Image>,
        textures: &mut EguiUserTextures,
    ) {
        for (slot, episode) in self.slots.iter_mut().zip(&session.episodes) {
            slot.refresh(episode, session.playhead, images, textures);
        }
    }

    /// Returns true if the textures of every episode show the state at the playhead.
    pub fn is_current(&self, session: &Session) -> bool {
        let slots = self.slots.iter().zip(&session.episodes);
        slots
            .filter(|(slot, episode)| slot.failed.is_none() && episode.failed.is_none())
            .all(|(slot, episode)| {
                let shown = slot.shown.as_ref().filter(|(of, _)| *of == episode.id);
                let at_playhead = episode.state_at(session.playhead);
                shown
                    .zip(at_playhead)
                    .is_some_and(|((_, a), b)| Arc::ptr_eq(a, b))
            })
    }

    /// Draws the images of all episodes, each `side` logical pixels high.
    pub fn show(&self, ui: &mut egui::Ui, session: &Session, side: f32) {
        section(ui, "AS THE POLICY GETS IT");
        let two = session.episodes.len() == 2;
        for (index, (slot, episode)) in self.slots.iter().zip(&session.episodes).enumerate() {
            slot.show(ui, episode, two.then_some(index), side);
        }
    }
}

impl InsetSlot {
    fn refresh(
        &mut self,
        episode: &EpisodePlayback,
        at: f64,
        images: &mut Assets<Image>,
        textures: &mut EguiUserTextures,
    ) {
        let (Some(scene), Some(step_state)) = (episode.scene(), episode.state_at(at)) else {
            return;
        };
        if self.renderer.is_none() && self.failed.is_none() {
            match CameraImageRenderer::start() {
                Ok(renderer) => self.renderer = Some(SyncCell::new(renderer)),
                Err(error) => self.failed = Some(format!("no thread: {error}")),
            }
        }
        let Some(renderer) = &mut self.renderer else {
            return;
        };
        let renderer = renderer.get();
        let requested = self.requested.as_ref();
        if requested.is_none_or(|(of, m)| *of != episode.id || !Arc::ptr_eq(m, step_state)) {
            self.requested = Some((episode.id, step_state.clone()));
            renderer.request(episode.id, scene, step_state);
        }
        match renderer.take() {
            Some(Ok(rendered)) if rendered.scene == episode.id => {
                self.update_textures(&rendered, images, textures);
            }
            Some(Err(error)) => self.failed = Some(error.to_string()),
            _ => {}
        }
    }

    fn update_textures(
        &mut self,
        rendered: &RenderedImages,
        images: &mut Assets<Image>,
        textures: &mut EguiUserTextures,
    ) {
        self.failed = None;
        self.shown = Some((rendered.scene, rendered.step_state.clone()));
        let views = [&rendered.images.agentview, &rendered.images.wrist];
        for (texture, frame) in self.textures.iter_mut().zip(views) {
            let size = UVec2::new(frame.width as u32, frame.height as u32);
            if let Some(texture) = texture.as_ref().filter(|t| t.size == size)
                && let Some(mut image) = images.get_mut(&texture.image)
                && let Some(data) = &mut image.data
            {
                copy(frame, data);
                continue;
            }
            if let Some(old) = texture.take() {
                textures.remove_image(&old.image);
            }
            let image = images.add(image_of(frame));
            let handle = EguiTextureHandle::Strong(image.clone());
            *texture = Some(InsetTexture {
                id: textures.add_image(handle),
                image,
                size,
            });
        }
    }

    fn show(&self, ui: &mut egui::Ui, episode: &EpisodePlayback, index: Option<usize>, side: f32) {
        let shown = self.shown.as_ref();
        let shown = shown.filter(|(of, _)| *of == episode.id);
        let (row, _) = ui.allocate_exact_size(
            vec2(2.0 * side + ui.spacing().item_spacing.x, side + 17.0),
            Sense::hover(),
        );
        let painter = ui.painter();
        let small = FontId::proportional(11.5);
        for (place, (texture, name)) in self.textures.iter().zip(["agentview", "wrist"]).enumerate()
        {
            let left = row.left() + place as f32 * (side + ui.spacing().item_spacing.x);
            // Whole pixels, so that texels are not resampled.
            let corner = pos2(left.round(), row.top().round());
            let rect = Rect::from_min_size(corner, egui::Vec2::splat(side));
            painter.rect_filled(rect, CornerRadius::ZERO, WELL);
            match texture {
                Some(texture) if shown.is_some() => {
                    let (wide, high) = (texture.size.x as f32, texture.size.y as f32);
                    let scale = side / wide.max(high).max(1.0);
                    let size = vec2(wide * scale, high * scale);
                    let inner = Rect::from_center_size(rect.center(), size);
                    let uv = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
                    painter.image(texture.id, inner, uv, Color32::WHITE);
                }
                _ => {
                    let text = if self.failed.is_some() {
                        "error"
                    } else {
                        "..."
                    };
                    let c = rect.center();
                    painter.text(c, Align2::CENTER_CENTER, text, small.clone(), WEAK);
                }
            }
            let mut at = pos2(rect.left() + 1.0, rect.bottom() + 9.0);
            if let (Some(index), 0) = (index, place) {
                let colour = episode_colour(index);
                let font = small.clone();
                let name = painter.text(at, Align2::LEFT_CENTER, &episode.name, font, colour);
                at.x = name.right() + 6.0;
            }
            painter.text(at, Align2::LEFT_CENTER, name, small.clone(), WEAK);
            if let (Some((_, state)), 1) = (shown, place) {
                let at = pos2(rect.right(), rect.bottom() + 9.0);
                let text = format!("step {}", state.step);
                let mono = FontId::monospace(11.0);
                painter.text(at, Align2::RIGHT_CENTER, text, mono, WEAK);
            }
        }
        let response = ui.interact(row, ui.id().with(("inset", index)), Sense::hover());
        response.on_hover_ui(|ui| {
            ui.label(
                "agentview and wrist, byte by byte what the policy is given at this step: drawn by the CPU renderer, \
                 mirrored left to right as in the training data.",
            );
            if let Some(reason) = &self.failed {
                ui.label(RichText::new(reason).color(super::theme::BAD));
            }
        });
    }
}

fn copy(frame: &CameraImage, data: &mut [u8]) {
    for (to, from) in data.chunks_exact_mut(4).zip(frame.rgb.chunks_exact(3)) {
        if let ([r, g, b, _], [fr, fg, fb]) = (to, from) {
            (*r, *g, *b) = (*fr, *fg, *fb);
        }
    }
}

fn image_of(frame: &CameraImage) -> Image {
    let size = Extent3d {
        width: frame.width as u32,
        height: frame.height as u32,
        depth_or_array_layers: 1,
    };
    let mut data = vec![255; 4 * frame.width * frame.height];
    copy(frame, &mut data);
    let mut image = Image::new(
        size,
        TextureDimension::D2,
        data,
        TextureFormat::Rgba8UnormSrgb,
        RenderAssetUsages::MAIN_WORLD | RenderAssetUsages::RENDER_WORLD,
    );
    // At half size every pixel is the mean of four; at full size it is the pixel itself.
    image.sampler = ImageSampler::linear();
    image
}
