//! Key bindings. Letters are matched by the printed character (logical key), as in the help; teleoperation keys by
//! their position (physical key), so that they form a block on every layout.

use super::episode_list::resume_if_ended;
use super::layer_toggles::LAYER_TOGGLES;
use super::state::{Tab, UiState};
use super::transport::{next_speed, restart, toggle};
use crate::resources::VisibleLayers;
use crate::session::Session;
use bevy::input::ButtonState;
use bevy::input::keyboard::{Key, KeyboardInput};
use bevy::prelude::*;
use bevy_egui::input::ModifierKeysState;
use bevy_egui::{EguiInput, PrimaryEguiContext};

/// Handles the keys pressed since the last frame.
pub fn handle_keys(
    mut pressed: MessageReader<KeyboardInput>,
    held: Res<ButtonInput<KeyCode>>,
    modifiers: Res<ModifierKeysState>,
    mut session: ResMut<Session>,
    mut layers: ResMut<VisibleLayers>,
    mut ui_state: ResMut<UiState>,
    mut inputs: Query<&mut EguiInput, With<PrimaryEguiContext>>,
) {
    let ui_state = &mut *ui_state;
    // Tab hides panels instead of moving egui's keyboard focus.
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
        let free = !ui_state.typing && !modifiers.ctrl && !modifiers.alt && !modifiers.win;
        if event.state == ButtonState::Pressed && free {
            handle_key(event, modifiers.shift, &mut session, &mut layers, ui_state);
        }
    }
    ui_state
        .teleoperation
        .send_action(&session, &held, ui_state.typing);
}

/// Closes the window on Ctrl+Q.
pub fn quit(
    keys: Res<ButtonInput<Key>>,
    held: Res<ButtonInput<KeyCode>>,
    mut exit: MessageWriter<AppExit>,
) {
    // In a slow frame Ctrl may be pressed and released between two updates.
    let control = [KeyCode::ControlLeft, KeyCode::ControlRight];
    let control = held.any_pressed(control)
        || held.any_just_pressed(control)
        || held.any_just_released(control);
    if control && keys.just_pressed(Key::Character("q".into())) {
        exit.write(AppExit::Success);
    }
}

fn handle_key(
    event: &KeyboardInput,
    shift: bool,
    session: &mut Session,
    layers: &mut VisibleLayers,
    ui_state: &mut UiState,
) {
    let by = if shift { 10 } else { 1 };
    // Keys that repeat while held.
    match event.key_code {
        KeyCode::ArrowLeft => return session.step(-by),
        KeyCode::ArrowRight => return session.step(by),
        _ if event.repeat => return,
        _ => {}
    }
    match event.key_code {
        KeyCode::Space => toggle(session),
        KeyCode::Home => session.seek(0.0),
        KeyCode::End => session.seek(session.last() as f64),
        KeyCode::ArrowUp => session.set_speed(next_speed(session.speed, true)),
        KeyCode::ArrowDown => session.set_speed(next_speed(session.speed, false)),
        KeyCode::Tab => layers.panels = !layers.panels,
        KeyCode::F1 => layers.help = !layers.help,
        KeyCode::F10 => ui_state.clip_toggle_requested = true,
        KeyCode::F12 => ui_state.screenshot_requested = true,
        KeyCode::Escape if layers.help => layers.help = false,
        KeyCode::Escape => session.set_teleoperation(false),
        code => match digit(code).and_then(|d| LAYER_TOGGLES.get(d.checked_sub(1)?)) {
            Some((.., of)) => {
                let switch = of(layers);
                *switch = !*switch;
            }
            None => handle_letter(event, session, layers, ui_state),
        },
    }
}

fn handle_letter(
    event: &KeyboardInput,
    session: &mut Session,
    layers: &mut VisibleLayers,
    ui_state: &mut UiState,
) {
    let Key::Character(text) = &event.logical_key else {
        return;
    };
    let letter = text.to_lowercase();
    match letter.as_str() {
        "+" | "=" => session.set_speed(next_speed(session.speed, true)),
        "-" => session.set_speed(next_speed(session.speed, false)),
        "k" => session.set_teleoperation(!session.teleoperating),
        "h" => layers.help = !layers.help,
        "g" if session.teleoperating => ui_state.teleoperation.toggle_gripper(),
        // During teleoperation the other letters move the arm or lie next to those that do.
        _ if session.teleoperating => {}
        "r" => restart(session),
        "c" => session.continue_live(),
        "n" => open_adjacent(session, ui_state, true),
        "b" => open_adjacent(session, ui_state, false),
        _ => {}
    }
}

/// Opens the next or previous episode of the list; in live mode the next or previous initial state.
fn open_adjacent(session: &mut Session, ui_state: &mut UiState, forward: bool) {
    if !session.runs.is_empty() && ui_state.tab == Tab::Episodes {
        ui_state.episode_list.load(session);
        ui_state.episode_list.open_adjacent(session, forward);
        return;
    }
    let info = session.episodes.iter().find_map(|p| p.info.as_ref());
    let Some(count) = info.map(|o| o.inits.max(1)) else {
        return;
    };
    let by = if forward { 1 } else { count - 1 };
    session.selection.init = (session.selection.init + by) % count;
    resume_if_ended(session);
    session.open();
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
