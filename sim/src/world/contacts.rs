//! Contact points of the last physics step, and the test for contact between two owners.

use super::{World, build};
use crate::description::Owner;
use rapier3d::prelude::*;

/// A contact point between two bodies in the last physics step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contact {
    /// Owners of the two bodies.
    pub owners: [Owner; 2],
    /// Position on the first body, world frame, m.
    pub point: [f64; 3],
    /// Unit normal from the first body to the second, world frame.
    pub normal: [f64; 3],
    /// Normal force, N.
    pub force: f64,
}

impl World {
    /// Contact points, in the order of the engine (the same in every run).
    pub fn contacts(&self) -> Vec<Contact> {
        let engine = &self.state.engine;
        let physics_step_secs = self.settings.timing.physics_step_secs;
        let contact_distance = self.settings.solver.contact_distance;
        let mut contacts = Vec::new();
        for pair in engine.narrow_phase.contact_pairs() {
            let collider = |handle| engine.colliders.get(handle);
            // The engine removes the pairs of a collider together with it, and this world removes none.
            let (Some(a), Some(b)) = (collider(pair.collider1), collider(pair.collider2)) else {
                continue;
            };
            let owners = [a, b].map(|c| build::owner_of(c.user_data));
            for manifold in pair.manifolds() {
                let frame = manifold
                    .subshape_pos1()
                    .map_or(*a.position(), |pose| *a.position() * pose);
                for point in (manifold.points.iter()).filter(|p| p.dist < contact_distance) {
                    contacts.push(Contact {
                        owners,
                        point: build::to_array(frame * point.local_p1),
                        normal: build::to_array(manifold.data.normal),
                        force: f64::from(point.data.impulse) / physics_step_secs,
                    });
                }
            }
        }
        contacts
    }

    /// Returns true when any shapes of two owners touch (as of the start of the last physics step).
    pub fn in_contact(&self, a: Owner, b: Owner) -> bool {
        let contact_distance = self.settings.solver.contact_distance;
        let narrow = &self.state.engine.narrow_phase;
        let colliders = &self.state.engine.colliders;
        self.handle_map
            .colliders
            .iter()
            .filter(|(owner, _)| *owner == a)
            .any(|(_, handle)| {
                narrow.contact_pairs_with(*handle).any(|pair| {
                    let other = if pair.collider1 == *handle {
                        pair.collider2
                    } else {
                        pair.collider1
                    };
                    colliders
                        .get(other)
                        .is_some_and(|c| build::owner_of(c.user_data) == b)
                        && touches(pair, contact_distance)
                })
            })
    }
}

fn touches(pair: &ContactPair, contact_distance: f32) -> bool {
    pair.manifolds()
        .iter()
        .any(|m| m.points.iter().any(|p| p.dist < contact_distance))
}
