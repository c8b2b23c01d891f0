//! Grasps of a rim: one finger inside a bowl and one outside, chosen for reach and for clearance of the
//! gripper.

use super::collision_boxes::{root_bounds, root_boxes};
use super::hand_frame::shoulder_to_wrist;
use super::obstacles::Obstacles;
use bitvla_sim::ModelDesc;
use nalgebra::{Point3, Vector3};
use std::f64::consts::{FRAC_PI_2, PI, TAU};

/// Distance of the grasp point inside the outermost radius, m.
const INSIDE_RIM: f64 = 0.0065;
/// Further distances inside that are tried, m: a grasp deeper in the bowl may have more clearance.
const INWARD: [f64; 3] = [0.0, 0.008, 0.014];
/// Distance of the grasp point below the rim, m.
const BELOW_RIM: f64 = 0.0150;
/// Number of directions from the axis that are tried.
const DIRECTIONS: usize = 48;
/// Cost of the side of the rim towards -y over the one towards +y: a flip between grasps of equal turn
/// happens only where one of them is blocked, so that like scenes get like grasps.
const FAR_SIDE_COST: f64 = 0.008;

/// Costs of a plan for like scenes: of each metre of clearance that is missing to the second number (m), of a direction between those along the axes of the table,
/// and of the side towards -y. A direction that follows a neighbour of the bowl degree by degree is not to be seen in images.
const ROOM_COST: (f64, f64) = (1.0, 0.02);
const SLANT_COST: f64 = 0.012;
const LIKE_FAR_SIDE_COST: f64 = 0.012;
/// Clearance of the gripper below which a grasp costs more, m; less of it for a hand that is there already.
const CLEARANCE: f64 = 0.006;
const CLEARANCE_THERE: f64 = 0.003;
/// Cost of each metre between the hand and the grasp point in a plan that begins where the hand is.
const DISTANCE_COST: f64 = 0.1;

/// A hand from which a plan begins, so that it goes on with the grasp that it is about to make: the plan of one state is that of its neighbours.
#[derive(Debug, Clone, Copy)]
pub(super) struct HandPose {
    /// Grip site, world frame, m.
    pub eef: Point3<f64>,
    /// Direction in which the fingers open, world frame, rad.
    pub yaw: f64,
}

/// What decides between grasps of a rim that can be made.
#[derive(Debug, Clone, Copy)]
pub(super) enum GraspPreference {
    /// The least turn from the reset posture.
    LeastTurn,
    /// Like scenes get like grasps, at the price of a turn: for an expert whose actions are shown to policies.
    LikeScenes,
    /// The least way of a hand, for a plan that begins where it is.
    NearHand(HandPose),
}

/// A grasp of the rim of an upright object, relative to its origin.
#[derive(Debug, Clone, Copy)]
pub(super) struct RimGrasp {
    /// Direction of the grasp point from the axis of the object, world frame, rad.
    pub angle: f64,
    /// Direction in which the fingers open, world frame, rad in [0, pi).
    pub yaw: f64,
    /// Grasp point from the origin of the object while it stands, world frame, m.
    pub offset: Vector3<f64>,
}

impl RimGrasp {
    /// The same grasp at another direction from the axis, rad.
    pub(super) fn at_angle(&self, angle: f64) -> RimGrasp {
        let radial = libm::hypot(self.offset.x, self.offset.y);
        RimGrasp {
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

/// A point of a rim at which it can be grasped.
#[derive(Debug, Clone, Copy)]
pub(super) struct RimPoint {
    /// Direction from the axis of the object, rad.
    pub angle: f64,
    /// Distance further inside than the outermost choice, m.
    pub inward: f64,
    /// Grasp point from the origin of the object, m.
    pub offset: Vector3<f64>,
}

/// Rim of a hollow object about its vertical axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rim {
    /// Outer radius, m.
    radius: f64,
    /// Height above the origin of the object, m.
    top: f64,
}

impl Rim {
    /// True if a model is hollow and round about its origin: a bowl, but no mug with a handle.
    pub(super) fn fits(model: &ModelDesc) -> bool {
        let (low, high) = root_bounds(model);
        let mut covered = false;
        for (pose, centre, half) in root_boxes(model) {
            let extent = pose.rotation.to_rotation_matrix().matrix().abs() * half;
            let middle = (pose * centre).coords;
            // A shape over the axis that reaches above the floor of a bowl closes it.
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
        for (pose, centre, half) in root_boxes(model) {
            for i in 0..8 {
                let sign = |bit: usize| if i >> bit & 1 == 1 { 1.0 } else { -1.0 };
                let corner = half.component_mul(&Vector3::new(sign(0), sign(1), sign(2)));
                corners.push(pose * (centre + corner));
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

    /// The grasp points of a rim.
    pub(super) fn points(&self) -> impl Iterator<Item = RimPoint> {
        let Rim { radius, top } = *self;
        (0..DIRECTIONS).flat_map(move |i| {
            let angle = TAU * i as f64 / DIRECTIONS as f64;
            INWARD.into_iter().map(move |inward| {
                let radial = radius - INSIDE_RIM - inward;
                RimPoint {
                    angle,
                    inward,
                    offset: Vector3::new(
                        radial * libm::cos(angle),
                        radial * libm::sin(angle),
                        top - BELOW_RIM,
                    ),
                }
            })
        })
    }
}

/// Input of the choice of a rim grasp; positions in the world frame.
#[derive(Clone)]
pub(super) struct RimGraspQuery<'a> {
    /// Rim of the object.
    pub rim: Rim,
    /// Origin of the object.
    pub object: Point3<f64>,
    /// Origin of the instance that it is to be put on.
    pub target: Point3<f64>,
    /// Base of the robot.
    pub base: Point3<f64>,
    /// All instances but the object and the target.
    pub obstacles: &'a Obstacles,
    /// Directions of grasps that have failed, rad.
    pub failed: &'a [f64],
    /// What decides between grasps that can be made.
    pub preference: GraspPreference,
}

impl RimGraspQuery<'_> {
    /// The grasp of the least cost.
    pub(super) fn choose(&self) -> RimGrasp {
        let mut best: Option<(f64, RimGrasp)> = None;
        for point in self.rim.points() {
            let grasp = RimGrasp {
                angle: point.angle,
                // The opening direction has no sign.
                yaw: point.angle.rem_euclid(PI),
                offset: point.offset,
            };
            let cost = self.cost(&grasp, point.inward);
            if best.as_ref().is_none_or(|(c, _)| cost < *c) {
                best = Some((cost, grasp));
            }
        }
        // There always is one: a rim has 48 x 3 points, and a cost is finite. The default is the point
        // towards +y.
        best.map(|(_, g)| g).unwrap_or(RimGrasp {
            angle: FRAC_PI_2,
            yaw: FRAC_PI_2,
            offset: Vector3::new(0.0, self.rim.radius - INSIDE_RIM, self.rim.top - BELOW_RIM),
        })
    }

    /// Cost of a grasp, m: missing clearance and reach, and preferences that break ties.
    fn cost(&self, grasp: &RimGrasp, inward: f64) -> f64 {
        let RimGrasp { angle, yaw, offset } = *grasp;
        let grasp_point = self.object + offset;
        let (turn, distance, wanted) = match self.preference {
            GraspPreference::NearHand(hand) => {
                // The opening direction has no sign.
                let turn = (yaw - hand.yaw).rem_euclid(PI);
                let distance = (grasp_point.xy() - hand.eef.xy()).norm();
                (turn.min(PI - turn), distance, CLEARANCE_THERE)
            }
            _ => ((yaw - FRAC_PI_2).abs(), 0.0, CLEARANCE),
        };
        let clearance = [0.0, 0.03, 0.06]
            .into_iter()
            .map(|rise| self.obstacles.top_down_clearance(grasp_point, yaw, rise))
            .fold(f64::INFINITY, f64::min);
        let place = self.target + offset + Vector3::z() * 0.05;
        let lifted = grasp_point + Vector3::z() * 0.05;
        let reach = [grasp_point, lifted, place]
            .into_iter()
            .map(|p| shoulder_to_wrist(self.base, p))
            .fold(0.0, f64::max);
        let failed_before = self
            .failed
            .iter()
            .map(|f| (angle - f + PI).rem_euclid(TAU) - PI)
            .any(|d| d.abs() < 0.6);
        let like = match self.preference {
            GraspPreference::LikeScenes => {
                let slant = libm::sin(2.0 * angle);
                ROOM_COST.0 * (ROOM_COST.1 - clearance).clamp(0.0, ROOM_COST.1)
                    + SLANT_COST * (2.0 * slant * slant - 1.0).max(0.0)
                    + 0.5 * LIKE_FAR_SIDE_COST * (1.0 - libm::sin(angle))
            }
            _ => 0.0,
        };
        like + 0.012 * turn / FRAC_PI_2
            + DISTANCE_COST * distance
            + 6.0 * (wanted - clearance).max(0.0)
            + 1.0 * (reach - 0.672).max(0.0)
            + 0.5 * FAR_SIDE_COST * (1.0 - libm::sin(angle))
            + 0.4 * inward
            + if failed_before { 0.03 } else { 0.0 }
    }
}
