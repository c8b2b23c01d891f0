//! Where an object is to go: on another object, over or into a site of an object or fixture, or into a
//! region of the support.

use super::obstacles::Obstacles;
use super::rim::origin;
use bitvla_sim::World;
use nalgebra::{Point3, Rotation3, UnitQuaternion, Vector3};

/// A place for an object.
#[derive(Debug, Clone)]
pub(super) enum Spot {
    /// On top of an instance, origins above each other.
    Object(usize),
    /// Over or in a named site.
    Site {
        /// Instance that carries it.
        instance: usize,
        /// Name of the site.
        site: String,
        /// Shift of the place in the world, m: two objects share a site.
        shift: Vector3<f64>,
        /// The middle of the object goes there, not its origin.
        middle: bool,
        /// How the object is to lie, if that matters.
        turn: Option<Rotation3<f64>>,
    },
    /// A point of the support.
    Point(Point3<f64>),
}

impl Spot {
    /// Where the origin of `object` should be when it rests there, m, given what stands around.
    pub(super) fn goal(&self, world: &World, object: usize, around: &Obstacles) -> Point3<f64> {
        let pose = world.instance_pose(object);
        let here = Point3::from(pose.translation.vector);
        let (low, high) = Obstacles::only(world, object).corners();
        let below = here.z - low.z;
        match self {
            Spot::Object(target) => {
                let p = origin(world, *target);
                let top = around.floor(p.x, p.y, 0.015, f64::INFINITY);
                Point3::new(p.x, p.y, top.unwrap_or(p.z) + below)
            }
            Spot::Site {
                instance,
                site,
                shift,
                middle,
                turn,
            } => {
                let Some((at, _)) = world.site_pose(*instance, site) else {
                    return here;
                };
                let mut p = Point3::from(at.translation.vector) + shift;
                if let (true, Some(turn)) = (*middle, turn) {
                    // The middle of the object as it will stand.
                    let relative = pose.rotation.inverse() * (nalgebra::center(&low, &high) - here);
                    let off = turn * relative;
                    p.x -= off.x;
                    p.y -= off.y;
                }
                let only = Obstacles::only(world, *instance);
                let ceiling = at.translation.z + 0.02;
                let floor = only.floor(p.x, p.y, 0.02, ceiling);
                p.z = floor.unwrap_or(p.z) + below;
                p
            }
            Spot::Point(p) => Point3::new(p.x, p.y, p.z + below),
        }
    }

    /// How the object is to lie, if that matters.
    pub(super) fn turn(&self) -> Option<Rotation3<f64>> {
        match self {
            Spot::Site { turn, .. } => *turn,
            _ => None,
        }
    }
}

/// Rotation that turns the object least about the vertical so that its x axis (or its y axis, where x
/// stands upright) lies along `axis` or against it.
pub(super) fn aligned(now: &UnitQuaternion<f64>, axis: Vector3<f64>) -> Rotation3<f64> {
    let r = now.to_rotation_matrix();
    let x = r * Vector3::x();
    let own = if x.z.abs() < 0.7 { x } else { r * Vector3::y() };
    let from = libm::atan2(own.y, own.x);
    let to = libm::atan2(axis.y, axis.x);
    let mut by = (to - from).rem_euclid(std::f64::consts::PI);
    if by > std::f64::consts::FRAC_PI_2 {
        by -= std::f64::consts::PI;
    }
    Rotation3::from_axis_angle(&Vector3::z_axis(), by) * r
}
