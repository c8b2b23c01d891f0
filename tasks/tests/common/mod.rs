//! Extents of models for the tests.

use bitvla_sim::{ModelDesc, ShapeDesc, isometry};
use nalgebra::{Isometry3, Point3, Vector3};

/// Bounding box of the collision shapes with the root at a pose, joints at zero: lowest and highest
/// corner, m.
pub fn extent(model: &ModelDesc, root: Isometry3<f64>) -> ([f64; 3], [f64; 3]) {
    let mut poses: Vec<Isometry3<f64>> = Vec::new();
    let (mut lo, mut hi) = ([f64::MAX; 3], [f64::MIN; 3]);
    for body in &model.bodies {
        let parent = body.parent.as_ref().map(|name| {
            let index = model.bodies.iter().position(|b| &b.name == name);
            poses[index.expect("parent")]
        });
        let pose = parent.unwrap_or(root) * isometry(body.pos, body.quat_wxyz);
        poses.push(pose);
        for shape in &body.collision {
            let pose = pose * isometry(shape.pos, shape.quat_wxyz);
            for (k, axis) in [Vector3::x(), Vector3::y(), Vector3::z()]
                .iter()
                .enumerate()
            {
                let local = pose.rotation.inverse() * axis;
                let (low, high) = reach(&shape.shape, local);
                lo[k] = lo[k].min(pose.translation.vector[k] + low);
                hi[k] = hi[k].max(pose.translation.vector[k] + high);
            }
        }
    }
    (lo, hi)
}

/// Extent of a shape against and along a unit direction from its own centre, m.
fn reach(shape: &ShapeDesc, d: Vector3<f64>) -> (f64, f64) {
    let sideways = (d.x * d.x + d.y * d.y).sqrt();
    let far = match shape {
        ShapeDesc::Box { half } => (0..3).map(|k| half[k] * d[k].abs()).sum(),
        ShapeDesc::Sphere { radius } => *radius,
        ShapeDesc::Cylinder {
            radius,
            half_height,
        } => half_height * d.z.abs() + radius * sideways,
        ShapeDesc::Capsule {
            radius,
            half_height,
        } => half_height * d.z.abs() + radius,
        ShapeDesc::Hull { points } => {
            let along = points.iter().map(|p| Point3::from(*p).coords.dot(&d));
            return along.fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(x), b.max(x)));
        }
        other => panic!("no collision shape: {other:?}"),
    };
    (-far, far)
}
