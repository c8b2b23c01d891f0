//! Keyboard teleoperation: maps pressed keys to the seven components of an action.

use crate::playback::Command;
use crate::session::Session;
use bevy::input::ButtonInput;
use bevy::prelude::KeyCode;

/// Factor on the action while Shift is held.
const SLOW_FACTOR: f64 = 0.25;

/// Keys that raise and lower each component of the action but the last (gripper).
const KEYS: [(KeyCode, KeyCode); 6] = [
    (KeyCode::KeyW, KeyCode::KeyS),
    (KeyCode::KeyA, KeyCode::KeyD),
    (KeyCode::KeyE, KeyCode::KeyQ),
    (KeyCode::KeyL, KeyCode::KeyJ),
    (KeyCode::KeyI, KeyCode::KeyM),
    (KeyCode::KeyU, KeyCode::KeyO),
];

/// State of keyboard teleoperation.
#[derive(Default)]
pub struct KeyboardTeleop {
    /// True if the gripper is commanded to close.
    closed: bool,
    /// Last action that was sent, with the id of its episode.
    sent: Option<(u64, [f64; 7])>,
}

impl KeyboardTeleop {
    /// Sends the action of the pressed keys when it has changed; the gripper starts as last commanded.
    pub fn send_action(&mut self, session: &Session, keys: &ButtonInput<KeyCode>, typing: bool) {
        let Some(episode) = session.episodes.first().filter(|_| session.teleoperating) else {
            self.sent = None;
            return;
        };
        if self.sent.is_none_or(|(of, _)| of != episode.id) {
            let last = episode.trajectory.get(episode.trajectory.last());
            let action = last.and_then(|m| m.action);
            self.closed = action.is_some_and(|a| a[6] > 0.0);
        }
        let action = if typing {
            self.action(&ButtonInput::default())
        } else {
            self.action(keys)
        };
        if self.sent != Some((episode.id, action)) {
            self.sent = Some((episode.id, action));
            episode.send(Command::Teleoperate(Some(action)));
        }
    }

    /// Toggles the gripper command between open and close.
    pub fn toggle_gripper(&mut self) {
        self.closed = !self.closed;
    }

    fn action(&self, keys: &ButtonInput<KeyCode>) -> [f64; 7] {
        let slow = keys.any_pressed([KeyCode::ShiftLeft, KeyCode::ShiftRight]);
        let full = if slow { SLOW_FACTOR } else { 1.0 };
        let mut action = [0.0; 7];
        for (value, (up, down)) in action.iter_mut().zip(KEYS) {
            if keys.pressed(up) {
                *value += full;
            }
            if keys.pressed(down) {
                *value -= full;
            }
        }
        action[6] = if self.closed { 1.0 } else { -1.0 };
        action
    }

    /// Text of the last sent action, of constant width.
    pub fn action_text(&self) -> String {
        let [dx, dy, dz, rx, ry, rz, _] = self.sent.map_or([0.0; 7], |(_, action)| action);
        let gripper = if self.closed { "closed" } else { "open" };
        format!(
            "move {dx:>5.2} {dy:>5.2} {dz:>5.2}   turn {rx:>5.2} {ry:>5.2} {rz:>5.2}   gripper {gripper}"
        )
    }
}

/// Two lines that explain the keys.
pub fn key_hints() -> [&'static str; 2] {
    [
        "Teleoperation.  W S forward, back    A D left, right    E Q up, down    G gripper    Shift slow",
        "Turn about x: L J    about y: I M    about z: U O        Esc or K returns control",
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_make_actions_within_bounds() {
        let mut keys = ButtonInput::default();
        let teleoperation = KeyboardTeleop::default();
        assert_eq!(
            teleoperation.action(&keys),
            [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0]
        );
        keys.press(KeyCode::KeyW);
        keys.press(KeyCode::KeyD);
        keys.press(KeyCode::KeyQ);
        assert_eq!(
            teleoperation.action(&keys),
            [1.0, -1.0, -1.0, 0.0, 0.0, 0.0, -1.0]
        );
        keys.press(KeyCode::ShiftLeft);
        keys.press(KeyCode::KeyS);
        assert_eq!(
            teleoperation.action(&keys),
            [0.0, -0.25, -0.25, 0.0, 0.0, 0.0, -1.0]
        );
    }
}
