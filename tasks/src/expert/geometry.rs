//! Clearance geometry of the gripper: where the fingers and the hand would be at a grasp, and how far
//! the things around are from that volume. Sizes: fact sheet of LIBERO, section 3.

use bitvla_sim::{InstanceDesc, ModelDesc, Owner, SceneDesc, ShapeDesc, World};
use nalgebra::{Isometry3, Point3, Vector3};

/// Axis-aligned boxes in a frame at the grip site whose x runs along the finger axis, z up:
/// two open fingers (from the finger tip upwards) and the hand above them, as (centre, half size), m.
const HAND_BOXES: [([f64; 3], [f64; 3]); 3] = [
    ([0.049, 0.0, 0.06], [0.012, 0.011, 0.07]),
    ([-0.049, 0.0, 0.06], [0.012, 0.011, 0.07]),
    ([0.0, 0.0, 0.101], [0.104, 0.032, 0.07]),
];

/// Points on the collision shapes of one instance, world frame, about 2 cm apart at most.
pub(super) fn surface_points(world: &World, index: usize) -> Vec<Point3<f64>> {
    let scene = world.scene();
    let mut points = Vec::new();
    for_each_shape(world, scene, index, |pose, half| {
        let n = half.map(|h| ((h / 0.01).ceil() as i32).clamp(1, 12));
        for ix in -n.x..=n.x {
            for iy in -n.y..=n.y {
                for iz in -n.z..=n.z {
                    let on_face =
                        ix.abs() == n.x || iy.abs() == n.y || iz.abs() == n.z;
                    if on_face {
                        let local = Point3::new(
                            half.x * f64::from(ix) / f64::from(n.x),
                            half.y * f64::from(iy) / f64::from(n.y),
                            half.z * f64::from(iz) / f64::from(n.z),
                        );
                        points.push(pose * local);
                    }
                }
            }
        }
    });
    points
}

/// Bounding box half sizes and centre of a shape in its own frame.
fn half_extents(shape: &ShapeDesc) -> (Vector3<f64>, Vector3<f64>) {
    match shape {
        ShapeDesc::Box { half } => (Vector3::from(*half), Vector3::zeros()),
        ShapeDesc::Sphere { radius } => (Vector3::repeat(*radius), Vector3::zeros()),
        ShapeDesc::Cylinder {
            radius,
            half_height,
        } => (Vector3::new(*radius, *radius, *half_height), Vector3::zeros()),
        ShapeDesc::Capsule {
            radius,
            half_height,
        } => (
            Vector3::new(*radius, *radius, half_height + radius),
            Vector3::zeros(),
        ),
        ShapeDesc::Hull { points } => {
            let mut low = Vector3::repeat(f64::INFINITY);
            let mut high = Vector3::repeat(f64::NEG_INFINITY);
            for p in points {
                low = low.inf(&Vector3::from(*p));
                high = high.sup(&Vector3::from(*p));
            }
            ((high - low) * 0.5, (high + low) * 0.5)
        }
        ShapeDesc::Lathe { .. } | ShapeDesc::Mesh { .. } => (Vector3::zeros(), Vector3::zeros()),
    }
}

fn for_each_shape(
    world: &World,
    scene: &SceneDesc,
    index: usize,
    mut visit: impl FnMut(Isometry3<f64>, Vector3<f64>),
) {
    let instance: &InstanceDesc = &scene.instances[index];
    let model: &ModelDesc = &instance.model;
    for (pose, body) in body_poses(world, index).into_iter().zip(&model.bodies) {
        for c in &body.collision {
            let (half, centre) = half_extents(&c.shape);
            let local = bitvla_sim::isometry(c.pos, c.quat_wxyz);
            let frame = pose * local * nalgebra::Translation3::from(centre);
            visit(frame, half);
        }
    }
}

/// World poses of the bodies of one instance, in the order of its model.
fn body_poses(world: &World, index: usize) -> Vec<Isometry3<f64>> {
    let state = world.visual_state();
    world
        .scene()
        .body_table()
        .iter()
        .zip(&state.poses)
        .filter(|(r, _)| r.owner == Owner::Instance(index))
        .map(|(_, pose)| *pose)
        .collect()
}

/// Distance (m, capped at `cap`) from the open gripper, swept upwards, to the nearest of `points` when the
/// grip site is at `grip` with its finger axis at world angle `axis_angle` (rad).
pub(super) fn clearance(
    points: &[Point3<f64>],
    grip: &Point3<f64>,
    axis_angle: f64,
    cap: f64,
) -> f64 {
    let (s, c) = (libm::sin(axis_angle), libm::cos(axis_angle));
    let mut best = cap;
    for p in points {
        let d = p - grip;
        let local = Vector3::new(c * d.x + s * d.y, c * d.y - s * d.x, d.z);
        for (centre, half) in &HAND_BOXES {
            let q = (local - Vector3::from(*centre)).abs() - Vector3::from(*half);
            let outside = q.map(|v| v.max(0.0)).norm();
            let signed = outside + q.max().min(0.0);
            best = best.min(signed);
        }
    }
    best
}

/// Radius (m) of the rim and height (m) of the top above the root origin, from the collision shapes.
pub(super) fn rim(model: &ModelDesc) -> (f64, f64) {
    let mut radius: f64 = 0.0;
    let mut top: f64 = 0.0;
    for body in &model.bodies {
        for c in &body.collision {
            let (half, centre) = half_extents(&c.shape);
            let frame = bitvla_sim::isometry(c.pos, c.quat_wxyz);
            for corner in 0..8 {
                let sign = |bit: usize| if corner & bit == 0 { -1.0 } else { 1.0 };
                let p = frame
                    * (Point3::from(centre)
                        + Vector3::new(
                            half.x * sign(1),
                            half.y * sign(2),
                            half.z * sign(4),
                        ));
                radius = radius.max(libm::hypot(p.x, p.y));
                top = top.max(p.z);
            }
        }
    }
    (radius, top)
}

/// Highest of `points` within `radius` of the straight segment between two points in the plane, m.
pub(super) fn highest_along(
    points: &[Point3<f64>],
    from: &Point3<f64>,
    to: &Point3<f64>,
    radius: f64,
) -> f64 {
    let (a, b) = (from.xy(), to.xy());
    let ab = b - a;
    let len2 = ab.norm_squared().max(1e-9);
    points
        .iter()
        .filter(|p| {
            let t = ((p.xy() - a).dot(&ab) / len2).clamp(0.0, 1.0);
            (p.xy() - (a + ab * t)).norm() < radius
        })
        .map(|p| p.z)
        .fold(f64::NEG_INFINITY, f64::max)
}
