//! The part of the world's state that Rapier holds, and the map from described bodies to its handles.

use crate::description::Owner;
use nalgebra::Isometry3;
use rapier3d::dynamics::SoftBodySet;
use rapier3d::math::Pose;
use rapier3d::prelude::*;

/// Clonable state of the engine. Nothing is ever removed from its sets, so a handle of the same scene is valid.
#[derive(Clone)]
pub(crate) struct RapierState {
    pub(super) bodies: RigidBodySet,
    pub(super) colliders: ColliderSet,
    pub(super) islands: IslandManager,
    pub(super) broad_phase: BroadPhaseBvh,
    pub(super) narrow_phase: NarrowPhase,
    pub(super) impulse_joints: ImpulseJointSet,
    pub(super) multibodies: MultibodyJointSet,
    pub(super) soft_bodies: SoftBodySet,
    pub(super) ccd: CCDSolver,
}

impl RapierState {
    pub(super) fn new() -> RapierState {
        RapierState {
            bodies: RigidBodySet::new(),
            colliders: ColliderSet::new(),
            islands: IslandManager::new(),
            broad_phase: BroadPhaseBvh::new(),
            narrow_phase: NarrowPhase::new(),
            impulse_joints: ImpulseJointSet::new(),
            multibodies: MultibodyJointSet::new(),
            soft_bodies: SoftBodySet::new(),
            ccd: CCDSolver::new(),
        }
    }

    /// Position (rad or m) and velocity (rad/s or m/s) of a joint, and its row in the multibody's vectors.
    pub(super) fn joint_state(&self, joint: &JointRef) -> JointReading {
        let (multibody, link) = (self.multibodies.get(joint.handle))
            .and_then(|(multibody, id)| Some((multibody, multibody.link(id)?)))
            .expect(HANDLE_IS_VALID);
        let row = link.assembly_id();
        JointReading {
            position: link.joint().coords()[joint.coord],
            velocity: multibody.generalized_velocity()[row],
            row,
        }
    }

    /// The multibody of a joint and the joint's row in its vectors.
    pub(super) fn multibody_mut(&mut self, joint: &JointRef) -> (&mut Multibody, usize) {
        let (multibody, id) = self
            .multibodies
            .get_mut(joint.handle)
            .expect(HANDLE_IS_VALID);
        let row = multibody.link(id).expect(HANDLE_IS_VALID).assembly_id();
        (multibody, row)
    }

    /// As [`RapierState::multibody_mut`], with the pose of the multibody's root read from its rigid body first.
    pub(super) fn multibody_mut_with_kinematics(
        &mut self,
        joint: &JointRef,
    ) -> (&mut Multibody, usize) {
        let (multibody, _) = self
            .multibodies
            .get_mut(joint.handle)
            .expect(HANDLE_IS_VALID);
        multibody.forward_kinematics(&self.bodies, true);
        self.multibody_mut(joint)
    }

    /// Recomputes the poses of a joint's multibody and of its rigid bodies from the joint positions.
    pub(super) fn update_kinematics(&mut self, joint: &JointRef) {
        let (multibody, _) = self
            .multibodies
            .get_mut(joint.handle)
            .expect(HANDLE_IS_VALID);
        multibody.forward_kinematics(&self.bodies, false);
        multibody.update_rigid_bodies(&mut self.bodies, true);
    }

    /// Copies the poses of rigid bodies.
    pub(super) fn copy_poses(&self, handles: &[RigidBodyHandle], out: &mut [Pose]) {
        for (pose, handle) in out.iter_mut().zip(handles) {
            *pose = *self.bodies[*handle].position();
        }
    }
}

/// Message of a broken invariant: handles are made by `build` for the sets of one scene, from which nothing is
/// removed, and `World::restore` refuses the state of another scene.
const HANDLE_IS_VALID: &str = "a handle of this scene names a joint of its engine";

/// A joint in the engine.
#[derive(Debug, Clone)]
pub(crate) struct JointRef {
    pub(super) handle: MultibodyJointHandle,
    /// Index of its free coordinate: 0 to 2 linear, 3 to 5 angular.
    pub(super) coord: usize,
}

/// State of one joint.
pub(super) struct JointReading {
    /// rad or m.
    pub position: f32,
    /// rad/s or m/s.
    pub velocity: f32,
    /// Row in the vectors of its multibody.
    pub row: usize,
}

/// Handles of the described bodies in the engine.
#[derive(Debug, Clone, Default)]
pub(crate) struct HandleMap {
    /// Rigid bodies: arena, robot, instances.
    pub(super) rigid_bodies: Vec<RigidBodyHandle>,
    /// Per row of the body table: index into `rigid_bodies` and pose in its frame.
    pub(super) bodies: Vec<(usize, Isometry3<f64>)>,
    /// Per row of the body table: its own joint.
    pub(super) body_joint: Vec<Option<JointRef>>,
    /// Colliders and their owners.
    pub(super) colliders: Vec<(Owner, ColliderHandle)>,
}
