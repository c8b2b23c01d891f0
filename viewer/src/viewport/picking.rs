//! Pointer input of the viewport: rotate, pan, zoom, camera presets, and picking objects in a live episode.

use super::orbit_camera::OrbitCamera;
use super::pick_anchor::anchor;
use super::spawned_scene::SpawnedScenes;
use super::transforms::{array, vec3};
use super::view_camera::ViewCamera;
use crate::playback::Command;
use crate::resources::ViewportArea;
use crate::session::{EpisodePlayback, Session, SessionMode};
use bevy::input::mouse::{AccumulatedMouseScroll, MouseScrollUnit};
use bevy::prelude::*;
use bevy::window::PrimaryWindow;
use bevy_egui::input::EguiWantsInput;

/// Smaller motions of the target are not sent, m.
const MIN_TARGET_MOTION: f32 = 2e-4;
/// Scrolled pixels of a touchpad per notch of a wheel.
const PIXELS_PER_NOTCH: f32 = 40.0;

/// Action of the pressed mouse button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum DragAction {
    #[default]
    None,
    Rotate,
    Pan,
    Pick,
}

/// A picked point, or a pick ray that the episode worker has not answered yet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pick {
    /// Id of the episode.
    pub episode: u64,
    /// Depth of the image plane in which the target moves, m; none until the worker has answered.
    depth: Option<f32>,
    /// Row of the picked body in the body table, and the point in its frame.
    pub anchor: Option<(usize, Vec3)>,
    /// Target of the pull in the frame of the simulation, m.
    pub target: Option<Vec3>,
    /// True if playback was paused when the point was picked; it pauses again on release.
    was_paused: bool,
}

/// State of the mouse in the viewport.
#[derive(Resource, Default)]
pub(super) struct PointerState {
    action: DragAction,
    last: Option<Vec2>,
    /// Picked point.
    pub pick: Option<Pick>,
}

/// Handles the mouse and the camera keys.
#[allow(clippy::too_many_arguments)]
pub(super) fn handle_pointer(
    buttons: Res<ButtonInput<MouseButton>>,
    keys: Res<ButtonInput<KeyCode>>,
    scroll: Res<AccumulatedMouseScroll>,
    typing: Option<Res<EguiWantsInput>>,
    area: Res<ViewportArea>,
    scenes: Res<SpawnedScenes>,
    window: Query<&Window, With<PrimaryWindow>>,
    cameras: Query<&ViewCamera>,
    mut session: ResMut<Session>,
    mut orbit: ResMut<OrbitCamera>,
    mut pointer: ResMut<PointerState>,
) {
    let ctrl = keys.any_pressed([KeyCode::ControlLeft, KeyCode::ControlRight]);
    if !typing.is_some_and(|t| t.wants_keyboard_input()) && !ctrl {
        if keys.just_pressed(KeyCode::KeyV) {
            orbit.next();
        }
        if keys.just_pressed(KeyCode::KeyF) {
            orbit.reframe();
        }
    }
    let cursor = window.single().ok().and_then(Window::cursor_position);
    let inside =
        |p: Vec2| !area.input_captured && p.cmpge(area.min).all() && p.cmplt(area.max).all();
    let free = cursor.filter(|p| inside(*p));
    if pointer.action == DragAction::None
        && let Some(at) = free
    {
        // Motion before the press does not count.
        pointer.last = None;
        if buttons.just_pressed(MouseButton::Left) && ctrl {
            if begin_pick(&mut session, &mut pointer, &cameras, at) {
                pointer.action = DragAction::Pick;
            }
        } else if buttons.just_pressed(MouseButton::Left) {
            pointer.action = DragAction::Rotate;
        } else if buttons.any_just_pressed([MouseButton::Right, MouseButton::Middle]) {
            pointer.action = DragAction::Pan;
        }
    }
    let held_down = match pointer.action {
        DragAction::None => true,
        DragAction::Rotate | DragAction::Pick => buttons.pressed(MouseButton::Left),
        DragAction::Pan => buttons.any_pressed([MouseButton::Right, MouseButton::Middle]),
    };
    if let (Some(at), Some(last)) = (cursor, pointer.last)
        && held_down
    {
        let by = at - last;
        match pointer.action {
            DragAction::Rotate if by != Vec2::ZERO => orbit.rotate(by),
            DragAction::Pan if by != Vec2::ZERO => orbit.pan(by, area.max.y - area.min.y),
            _ => {}
        }
    }
    pointer.last = cursor;
    if !held_down {
        pointer.action = DragAction::None;
    }
    let was_paused = pointer.pick.is_some_and(|pick| pick.was_paused) && !session.finished();
    update_pick(&session, &scenes, &cameras, &mut pointer, cursor);
    // A pull needs simulated time, so playback runs while something is picked.
    match &mut pointer.pick {
        Some(pick) if pick.depth.is_some() && !session.playing => {
            pick.was_paused = true;
            session.follow_grab();
        }
        None if was_paused => session.pause(),
        _ => {}
    }
    if free.is_some() && scroll.delta.y != 0.0 {
        let notches = match scroll.unit {
            MouseScrollUnit::Line => scroll.delta.y,
            MouseScrollUnit::Pixel => scroll.delta.y / PIXELS_PER_NOTCH,
        };
        orbit.zoom(notches);
    }
}

/// The episode in which objects can be picked.
fn live_episode(session: &Session) -> Option<&EpisodePlayback> {
    (session.mode == SessionMode::Live).then_some(session.episodes.first()?)
}

/// Sends the pick ray through the pointer to the episode worker; returns true if it was sent.
fn begin_pick(
    session: &mut Session,
    pointer: &mut PointerState,
    cameras: &Query<&ViewCamera>,
    at: Vec2,
) -> bool {
    // Only the present can be picked; the displayed state is at most two steps behind it.
    if session.playhead + 2.0 < session.last() as f64 || live_episode(session).is_none() {
        return false;
    }
    let camera = cameras.iter().find(|e| e.slot == 0);
    let Some((camera, direction)) = camera.and_then(|e| Some((e, e.ray(at)?))) else {
        return false;
    };
    let Some(episode) = session.episodes.first_mut() else {
        return false;
    };
    episode.grabbed = None;
    episode.send(Command::Grab {
        origin: array(camera.at),
        direction: array(direction),
    });
    pointer.pick = Some(Pick {
        episode: episode.id,
        depth: None,
        anchor: None,
        target: None,
        was_paused: false,
    });
    true
}

/// Moves the target of the picked point to the pointer, or releases the point.
fn update_pick(
    session: &Session,
    scenes: &SpawnedScenes,
    cameras: &Query<&ViewCamera>,
    pointer: &mut PointerState,
    cursor: Option<Vec2>,
) {
    let Some(mut pick) = pointer.pick else {
        return;
    };
    let episode = live_episode(session).filter(|p| p.id == pick.episode);
    if pointer.action != DragAction::Pick || episode.is_none() {
        if let Some(episode) = session.episodes.iter().find(|p| p.id == pick.episode) {
            episode.send(Command::Release);
        }
        pointer.pick = None;
        return;
    }
    let Some((episode, camera)) = episode.zip(cameras.iter().find(|e| e.slot == 0)) else {
        return;
    };
    let Some(point) = episode.grabbed.map(vec3) else {
        return;
    };
    let depth = match pick.depth {
        Some(depth) => depth,
        None => {
            if let Some((scene, episode)) = scenes.of(session, 0)
                && let Some(step_state) = episode.state_at(session.playhead)
            {
                pick.anchor = anchor(scene, step_state, point);
            }
            (point - camera.at)
                .dot(camera.rotation * Vec3::NEG_Z)
                .max(0.05)
        }
    };
    pick.depth = Some(depth);
    if let Some(direction) = cursor.and_then(|c| camera.ray(c)) {
        let target = camera.at + direction * depth;
        if pick
            .target
            .is_none_or(|t| t.distance(target) > MIN_TARGET_MOTION)
        {
            pick.target = Some(target);
            episode.send(Command::MoveGrab(array(target)));
        }
    }
    pointer.pick = Some(pick);
}
