//! On, In and Stack: an object on another object, or on or in a region (`docs/reference/libero.md`, section 6).

use super::compiled::{CompiledPredicate, Resolver};
use crate::bddl::Region;
use crate::error::TaskError;
use bitvla_sim::{Owner, SiteHandle, World};
use nalgebra::{Isometry3, Point3, Rotation3, Vector3};

/// Half height of a region of the arena, m: that of the sites LIBERO makes for them.
const REGION_HALF_HEIGHT: f64 = 0.007;
/// Horizontal distance of two origins below which one object is on the other, m.
const ON_OBJECT_RADIUS: f64 = 0.03;
/// Distance below the top of a site within which an origin is on it, m.
const ABOVE_SITE_BELOW: f64 = 0.005;
/// Distance above the top of a site within which an origin is on it, m.
const ABOVE_SITE_REACH: f64 = 0.10;
/// Distance below the box of a site within which an origin is in it, m.
const IN_SITE_BELOW: f64 = 0.01;

/// Returns On(A, B) of two objects with origins `a` and `b` (world frame, m): A's origin is not below B's, they are in
/// contact, and the origins are less than 3 cm apart horizontally.
pub fn on_object(a: Point3<f64>, b: Point3<f64>, contact: bool) -> bool {
    let d = a - b;
    b.z <= a.z && contact && libm::hypot(d.x, d.y) < ON_OBJECT_RADIUS
}

/// Returns the geometric part of On(A, S): A's origin seen from the site (pose in the world frame, half sizes in m) lies
/// over its box, from 5 mm below its top to 10 cm above it. As in LIBERO the offset is multiplied by the site's rotation,
/// not by its inverse.
pub fn above_site(a: Point3<f64>, site: &Isometry3<f64>, half: [f64; 3]) -> bool {
    let d = site.rotation * (a - Point3::from(site.translation.vector));
    half[2] - ABOVE_SITE_BELOW < d.z
        && d.z < half[2] + ABOVE_SITE_REACH
        && d.x.abs() < half[0]
        && d.y.abs() < half[1]
}

/// Returns In(A, S): A's origin lies in the box of the site (pose in the world frame, half sizes in m), in world axes,
/// extended by 1 cm below. As in LIBERO the half sizes are rotated first and made positive after.
pub fn in_site(a: Point3<f64>, site: &Isometry3<f64>, half: [f64; 3]) -> bool {
    let e = (site.rotation * Vector3::from(half)).abs();
    let d = a - Point3::from(site.translation.vector);
    (0..3).all(|i| {
        let below = if i == 2 { IN_SITE_BELOW } else { 0.0 };
        -e[i] - below < d[i] && d[i] < e[i]
    })
}

/// Compiles On(A, B) or On(A, S).
pub(super) fn compile_on(names: &Resolver<'_>) -> Result<Box<dyn CompiledPredicate>, TaskError> {
    let object = names.object(names.argument(0)?)?;
    let below = names.argument(1)?;
    match names.problem.region(below) {
        None => Ok(Box::new(OnObject {
            object,
            below: names.object(below)?,
        })),
        Some(region) => Ok(Box::new(OnRegion {
            object,
            region: RegionBox::resolve(names, region)?,
        })),
    }
}

/// Compiles In(A, S).
pub(super) fn compile_in(names: &Resolver<'_>) -> Result<Box<dyn CompiledPredicate>, TaskError> {
    let (object, region) = object_and_region(names)?;
    Ok(Box::new(InRegion { object, region }))
}

/// Compiles Stack(A, S).
pub(super) fn compile_stack(names: &Resolver<'_>) -> Result<Box<dyn CompiledPredicate>, TaskError> {
    let (object, region) = object_and_region(names)?;
    Ok(Box::new(StackedInRegion(InRegion { object, region })))
}

fn object_and_region(names: &Resolver<'_>) -> Result<(usize, RegionBox), TaskError> {
    let object = names.object(names.argument(0)?)?;
    let Some(region) = names.problem.region(names.argument(1)?) else {
        return Err(names.error("needs a region as its second argument"));
    };
    Ok((object, RegionBox::resolve(names, region)?))
}

/// On(A, B) of two instances.
#[derive(Debug)]
struct OnObject {
    object: usize,
    below: usize,
}

impl CompiledPredicate for OnObject {
    fn holds(&self, world: &World) -> bool {
        let (a, b) = (origin(world, self.object), origin(world, self.below));
        // Contacts are evaluated last: they cost more than the geometry.
        on_object(a, b, true) && in_contact(world, self.object, self.below)
    }
}

/// On(A, S): over the box of a region, and touching the instance that carries it.
#[derive(Debug)]
struct OnRegion {
    object: usize,
    region: RegionBox,
}

impl CompiledPredicate for OnRegion {
    fn holds(&self, world: &World) -> bool {
        let (pose, half) = self.region.pose(world);
        above_site(origin(world, self.object), &pose, half)
            && match self.region {
                // LIBERO requires no contact with the arena.
                RegionBox::Arena { .. } => true,
                RegionBox::Site { carrier, .. } => in_contact(world, self.object, carrier),
            }
    }
}

/// In(A, S).
#[derive(Debug)]
struct InRegion {
    object: usize,
    region: RegionBox,
}

impl CompiledPredicate for InRegion {
    fn holds(&self, world: &World) -> bool {
        let (pose, half) = self.region.pose(world);
        in_site(origin(world, self.object), &pose, half)
    }
}

/// Stack(A, S): in the region, and above its centre. LIBERO also asks for contact, which a site always has.
#[derive(Debug)]
struct StackedInRegion(InRegion);

impl CompiledPredicate for StackedInRegion {
    fn holds(&self, world: &World) -> bool {
        let (pose, _) = self.0.region.pose(world);
        origin(world, self.0.object).z > pose.translation.z && self.0.holds(world)
    }
}

/// The box of a region.
#[derive(Debug)]
pub(super) enum RegionBox {
    /// On a support of the arena, fixed in the world.
    Arena {
        pose: Isometry3<f64>,
        half: [f64; 3],
    },
    /// A site of an instance.
    Site { carrier: usize, site: SiteHandle },
}

impl RegionBox {
    pub fn resolve(names: &Resolver<'_>, region: &Region) -> Result<RegionBox, TaskError> {
        if !names.problem.is_support(&region.target) {
            let carrier = names.object(&region.target)?;
            let site = names.site(carrier, &region.local)?;
            return Ok(RegionBox::Site { carrier, site });
        }
        let Some(&[x0, y0, x1, y1]) = region.ranges.first() else {
            return Err(names.error("the region has no range"));
        };
        let arena = &names.world.scene().arena;
        let w = arena.workspace_offset;
        let centre = Vector3::new(
            0.5 * (x0 + x1) + w[0],
            0.5 * (y0 + y1) + w[1],
            arena.region_site_z,
        );
        Ok(RegionBox::Arena {
            pose: Isometry3::from_parts(centre.into(), Rotation3::identity().into()),
            half: [0.5 * (x1 - x0), 0.5 * (y1 - y0), REGION_HALF_HEIGHT],
        })
    }

    /// World pose and half sizes, m.
    pub fn pose(&self, world: &World) -> (Isometry3<f64>, [f64; 3]) {
        match self {
            RegionBox::Arena { pose, half } => (*pose, *half),
            RegionBox::Site { site, .. } => world.site_pose_of(site),
        }
    }
}

pub(super) fn origin(world: &World, instance: usize) -> Point3<f64> {
    Point3::from(world.instance_pose(instance).translation.vector)
}

pub(super) fn in_contact(world: &World, a: usize, b: usize) -> bool {
    world.in_contact(Owner::Instance(a), Owner::Instance(b))
}
