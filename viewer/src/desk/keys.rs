//! What keys do. Letters count by what is printed on the key, so that they fit the help; the keys that
//! drive count by their place, so that they lie under the hand.

use super::episodes::play_on;
use super::transport::{next_speed, restart, toggle};
use super::{Desk, Tab, layers::SWITCHES};
use crate::app::Layers;
use crate::pane::Show;
use bevy::input::ButtonState;
use bevy::input::keyboard::{Key, KeyboardInput};
use bevy::prelude::*;
use bevy_egui::input::ModifierKeysState;
use bevy_egui::{EguiInput, PrimaryEguiContext};

/// Acts on the keys that were pressed since the last frame.
pub fn hands(
    mut pressed: MessageReader<KeyboardInput>,
    held: Res<ButtonInput<KeyCode>>,
    modifiers: Res<ModifierKeysState>,
    mut show: ResMut<Show>,
    mut layers: ResMut<Layers>,
    mut desk: ResMut<Desk>,
    mut inputs: Query<&mut EguiInput, With<PrimaryEguiContext>>,
) {
    let desk = &mut *desk;
    // Tab hides panels; it does not wander through them.
    for mut input in &mut inputs {
        input.events.retain(|event| {
            !matches!(
                event,
                bevy_egui::egui::Event::Key {
                    key: bevy_egui::egui::Key::Tab,
                    ..
                }
            )
        });
    }
    for event in pressed.read() {
        let free = !desk.typing && !modifiers.ctrl && !modifiers.alt && !modifiers.win;
        if event.state == ButtonState::Pressed && free {
            act(event, modifiers.shift, &mut show, &mut layers, desk);
        }
    }
    desk.drive.steer(&show, &held, desk.typing);
}

/// Ctrl and Q close the window, as its frame does.
pub fn leave(
    keys: Res<ButtonInput<Key>>,
    held: Res<ButtonInput<KeyCode>>,
    mut exit: MessageWriter<AppExit>,
) {
    // Within a slow frame it may come or go.
    let control = [KeyCode::ControlLeft, KeyCode::ControlRight];
    let control = held.any_pressed(control)
        || held.any_just_pressed(control)
        || held.any_just_released(control);
    if control && keys.just_pressed(Key::Character("q".into())) {
        exit.write(AppExit::Success);
    }
}

fn act(event: &KeyboardInput, shift: bool, show: &mut Show, layers: &mut Layers, desk: &mut Desk) {
    let by = if shift { 10 } else { 1 };
    // Keys that may be held.
    match event.key_code {
        KeyCode::ArrowLeft => return show.step(-by),
        KeyCode::ArrowRight => return show.step(by),
        _ if event.repeat => return,
        _ => {}
    }
    match event.key_code {
        KeyCode::Space => toggle(show),
        KeyCode::Home => show.seek(0.0),
        KeyCode::End => show.seek(show.last() as f64),
        KeyCode::ArrowUp => show.set_speed(next_speed(show.speed, true)),
        KeyCode::ArrowDown => show.set_speed(next_speed(show.speed, false)),
        KeyCode::Tab => layers.panels = !layers.panels,
        KeyCode::F1 => layers.help = !layers.help,
        KeyCode::F10 => desk.wish_clip = true,
        KeyCode::F12 => desk.wish_shot = true,
        KeyCode::Escape if layers.help => layers.help = false,
        KeyCode::Escape => show.drive(false),
        code => match digit(code).and_then(|d| SWITCHES.get(d.checked_sub(1)?)) {
            Some((.., of)) => {
                let switch = of(layers);
                *switch = !*switch;
            }
            None => letter(event, show, layers, desk),
        },
    }
}

fn letter(event: &KeyboardInput, show: &mut Show, layers: &mut Layers, desk: &mut Desk) {
    let Key::Character(text) = &event.logical_key else {
        return;
    };
    let letter = text.to_lowercase();
    match letter.as_str() {
        "+" | "=" => show.set_speed(next_speed(show.speed, true)),
        "-" => show.set_speed(next_speed(show.speed, false)),
        "k" => show.drive(!show.driving),
        "h" => layers.help = !layers.help,
        "g" if show.driving => desk.drive.toggle_gripper(),
        // The other letters steer, or lie between those that do.
        _ if show.driving => {}
        "r" => restart(show),
        "c" => show.resume_here(),
        "n" => beside(show, desk, true),
        "b" => beside(show, desk, false),
        _ => {}
    }
}

/// The next or previous episode of the list, or initial state where one plays live.
fn beside(show: &mut Show, desk: &mut Desk, forward: bool) {
    if !show.runs.is_empty() && desk.tab == Tab::Episodes {
        desk.episodes.read(show);
        desk.episodes.beside(show, forward);
        return;
    }
    let opening = show.panes.iter().find_map(|p| p.opening.as_ref());
    let Some(count) = opening.map(|o| o.inits.max(1)) else {
        return;
    };
    let by = if forward { 1 } else { count - 1 };
    show.choice.init = (show.choice.init + by) % count;
    play_on(show);
    show.open();
}

fn digit(code: KeyCode) -> Option<usize> {
    Some(match code {
        KeyCode::Digit1 | KeyCode::Numpad1 => 1,
        KeyCode::Digit2 | KeyCode::Numpad2 => 2,
        KeyCode::Digit3 | KeyCode::Numpad3 => 3,
        KeyCode::Digit4 | KeyCode::Numpad4 => 4,
        KeyCode::Digit5 | KeyCode::Numpad5 => 5,
        KeyCode::Digit6 | KeyCode::Numpad6 => 6,
        KeyCode::Digit7 | KeyCode::Numpad7 => 7,
        KeyCode::Digit8 | KeyCode::Numpad8 => 8,
        _ => return None,
    })
}
