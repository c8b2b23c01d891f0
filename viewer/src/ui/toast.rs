//! Toasts: short messages above the timeline that disappear after some seconds.

use super::theme::{BAD, GOOD, PANEL, STRONG};
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
    /// Confirmation, shown for 5 s.
    Done(String),
    /// Error, shown for 10 s.
    Failed(String),
}

/// Queue of displayed messages.
pub struct Toasts {
    messages_tx: Sender<Toast>,
    messages_rx: SyncCell<Receiver<Toast>>,
    shown: Vec<(Toast, Instant)>,
    /// Number of confirmations so far.
    done: usize,
}

impl Default for Toasts {
    fn default() -> Toasts {
        let (messages_tx, messages_rx) = channel();
        Toasts {
            messages_tx,
            messages_rx: SyncCell::new(messages_rx),
            shown: Vec::new(),
            done: 0,
        }
    }
}

impl Toasts {
    /// Channel for messages of other threads.
    pub fn sender(&self) -> Sender<Toast> {
        self.messages_tx.clone()
    }

    /// Shows a message.
    pub fn show_message(&mut self, toast: Toast) {
        self.shown.push((toast, Instant::now()));
    }

    /// Number of confirmations so far: screenshots and clips that were written.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Returns true while a message is displayed.
    pub fn is_visible(&self) -> bool {
        !self.shown.is_empty()
    }

    /// Draws the messages at the bottom of `within`.
    pub fn show(&mut self, ctx: &Context, within: Rect) {
        let messages_rx = self.messages_rx.get();
        let now = Instant::now();
        let before = self.shown.len();
        self.shown.extend(messages_rx.try_iter().map(|t| (t, now)));
        let new = self.shown.iter().skip(before);
        self.done += new.filter(|(t, _)| matches!(t, Toast::Done(_))).count();
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
                    let (text, colour) = match toast {
                        Toast::Done(text) => (text, GOOD),
                        Toast::Failed(text) => (text, BAD),
                    };
                    let frame = Frame::new()
                        .fill(PANEL)
                        .stroke(Stroke::new(1.0, colour))
                        .corner_radius(CornerRadius::same(6))
                        .inner_margin(Margin::symmetric(12, 7));
                    frame.show(ui, |ui| {
                        ui.set_max_width((within.width() - 60.0).max(120.0));
                        let text = RichText::new(text).color(STRONG);
                        ui.add(Label::new(text).wrap());
                    });
                }
            });
    }
}
