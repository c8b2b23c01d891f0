//! Setting velocities of the robot, objects and joints without simulating, for initial states that are not at rest.

use super::World;
use crate::panda::DOFS;
use rapier3d::math::Vector;

impl World {
    /// Sets the joint velocities of the robot (7 arm, rad/s; 2 fingers, m/s).
    pub fn set_robot_velocity(&mut self, velocity: &[f64; DOFS]) {
        let engine = &mut self.state.engine;
        for (joint, velocity) in self.robot_joints.iter().zip(velocity) {
            let (multibody, row) = engine.multibody_mut(joint);
            multibody.generalized_velocity_mut()[row] = *velocity as f32;
        }
        let (q, qd) = self.robot_state();
        self.sample_joint_sensors(&q, &qd);
    }

    /// Sets the velocity of the root origin (m/s) and the angular velocity (rad/s) of the free instance `i`, world frame.
    /// Does nothing for fixtures and for an index beyond the instances.
    pub fn set_instance_velocity(&mut self, i: usize, linear: [f64; 3], angular: [f64; 3]) {
        if self.scene.instances.get(i).is_none_or(|inst| inst.fixed) {
            return;
        }
        let (body, _) = self.handle_map.bodies[self.first_row[i]];
        let body = &mut self.state.engine.bodies[self.handle_map.rigid_bodies[body]];
        let vector = |v: [f64; 3]| Vector::new(v[0] as f32, v[1] as f32, v[2] as f32);
        let angular = vector(angular);
        // The engine's linear velocity is that of the centre of mass.
        let arm = body.center_of_mass() - body.translation();
        body.set_linvel(vector(linear) + angular.cross(arm), true);
        body.set_angvel(angular, true);
    }

    /// Sets the velocity (rad/s or m/s) of a joint of instance `i`; false if there is no such instance or joint.
    pub fn set_joint_velocity(&mut self, i: usize, joint: &str, velocity: f64) -> bool {
        let Some(instance) = self.scene.instances.get(i) else {
            return false;
        };
        let mut bodies = instance.model.bodies.iter();
        let body = bodies.position(|b| b.joint.as_ref().is_some_and(|j| j.name == joint));
        let joint =
            body.and_then(|body| self.handle_map.body_joint[self.first_row[i] + body].as_ref());
        let Some(joint) = joint else {
            return false;
        };
        let (multibody, row) = self.state.engine.multibody_mut(joint);
        multibody.generalized_velocity_mut()[row] = velocity as f32;
        true
    }
}
