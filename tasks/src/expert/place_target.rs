//! Target of a placement: on another object, over or in a site of an object or fixture, or in a region of
//! the support.

use super::hand_frame::instance_origin;
use super::obstacles::Obstacles;
use bitvla_sim::World;
use nalgebra::{Point3, Rotation3, UnitQuaternion, Vector3};

/// Height above a site up to which surfaces of its instance count as its floor, m.
const SITE_CEILING: f64 = 0.02;
/// Radius around the target in which the highest surface point is the support, m.
const SUPPORT_RADIUS: f64 = 0.015;
const SITE_RADIUS: f64 = 0.02;

/// A pose for an object to rest at.
#[derive(Debug, Clone)]
pub(super) enum PlaceTarget {
    /// On an instance with the origins aligned vertically. The two shapes may nest (a bowl on a plate), so
    /// that the resting height is not known in advance: the object is lowered until it makes contact.
    StackOn(usize),
    /// On the top surface of an instance, origins above each other.
    OnTop(usize),
    /// Over or in a named site.
    Site {
        /// Instance that carries the site.
        instance: usize,
        /// Name of the site.
        site: String,
        /// Offset from the site in the world frame, m; keeps objects apart that share a site.
        offset: Vector3<f64>,
        /// True if the centre of the bounding box of the object goes there, not its origin.
        centred: bool,
        /// Orientation of the object in the world frame, where it matters.
        orientation: Option<Rotation3<f64>>,
    },
    /// A point of the support, world frame, m.
    SupportPoint(Point3<f64>),
}

impl PlaceTarget {
    /// Position of the origin of `object` when it rests at the target, world frame, m. For
    /// [`PlaceTarget::StackOn`] it is the origin of the instance beneath: only x and y are exact.
    pub(super) fn object_goal(
        &self,
        world: &World,
        object: usize,
        obstacles: &Obstacles,
    ) -> Point3<f64> {
        match self {
            PlaceTarget::StackOn(base) => instance_origin(world, *base),
            PlaceTarget::OnTop(base) => {
                let p = instance_origin(world, *base);
                let top = obstacles.surface_below(p.x, p.y, SUPPORT_RADIUS, f64::INFINITY);
                // An instance without collision shapes has no top; then its origin stands for it.
                let z = top.unwrap_or(p.z) + height_above_bottom(world, object);
                Point3::new(p.x, p.y, z)
            }
            PlaceTarget::Site {
                instance,
                site,
                offset,
                centred,
                orientation,
            } => {
                // The planner names sites that it has found in the model, so there is a pose.
                let Some((at, _)) = world.site_pose(*instance, site) else {
                    return instance_origin(world, object);
                };
                let mut p = Point3::from(at.translation.vector) + offset;
                if let (true, Some(orientation)) = (*centred, orientation) {
                    let shift = orientation * centre_in_object(world, object);
                    p.x -= shift.x;
                    p.y -= shift.y;
                }
                let fixture = Obstacles::only(world, *instance);
                let ceiling = at.translation.z + SITE_CEILING;
                let floor = fixture.surface_below(p.x, p.y, SITE_RADIUS, ceiling);
                // A site with no surface beneath it is its own floor.
                p.z = floor.unwrap_or(p.z) + height_above_bottom(world, object);
                p
            }
            PlaceTarget::SupportPoint(p) => {
                Point3::new(p.x, p.y, p.z + height_above_bottom(world, object))
            }
        }
    }

    /// The instance that the object will touch at any height, and which therefore is no obstacle.
    pub(super) fn instance_beneath(&self) -> Option<usize> {
        match self {
            PlaceTarget::StackOn(base) => Some(*base),
            _ => None,
        }
    }

    /// True if the height of [`PlaceTarget::object_goal`] is that at which the object rests; otherwise the
    /// object is lowered until it makes contact.
    pub(super) fn has_resting_height(&self) -> bool {
        !matches!(self, PlaceTarget::StackOn(_))
    }

    /// Orientation of the object in the world frame, where it matters.
    pub(super) fn orientation(&self) -> Option<Rotation3<f64>> {
        match self {
            PlaceTarget::Site { orientation, .. } => *orientation,
            _ => None,
        }
    }
}

/// Height of the origin of an object above its lowest point, m.
fn height_above_bottom(world: &World, object: usize) -> f64 {
    let (low, _) = Obstacles::only(world, object).bounding_box();
    instance_origin(world, object).z - low.z
}

/// Centre of the bounding box of an object from its origin, object frame, m.
fn centre_in_object(world: &World, object: usize) -> Vector3<f64> {
    let (low, high) = Obstacles::only(world, object).bounding_box();
    let pose = world.instance_pose(object);
    let origin = Point3::from(pose.translation.vector);
    pose.rotation.inverse() * (nalgebra::center(&low, &high) - origin)
}

/// The orientation reached from `now` by the least turn about the vertical after which the x axis of the
/// object (its y axis where x is upright) lies along `axis` or against it.
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
