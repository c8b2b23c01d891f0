//! Looking at contacts and taking hold of things from outside: what a window shows, and what its mouse
//! does. A world that nobody pulls at moves as if this module were not there.

use super::{Engine, PHYSICS_DT, TOUCH_DISTANCE, World, build};
use crate::description::Owner;
use rapier3d::math::Vector;
use rapier3d::prelude::*;

/// Natural frequency of the spring that pulls, Hz; it is critically damped.
const PULL_HZ: f32 = 2.5;
/// Most acceleration that it gives, m/s^2.
const PULL_LIMIT: f32 = 60.0;

/// One point at which two bodies touch, after the last physics step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contact {
    /// Whose bodies.
    pub owners: [Owner; 2],
    /// Where, in the world, m.
    pub point: [f64; 3],
    /// Unit normal from the first to the second, world frame.
    pub normal: [f64; 3],
    /// How hard they press against each other along the normal, N.
    pub force: f64,
}

/// A place on a movable body that is held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grab {
    /// Whose body.
    pub owner: Owner,
    /// Where the body was hit, in the world, m.
    pub point: [f64; 3],
    body: RigidBodyHandle,
    /// The same place in the frame of the body.
    anchor: Vector,
}

/// A spring between a held place and a point in the world.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pull {
    /// What is held.
    pub grab: Grab,
    /// Where it is pulled to, in the world, m.
    pub target: [f64; 3],
}

fn to_array(v: Vector) -> [f64; 3] {
    [f64::from(v.x), f64::from(v.y), f64::from(v.z)]
}

fn to_vector(v: [f64; 3]) -> Vector {
    Vector::new(v[0] as f32, v[1] as f32, v[2] as f32)
}

impl World {
    /// Points that touch, in the order of the engine.
    pub fn contacts(&self) -> Vec<Contact> {
        let engine = &self.state.engine;
        let mut contacts = Vec::new();
        for pair in engine.narrow_phase.contact_pairs() {
            let collider = |handle| engine.colliders.get(handle);
            let (Some(a), Some(b)) = (collider(pair.collider1), collider(pair.collider2)) else {
                continue;
            };
            let owners = [a, b].map(|c| build::owner_of(c.user_data));
            for manifold in pair.manifolds() {
                let at = manifold
                    .subshape_pos1()
                    .map_or(*a.position(), |pose| *a.position() * pose);
                for point in manifold.points.iter().filter(|p| p.dist < TOUCH_DISTANCE) {
                    contacts.push(Contact {
                        owners,
                        point: to_array(at * point.local_p1),
                        normal: to_array(manifold.data.normal),
                        force: f64::from(point.data.impulse) / PHYSICS_DT,
                    });
                }
            }
        }
        contacts
    }

    /// The first movable body that is not the robot's along a ray (metres, world frame); what stands
    /// before it hides it.
    pub fn grab(&self, origin: [f64; 3], direction: [f64; 3]) -> Option<Grab> {
        let engine = &self.state.engine;
        let direction = to_vector(direction).try_normalize()?;
        let origin = to_vector(origin);
        let (hit, distance) = engine
            .broad_phase
            .as_query_pipeline(
                engine.narrow_phase.query_dispatcher(),
                &engine.bodies,
                &engine.colliders,
                QueryFilter::default(),
            )
            .cast_ray(&Ray::new(origin, direction), 20.0, true)?;
        let collider = engine.colliders.get(hit)?;
        let handle = collider.parent()?;
        let body = engine.bodies.get(handle).filter(|b| b.is_dynamic())?;
        let owner = build::owner_of(collider.user_data);
        let point = origin + direction * distance;
        (owner != Owner::Robot).then(|| Grab {
            owner,
            point: to_array(point),
            body: handle,
            anchor: body.position().inverse() * point,
        })
    }

    /// Where a held place is now, in the world, m.
    pub fn grabbed_at(&self, grab: &Grab) -> Option<[f64; 3]> {
        let body = self.state.engine.bodies.get(grab.body)?;
        Some(to_array(*body.position() * grab.anchor))
    }

    /// Pulls at a held place in every step from now on, or lets go.
    pub fn pull(&mut self, pull: Option<Pull>) {
        if let Some(old) = self.pull.take()
            && let Some(body) = self.state.engine.bodies.get_mut(old.grab.body)
        {
            body.reset_forces(true);
            body.reset_torques(true);
        }
        self.pull = pull;
    }
}

impl Pull {
    /// Sets the forces of the next physics step on the held body.
    pub(super) fn apply(&self, engine: &mut Engine) {
        let Some(body) = engine.bodies.get_mut(self.grab.body) else {
            return;
        };
        body.reset_forces(true);
        body.reset_torques(true);
        let rate = 2.0 * std::f32::consts::PI * PULL_HZ;
        let at = *body.position() * self.grab.anchor;
        let velocity = body.velocity_at_point(at);
        let wanted = (to_vector(self.target) - at) * (rate * rate) - velocity * (2.0 * rate);
        let length = wanted.length();
        let wanted = wanted * (PULL_LIMIT / length.max(PULL_LIMIT));
        let mass = body.mass();
        let weight = Vector::new(0.0, 0.0, crate::panda::GRAVITY as f32) * mass;
        body.add_force(weight, true);
        body.add_force_at_point(wanted * mass, at, true);
    }
}
