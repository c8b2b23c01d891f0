//! Free objects that overlap where a scene begins (bowls drawn on the edge of a plate): MuJoCo's contacts push them apart and
//! leave them the velocity, the engine's sweeps without bias would take it away again.
//!
//! Such a pair keeps, after each physics step, the velocities with which the solver moved its two bodies in that step, until it
//! has separated once. All other bodies and pairs are left as the engine solves them.

use super::engine::RapierState;
use rapier3d::math::{Rotation, Vector};
use rapier3d::prelude::*;

/// Pairs of free bodies that overlapped at the first physics step and have not separated since; part of the state.
#[derive(Clone, Default)]
pub(crate) struct InitialOverlaps {
    /// In ascending order.
    pairs: Vec<[RigidBodyHandle; 2]>,
}

/// Pose of a body before a physics step.
pub(super) struct BodyPose {
    body: RigidBodyHandle,
    center_of_mass: Vector,
    rotation: Rotation,
}

impl InitialOverlaps {
    /// Poses of the bodies that may keep their velocities after the coming step: all free ones before the first step.
    pub(super) fn poses(&self, engine: &RapierState, first_step: bool) -> Vec<BodyPose> {
        let pose = |handle: RigidBodyHandle| {
            let body = &engine.bodies[handle];
            BodyPose {
                body: handle,
                center_of_mass: body.center_of_mass(),
                rotation: *body.rotation(),
            }
        };
        if first_step {
            let bodies = engine.bodies.iter().map(|(handle, _)| handle);
            return (bodies.filter(|b| is_free(engine, *b))).map(pose).collect();
        }
        let mut bodies: Vec<RigidBodyHandle> = self.pairs.iter().flatten().copied().collect();
        bodies.sort_by_key(|body| body.into_raw_parts());
        bodies.dedup();
        bodies.into_iter().map(pose).collect()
    }

    /// Takes the pairs of free bodies that were in a contact deeper than `depth` (m) in the last physics step, without those of
    /// which one is as deep in the table, a fixture or the robot: what pushes it out of there is not to stay as a velocity.
    pub(super) fn find(&mut self, engine: &RapierState, depth: f32) {
        let deep = deep_pairs(engine, depth);
        let is_between_free =
            |pair: &[RigidBodyHandle; 2]| pair.iter().all(|body| is_free(engine, *body));
        let (free, other): (Vec<_>, Vec<_>) = deep.into_iter().partition(is_between_free);
        self.pairs = free;
        (self.pairs).retain(|pair| !other.iter().flatten().any(|body| pair.contains(body)));
    }

    /// Gives the bodies of the pairs the velocities with which they moved since `before`, `dt` seconds ago.
    pub(super) fn keep_velocities(&self, engine: &mut RapierState, before: &[BodyPose], dt: f32) {
        for pose in before {
            if !self.pairs.iter().flatten().any(|body| *body == pose.body) {
                continue;
            }
            let body = &mut engine.bodies[pose.body];
            let moved = body.center_of_mass() - pose.center_of_mass;
            let turned = (*body.rotation() * pose.rotation.inverse()).to_scaled_axis();
            body.set_linvel(moved / dt, true);
            body.set_angvel(turned / dt, true);
        }
    }

    /// Drops the pairs that are no longer in a contact deeper than `depth` (m).
    pub(super) fn release(&mut self, engine: &RapierState, depth: f32) {
        if self.pairs.is_empty() {
            return;
        }
        let deep = deep_pairs(engine, depth);
        self.pairs.retain(|pair| deep.contains(pair));
    }
}

/// Pairs of bodies in a contact deeper than `depth` (m) in the last physics step, each once, in ascending order.
fn deep_pairs(engine: &RapierState, depth: f32) -> Vec<[RigidBodyHandle; 2]> {
    let is_deep = |m: &ContactManifold| m.points.iter().any(|p| p.dist < -depth);
    let body = |collider| engine.colliders.get(collider)?.parent();
    let bodies_of = |pair: &ContactPair| {
        let mut bodies = [body(pair.collider1)?, body(pair.collider2)?];
        bodies.sort_by_key(|body| body.into_raw_parts());
        Some(bodies)
    };
    let pairs = engine.narrow_phase.contact_pairs();
    let mut deep: Vec<_> = pairs
        .filter(|pair| pair.manifolds().iter().any(is_deep))
        .filter_map(bodies_of)
        .collect();
    deep.sort_by_key(|pair| pair.map(|body| body.into_raw_parts()));
    deep.dedup();
    deep
}

/// Returns true for a dynamic body that is not part of a multibody.
fn is_free(engine: &RapierState, body: RigidBodyHandle) -> bool {
    engine.bodies[body].is_dynamic() && engine.multibodies.rigid_body_link(body).is_none()
}
