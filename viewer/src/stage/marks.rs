//! What the lines over the scene are: the way of the hand, where its next actions lead, contacts, axes,
//! outlines of regions, and the string of whoever pulls at something.

use super::hands::Hold;
use super::layers::{AMBER, GREEN};
use super::place::Place;
use super::space::{between, point_between, transform, vec3};
use crate::app::Layers;
use crate::pane::Pane;
use crate::theatre::Moment;
use bevy::gizmos::GizmoAsset;
use bevy::prelude::*;
use bitvla_sim::{Contact, JointKind, Owner};

/// The hand's way with an open gripper.
const OPEN: Srgba = Srgba::new(0.2, 0.78, 0.9, 0.9);
/// And with a closed one.
const CLOSED: Srgba = Srgba::new(1.0, 0.55, 0.15, 0.9);
/// Actions that are still to come, with an open gripper and a closed one.
const NEXT: [Srgba; 2] = [
    Srgba::new(0.55, 0.95, 1.0, 1.0),
    Srgba::new(1.0, 0.8, 0.3, 1.0),
];
const TOUCH_ROBOT: Srgba = Srgba::new(1.0, 0.25, 0.3, 1.0);
const TOUCH_OTHER: Srgba = Srgba::new(0.45, 0.6, 1.0, 0.85);
const AXIS: Srgba = Srgba::new(0.75, 0.45, 1.0, 0.95);
const STRING: Srgba = Srgba::new(1.0, 0.95, 0.4, 1.0);

/// Longest arrow of a contact, m, and the force that gives half of it, N.
const ARROW: (f32, f32) = (0.12, 12.0);
/// Lower boxes are drawn as a rectangle, m.
const FLAT: f32 = 0.02;
/// Weaker contacts are left out, N.
const FAINT: f64 = 0.02;

/// Draws everything whose layer is on.
pub(super) fn draw(
    lines: &mut GizmoAsset,
    place: &Place,
    pane: &Pane,
    at: f64,
    layers: &Layers,
    hold: Option<Hold>,
) {
    let Some((before, after, share)) = pane.around(at) else {
        return;
    };
    let hand = point_between(before.eef, after.eef, share);
    if layers.trail {
        trail(lines, pane, before.step, hand);
    }
    if layers.chunk {
        chunk(lines, pane, at, before.step, hand);
    }
    if layers.contacts {
        for contact in &before.contacts {
            touch(lines, contact);
        }
    }
    let poses = before.state.poses.iter().zip(&after.state.poses);
    let poses: Vec<Transform> = poses.map(|(a, b)| between(a, b, share)).collect();
    if layers.frames {
        joints(lines, place, &poses);
        axes(lines, hand, turn(before));
    }
    if layers.regions {
        regions(lines, pane, before, &poses);
    }
    if let Some(hold) = hold {
        string(lines, &hold, &poses);
    }
}

fn closes(moment: &Moment) -> bool {
    moment.action.is_some_and(|a| a[6] > 0.0)
}

/// Where the hand was.
fn trail(lines: &mut GizmoAsset, pane: &Pane, step: usize, hand: Vec3) {
    let moments = pane.track.moments();
    let past = moments.get(..=step.min(moments.len().saturating_sub(1)));
    let past = past.unwrap_or_default();
    let color = |m: &Moment| if closes(m) { CLOSED } else { OPEN };
    let last = past.last().map(|m| (hand, color(m)));
    let points = past.iter().map(|m| (vec3(m.eef), color(m))).chain(last);
    lines.linestrip_gradient(points);
}

/// Where the actions of the chunk lead: those that are done dim, those that are not bright.
fn chunk(lines: &mut GizmoAsset, pane: &Pane, at: f64, step: usize, hand: Vec3) {
    let Some((asked, path)) = pane.chunk_at(at) else {
        return;
    };
    let done = step.saturating_sub(asked.step);
    let start = pane.track.at(asked.step).map(|m| vec3(m.eef));
    let mut from = start.unwrap_or(hand);
    for (i, point) in path.iter().enumerate() {
        let close = asked.chunk.get(i).is_some_and(|a| a[6] > 0.0);
        let [open, closed] = NEXT;
        let color = if close { closed } else { open };
        let to = vec3(*point);
        if i < done {
            lines.line(from, to, color.with_alpha(0.3));
        } else {
            lines.line(if i == done { hand } else { from }, to, color);
            dot(lines, to, color);
        }
        from = to;
    }
}

/// A small star.
fn dot(lines: &mut GizmoAsset, at: Vec3, color: Srgba) {
    for axis in [Vec3::X, Vec3::Y, Vec3::Z] {
        lines.line(at - 0.004 * axis, at + 0.004 * axis, color);
    }
}

/// A contact: an arrow out of what stands still, or out of the robot.
fn touch(lines: &mut GizmoAsset, contact: &Contact) {
    if contact.force < FAINT {
        return;
    }
    let robot = contact.owners.contains(&Owner::Robot);
    let color = if robot { TOUCH_ROBOT } else { TOUCH_OTHER };
    let [first, second] = contact.owners;
    let back = second == Owner::Arena || (second == Owner::Robot && first != Owner::Arena);
    let normal = vec3(contact.normal) * if back { -1.0 } else { 1.0 };
    let force = contact.force as f32;
    let (longest, half) = ARROW;
    let length = (longest * force / (force + half)).max(0.008);
    let from = vec3(contact.point);
    if normal.length_squared() > 0.5 {
        arrow(lines, from, normal * length, 0.012, color);
    }
}

/// An arrow; nothing if it has no length.
fn arrow(lines: &mut GizmoAsset, from: Vec3, along: Vec3, tip: f32, color: Srgba) {
    let length = along.length();
    if length > 1e-5 {
        lines
            .arrow(from, from + along, color)
            .with_tip_length(tip.min(0.4 * length));
    }
}

fn turn(moment: &Moment) -> Quat {
    let [x, y, z, w] = moment.eef_quat_xyzw.map(|v| v as f32);
    Quat::from_xyzw(x, y, z, w).normalize()
}

/// The frame of the hand.
fn axes(lines: &mut GizmoAsset, at: Vec3, turn: Quat) {
    let colors = [
        Srgba::new(0.95, 0.25, 0.25, 1.0),
        Srgba::new(0.3, 0.85, 0.3, 1.0),
        Srgba::new(0.3, 0.5, 1.0, 1.0),
    ];
    for (axis, color) in [Vec3::X, Vec3::Y, Vec3::Z].into_iter().zip(colors) {
        arrow(lines, at, turn * axis * 0.1, 0.015, color);
    }
}

/// The axis of every joint; hinges have a ring.
fn joints(lines: &mut GizmoAsset, place: &Place, poses: &[Transform]) {
    for (of, pose) in place.table.iter().zip(poses) {
        let body = place.scene.model(of.owner).bodies.get(of.body);
        let Some(joint) = body.and_then(|b| b.joint.as_ref()) else {
            continue;
        };
        let Some(axis) = (pose.rotation * vec3(joint.axis)).try_normalize() else {
            continue;
        };
        let at = pose.translation;
        arrow(lines, at - 0.06 * axis, 0.14 * axis, 0.02, AXIS);
        if joint.kind == JointKind::Hinge {
            let turn = Quat::from_rotation_arc(Vec3::Z, axis);
            lines
                .circle(Isometry3d::new(at, turn), 0.04, AXIS)
                .resolution(20);
        }
    }
}

/// Outlines of the regions of the goal.
fn regions(lines: &mut GizmoAsset, pane: &Pane, now: &Moment, poses: &[Transform]) {
    let Some(opening) = &pane.opening else {
        return;
    };
    for region in &opening.regions {
        let Some(body) = poses.get(region.row) else {
            continue;
        };
        let holds = now.facts.get(region.fact) == Some(&true);
        let color = if holds { GREEN } else { AMBER };
        let size = vec3(region.half) * 2.0;
        let at = body.mul_transform(transform(&region.pose));
        if size.z < FLAT {
            let turn = Isometry3d::new(at.translation, at.rotation);
            lines.rect(turn, size.truncate(), color);
        } else {
            lines.cube(at.with_scale(size), color);
        }
    }
}

/// From the held point to the mouse.
fn string(lines: &mut GizmoAsset, hold: &Hold, poses: &[Transform]) {
    let held = hold
        .anchor
        .and_then(|(row, local)| Some(poses.get(row)?.transform_point(local)));
    if let Some(held) = held {
        lines.sphere(held, 0.008, STRING).resolution(10);
    }
    if let Some(target) = hold.target {
        dot(lines, target, STRING);
        if let Some(held) = held {
            lines.line(held, target, STRING);
        }
    }
}
