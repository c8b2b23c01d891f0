//! Frame pacing: the configured frame rate while something changes, a low one while nothing does.

use bevy::input::mouse::MouseWheel;
use bevy::prelude::*;
use bevy::window::CursorMoved;
use bevy::winit::{UpdateMode, WinitSettings};
use std::time::{Duration, Instant};

/// Time after the last input or change during which frames are drawn at the full rate, so that animations complete.
const ACTIVE_AFTER_CHANGE: Duration = Duration::from_millis(1500);
/// Time between frames otherwise. Input and events of other threads trigger a frame at once.
const IDLE_INTERVAL: Duration = Duration::from_millis(500);

/// State of the frame pacing.
#[derive(Resource, Debug)]
pub struct FramePacing {
    /// Time between frames at the full rate.
    frame: Duration,
    last_change: Instant,
    /// Mode that is applied; none before the first frame.
    active: Option<bool>,
}

impl FramePacing {
    /// Creates the pacing for a maximum frame rate, Hz.
    pub fn new(fps: u16) -> FramePacing {
        FramePacing {
            frame: Duration::from_secs_f64(1.0 / f64::from(fps)),
            last_change: Instant::now(),
            active: None,
        }
    }

    /// Notes that the displayed content has changed.
    pub fn note_change(&mut self) {
        self.last_change = Instant::now();
    }
}

/// Applies the mode that follows from the time since the last input or change.
pub fn pace_frames(
    mut pacing: ResMut<FramePacing>,
    mut settings: ResMut<WinitSettings>,
    keys: Res<ButtonInput<KeyCode>>,
    buttons: Res<ButtonInput<MouseButton>>,
    mut moved: MessageReader<CursorMoved>,
    mut wheel: MessageReader<MouseWheel>,
) {
    let pressed = keys.get_pressed().next().is_some() || buttons.get_pressed().next().is_some();
    // `+` instead of `||`: both readers have to be drained.
    if moved.read().count() + wheel.read().count() > 0 || pressed {
        pacing.note_change();
    }
    let active = pacing.last_change.elapsed() < ACTIVE_AFTER_CHANGE;
    if pacing.active == Some(active) {
        return;
    }
    pacing.active = Some(active);
    let mode = UpdateMode::Reactive {
        wait: if active { pacing.frame } else { IDLE_INTERVAL },
        react_to_device_events: false,
        // At the full rate events of other threads need no extra frame.
        react_to_user_events: !active,
        react_to_window_events: true,
    };
    settings.focused_mode = mode;
    settings.unfocused_mode = mode;
}
