//! Stops of drawers: parts of one fixture never touch each other in the engine, so a slide ends where its part would meet the
//! frame of its fixture. In MuJoCo, whose filter spares only parents that move, the two collide there.

use super::build::{collider, to_engine};
use crate::description::{CollisionDesc, JointKind, ModelDesc};
use crate::links::LinkTree;
use rapier3d::math::{Pose, Vector};
use rapier3d::parry::query::{ShapeCastOptions, ShapeCastStatus, cast_shapes, contact};
use rapier3d::prelude::Collider;

/// Least share of the direction of motion in the normal of a contact that stops it; the others are rubbing sides.
const MIN_NORMAL_SHARE: f32 = 0.9;
/// Way beyond a contact, m, at which two parts that stop each other overlap by at least half of it; parts that pass each
/// other closely do not.
const BEYOND: f32 = 0.002;

/// Range (m) of the slide of link `i` of a fixture, from the free way on both sides of its position `start` (m); its own range
/// where nothing is in the way, and for every other joint.
pub(super) fn slide_range(model: &ModelDesc, tree: &LinkTree, i: usize, start: f64) -> [f64; 2] {
    let link = &tree.links[i];
    let (Some(joint), Some(0)) = (&link.joint, link.parent) else {
        return link.joint.as_ref().map_or([0.0; 2], |joint| joint.range);
    };
    let [low, high] = joint.range;
    if joint.kind != JointKind::Slide || !(low..=high).contains(&start) {
        return [low, high];
    }
    let (frame, part) = (shapes(model, tree, 0), shapes(model, tree, i));
    let axis = link.to_parent.rotation * nalgebra::Vector3::from(joint.axis);
    let mut at = link.to_parent;
    at.translation.vector += axis * start;
    let at = to_engine(&at);
    let axis = Vector::new(axis.x as f32, axis.y as f32, axis.z as f32);
    let free = |direction: Vector, length: f64| {
        let ways = frame.iter().flat_map(|(fixed, a)| {
            let moving = part.iter().filter(|(moving, _)| touch(fixed, moving));
            moving.map(|(_, b)| free_way(a, &at, b, direction, length as f32))
        });
        ways.fold(length, |least, way| least.min(f64::from(way)))
    };
    [
        start - free(-axis, start - low),
        start + free(axis, high - start),
    ]
}

/// Collision shapes of a link, in its frame.
fn shapes<'a>(
    model: &'a ModelDesc,
    tree: &LinkTree,
    link: usize,
) -> Vec<(&'a CollisionDesc, Collider)> {
    let bodies = model.bodies.iter().zip(&tree.of_body);
    let of_link = bodies.filter(|(_, (of, _))| *of == link);
    of_link
        .flat_map(|(body, (_, offset))| {
            let shapes = body.collision.iter();
            shapes.filter_map(|desc| Some((desc, collider(desc, offset)?.build())))
        })
        .collect()
}

/// MuJoCo's rule for the collision bits of two shapes.
fn touch(a: &CollisionDesc, b: &CollisionDesc) -> bool {
    a.contype & b.conaffinity != 0 || b.contype & a.conaffinity != 0
}

/// Way (m) of shape `b`, which is on a part at `at`, in a unit direction until it meets the fixed shape `a` head-on: `length` if it
/// does not, or if they overlap from the beginning.
fn free_way(a: &Collider, at: &Pose, b: &Collider, direction: Vector, length: f32) -> f32 {
    let options = ShapeCastOptions {
        stop_at_penetration: false,
        ..ShapeCastOptions::with_max_time_of_impact(length)
    };
    let moving = *at * *b.position();
    let hit = cast_shapes(
        a.position(),
        Vector::ZERO,
        a.shape(),
        &moving,
        direction,
        b.shape(),
        options,
    );
    match hit {
        Ok(Some(hit)) if hit.status == ShapeCastStatus::Converged => {
            let normal = a.position().rotation * hit.normal1;
            let head_on = -normal.dot(direction) >= MIN_NORMAL_SHARE;
            let mut beyond = moving;
            beyond.translation += direction * (hit.time_of_impact + BEYOND);
            let overlap = contact(a.position(), a.shape(), &beyond, b.shape(), 0.0);
            let stops = matches!(overlap, Ok(Some(c)) if c.dist <= -0.5 * BEYOND);
            match head_on && stops {
                true => hit.time_of_impact,
                false => length,
            }
        }
        _ => length,
    }
}
