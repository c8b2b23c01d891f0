//! What the mouse and two keys do in the 3D view: turn, pan, zoom, prepared views, and taking hold of things
//! in a live episode.

use super::camera::Eye;
use super::held::anchor;
use super::orbit::Orbit;
use super::place::Places;
use super::space::{array, vec3};
use crate::app::Canvas;
use crate::pane::{Mode, Pane, Show};
use crate::theatre::Order;
use bevy::input::mouse::{AccumulatedMouseScroll, MouseScrollUnit};
use bevy::prelude::*;
use bevy::window::PrimaryWindow;
use bevy_egui::input::EguiWantsInput;

/// A target that moved less than this is the same, m.
const STILL: f32 = 2e-4;
/// Pixels of a touchpad that count as one notch of a wheel.
const NOTCH: f32 = 40.0;

/// What a pressed button does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Doing {
    #[default]
    Nothing,
    Turn,
    Pan,
    Hold,
}

/// Something is held, or has been reached for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hold {
    /// In which pane.
    pub pane: u64,
    /// Distance of the image plane it moves in, m; none until something answers.
    depth: Option<f32>,
    /// The row of the body that is held, and the point in its frame.
    pub anchor: Option<(usize, Vec3)>,
    /// Where it is pulled to, in the frame of the simulation.
    pub target: Option<Vec3>,
    /// Time stood still when it was taken.
    stood: bool,
}

/// The hand of whoever sits before the window.
#[derive(Resource, Default)]
pub(super) struct Hand {
    doing: Doing,
    last: Option<Vec2>,
    /// What it holds.
    pub hold: Option<Hold>,
}

/// Mouse and keys.
#[allow(clippy::too_many_arguments)]
pub(super) fn hands(
    buttons: Res<ButtonInput<MouseButton>>,
    keys: Res<ButtonInput<KeyCode>>,
    scroll: Res<AccumulatedMouseScroll>,
    typing: Option<Res<EguiWantsInput>>,
    canvas: Res<Canvas>,
    places: Res<Places>,
    window: Query<&Window, With<PrimaryWindow>>,
    eyes: Query<&Eye>,
    mut show: ResMut<Show>,
    mut orbit: ResMut<Orbit>,
    mut hand: ResMut<Hand>,
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
    let inside = |p: Vec2| !canvas.busy && p.cmpge(canvas.min).all() && p.cmplt(canvas.max).all();
    let free = cursor.filter(|p| inside(*p));
    if hand.doing == Doing::Nothing
        && let Some(at) = free
    {
        // What the mouse did before the press does not count.
        hand.last = None;
        if buttons.just_pressed(MouseButton::Left) && ctrl {
            if reach(&mut show, &mut hand, &eyes, at) {
                hand.doing = Doing::Hold;
            }
        } else if buttons.just_pressed(MouseButton::Left) {
            hand.doing = Doing::Turn;
        } else if buttons.any_just_pressed([MouseButton::Right, MouseButton::Middle]) {
            hand.doing = Doing::Pan;
        }
    }
    let held_down = match hand.doing {
        Doing::Nothing => true,
        Doing::Turn | Doing::Hold => buttons.pressed(MouseButton::Left),
        Doing::Pan => buttons.any_pressed([MouseButton::Right, MouseButton::Middle]),
    };
    if let (Some(at), Some(last)) = (cursor, hand.last)
        && held_down
    {
        let by = at - last;
        match hand.doing {
            Doing::Turn if by != Vec2::ZERO => orbit.turn(by),
            Doing::Pan if by != Vec2::ZERO => orbit.pan(by, canvas.max.y - canvas.min.y),
            _ => {}
        }
    }
    hand.last = cursor;
    if !held_down {
        hand.doing = Doing::Nothing;
    }
    let stood = hand.hold.is_some_and(|hold| hold.stood) && !show.over();
    pull(&show, &places, &eyes, &mut hand, cursor);
    // Nothing can be pulled while time stands still: it goes on while something is held.
    match &mut hand.hold {
        Some(hold) if hold.depth.is_some() && !show.playing => {
            hold.stood = true;
            show.attend();
        }
        None if stood => show.pause(),
        _ => {}
    }
    if free.is_some() && scroll.delta.y != 0.0 {
        let notches = match scroll.unit {
            MouseScrollUnit::Line => scroll.delta.y,
            MouseScrollUnit::Pixel => scroll.delta.y / NOTCH,
        };
        orbit.zoom(notches);
    }
}

/// The one pane that can be touched.
fn live(show: &Show) -> Option<&Pane> {
    (show.mode == Mode::Live).then_some(show.panes.first()?)
}

/// Reaches along the ray through the mouse; true if the actor was asked.
fn reach(show: &mut Show, hand: &mut Hand, eyes: &Query<&Eye>, at: Vec2) -> bool {
    // What is past cannot be touched, and what is shown is at most a step old.
    if show.at + 2.0 < show.last() as f64 || live(show).is_none() {
        return false;
    }
    let eye = eyes.iter().find(|e| e.slot == 0);
    let Some((eye, direction)) = eye.and_then(|e| Some((e, e.ray(at)?))) else {
        return false;
    };
    let Some(pane) = show.panes.first_mut() else {
        return false;
    };
    pane.grabbed = None;
    pane.order(Order::Grab {
        origin: array(eye.at),
        direction: array(direction),
    });
    hand.hold = Some(Hold {
        pane: pane.id,
        depth: None,
        anchor: None,
        target: None,
        stood: false,
    });
    true
}

/// Pulls what is held to the mouse, or lets go of it.
fn pull(show: &Show, places: &Places, eyes: &Query<&Eye>, hand: &mut Hand, cursor: Option<Vec2>) {
    let Some(mut hold) = hand.hold else {
        return;
    };
    let pane = live(show).filter(|p| p.id == hold.pane);
    if hand.doing != Doing::Hold || pane.is_none() {
        if let Some(pane) = show.panes.iter().find(|p| p.id == hold.pane) {
            pane.order(Order::LetGo);
        }
        hand.hold = None;
        return;
    }
    let Some((pane, eye)) = pane.zip(eyes.iter().find(|e| e.slot == 0)) else {
        return;
    };
    let Some(point) = pane.grabbed.map(vec3) else {
        return;
    };
    let depth = match hold.depth {
        Some(depth) => depth,
        None => {
            if let Some((place, pane)) = places.of(show, 0)
                && let Some(moment) = pane.now(show.at)
            {
                hold.anchor = anchor(place, moment, point);
            }
            (point - eye.at).dot(eye.rotation * Vec3::NEG_Z).max(0.05)
        }
    };
    hold.depth = Some(depth);
    if let Some(direction) = cursor.and_then(|c| eye.ray(c)) {
        let target = eye.at + direction * depth;
        if hold.target.is_none_or(|t| t.distance(target) > STILL) {
            hold.target = Some(target);
            pane.order(Order::Drag(array(target)));
        }
    }
    hand.hold = Some(hold);
}
