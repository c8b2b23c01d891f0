//! Body that a picked point is attached to, so that the pick line follows the body while it moves.

use super::spawned_scene::SpawnedScene;
use super::transforms::{transform, vec3};
use crate::playback::StepState;
use bevy::prelude::*;
use bitvla_sim::{Owner, ShapeDesc, isometry};

/// Maximum distance between the point and a collision shape of the body, m.
const MAX_DISTANCE: f32 = 0.05;

/// Finds the body of an object or fixture nearest to `point` (world frame, m); returns its row in the body table and
/// the point in its frame.
pub(super) fn anchor(
    scene: &SpawnedScene,
    step_state: &StepState,
    point: Vec3,
) -> Option<(usize, Vec3)> {
    let mut best: Option<(f32, usize, Vec3)> = None;
    for (row, (of, pose)) in scene.table.iter().zip(&step_state.visual.poses).enumerate() {
        let Owner::Instance(_) = of.owner else {
            continue;
        };
        let Some(body) = scene.scene.model(of.owner).bodies.get(of.body) else {
            continue;
        };
        let local = point_in_frame(&transform(pose), point);
        for shape in &body.collision {
            let at = transform(&isometry(shape.pos, shape.quat_wxyz));
            let Some((low, high)) = bounds(&shape.shape) else {
                continue;
            };
            let p = point_in_frame(&at, local);
            let distance = p.distance(p.clamp(low, high));
            if distance < MAX_DISTANCE && best.is_none_or(|(least, ..)| distance < least) {
                best = Some((distance, row, local));
            }
        }
    }
    best.map(|(_, row, local)| (row, local))
}

/// Point in the coordinates of a frame.
fn point_in_frame(frame: &Transform, point: Vec3) -> Vec3 {
    frame.rotation.inverse() * (point - frame.translation)
}

/// Bounding box of a collision shape in its frame, m; none for shapes that the physics does not collide.
fn bounds(shape: &ShapeDesc) -> Option<(Vec3, Vec3)> {
    let around = |half: Vec3| Some((-half, half));
    let upright = |r: f64, h: f64| Vec3::new(r as f32, r as f32, h as f32);
    match shape {
        ShapeDesc::Box { half } => around(vec3(*half)),
        ShapeDesc::Sphere { radius } => around(Vec3::splat(*radius as f32)),
        ShapeDesc::Cylinder {
            radius,
            half_height,
        } => around(upright(*radius, *half_height)),
        ShapeDesc::Capsule {
            radius,
            half_height,
        } => around(upright(*radius, half_height + radius)),
        ShapeDesc::Hull { points } => {
            let mut points = points.iter().map(|p| vec3(*p));
            let first = points.next()?;
            Some(points.fold((first, first), |(low, high), p| (low.min(p), high.max(p))))
        }
        ShapeDesc::Lathe { .. } | ShapeDesc::Mesh { .. } => None,
    }
}
