//! Which body a point belongs to: the simulation says where something was taken hold of, the picture shows
//! where that place is now.

use super::place::Place;
use super::space::{transform, vec3};
use crate::theatre::Moment;
use bevy::prelude::*;
use bitvla_sim::{Owner, ShapeDesc, isometry};

/// A point farther than this from everything belongs to nothing, m.
const REACH: f32 = 0.05;

/// The row of the body of an object or fixture that a point lies on, and the point in its frame.
pub(super) fn anchor(place: &Place, moment: &Moment, point: Vec3) -> Option<(usize, Vec3)> {
    let mut best: Option<(f32, usize, Vec3)> = None;
    for (row, (of, pose)) in place.table.iter().zip(&moment.state.poses).enumerate() {
        let Owner::Instance(_) = of.owner else {
            continue;
        };
        let Some(body) = place.scene.model(of.owner).bodies.get(of.body) else {
            continue;
        };
        let local = into(&transform(pose), point);
        for shape in &body.collision {
            let at = transform(&isometry(shape.pos, shape.quat_wxyz));
            let Some((low, high)) = extent(&shape.shape) else {
                continue;
            };
            let p = into(&at, local);
            let away = p.distance(p.clamp(low, high));
            if away < REACH && best.is_none_or(|(least, ..)| away < least) {
                best = Some((away, row, local));
            }
        }
    }
    best.map(|(_, row, local)| (row, local))
}

/// A point in a frame.
fn into(frame: &Transform, point: Vec3) -> Vec3 {
    frame.rotation.inverse() * (point - frame.translation)
}

/// Lowest and highest corner of a collision shape.
fn extent(shape: &ShapeDesc) -> Option<(Vec3, Vec3)> {
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
