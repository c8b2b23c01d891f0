//! How far models reach: the lowest point of a model in an orientation and the top of the support below
//! a point. Placement uses them so that nothing starts inside the table (fact sheet section 7: the
//! drop height is counted from the workspace, which lies below the top in some arenas).

use bitvla_sim::{ArenaDesc, ModelDesc, ShapeDesc, isometry};
use nalgebra::{Isometry3, Vector3};

/// How far a shape reaches down from its own origin, m (positive), when posed like this.
fn reach_down(shape: &ShapeDesc, pose: &Isometry3<f64>) -> f64 {
    // The direction "down" in the frame of the shape.
    let d = pose.rotation.inverse() * -Vector3::z();
    match shape {
        ShapeDesc::Box { half } => (0..3).map(|i| half[i] * d[i].abs()).sum(),
        ShapeDesc::Sphere { radius } => *radius,
        ShapeDesc::Cylinder {
            radius,
            half_height,
        } => half_height * d.z.abs() + radius * libm::hypot(d.x, d.y),
        ShapeDesc::Capsule {
            radius,
            half_height,
        } => half_height * d.z.abs() + radius,
        ShapeDesc::Hull { points } => (points.iter())
            .map(|p| Vector3::from(*p).dot(&d))
            .fold(f64::MIN, f64::max),
        ShapeDesc::Lathe { .. } | ShapeDesc::Mesh { .. } => 0.0,
    }
}

/// Collision shapes of a model with the poses of their frames, joints at zero.
fn shapes(
    model: &ModelDesc,
    root: Isometry3<f64>,
) -> impl Iterator<Item = (&ShapeDesc, Isometry3<f64>)> {
    let mut poses: Vec<Isometry3<f64>> = Vec::with_capacity(model.bodies.len());
    for body in &model.bodies {
        let parent = (body.parent.as_ref())
            .and_then(|name| model.bodies.iter().position(|b| &b.name == name))
            .and_then(|i| poses.get(i).copied());
        poses.push(parent.map_or(root, |p| p * isometry(body.pos, body.quat_wxyz)));
    }
    (model.bodies.iter().zip(poses)).flat_map(|(body, pose)| {
        (body.collision.iter()).map(move |c| (&c.shape, pose * isometry(c.pos, c.quat_wxyz)))
    })
}

/// z of the lowest point of the collision shapes below the root origin, m, with the root turned by
/// `quat_wxyz` and joints at zero; zero for a model without shapes.
pub fn lowest_point(model: &ModelDesc, quat_wxyz: [f64; 4]) -> f64 {
    let lowest = shapes(model, isometry([0.0; 3], quat_wxyz))
        .map(|(shape, at)| at.translation.z - reach_down(shape, &at))
        .fold(f64::MAX, f64::min);
    if lowest == f64::MAX { 0.0 } else { lowest }
}

/// z of the highest level box of the arena over which a point lies, m; `None` over nothing.
pub fn support_top(arena: &ArenaDesc, x: f64, y: f64) -> Option<f64> {
    shapes(&arena.model, Isometry3::identity())
        .filter_map(|(shape, at)| {
            let ShapeDesc::Box { half } = shape else {
                return None;
            };
            let up = at.rotation.inverse() * Vector3::z();
            let level = up.iter().any(|c| c.abs() > 1.0 - 1e-6);
            let beside = Vector3::new(x - at.translation.x, y - at.translation.y, 0.0);
            let beside = at.rotation.inverse() * beside;
            let over = (0..3).all(|k| up[k].abs() > 0.5 || beside[k].abs() <= half[k]);
            (level && over).then(|| at.translation.z + reach_down(shape, &at))
        })
        .reduce(f64::max)
}
