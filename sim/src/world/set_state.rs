//! Setting the state of a world without simulating: joint positions of the robot, poses of objects, and the
//! contacts and samples that follow from them.

use super::{World, build};
use crate::panda::DOFS;
use nalgebra::Isometry3;
use rapier3d::math::Vector;
use rapier3d::pipeline::CollisionPipeline;

impl World {
    /// Puts the robot at joint positions (7 arm, rad; 2 fingers, m) with zero velocity. The orientation goal
    /// of the controller stays that of the reset position.
    pub fn set_robot_qpos(&mut self, qpos: &[f64; DOFS]) {
        self.state.first_action = true;
        let engine = &mut self.state.engine;
        // Twice, so that the result does not depend on the joint positions of before.
        for _ in 0..2 {
            let mut shift = [0.0f32; DOFS];
            for (i, joint) in self.robot_joints.iter().enumerate() {
                let state = engine.joint_state(joint);
                shift[state.row] = qpos[i] as f32 - state.position;
            }
            let joint = &self.robot_joints[0];
            let (multibody, _) = engine.multibody_mut(joint);
            multibody.apply_displacements(&shift);
            multibody.generalized_velocity_mut().fill(0.0);
            engine.update_kinematics(joint);
        }
        let (q, qd) = self.robot_state();
        self.sample_cameras(&q);
        self.sample_joint_sensors(&q, &qd);
    }

    /// Puts the free instance `i` at a world pose (m), at rest. Poses and contacts that the world reports stay those
    /// of before until [`World::update_contacts_and_sensors`]. Does nothing for fixtures and for an index beyond
    /// the instances.
    pub fn set_instance_pose(&mut self, i: usize, pose: &Isometry3<f64>) {
        if self.scene.instances.get(i).is_none_or(|inst| inst.fixed) {
            return;
        }
        let (body, _) = self.handle_map.bodies[self.first_row[i]];
        let body = &mut self.state.engine.bodies[self.handle_map.rigid_bodies[body]];
        body.set_position(build::to_engine(pose), true);
        body.set_linvel(Vector::ZERO, true);
        body.set_angvel(Vector::ZERO, true);
    }

    /// Detects the contacts of the present poses and samples all sensors there, moving nothing (compare
    /// MuJoCo's `mj_forward`). A world that is to be stepped does not need it.
    pub fn update_contacts_and_sensors(&mut self) {
        let engine = &mut self.state.engine;
        CollisionPipeline::new().step(
            self.parameters.prediction_distance(),
            &mut engine.islands,
            &mut engine.broad_phase,
            &mut engine.narrow_phase,
            &mut engine.bodies,
            &mut engine.colliders,
            &build::CollisionBitFilter,
            &(),
        );
        let (q, qd) = self.robot_state();
        self.sample_cameras(&q);
        self.sample_joint_sensors(&q, &qd);
    }
}
