//! Buttons above the timeline, and what its marks mean.

use super::icons::{Icon, icon_button, star};
use super::marks;
use super::style::{ACCENT, CARE, GOOD, PARTED, TEXT, WEAK};
use crate::pane::{Mode, Show};
use bevy_egui::egui::{
    Align, ComboBox, CornerRadius, Layout, Painter, Pos2, Rect, RichText, Sense, Stroke, Ui, vec2,
};

/// Speeds of the menu, and of the keys that go through it.
pub const SPEEDS: [f64; 7] = [0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0];

/// What a button asks for beyond the show itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// A picture of the window.
    Shot,
    /// To begin or end a clip.
    Clip,
    /// The list of keys.
    Help,
}

/// The next speed up or down.
pub fn next_speed(speed: f64, up: bool) -> f64 {
    let next = if up {
        SPEEDS.iter().find(|s| **s > speed + 1e-9)
    } else {
        SPEEDS.iter().rev().find(|s| **s < speed - 1e-9)
    };
    next.copied().unwrap_or(speed)
}

/// Where compared episodes part, in words.
pub fn partings(show: &Show) -> impl Iterator<Item = (String, usize)> {
    let bits = show.parting.bits;
    let places = show.parting.places;
    let bits = bits.map(|n| (format!("bits differ from step {n}"), n));
    let places = places.map(|n| (format!("places part by 1 cm at step {n}"), n));
    bits.into_iter().chain(places)
}

/// Draws the buttons.
pub fn show(ui: &mut Ui, show: &mut Show, filming: bool) -> Option<Wish> {
    let mut wish = None;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        movement(ui, show);
        speed_menu(ui, show);
        ui.add_space(8.0);
        deeds(ui, show);
        ui.add_space(8.0);
        let tip = "Picture of the window (F12)";
        if icon_button(ui, Icon::Camera, false, true, tip).clicked() {
            wish = Some(Wish::Shot);
        }
        let tip = if filming {
            "End the clip (F10)"
        } else {
            "Begin a clip, an animated GIF of at most 30 s (F10)"
        };
        if icon_button(ui, Icon::Film, filming, true, tip).clicked() {
            wish = Some(Wish::Clip);
        }
        let help = ui.add(bevy_egui::egui::Button::new("?").min_size(vec2(25.0, 25.0)));
        if help.on_hover_text("All keys (F1)").clicked() {
            wish = Some(Wish::Help);
        }
        ui.add_space(6.0);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| legend(ui, show));
    });
    wish
}

fn movement(ui: &mut Ui, show: &mut Show) {
    if icon_button(ui, Icon::Start, false, true, "To the start (Home)").clicked() {
        show.seek(0.0);
    }
    if icon_button(
        ui,
        Icon::Back,
        false,
        true,
        "One step back (Left, Shift for 10)",
    )
    .clicked()
    {
        show.step(-1);
    }
    let (icon, tip) = if show.playing {
        (Icon::Pause, "Pause (Space)")
    } else {
        (Icon::Play, "Play (Space)")
    };
    if icon_button(ui, icon, true, true, tip).clicked() {
        toggle(show);
    }
    let tip = "One step forward (Right, Shift for 10)";
    if icon_button(ui, Icon::Forward, false, true, tip).clicked() {
        show.step(1);
    }
    if icon_button(ui, Icon::End, false, true, "To the end (End)").clicked() {
        show.seek(show.last() as f64);
    }
}

/// Plays the episode on show from its start.
pub fn restart(show: &mut Show) {
    show.playing = true;
    show.restart();
}

/// Play or pause.
pub fn toggle(show: &mut Show) {
    if show.playing {
        show.pause();
    } else {
        show.play();
    }
}

fn speed_menu(ui: &mut Ui, show: &mut Show) {
    let words = |speed: f64| RichText::new(format!("{speed}x")).monospace();
    ComboBox::from_id_salt("speed")
        .width(70.0)
        .selected_text(words(show.speed))
        .show_ui(ui, |ui| {
            for speed in SPEEDS {
                let chosen = (show.speed - speed).abs() < 1e-9;
                if ui.selectable_label(chosen, words(speed)).clicked() {
                    show.set_speed(speed);
                }
            }
        })
        .response
        .on_hover_text("Multiple of real time (Up, Down)");
}

fn deeds(ui: &mut Ui, show: &mut Show) {
    let tip = "From the start again (R)";
    if icon_button(ui, Icon::Restart, false, true, tip).clicked() {
        restart(show);
    }
    let tip = match show.mode {
        Mode::Live => "Forget what came after this step and go on from it (C)".to_owned(),
        Mode::Recorded => format!(
            "Go on live from this step; {} takes over (C)",
            show.choice.policy.name()
        ),
        Mode::Compare => "Two compared episodes cannot be gone on from".to_owned(),
    };
    if icon_button(ui, Icon::Branch, false, show.mode != Mode::Compare, &tip).clicked() {
        show.resume_here();
    }
    let live = show.mode == Mode::Live;
    let tip = match (live, show.driving) {
        (true, true) => "Give the arm back to the policy (K)",
        (true, false) => "Take the arm: drive it with keys (K)",
        (false, _) => "Only a live episode can be driven (C makes a recorded one live)",
    };
    if icon_button(ui, Icon::Hand, show.driving, live, tip).clicked() {
        show.drive(!show.driving);
    }
}

/// A sign of the legend: its words, and what draws it.
type Sign = (&'static str, fn(&Painter, Pos2));

const SIGNS: [Sign; 7] = [
    ("success", |p, c| star(p, c, 7.0, GOOD)),
    ("false", |p, c| marks::fact(p, c, false)),
    ("predicate true", |p, c| marks::fact(p, c, true)),
    ("opens", |p, c| marks::gripper(p, c, false)),
    ("gripper closes", |p, c| marks::gripper(p, c, true)),
    ("contact", |p, c| {
        let bar = Rect::from_center_size(c, vec2(11.0, 4.0));
        p.rect_filled(bar, CornerRadius::same(1), CARE.gamma_multiply(0.7));
    }),
    ("query", |p, c| {
        p.vline(c.x, c.y - 4.0..=c.y + 4.0, Stroke::new(1.2, ACCENT));
    }),
];

/// What the marks mean, from the right; words only where they fit.
fn legend(ui: &mut Ui, show: &mut Show) {
    ui.spacing_mut().item_spacing.x = 4.0;
    let parted: Vec<(String, usize)> = partings(show).collect();
    let need = 470.0 + 190.0 * parted.len() as f32;
    if ui.available_width() >= need {
        for (words, draw) in SIGNS {
            ui.label(RichText::new(words).size(12.0).color(WEAK));
            let (rect, _) = ui.allocate_exact_size(vec2(14.0, 16.0), Sense::hover());
            draw(ui.painter(), rect.center());
            ui.add_space(3.0);
        }
    } else {
        let label = ui.label(RichText::new("marks").size(12.0).color(WEAK).underline());
        label.on_hover_ui(|ui| {
            for (words, draw) in SIGNS.iter().rev() {
                ui.horizontal(|ui| {
                    let (rect, _) = ui.allocate_exact_size(vec2(16.0, 16.0), Sense::hover());
                    draw(ui.painter(), rect.center());
                    ui.label(RichText::new(*words).color(TEXT));
                });
            }
        });
    }
    for (words, step) in parted.into_iter().rev() {
        ui.add_space(8.0);
        let text = RichText::new(words).size(12.0).color(PARTED);
        let label = bevy_egui::egui::Label::new(text).sense(Sense::click());
        if ui.add(label).on_hover_text("Go there").clicked() {
            show.seek(step as f64);
        }
    }
}
