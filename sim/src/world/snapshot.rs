//! Saving, restoring and hashing the moving state of a world.

use super::World;
use super::engine::RapierState;
use super::event::EventProgress;
use super::initial_overlap::InitialOverlaps;
use super::sensors::SensorSamples;
use crate::osc::{ArmTorques, GripperCommand, OscGoal};
use rapier3d::pipeline::PhysicsPipeline;

/// Complete copy of the moving state of a [`World`].
#[derive(Clone)]
pub struct Snapshot {
    pub(super) engine: RapierState,
    pub(super) goal: OscGoal,
    pub(super) gripper: GripperCommand,
    /// No action has been taken since the robot was placed.
    pub(super) first_action: bool,
    pub(super) samples: SensorSamples,
    pub(super) last_torque: ArmTorques,
    pub(super) initial_overlaps: InitialOverlaps,
    pub(super) event: EventProgress,
}

impl World {
    /// Copies everything that moves; restoring it continues bit for bit.
    pub fn snapshot(&self) -> Snapshot {
        self.state.clone()
    }

    /// Returns to a snapshot of this world or of one built from the same scene and waiting for the same event.
    ///
    /// # Panics
    /// For a snapshot of another scene: one with other numbers of bodies or colliders.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        let counts = |e: &RapierState| (e.bodies.len(), e.colliders.len());
        assert_eq!(
            counts(&snapshot.engine),
            counts(&self.state.engine),
            "bodies and colliders of a snapshot and of the world that it is restored to"
        );
        self.state = snapshot.clone();
        self.pipeline = PhysicsPipeline::new();
    }

    /// FNV-1a hash over the bits of all positions and velocities and of the controller state; bodies that an event has not let
    /// appear yet are left out.
    pub fn state_hash(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        let mut add = |bits: u32| {
            for byte in bits.to_le_bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        let engine = &self.state.engine;
        for handle in &self.handle_map.rigid_bodies {
            let body = &engine.bodies[*handle];
            if !body.is_enabled() {
                continue;
            }
            let (t, r) = (body.position().translation, body.position().rotation);
            let (v, w) = (body.linvel(), body.angvel());
            for value in [
                t.x, t.y, t.z, r.x, r.y, r.z, r.w, v.x, v.y, v.z, w.x, w.y, w.z,
            ] {
                add(value.to_bits());
            }
        }
        for joint in self.handle_map.body_joint.iter().flatten() {
            let state = engine.joint_state(joint);
            add(state.position.to_bits());
            add(state.velocity.to_bits());
        }
        let goal = &self.state.goal;
        for value in goal
            .pos
            .iter()
            .chain(goal.rot.iter())
            .chain(self.state.gripper.command().iter())
        {
            let bits = value.to_bits();
            add(bits as u32);
            add((bits >> 32) as u32);
        }
        hash
    }
}
