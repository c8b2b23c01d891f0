//! Where to pinch a rim: one finger inside the bowl, one outside, chosen for reach and for room
//! around the gripper.

use super::hand::stretch;
use super::obstacles::{Obstacles, bounds};
use bitvla_sim::{ModelDesc, isometry};
use nalgebra::{Point3, Vector3};
use std::f64::consts::{FRAC_PI_2, PI, TAU};

/// How far inside the outermost radius the grip point lies, m.
const INSIDE_RIM: f64 = 0.0065;
/// How far below the rim the grip point lies, m.
const BELOW_RIM: f64 = 0.0150;
/// Number of rim points looked at.
const DIRECTIONS: usize = 48;
/// What the side of the rim towards -y costs more than the one towards +y: a flip between grips of
/// equal turn happens only where one of them is blocked, so that like scenes get like grips.
const FAR_SIDE: f64 = 0.008;

/// A grip on the rim of an upright object, relative to its origin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grasp {
    /// Direction of the grip point from the axis of the object, world frame, rad.
    pub angle: f64,
    /// Direction in which the fingers open, rad, within a quarter turn of the reset posture's.
    pub yaw: f64,
    /// Grip point from the origin of the object while it stands, m.
    pub offset: Vector3<f64>,
}

impl Grasp {
    /// The same grip at another direction, rad.
    pub(super) fn at_angle(&self, angle: f64) -> Grasp {
        let radial = libm::hypot(self.offset.x, self.offset.y);
        Grasp {
            angle: angle.rem_euclid(TAU),
            yaw: angle.rem_euclid(PI),
            offset: Vector3::new(
                radial * libm::cos(angle),
                radial * libm::sin(angle),
                self.offset.z,
            ),
        }
    }
}

/// Rim of a hollow object: outer radius and height above the origin, m.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rim {
    radius: f64,
    top: f64,
}

impl Rim {
    /// Whether a model is hollow and round about its origin: a bowl, but no mug with a handle.
    pub(super) fn round(model: &ModelDesc) -> bool {
        let mut low = Vector3::repeat(f64::INFINITY);
        let mut high = -low;
        let mut covered = false;
        for c in model.bodies.iter().take(1).flat_map(|b| &b.collision) {
            let Some((centre, half)) = bounds(&c.shape) else {
                continue;
            };
            let pose = isometry(c.pos, c.quat_wxyz);
            let extent = pose.rotation.to_rotation_matrix().matrix().abs() * half;
            let middle = (pose * Point3::from(centre)).coords;
            low = low.inf(&(middle - extent));
            high = high.sup(&(middle + extent));
            // Anything above the axis at half the height or more closes it.
            let near = libm::hypot(middle.x, middle.y) < 0.5 * extent.xy().amax();
            covered |= near && middle.z + extent.z > 0.02;
        }
        let round = (high.x + low.x).abs() < 0.004
            && (high.y + low.y).abs() < 0.004
            && (high.x - high.y).abs() < 0.004;
        round && !covered && high.z - low.z > 0.03
    }

    /// Measures the collision shapes of the root body.
    pub(super) fn of(model: &ModelDesc) -> Rim {
        let mut corners = Vec::new();
        for c in model.bodies.iter().take(1).flat_map(|b| &b.collision) {
            let Some((centre, half)) = bounds(&c.shape) else {
                continue;
            };
            let pose = isometry(c.pos, c.quat_wxyz);
            for i in 0..8 {
                let sign = |bit: usize| if i >> bit & 1 == 1 { 1.0 } else { -1.0 };
                let corner = half.component_mul(&Vector3::new(sign(0), sign(1), sign(2)));
                corners.push(pose * Point3::from(centre + corner));
            }
        }
        let top = corners.iter().map(|p| p.z).fold(0.0, f64::max);
        let radius = corners
            .iter()
            .filter(|p| p.z > top - 0.006)
            .map(|p| libm::hypot(p.x, p.y))
            .fold(0.0, f64::max);
        Rim { radius, top }
    }
}

impl Rim {
    /// Grip points of a rim from the origin of its object, m, each with the direction from the axis, rad.
    pub(super) fn grips(&self) -> impl Iterator<Item = (f64, Vector3<f64>)> {
        let (radius, top) = (self.radius, self.top);
        (0..DIRECTIONS).flat_map(move |i| {
            let angle = TAU * i as f64 / DIRECTIONS as f64;
            [0.0, 0.008, 0.014].into_iter().map(move |inward| {
                let radial = radius - INSIDE_RIM - inward;
                let (sin, cos) = (libm::sin(angle), libm::cos(angle));
                (
                    angle,
                    Vector3::new(radial * cos, radial * sin, top - BELOW_RIM),
                )
            })
        })
    }
}

/// What the choice is made from.
#[derive(Clone)]
pub(super) struct Setting<'a> {
    pub rim: Rim,
    /// Origin of the object to be grasped.
    pub object: Point3<f64>,
    /// Origin of what it is to be put on.
    pub target: Point3<f64>,
    /// Base of the robot.
    pub base: Point3<f64>,
    pub obstacles: &'a Obstacles,
    /// Directions already tried in vain.
    pub failed: &'a [f64],
}

/// The cheapest grasp.
pub(super) fn choose(s: &Setting) -> Grasp {
    let mut best: Option<(f64, Grasp)> = None;
    for i in 0..DIRECTIONS {
        for inward in [0.0, 0.008, 0.014] {
            let angle = TAU * i as f64 / DIRECTIONS as f64;
            let radial = s.rim.radius - INSIDE_RIM - inward;
            let offset = Vector3::new(
                radial * libm::cos(angle),
                radial * libm::sin(angle),
                s.rim.top - BELOW_RIM,
            );
            // The opening direction has no sign; take the one in (0, pi].
            let yaw = angle.rem_euclid(PI);
            let turn = (yaw - FRAC_PI_2).abs();
            let grip = s.object + offset;
            let room = [0.0, 0.03, 0.06]
                .into_iter()
                .map(|rise| s.obstacles.clearance(grip, yaw, rise))
                .fold(f64::INFINITY, f64::min);
            let place = s.target + offset + Vector3::z() * 0.05;
            let lifted = grip + Vector3::z() * 0.05;
            let far = [grip, lifted, place]
                .into_iter()
                .map(|p| stretch(s.base, p))
                .fold(0.0, f64::max);
            let again = s
                .failed
                .iter()
                .map(|f| (angle - f + PI).rem_euclid(TAU) - PI)
                .any(|d| d.abs() < 0.6);
            let cost = 0.012 * turn / FRAC_PI_2
                + 6.0 * (0.006 - room).max(0.0)
                + 1.0 * (far - 0.672).max(0.0)
                + 0.5 * FAR_SIDE * (1.0 - libm::sin(angle))
                + 0.4 * inward
                + if again { 0.03 } else { 0.0 };
            if best.as_ref().is_none_or(|(c, _)| cost < *c) {
                best = Some((cost, Grasp { angle, yaw, offset }));
            }
        }
    }
    best.map(|(_, g)| g).unwrap_or(Grasp {
        angle: FRAC_PI_2,
        yaw: FRAC_PI_2,
        offset: Vector3::new(0.0, s.rim.radius - INSIDE_RIM, s.rim.top - BELOW_RIM),
    })
}
