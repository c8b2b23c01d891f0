//! External force on a body, in the terms of MuJoCo's viewer a perturbation: a ray picks a point of a movable
//! body, and a spring pulls that point to a target. Without a spring nothing of the motion changes.

use super::engine::RapierState;
use super::{World, build};
use crate::description::Owner;
use rapier3d::math::Vector;
use rapier3d::prelude::*;

/// Natural frequency of the spring, Hz; it is critically damped.
const SPRING_HZ: f32 = 2.5;
/// Largest acceleration that the spring gives, m/s^2.
const MAX_ACCELERATION: f32 = 60.0;
/// Length of the picking ray, m.
const RAY_LENGTH: f32 = 20.0;

/// A point of a movable body, picked by a ray.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BodyPoint {
    /// Owner of the body.
    pub owner: Owner,
    /// Position when it was picked, world frame, m.
    pub point: [f64; 3],
    body: RigidBodyHandle,
    /// Position in the frame of the body, m.
    local: Vector,
}

/// A critically damped spring between a point of a body and a point of the world.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PointSpring {
    /// The end on the body.
    pub anchor: BodyPoint,
    /// The end in the world, world frame, m.
    pub target: [f64; 3],
}

fn to_vector(v: [f64; 3]) -> Vector {
    Vector::new(v[0] as f32, v[1] as f32, v[2] as f32)
}

impl World {
    /// Returns the first movable body along a ray (origin in metres, world frame), unless it is the robot's;
    /// a static body in front occludes it. None without a hit within 20 m or for a zero direction.
    pub fn pick_body_point(&self, origin: [f64; 3], direction: [f64; 3]) -> Option<BodyPoint> {
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
            .cast_ray(&Ray::new(origin, direction), RAY_LENGTH, true)?;
        let collider = engine.colliders.get(hit)?;
        let handle = collider.parent()?;
        let body = engine.bodies.get(handle).filter(|b| b.is_dynamic())?;
        let owner = build::owner_of(collider.user_data);
        let point = origin + direction * distance;
        (owner != Owner::Robot).then(|| BodyPoint {
            owner,
            point: build::to_array(point),
            body: handle,
            local: body.position().inverse() * point,
        })
    }

    /// Attaches a spring that acts in every physics step from now on, or removes it.
    pub fn set_point_spring(&mut self, spring: Option<PointSpring>) {
        if let Some(old) = self.point_spring.take()
            && let Some(body) = self.state.engine.bodies.get_mut(old.anchor.body)
        {
            body.reset_forces(true);
            body.reset_torques(true);
        }
        self.point_spring = spring;
    }
}

impl PointSpring {
    /// Sets the forces of the next physics step on the anchored body: that of the spring, and one that balances its weight
    /// under `gravity` (m/s^2). An anchor that was picked in another world may name no body of this one; then there is
    /// nothing to pull.
    pub(super) fn apply(&self, engine: &mut RapierState, gravity: f32) {
        let Some(body) = engine.bodies.get_mut(self.anchor.body) else {
            return;
        };
        body.reset_forces(true);
        body.reset_torques(true);
        let rate = 2.0 * std::f32::consts::PI * SPRING_HZ;
        let anchor = *body.position() * self.anchor.local;
        let velocity = body.velocity_at_point(anchor);
        let wanted = (to_vector(self.target) - anchor) * (rate * rate) - velocity * (2.0 * rate);
        let length = wanted.length();
        let acceleration = wanted * (MAX_ACCELERATION / length.max(MAX_ACCELERATION));
        let mass = body.mass();
        let weight = Vector::new(0.0, 0.0, gravity) * mass;
        body.add_force(weight, true);
        body.add_force_at_point(acceleration * mass, anchor, true);
    }
}
