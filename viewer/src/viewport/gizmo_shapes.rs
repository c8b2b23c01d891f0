//! Line shapes over the scene: end-effector path, predicted path of the action chunk, contact forces, joint axes,
//! outlines of goal regions, and the line from a picked point to its target. World frame, m.

use super::overlays::{AMBER, GREEN};
use super::picking::Pick;
use super::spawned_scene::SpawnedScene;
use super::transforms::{interpolate_point, interpolate_pose, transform, vec3};
use crate::playback::StepState;
use crate::resources::VisibleLayers;
use crate::session::EpisodePlayback;
use bevy::gizmos::GizmoAsset;
use bevy::prelude::*;
use bitvla_sim::{Contact, JointKind, Owner};

/// Past path with the gripper commanded open.
const OPEN: Srgba = Srgba::new(0.2, 0.78, 0.9, 0.9);
/// Past path with the gripper commanded closed.
const CLOSED: Srgba = Srgba::new(1.0, 0.55, 0.15, 0.9);
/// Predicted path with the gripper commanded open and closed.
const PLANNED: [Srgba; 2] = [
    Srgba::new(0.55, 0.95, 1.0, 1.0),
    Srgba::new(1.0, 0.8, 0.3, 1.0),
];
const ROBOT_CONTACT: Srgba = Srgba::new(1.0, 0.25, 0.3, 1.0);
const OTHER_CONTACT: Srgba = Srgba::new(0.45, 0.6, 1.0, 0.85);
const AXIS: Srgba = Srgba::new(0.75, 0.45, 1.0, 0.95);
const PICK_LINE: Srgba = Srgba::new(1.0, 0.95, 0.4, 1.0);

/// Maximum length of a contact arrow, m, and the force at which it has half of it, N.
const ARROW: (f32, f32) = (0.12, 12.0);
/// Lower boxes are drawn as rectangles, m.
const MIN_BOX_HEIGHT: f32 = 0.02;
/// Contacts with less force are left out, N.
const MIN_FORCE: f64 = 0.02;

/// Draws the shapes of all visible layers.
pub(super) fn draw(
    lines: &mut GizmoAsset,
    scene: &SpawnedScene,
    episode: &EpisodePlayback,
    at: f64,
    layers: &VisibleLayers,
    pick: Option<Pick>,
) {
    let Some((before, after, fraction)) = episode.around(at) else {
        return;
    };
    let hand = interpolate_point(before.eef, after.eef, fraction);
    if layers.trail {
        trail(lines, episode, before.step, hand);
    }
    if layers.chunk {
        chunk(lines, episode, at, before.step, hand);
    }
    if layers.contacts {
        for contact in &before.contacts {
            contact_arrow(lines, contact);
        }
    }
    let poses = before.visual.poses.iter().zip(&after.visual.poses);
    let poses: Vec<Transform> = poses
        .map(|(a, b)| interpolate_pose(a, b, fraction))
        .collect();
    if layers.frames {
        joints(lines, scene, &poses);
        axes(lines, hand, rotation(before));
    }
    if layers.regions {
        regions(lines, episode, before, &poses);
    }
    if let Some(pick) = pick {
        pick_line(lines, &pick, &poses);
    }
}

fn gripper_closes(step_state: &StepState) -> bool {
    step_state.action.is_some_and(|a| a[6] > 0.0)
}

/// Draws the path of the end effector up to the playhead.
fn trail(lines: &mut GizmoAsset, episode: &EpisodePlayback, step: usize, hand: Vec3) {
    let steps = episode.trajectory.steps();
    let past = steps.get(..=step.min(steps.len().saturating_sub(1)));
    let past = past.unwrap_or_default();
    let color = |m: &StepState| if gripper_closes(m) { CLOSED } else { OPEN };
    let last = past.last().map(|m| (hand, color(m)));
    let points = past.iter().map(|m| (vec3(m.eef), color(m))).chain(last);
    lines.linestrip_gradient(points);
}

/// Draws the predicted path of the action chunk: executed actions dim, remaining ones bright.
fn chunk(lines: &mut GizmoAsset, episode: &EpisodePlayback, at: f64, step: usize, hand: Vec3) {
    let Some((query, path)) = episode.chunk_at(at) else {
        return;
    };
    let done = step.saturating_sub(query.step);
    let start = episode.trajectory.get(query.step).map(|m| vec3(m.eef));
    let mut from = start.unwrap_or(hand);
    for (i, point) in path.iter().enumerate() {
        let close = query.chunk.get(i).is_some_and(|a| a[6] > 0.0);
        let [open, closed] = PLANNED;
        let color = if close { closed } else { open };
        let to = vec3(*point);
        if i < done {
            lines.line(from, to, color.with_alpha(0.3));
        } else {
            lines.line(if i == done { hand } else { from }, to, color);
            cross(lines, to, color);
        }
        from = to;
    }
}

/// Draws a cross of 8 mm.
fn cross(lines: &mut GizmoAsset, at: Vec3, color: Srgba) {
    for axis in [Vec3::X, Vec3::Y, Vec3::Z] {
        lines.line(at - 0.004 * axis, at + 0.004 * axis, color);
    }
}

/// Draws a contact force as an arrow that points away from the arena, or from the robot.
fn contact_arrow(lines: &mut GizmoAsset, contact: &Contact) {
    if contact.force < MIN_FORCE {
        return;
    }
    let robot = contact.owners.contains(&Owner::Robot);
    let color = if robot { ROBOT_CONTACT } else { OTHER_CONTACT };
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

/// Draws an arrow; nothing if it is shorter than 0.01 mm.
fn arrow(lines: &mut GizmoAsset, from: Vec3, along: Vec3, tip: f32, color: Srgba) {
    let length = along.length();
    if length > 1e-5 {
        lines
            .arrow(from, from + along, color)
            .with_tip_length(tip.min(0.4 * length));
    }
}

fn rotation(step_state: &StepState) -> Quat {
    let [x, y, z, w] = step_state.eef_quat_xyzw.map(|v| v as f32);
    Quat::from_xyzw(x, y, z, w).normalize()
}

/// Draws the axes of the hand frame.
fn axes(lines: &mut GizmoAsset, at: Vec3, rotation: Quat) {
    let colors = [
        Srgba::new(0.95, 0.25, 0.25, 1.0),
        Srgba::new(0.3, 0.85, 0.3, 1.0),
        Srgba::new(0.3, 0.5, 1.0, 1.0),
    ];
    for (axis, color) in [Vec3::X, Vec3::Y, Vec3::Z].into_iter().zip(colors) {
        arrow(lines, at, rotation * axis * 0.1, 0.015, color);
    }
}

/// Draws the axis of every joint, with a ring around hinges.
fn joints(lines: &mut GizmoAsset, scene: &SpawnedScene, poses: &[Transform]) {
    for (of, pose) in scene.table.iter().zip(poses) {
        let body = scene.scene.model(of.owner).bodies.get(of.body);
        let Some(joint) = body.and_then(|b| b.joint.as_ref()) else {
            continue;
        };
        let Some(axis) = (pose.rotation * vec3(joint.axis)).try_normalize() else {
            continue;
        };
        let at = pose.translation;
        arrow(lines, at - 0.06 * axis, 0.14 * axis, 0.02, AXIS);
        if joint.kind == JointKind::Hinge {
            let rotation = Quat::from_rotation_arc(Vec3::Z, axis);
            lines
                .circle(Isometry3d::new(at, rotation), 0.04, AXIS)
                .resolution(20);
        }
    }
}

/// Draws the outlines of the goal regions.
fn regions(
    lines: &mut GizmoAsset,
    episode: &EpisodePlayback,
    now: &StepState,
    poses: &[Transform],
) {
    let Some(info) = &episode.info else {
        return;
    };
    for region in &info.regions {
        let Some(body) = poses.get(region.row) else {
            continue;
        };
        let holds = now.predicates.get(region.predicate) == Some(&true);
        let color = if holds { GREEN } else { AMBER };
        let size = vec3(region.half) * 2.0;
        let at = body.mul_transform(transform(&region.pose));
        if size.z < MIN_BOX_HEIGHT {
            let rotation = Isometry3d::new(at.translation, at.rotation);
            lines.rect(rotation, size.truncate(), color);
        } else {
            lines.cube(at.with_scale(size), color);
        }
    }
}

/// Draws the picked point, its target and the line between them.
fn pick_line(lines: &mut GizmoAsset, pick: &Pick, poses: &[Transform]) {
    let held = pick
        .anchor
        .and_then(|(row, local)| Some(poses.get(row)?.transform_point(local)));
    if let Some(held) = held {
        lines.sphere(held, 0.008, PICK_LINE).resolution(10);
    }
    if let Some(target) = pick.target {
        cross(lines, target, PICK_LINE);
        if let Some(held) = held {
            lines.line(held, target, PICK_LINE);
        }
    }
}
