//! Boxes around the collision shapes of a model.

use bitvla_sim::{ModelDesc, ShapeDesc, World, isometry};
use nalgebra::{Isometry3, Point3, Translation3, Vector3};

/// An oriented box in the world frame.
#[derive(Debug, Clone)]
pub(super) struct OrientedBox {
    /// Pose of its centre.
    pub pose: Isometry3<f64>,
    /// Half sizes along its own axes, m.
    pub half: Vector3<f64>,
}

impl OrientedBox {
    /// Its centre, m.
    pub(super) fn centre(&self) -> Point3<f64> {
        Point3::from(self.pose.translation.vector)
    }

    /// Half sizes of the axis-aligned box around it, m.
    pub(super) fn half_extent(&self) -> Vector3<f64> {
        let r = self.pose.rotation.to_rotation_matrix();
        r.matrix().abs() * self.half
    }

    /// Height of its highest corner, m.
    pub(super) fn top(&self) -> f64 {
        let r = self.pose.rotation.to_rotation_matrix();
        self.centre().z + r.matrix().abs().row(2).transpose().dot(&self.half)
    }

    /// Signed distance of a point, m; negative inside. Inlined: most of the time of planning a grasp goes
    /// into it, and as a call it takes twice as long.
    #[inline(always)]
    pub(super) fn distance(&self, p: Point3<f64>) -> f64 {
        let q = self.pose.inverse_transform_point(&p).coords.abs() - self.half;
        let outside = q.map(|v| v.max(0.0)).norm();
        outside + q.max().min(0.0)
    }
}

/// The boxes around the collision shapes of a body of an instance, at the present pose of the body.
pub(super) fn collision_boxes(
    world: &World,
    instance: usize,
    body: usize,
) -> impl Iterator<Item = OrientedBox> {
    let pose = world.rendered_body_pose(instance, body);
    let shapes = &world.scene().instances[instance].model.bodies[body].collision;
    shapes.iter().filter_map(move |c| {
        let (centre, half) = shape_bounds(&c.shape)?;
        Some(OrientedBox {
            pose: pose * isometry(c.pos, c.quat_wxyz) * Translation3::from(centre),
            half,
        })
    })
}

/// The boxes around the collision shapes of the root body: pose of the shape in the model, and centre and
/// half sizes of the box in the frame of the shape, m.
pub(super) fn root_boxes(
    model: &ModelDesc,
) -> impl Iterator<Item = (Isometry3<f64>, Point3<f64>, Vector3<f64>)> {
    let shapes = model.bodies.iter().take(1).flat_map(|b| &b.collision);
    shapes.filter_map(|c| {
        let (centre, half) = shape_bounds(&c.shape)?;
        Some((isometry(c.pos, c.quat_wxyz), Point3::from(centre), half))
    })
}

/// Lowest and highest corner of the box around the root body in the frame of the model, m.
pub(super) fn root_bounds(model: &ModelDesc) -> (Vector3<f64>, Vector3<f64>) {
    let mut low = Vector3::repeat(f64::INFINITY);
    let mut high = -low;
    for (pose, centre, half) in root_boxes(model) {
        let extent = pose.rotation.to_rotation_matrix().matrix().abs() * half;
        let middle = (pose * centre).coords;
        low = low.inf(&(middle - extent));
        high = high.sup(&(middle + extent));
    }
    (low, high)
}

/// Centre and half sizes of the box around a shape in its own frame, m; `None` for shapes that are only
/// drawn.
pub(super) fn shape_bounds(shape: &ShapeDesc) -> Option<(Vector3<f64>, Vector3<f64>)> {
    let zero = Vector3::zeros();
    Some(match shape {
        ShapeDesc::Box { half } => (zero, Vector3::from(*half)),
        ShapeDesc::Sphere { radius } => (zero, Vector3::repeat(*radius)),
        ShapeDesc::Cylinder {
            radius,
            half_height,
        } => (zero, Vector3::new(*radius, *radius, *half_height)),
        ShapeDesc::Capsule {
            radius,
            half_height,
        } => (zero, Vector3::new(*radius, *radius, half_height + radius)),
        ShapeDesc::Hull { points } => {
            let first = Vector3::from(*points.first()?);
            let (lo, hi) = points.iter().fold((first, first), |(lo, hi), p| {
                let p = Vector3::from(*p);
                (lo.inf(&p), hi.sup(&p))
            });
            (0.5 * (lo + hi), 0.5 * (hi - lo))
        }
        ShapeDesc::Lathe { .. } | ShapeDesc::Mesh { .. } => return None,
    })
}
