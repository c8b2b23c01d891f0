//! Extents of models: the lowest point of a model in an orientation and the top of the support below a point. Sampling
//! uses them so that nothing starts inside the table (`docs/reference/libero.md`, section 7: the drop height is counted
//! from the workspace, which lies below the top in some arenas).

use bitvla_sim::{ArenaDesc, ModelDesc, ShapeDesc, isometry};
use nalgebra::{Isometry3, Vector3};

/// Directions in which the footprint of a model is measured.
const FOOTPRINT_DIRECTIONS: u32 = 32;

/// Distance from the origin of a shape down to its lowest point, m, at a pose in the world.
fn depth_below_origin(shape: &ShapeDesc, pose: &Isometry3<f64>) -> f64 {
    reach(shape, pose, -Vector3::z())
}

/// Distance from the origin of a shape to its farthest point along a unit direction of the world, m.
fn reach(shape: &ShapeDesc, pose: &Isometry3<f64>, direction: Vector3<f64>) -> f64 {
    // The direction in the frame of the shape.
    let d = pose.rotation.inverse() * direction;
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
        // Only drawn, never a collision shape: models are refused that have them there.
        ShapeDesc::Lathe { .. } | ShapeDesc::Mesh { .. } => 0.0,
    }
}

/// Collision shapes of a model with the poses of their frames, joints at zero.
fn collision_shapes(
    model: &ModelDesc,
    root: Isometry3<f64>,
) -> impl Iterator<Item = (&ShapeDesc, Isometry3<f64>)> {
    let mut poses: Vec<Isometry3<f64>> = Vec::with_capacity(model.bodies.len());
    for body in &model.bodies {
        // The root has no parent; all others have one before them, or the model is refused.
        let parent = (body.parent.as_ref())
            .and_then(|name| model.bodies.iter().position(|b| &b.name == name))
            .and_then(|i| poses.get(i).copied());
        poses.push(parent.map_or(root, |p| p * isometry(body.pos, body.quat_wxyz)));
    }
    (model.bodies.iter().zip(poses)).flat_map(|(body, pose)| {
        (body.collision.iter()).map(move |c| (&c.shape, pose * isometry(c.pos, c.quat_wxyz)))
    })
}

/// Radius about the root origin of the circle that the collision shapes of a model lie in, seen from above, m, with the root rotated
/// by `quat_wxyz` and joints at zero; zero for a model without shapes.
pub fn footprint_radius(model: &ModelDesc, quat_wxyz: [f64; 4]) -> f64 {
    let directions = (0..FOOTPRINT_DIRECTIONS).map(|k| {
        let angle = std::f64::consts::TAU * f64::from(k) / f64::from(FOOTPRINT_DIRECTIONS);
        Vector3::new(libm::cos(angle), libm::sin(angle), 0.0)
    });
    let directions: Vec<Vector3<f64>> = directions.collect();
    collision_shapes(model, isometry([0.0; 3], quat_wxyz))
        .flat_map(|(shape, at)| {
            let from = at.translation.vector;
            (directions.iter()).map(move |d| from.dot(d) + reach(shape, &at, *d))
        })
        .fold(0.0, f64::max)
}

/// z of the lowest point of the collision shapes of a model from its root origin, m (negative below it), with the root
/// rotated by `quat_wxyz` and joints at zero; zero for a model without shapes.
pub fn lowest_point(model: &ModelDesc, quat_wxyz: [f64; 4]) -> f64 {
    let lowest = collision_shapes(model, isometry([0.0; 3], quat_wxyz))
        .map(|(shape, at)| at.translation.z - depth_below_origin(shape, &at))
        .fold(f64::MAX, f64::min);
    if lowest == f64::MAX { 0.0 } else { lowest }
}

/// Bounding box of the collision shapes of a model in the world, joints at zero: lowest and highest corner, m; `root` is
/// the pose of the root body.
pub fn extent(model: &ModelDesc, root: Isometry3<f64>) -> ([f64; 3], [f64; 3]) {
    let (mut low, mut high) = ([f64::MAX; 3], [f64::MIN; 3]);
    for (shape, at) in collision_shapes(model, root) {
        for k in 0..3 {
            let axis = Vector3::ith(k, 1.0);
            let centre = at.translation.vector[k];
            low[k] = low[k].min(centre - reach(shape, &at, -axis));
            high[k] = high[k].max(centre + reach(shape, &at, axis));
        }
    }
    (low, high)
}

/// World z of the top of the highest level box of the arena below the point `x`, `y` (world frame, m); `None` where
/// there is none.
pub fn support_top(arena: &ArenaDesc, x: f64, y: f64) -> Option<f64> {
    collision_shapes(&arena.model, Isometry3::identity())
        .filter_map(|(shape, at)| {
            let ShapeDesc::Box { half } = shape else {
                return None;
            };
            let up = at.rotation.inverse() * Vector3::z();
            let level = up.iter().any(|c| c.abs() > 1.0 - 1e-6);
            let beside = Vector3::new(x - at.translation.x, y - at.translation.y, 0.0);
            let beside = at.rotation.inverse() * beside;
            let over = (0..3).all(|k| up[k].abs() > 0.5 || beside[k].abs() <= half[k]);
            (level && over).then(|| at.translation.z + depth_below_origin(shape, &at))
        })
        .reduce(f64::max)
}
