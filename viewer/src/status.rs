//! `--status-on-stdin`: describes the last drawn frame on request, so that a program which controls the window can wait
//! for what it expects instead of for a time.
//!
//! A line `status` on standard input is answered by a line on standard output: `status` and `key=value` pairs separated by
//! blanks, see [`FrameStatus`]. The answer describes a frame only after it was presented, and comes from a thread of its
//! own, also while the next frame is being drawn.

use crate::resources::{DisplayedParts, UpdateSet, VisibleLayers};
use crate::session::{Session, SessionMode};
use bevy::input::ButtonState;
use bevy::input::keyboard::KeyboardInput;
use bevy::input::mouse::MouseButtonInput;
use bevy::prelude::*;
use bevy::render::extract_resource::{ExtractResource, ExtractResourcePlugin};
use bevy::render::render_resource::PipelineCache;
use bevy::render::{Render, RenderApp, RenderSystems};
use bevy::window::PrimaryWindow;
use std::fmt;
use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Contents of a frame.
#[derive(Resource, ExtractResource, Debug, Clone, PartialEq)]
pub struct FrameStatus {
    /// Number of the frame, from 1.
    frame: u64,
    /// Kind of the displayed episodes.
    mode: SessionMode,
    /// Control step that the 3D view shows.
    step: usize,
    /// Last control step of the trajectory.
    last: usize,
    /// True while the playhead moves.
    playing: bool,
    /// True while keys move the arm.
    teleoperating: bool,
    /// True if an object is attached to the pull spring.
    grabbing: bool,
    /// True while the help window is open.
    help: bool,
    /// True while a clip is recorded or written.
    clip: bool,
    /// Number of screenshots and clips written so far.
    files: usize,
    /// True if the scene of every displayed episode is drawn.
    scenes: bool,
    /// True if an episode ended with an error, or could not begin.
    failed: bool,
    /// True if the window has keyboard focus.
    focused: bool,
    /// Number of key presses handled so far, repeats excluded.
    keys: usize,
    /// Number of presses and releases of mouse buttons handled so far.
    buttons: usize,
    /// Position of the pointer, logical pixels, rounded; none outside of the window.
    pointer: Option<(i32, i32)>,
    /// True if the next frames will look the same without further input: playback is paused, workers have carried out all
    /// commands, scenes, camera, insets and render pipelines are up to date.
    settled: bool,
}

impl Default for FrameStatus {
    fn default() -> FrameStatus {
        FrameStatus {
            frame: 0,
            mode: SessionMode::Live,
            step: 0,
            last: 0,
            playing: false,
            teleoperating: false,
            grabbing: false,
            help: false,
            clip: false,
            files: 0,
            scenes: false,
            failed: false,
            focused: false,
            keys: 0,
            buttons: 0,
            pointer: None,
            settled: false,
        }
    }
}

impl fmt::Display for FrameStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = u8::from;
        let (x, y) = self.pointer.unwrap_or((-1, -1));
        write!(
            f,
            "status frame={} mode={} step={} last={} playing={} teleoperating={} grabbing={} help={} clip={} files={} \
             scenes={} failed={} focused={} keys={} buttons={} pointer={x},{y} settled={}",
            self.frame,
            self.mode.name(),
            self.step,
            self.last,
            flag(self.playing),
            flag(self.teleoperating),
            flag(self.grabbing),
            flag(self.help),
            flag(self.clip),
            self.files,
            flag(self.scenes),
            flag(self.failed),
            flag(self.focused),
            self.keys,
            self.buttons,
            flag(self.settled)
        )
    }
}

/// Status of the last presented frame, shared with the thread that answers.
#[derive(Resource, Clone, Default)]
struct Presented(Arc<Mutex<FrameStatus>>);

/// Adds the systems and starts the thread that answers.
pub fn build(app: &mut App) {
    let presented = Presented::default();
    app.init_resource::<FrameStatus>();
    app.add_plugins(ExtractResourcePlugin::<FrameStatus>::default());
    app.add_systems(Update, count_input.in_set(UpdateSet::Draw));
    app.add_systems(Last, describe_frame);
    if let Some(render_app) = app.get_sub_app_mut(RenderApp) {
        render_app.insert_resource(presented.clone());
        render_app.add_systems(Render, publish.in_set(RenderSystems::Cleanup));
    }
    let started = std::thread::Builder::new()
        .name("status".into())
        .spawn(move || answer_requests(&presented));
    if let Err(error) = started {
        eprintln!("warning: --status-on-stdin is not available: no thread: {error}");
    }
}

/// Counts input events; in the set after [`UpdateSet::Input`], which has handled them.
fn count_input(
    mut status: ResMut<FrameStatus>,
    mut keys: MessageReader<KeyboardInput>,
    mut buttons: MessageReader<MouseButtonInput>,
) {
    let pressed = |e: &&KeyboardInput| e.state == ButtonState::Pressed && !e.repeat;
    status.keys += keys.read().filter(pressed).count();
    status.buttons += buttons.read().count();
}

/// Describes the frame at its end, before it is extracted to the render world.
fn describe_frame(
    mut status: ResMut<FrameStatus>,
    session: Res<Session>,
    layers: Res<VisibleLayers>,
    parts: Res<DisplayedParts>,
    window: Query<&Window, With<PrimaryWindow>>,
) {
    let window = window.single().ok();
    let pointer = window.and_then(Window::cursor_position);
    *status = FrameStatus {
        frame: status.frame + 1,
        mode: session.mode,
        step: parts.step,
        last: session.last(),
        playing: session.playing,
        teleoperating: session.teleoperating,
        grabbing: session.episodes.iter().any(|e| e.grabbed.is_some()),
        help: layers.help,
        clip: parts.clip_open,
        files: parts.files_written,
        scenes: parts.scenes_spawned,
        failed: session.episodes.iter().any(|e| e.failed.is_some()),
        focused: window.is_some_and(|w| w.focused),
        keys: status.keys,
        buttons: status.buttons,
        pointer: pointer.map(|p| (p.x.round() as i32, p.y.round() as i32)),
        settled: session.is_settled()
            && parts.scenes_spawned
            && parts.insets_current
            && !parts.camera_moving
            && !parts.toast_visible
            && !parts.clip_open
            // The panels may have moved the playhead after the viewport was drawn.
            && parts.step == session.playhead as usize,
    };
}

/// Publishes the status of the frame that the render world has presented.
fn publish(status: Res<FrameStatus>, pipelines: Res<PipelineCache>, presented: Res<Presented>) {
    let mut status = status.clone();
    status.settled &= pipelines.waiting_pipelines().next().is_none();
    *presented.0.lock().unwrap_or_else(PoisonError::into_inner) = status;
}

/// Answers requests until standard input or output is closed.
fn answer_requests(presented: &Presented) {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        if line.trim() != "status" {
            eprintln!(
                "warning: unknown request `{line}` on standard input: only `status` is known"
            );
            continue;
        }
        let status = presented
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut out = std::io::stdout().lock();
        if writeln!(out, "{status}")
            .and_then(|()| out.flush())
            .is_err()
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line_of_keys_and_values() {
        let status = FrameStatus {
            frame: 12,
            step: 3,
            pointer: Some((640, 20)),
            settled: true,
            ..FrameStatus::default()
        };
        assert_eq!(
            status.to_string(),
            "status frame=12 mode=live step=3 last=0 playing=0 teleoperating=0 grabbing=0 help=0 clip=0 files=0 \
             scenes=0 failed=0 focused=0 keys=0 buttons=0 pointer=640,20 settled=1"
        );
    }
}
