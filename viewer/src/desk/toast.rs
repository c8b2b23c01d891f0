//! Short messages at the bottom of the scene that go away by themselves.

use super::style::{BAD, GOOD, PANEL, STRONG};
use bevy::platform::cell::SyncCell;
use bevy_egui::egui::{
    Align2, Area, Context, CornerRadius, Frame, Id, Label, Margin, Order, Rect, RichText, Stroke,
    vec2,
};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toast {
    /// Something is done.
    Done(String),
    /// Something went wrong.
    Failed(String),
}

/// Messages that are on show.
pub struct Toasts {
    tell: Sender<Toast>,
    told: SyncCell<Receiver<Toast>>,
    shown: Vec<(Toast, Instant)>,
}

impl Default for Toasts {
    fn default() -> Toasts {
        let (tell, told) = channel();
        Toasts {
            tell,
            told: SyncCell::new(told),
            shown: Vec::new(),
        }
    }
}

impl Toasts {
    /// Where other threads send messages.
    pub fn sender(&self) -> Sender<Toast> {
        self.tell.clone()
    }

    /// Shows a message.
    pub fn say(&mut self, toast: Toast) {
        self.shown.push((toast, Instant::now()));
    }

    /// Draws what is on show within a part of the window.
    pub fn show(&mut self, ctx: &Context, within: Rect) {
        let told = self.told.get();
        let now = Instant::now();
        self.shown.extend(told.try_iter().map(|t| (t, now)));
        self.shown.retain(|(toast, since)| {
            let stays = match toast {
                Toast::Done(_) => 5,
                Toast::Failed(_) => 10,
            };
            now.duration_since(*since) < Duration::from_secs(stays)
        });
        if self.shown.is_empty() {
            return;
        }
        let at = within.center_bottom() - vec2(0.0, 14.0);
        Area::new(Id::new("toasts"))
            .order(Order::Foreground)
            .interactable(false)
            .pivot(Align2::CENTER_BOTTOM)
            .fixed_pos(at)
            .show(ctx, |ui| {
                for (toast, _) in &self.shown {
                    let (words, colour) = match toast {
                        Toast::Done(words) => (words, GOOD),
                        Toast::Failed(words) => (words, BAD),
                    };
                    let plate = Frame::new()
                        .fill(PANEL)
                        .stroke(Stroke::new(1.0, colour))
                        .corner_radius(CornerRadius::same(6))
                        .inner_margin(Margin::symmetric(12, 7));
                    plate.show(ui, |ui| {
                        ui.set_max_width((within.width() - 60.0).max(120.0));
                        let text = RichText::new(words).color(STRONG);
                        ui.add(Label::new(text).wrap());
                    });
                }
            });
    }
}
