//! Reading a world: robot sensors and poses at their sampling instants within the control step
//! (`docs/reference/libero.md`, section 5), joint positions, the state that is drawn.

use super::{World, build};
use crate::description::VisualState;
use crate::osc::ArmTorques;
use crate::panda::{ARM_DOFS, JointVector};
use nalgebra::Isometry3;
use rapier3d::math::Pose;

/// Robot state as a policy receives it, at the sampling instants of the sensors.
#[derive(Debug, Clone, PartialEq)]
pub struct RobotObservation {
    /// Position of the grip site, world frame, m.
    pub eef_pos: [f64; 3],
    /// Orientation of the body `right_hand` in the world, `[x, y, z, w]`.
    pub eef_quat_xyzw: [f64; 4],
    /// Arm joint positions, rad.
    pub joint_pos: [f64; 7],
    /// Arm joint velocities, rad/s.
    pub joint_vel: [f64; 7],
    /// Finger joint positions, m.
    pub gripper_qpos: [f64; 2],
}

/// State sampled within the last control step.
#[derive(Clone)]
pub(super) struct SensorSamples {
    /// Poses of the rigid bodies at the instant of cameras and pose sensors.
    pub camera_poses: Vec<Pose>,
    /// Joint positions by row of the body table at that instant, rad or m; 0 where there is no joint.
    pub camera_joints: Vec<f64>,
    /// Joint positions of the robot at that instant, rad and m.
    pub camera_robot: JointVector,
    /// Poses of the rigid bodies at the instant of the joint sensors: the start of the last physics step.
    pub poses: Vec<Pose>,
    /// Joint positions of the robot at that instant, rad and m.
    pub q: JointVector,
    /// Joint velocities of the robot at that instant, rad/s and m/s.
    pub qd: JointVector,
}

impl World {
    /// Samples cameras and pose sensors.
    pub(super) fn sample_cameras(&mut self, q: &JointVector) {
        let state = &mut self.state;
        for (row, joint) in self.handle_map.body_joint.iter().enumerate() {
            if let Some(joint) = joint {
                let position = state.engine.joint_state(joint).position;
                state.samples.camera_joints[row] = f64::from(position);
            }
        }
        let handles = &self.handle_map.rigid_bodies;
        (state.engine).copy_poses(handles, &mut state.samples.camera_poses);
        state.samples.camera_robot = *q;
    }

    /// Samples joint sensors and the poses that predicates read.
    pub(super) fn sample_joint_sensors(&mut self, q: &JointVector, qd: &JointVector) {
        let state = &mut self.state;
        let handles = &self.handle_map.rigid_bodies;
        (state.engine).copy_poses(handles, &mut state.samples.poses);
        state.samples.q = *q;
        state.samples.qd = *qd;
    }

    /// Robot state at the sampling instants of the sensors (`docs/reference/libero.md`, section 5).
    pub fn observation(&self) -> RobotObservation {
        let s = &self.state.samples;
        let kin = self.panda.kinematics(&s.camera_robot);
        let quat = kin.hand.rotation.coords;
        RobotObservation {
            eef_pos: kin.grip_site.translation.vector.into(),
            eef_quat_xyzw: [quat[0], quat[1], quat[2], quat[3]],
            joint_pos: std::array::from_fn(|i| s.q[i]),
            joint_vel: std::array::from_fn(|i| s.qd[i]),
            gripper_qpos: [s.q[ARM_DOFS], s.q[ARM_DOFS + 1]],
        }
    }

    /// Joint positions and velocities of arm (rad, rad/s) and fingers (m, m/s) at the end of the step.
    pub fn robot_state(&self) -> (JointVector, JointVector) {
        let (mut q, mut qd) = (JointVector::zeros(), JointVector::zeros());
        for (i, joint) in self.robot_joints.iter().enumerate() {
            let state = self.state.engine.joint_state(joint);
            q[i] = f64::from(state.position);
            qd[i] = f64::from(state.velocity);
        }
        (q, qd)
    }

    /// World pose (m) of the grip site at the end of the step.
    pub fn eef_pose(&self) -> Isometry3<f64> {
        self.panda.kinematics(&self.robot_state().0).grip_site
    }

    /// Arm torques of the last physics step, N m.
    pub fn last_torque(&self) -> [f64; 7] {
        let torque: &ArmTorques = &self.state.last_torque;
        (*torque).into()
    }

    pub(super) fn row_pose(&self, poses: &[Pose], row: usize) -> Isometry3<f64> {
        let (body, offset) = &self.handle_map.bodies[row];
        build::from_engine(&poses[*body]) * offset
    }

    /// World pose (m) of the root body of instance `i` at the start of the last physics step.
    pub fn instance_pose(&self, i: usize) -> Isometry3<f64> {
        self.row_pose(&self.state.samples.poses, self.first_row[i])
    }

    /// World pose and half sizes (m) of a site of instance `i` at the start of the last physics step; none
    /// without such an instance or site.
    pub fn site_pose(&self, i: usize, site: &str) -> Option<(Isometry3<f64>, [f64; 3])> {
        Some(self.site_pose_of(&self.find_site(i, site)?))
    }

    /// Position (rad or m) of a joint of instance `i` at the end of the step; none without such an instance or
    /// joint.
    pub fn joint_position(&self, i: usize, joint: &str) -> Option<f64> {
        Some(self.joint_position_of(&self.find_joint(i, joint)?))
    }

    /// World pose (m) of body `body` of instance `i` at the sampling instant of the cameras.
    pub fn rendered_body_pose(&self, i: usize, body: usize) -> Isometry3<f64> {
        self.row_pose(&self.state.samples.camera_poses, self.first_row[i] + body)
    }

    /// Configuration at the sampling instant of the cameras.
    pub fn visual_state(&self) -> VisualState {
        let samples = &self.state.samples;
        VisualState {
            poses: (0..self.handle_map.bodies.len())
                .map(|row| self.row_pose(&samples.camera_poses, row))
                .collect(),
            joint_positions: samples.camera_joints.clone(),
        }
    }
}
