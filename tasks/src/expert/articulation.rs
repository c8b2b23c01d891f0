//! Joints of articulated objects: drawers, knobs and doors.

use bitvla_sim::{JointDesc, JointKind, World};
use nalgebra::Vector3;

/// A body of an instance that a joint moves. The planner makes one only for a body that has a joint, or to query
/// whether it slides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Articulation {
    /// Index of the instance in the scene.
    pub instance: usize,
    /// Index of the body in the model of the instance.
    pub body: usize,
}

impl Articulation {
    /// The joint that moves the body.
    pub(super) fn joint<'a>(&self, world: &'a World) -> Option<&'a JointDesc> {
        world.scene().instances[self.instance].model.bodies[self.body]
            .joint
            .as_ref()
    }

    /// Position of the joint, rad or m. Zero for a body without a joint, which the planner excludes.
    pub(super) fn position(&self, world: &World) -> f64 {
        self.joint(world)
            .and_then(|j| world.joint_position(self.instance, &j.name))
            .unwrap_or(0.0)
    }

    /// Unit vector in the world frame along which a drawer opens; `None` if the body does not slide.
    pub(super) fn opening_direction(&self, world: &World) -> Option<Vector3<f64>> {
        let joint = self.joint(world).filter(|j| j.kind == JointKind::Slide)?;
        let inwards = joint.range[0].abs() > joint.range[1].abs();
        let sign = if inwards { -1.0 } else { 1.0 };
        let pose = world.rendered_body_pose(self.instance, self.body);
        Some(pose.rotation * Vector3::from(joint.axis) * sign)
    }
}
