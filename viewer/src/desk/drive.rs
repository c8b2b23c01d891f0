//! A person's hands on the arm: keys to the seven numbers of an action.

use crate::pane::Show;
use crate::theatre::Order;
use bevy::input::ButtonInput;
use bevy::prelude::KeyCode;

/// Share of the full action while Shift is held.
const SLOW: f64 = 0.25;

/// Keys of each number of the action but the last: the one that raises it and the one that lowers it.
const KEYS: [(KeyCode, KeyCode); 6] = [
    (KeyCode::KeyW, KeyCode::KeyS),
    (KeyCode::KeyA, KeyCode::KeyD),
    (KeyCode::KeyE, KeyCode::KeyQ),
    (KeyCode::KeyL, KeyCode::KeyJ),
    (KeyCode::KeyI, KeyCode::KeyM),
    (KeyCode::KeyU, KeyCode::KeyO),
];

/// What the keys say.
#[derive(Default)]
pub struct Drive {
    /// Whether the fingers are told to close.
    closed: bool,
    /// The last action that was sent, and the pane it was sent to.
    sent: Option<(u64, [f64; 7])>,
}

impl Drive {
    /// Sends the present action where it changed; begins with the gripper as it is.
    pub fn steer(&mut self, show: &Show, keys: &ButtonInput<KeyCode>, typing: bool) {
        let Some(pane) = show.panes.first().filter(|_| show.driving) else {
            self.sent = None;
            return;
        };
        if self.sent.is_none_or(|(of, _)| of != pane.id) {
            let last = pane.track.at(pane.track.last());
            let action = last.and_then(|m| m.action);
            self.closed = action.is_some_and(|a| a[6] > 0.0);
        }
        let action = if typing {
            self.action(&ButtonInput::default())
        } else {
            self.action(keys)
        };
        if self.sent != Some((pane.id, action)) {
            self.sent = Some((pane.id, action));
            pane.order(Order::Drive(Some(action)));
        }
    }

    /// Closes or opens the fingers.
    pub fn toggle_gripper(&mut self) {
        self.closed = !self.closed;
    }

    fn action(&self, keys: &ButtonInput<KeyCode>) -> [f64; 7] {
        let slow = keys.any_pressed([KeyCode::ShiftLeft, KeyCode::ShiftRight]);
        let full = if slow { SLOW } else { 1.0 };
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

    /// The present action, in words of constant width.
    pub fn words(&self) -> String {
        let [dx, dy, dz, rx, ry, rz, _] = self.sent.map_or([0.0; 7], |(_, action)| action);
        let gripper = if self.closed { "closed" } else { "open" };
        format!(
            "move {dx:>5.2} {dy:>5.2} {dz:>5.2}   turn {rx:>5.2} {ry:>5.2} {rz:>5.2}   gripper {gripper}"
        )
    }
}

/// Keys of the hands, in two lines.
pub fn hints() -> [&'static str; 2] {
    [
        "You drive.  W S forward, back    A D left, right    E Q up, down    G gripper    Shift slow",
        "Turn about x: L J    about y: I M    about z: U O        Esc or K gives the arm back",
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_make_actions_within_bounds() {
        let mut keys = ButtonInput::default();
        let drive = Drive::default();
        assert_eq!(drive.action(&keys), [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0]);
        keys.press(KeyCode::KeyW);
        keys.press(KeyCode::KeyD);
        keys.press(KeyCode::KeyQ);
        assert_eq!(drive.action(&keys), [1.0, -1.0, -1.0, 0.0, 0.0, 0.0, -1.0]);
        keys.press(KeyCode::ShiftLeft);
        keys.press(KeyCode::KeyS);
        assert_eq!(
            drive.action(&keys),
            [0.0, -0.25, -0.25, 0.0, 0.0, 0.0, -1.0]
        );
    }
}
