//! Transport controls above the timeline (seek, play, speed, branch, capture) and the legend of markers.

use super::icons::{Icon, icon_button, star};
use super::markers;
use super::theme::{ACCENT, CARE, DIVERGED, GOOD, TEXT, WEAK};
use crate::session::{Session, SessionMode};
use bevy_egui::egui::{
    Align, ComboBox, CornerRadius, Layout, Painter, Pos2, Rect, RichText, Sense, Stroke, Ui, vec2,
};

/// Playback speeds of the menu and of the speed keys, multiples of real time.
pub const SPEEDS: [f64; 7] = [0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0];

/// Requests of buttons that concern the window rather than the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UiRequest {
    /// Take a screenshot of the window.
    Screenshot,
    /// Begin or end a clip.
    ToggleClip,
    /// Show or hide the help window.
    ToggleHelp,
}

/// Next higher or lower speed of the menu.
pub fn next_speed(speed: f64, up: bool) -> f64 {
    let next = if up {
        SPEEDS.iter().find(|s| **s > speed + 1e-9)
    } else {
        SPEEDS.iter().rev().find(|s| **s < speed - 1e-9)
    };
    next.copied().unwrap_or(speed)
}

/// Texts and steps of the divergence of compared episodes.
pub fn divergences(session: &Session) -> impl Iterator<Item = (String, usize)> {
    let state = session.divergence.state;
    let pose = session.divergence.pose;
    let state = state.map(|n| (format!("bits differ from step {n}"), n));
    let pose = pose.map(|n| (format!("poses 1 cm apart from step {n}"), n));
    state.into_iter().chain(pose)
}

/// Draws the buttons. Returns the request of the one that was clicked.
pub fn show(ui: &mut Ui, session: &mut Session, recording: bool) -> Option<UiRequest> {
    let mut request = None;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        seek_buttons(ui, session);
        speed_menu(ui, session);
        ui.add_space(8.0);
        episode_buttons(ui, session);
        ui.add_space(8.0);
        let tip = "Screenshot of the window (F12)";
        if icon_button(ui, Icon::Camera, false, true, tip).clicked() {
            request = Some(UiRequest::Screenshot);
        }
        let tip = if recording {
            "End the clip (F10)"
        } else {
            "Begin a clip, an animated GIF of at most 30 s (F10)"
        };
        if icon_button(ui, Icon::Film, recording, true, tip).clicked() {
            request = Some(UiRequest::ToggleClip);
        }
        let help = ui.add(bevy_egui::egui::Button::new("?").min_size(vec2(25.0, 25.0)));
        if help.on_hover_text("All keys (F1)").clicked() {
            request = Some(UiRequest::ToggleHelp);
        }
        ui.add_space(6.0);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            legend(ui, session)
        });
    });
    request
}

fn seek_buttons(ui: &mut Ui, session: &mut Session) {
    if icon_button(ui, Icon::Start, false, true, "To the start (Home)").clicked() {
        session.seek(0.0);
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
        session.step(-1);
    }
    let (icon, tip) = if session.playing {
        (Icon::Pause, "Pause (Space)")
    } else {
        (Icon::Play, "Play (Space)")
    };
    if icon_button(ui, icon, true, true, tip).clicked() {
        toggle(session);
    }
    let tip = "One step forward (Right, Shift for 10)";
    if icon_button(ui, Icon::Forward, false, true, tip).clicked() {
        session.step(1);
    }
    if icon_button(ui, Icon::End, false, true, "To the end (End)").clicked() {
        session.seek(session.last() as f64);
    }
}

/// Plays the displayed episode from its start.
pub fn restart(session: &mut Session) {
    session.playing = true;
    session.restart();
}

/// Toggles between play and pause.
pub fn toggle(session: &mut Session) {
    if session.playing {
        session.pause();
    } else {
        session.play();
    }
}

fn speed_menu(ui: &mut Ui, session: &mut Session) {
    let text = |speed: f64| RichText::new(format!("{speed}x")).monospace();
    ComboBox::from_id_salt("speed")
        .width(70.0)
        .selected_text(text(session.speed))
        .show_ui(ui, |ui| {
            for speed in SPEEDS {
                let chosen = (session.speed - speed).abs() < 1e-9;
                if ui.selectable_label(chosen, text(speed)).clicked() {
                    session.set_speed(speed);
                }
            }
        })
        .response
        .on_hover_text("Multiple of real time (Up, Down)");
}

fn episode_buttons(ui: &mut Ui, session: &mut Session) {
    let tip = "From the start again (R)";
    if icon_button(ui, Icon::Restart, false, true, tip).clicked() {
        restart(session);
    }
    let tip = match session.mode {
        SessionMode::Live => "Discard the later steps and continue from this one (C)".to_owned(),
        SessionMode::Recorded => format!(
            "Continue live from this step; {} takes over (C)",
            session.selection.policy.name()
        ),
        SessionMode::Compare => "Compared episodes cannot be continued live".to_owned(),
    };
    if icon_button(
        ui,
        Icon::Branch,
        false,
        session.mode != SessionMode::Compare,
        &tip,
    )
    .clicked()
    {
        session.continue_live();
    }
    let live = session.mode == SessionMode::Live;
    let tip = match (live, session.teleoperating) {
        (true, true) => "Return control to the policy (K)",
        (true, false) => "Teleoperation: move the arm with keys (K)",
        (false, _) => "Only a live episode can be teleoperated (C continues a recording live)",
    };
    if icon_button(ui, Icon::Hand, session.teleoperating, live, tip).clicked() {
        session.set_teleoperation(!session.teleoperating);
    }
}

/// Legend entry: text and draw function of its symbol.
type LegendEntry = (&'static str, fn(&Painter, Pos2));

const LEGEND: [LegendEntry; 7] = [
    ("success", |p, c| star(p, c, 7.0, GOOD)),
    ("false", |p, c| markers::predicate_marker(p, c, false)),
    ("predicate true", |p, c| {
        markers::predicate_marker(p, c, true)
    }),
    ("opens", |p, c| markers::gripper_marker(p, c, false)),
    ("gripper closes", |p, c| markers::gripper_marker(p, c, true)),
    ("contact", |p, c| {
        let bar = Rect::from_center_size(c, vec2(11.0, 4.0));
        p.rect_filled(bar, CornerRadius::same(1), CARE.gamma_multiply(0.7));
    }),
    ("query", |p, c| {
        p.vline(c.x, c.y - 4.0..=c.y + 4.0, Stroke::new(1.2, ACCENT));
    }),
];

/// Draws the legend from the right; as a tooltip where its texts do not fit.
fn legend(ui: &mut Ui, session: &mut Session) {
    ui.spacing_mut().item_spacing.x = 4.0;
    let divergences: Vec<(String, usize)> = divergences(session).collect();
    let need = 470.0 + 190.0 * divergences.len() as f32;
    if ui.available_width() >= need {
        for (text, draw) in LEGEND {
            ui.label(RichText::new(text).size(12.0).color(WEAK));
            let (rect, _) = ui.allocate_exact_size(vec2(14.0, 16.0), Sense::hover());
            draw(ui.painter(), rect.center());
            ui.add_space(3.0);
        }
    } else {
        let label = ui.label(RichText::new("marks").size(12.0).color(WEAK).underline());
        label.on_hover_ui(|ui| {
            for (text, draw) in LEGEND.iter().rev() {
                ui.horizontal(|ui| {
                    let (rect, _) = ui.allocate_exact_size(vec2(16.0, 16.0), Sense::hover());
                    draw(ui.painter(), rect.center());
                    ui.label(RichText::new(*text).color(TEXT));
                });
            }
        });
    }
    for (text, step) in divergences.into_iter().rev() {
        ui.add_space(8.0);
        let text = RichText::new(text).size(12.0).color(DIVERGED);
        let label = bevy_egui::egui::Label::new(text).sense(Sense::click());
        if ui.add(label).on_hover_text("Go there").clicked() {
            session.seek(step as f64);
        }
    }
}
