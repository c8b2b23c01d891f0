//! Antipodal grasps of any object from above. Its collision shapes are intersected with lines along the
//! opening axis; every intersection that fits between the pads (of a bottle, a wall, a handle, a knob) is a
//! candidate. The one of the least cost is chosen: costs are lack of clearance for the open fingers, distance
//! from the centre of mass and reach.

use super::collision_boxes::shape_bounds;
use super::hand_frame::{horizontal, robot_base, shoulder_to_wrist, symmetric_orientation};
use super::obstacles::{Obstacles, ROUNDING};
use super::rim_grasp::Rim;
use bitvla_sim::{ShapeDesc, World, isometry};
use nalgebra::{Isometry3, Point3, Rotation3, Translation3, Vector3};
use std::f64::consts::{FRAC_PI_2, PI};

/// Directions of the opening axis that are tried, over half a turn.
const DIRECTIONS: usize = 24;
/// Step along the opening axis, m.
const LINE_STEP: f64 = 0.001;
/// Distance between parallel lines at one height, m.
const LINE_SPACING: f64 = 0.01;
/// Depths of the grasp point below the top of the object, m. The first is for a knob so short that at the second
/// the finger tips would touch what it stands on.
const DEPTHS: [f64; 9] = [
    0.005, 0.008, 0.014, 0.020, 0.026, 0.032, 0.038, 0.044, 0.050,
];
/// Distance below the lowest possible grasp point up to which a depth is still tried, there, m.
const DEPTH_SPACING: f64 = 0.006;
/// Depth that costs nothing, m.
const PREFERRED_DEPTH: f64 = 0.022;
/// Thickness that fits between the pads, m: least and most.
const THICKNESS: [f64; 2] = [0.003, 0.068];
/// Thickness of the wall of a bowl, m.
const BOWL_WALL: f64 = 0.003;
/// Thickness below which the piece is a wall that may turn between the pads, m.
const THIN: f64 = 0.01;
/// Depth of the finger tips below the grasp point, m.
const FINGERTIP_DEPTH: f64 = 0.0095;
/// Height that the piece has to reach above the grasp point, m.
const PAD_HEIGHT: f64 = 0.006;
/// Distance across the opening axis and below the surface at which a face that the pads meet squarely is solid
/// on both sides of the grasp point, m: a face turned away by more than 32 degrees is not.
const PAD_HALF_WIDTH: f64 = 0.004;
const PAD_INSET: f64 = 0.0025;
/// Cost of faces that the pads do not meet squarely, m: the object turns or slips when the fingers close.
const SLANT_COST: f64 = 0.03;
/// Distance from the hand up to which a grasp is near it, m; advantage of one that is there already, m, which falls to zero at that distance,
/// and what of it a turn of the hand takes away, m/rad.
const NEAR_HAND: f64 = 0.12;
const HAND_COST: f64 = 0.04;
const HAND_TURN_COST: f64 = 0.04;
/// Tilts of the hand about the opening axis that are tried, rad: away from the base of the robot if
/// negative.
const TILTS: [f64; 5] = [0.0, 0.35, 0.7, -0.35, -0.7];
/// Distances behind the grasp point on the way to it at which the clearance is checked, m.
const WITHDRAWALS: [f64; 6] = [0.0, 0.03, 0.06, 0.10, 0.15, 0.20];
/// Cost from which a grasp is not worth trying, m.
const COST_LIMIT: f64 = 1.0;

/// A grasp by two opposite faces.
#[derive(Debug, Clone, Copy)]
pub(super) struct AntipodalGrasp {
    /// Grasp point, world frame, m.
    pub point: Point3<f64>,
    /// Direction in which the fingers open, from the x axis of the world, rad.
    pub yaw: f64,
    /// Unit vector along which the hand points, world frame: down, or tilted about the opening axis.
    pub approach: Vector3<f64>,
    /// Thickness of the piece between the pads, m.
    pub thickness: f64,
}

impl AntipodalGrasp {
    /// Orientation of the hand in the world frame.
    pub(super) fn orientation(&self) -> Rotation3<f64> {
        symmetric_orientation(self.approach, horizontal(self.yaw))
    }

    /// True if the fingers hold a thin wall.
    pub(super) fn is_thin(&self) -> bool {
        self.thickness < THIN
    }
}

/// A convex piece of an object.
#[derive(Clone)]
struct Primitive {
    /// Pose of its centre in the world.
    pose: Isometry3<f64>,
    shape: PrimitiveShape,
}

/// Dimensions in m.
#[derive(Clone)]
enum PrimitiveShape {
    Box { half: Vector3<f64> },
    Cylinder { radius: f64, half_height: f64 },
    Sphere { radius: f64 },
}

impl Primitive {
    fn contains(&self, p: Point3<f64>) -> bool {
        let q = self.pose.inverse_transform_point(&p);
        match self.shape {
            PrimitiveShape::Box { half } => (0..3).all(|i| q[i].abs() <= half[i]),
            PrimitiveShape::Cylinder {
                radius,
                half_height,
            } => q.z.abs() <= half_height && q.x * q.x + q.y * q.y <= radius * radius,
            PrimitiveShape::Sphere { radius } => q.coords.norm_squared() <= radius * radius,
        }
    }

    /// Where a line enters and leaves the box around the shape: distances from `line` along the unit vector `u`, m; `None` if it
    /// passes by. Every point of the line that [`Primitive::contains`] is between them, also with rounding.
    fn crossing(&self, line: Point3<f64>, u: Vector3<f64>) -> Option<(f64, f64)> {
        let half = match self.shape {
            PrimitiveShape::Box { half } => half,
            PrimitiveShape::Cylinder {
                radius,
                half_height,
            } => Vector3::new(radius, radius, half_height),
            PrimitiveShape::Sphere { radius } => Vector3::repeat(radius),
        };
        let start = self.pose.inverse_transform_point(&line);
        let along = self.pose.inverse_transform_vector(&u);
        let (mut from, mut to) = (f64::NEG_INFINITY, f64::INFINITY);
        for i in 0..3 {
            let room = half[i] + ROUNDING;
            if along[i].abs() > ROUNDING {
                let ends = [-room, room].map(|side| (side - start[i]) / along[i]);
                from = from.max(ends[0].min(ends[1]));
                to = to.min(ends[0].max(ends[1]));
            } else if start[i].abs() > room + ROUNDING {
                return None;
            }
        }
        (from <= to).then_some((from, to))
    }
}

/// The collision shapes of an instance at its present pose; hulls and capsules count as boxes.
fn collision_primitives(world: &World, instance: usize) -> Vec<Primitive> {
    let mut out = Vec::new();
    let bodies = &world.scene().instances[instance].model.bodies;
    for (b, body) in bodies.iter().enumerate() {
        let body_pose = world.rendered_body_pose(instance, b);
        for c in &body.collision {
            let pose = body_pose * isometry(c.pos, c.quat_wxyz);
            out.push(match c.shape {
                ShapeDesc::Cylinder {
                    radius,
                    half_height,
                } => Primitive {
                    pose,
                    shape: PrimitiveShape::Cylinder {
                        radius,
                        half_height,
                    },
                },
                ShapeDesc::Sphere { radius } => Primitive {
                    pose,
                    shape: PrimitiveShape::Sphere { radius },
                },
                _ => match shape_bounds(&c.shape) {
                    Some((centre, half)) => Primitive {
                        pose: pose * Translation3::from(centre),
                        shape: PrimitiveShape::Box { half },
                    },
                    None => continue,
                },
            });
        }
    }
    out
}

/// Input of the choice of an antipodal grasp.
#[derive(Clone)]
pub(super) struct GraspQuery<'a> {
    pub world: &'a World,
    /// Instance to be grasped.
    pub object: usize,
    /// Position of its origin when placed, world frame, m.
    pub goal: Point3<f64>,
    /// All other instances.
    pub obstacles: &'a Obstacles,
    /// Grasps that have failed.
    pub failed: &'a [AntipodalGrasp],
    /// Height from which the object may fall at no cost, m, and the cost of each metre more.
    pub drop: (f64, f64),
    /// Grasp point of the hand at present, m, and the direction in which its fingers open, rad: a hand that is near one grasp does not change
    /// to another that costs hardly less.
    pub hand: (Point3<f64>, f64),
}

impl GraspQuery<'_> {
    /// The grasp of the least cost, if one costs less than [`COST_LIMIT`].
    pub(super) fn choose(&self) -> Option<AntipodalGrasp> {
        let world = self.world;
        let mut scorer = GraspScorer::new(self);
        let pose = world.instance_pose(self.object);
        let model = &world.scene().instances[self.object].model;
        let upright = (pose.rotation * Vector3::z()).z > 0.95;
        if Rim::fits(model) && upright {
            // A bowl is grasped by its rim.
            for rim_point in Rim::of(model).points() {
                scorer.consider(Candidate {
                    point: scorer.origin + rim_point.offset,
                    yaw: rim_point.angle.rem_euclid(PI),
                    thickness: BOWL_WALL,
                    depth: PREFERRED_DEPTH,
                    slanted: false,
                });
            }
        } else {
            let pieces = collision_primitives(world, self.object);
            let bounds = scorer.object_box.bounding_box();
            let first = body_direction(&pose.rotation.to_rotation_matrix());
            for d in 0..DIRECTIONS {
                let yaw = (first + PI * d as f64 / DIRECTIONS as f64).rem_euclid(PI);
                sample_candidates(&pieces, bounds, yaw, &mut |c| scorer.consider(c));
            }
        }
        scorer
            .best
            .filter(|(c, _)| *c < COST_LIMIT)
            .map(|(_, grasp)| grasp)
    }
}

/// A piece of the object that fits between the pads.
#[derive(Clone, Copy)]
struct Candidate {
    /// Grasp point, world frame, m.
    point: Point3<f64>,
    /// Opening direction, world frame, rad.
    yaw: f64,
    /// Thickness along the opening direction, m.
    thickness: f64,
    /// Depth of the grasp point below the top of the object, m.
    depth: f64,
    /// True if the opening direction is not normal to the faces.
    slanted: bool,
}

/// Intersects the pieces with lines along one opening direction, `yaw` (rad), at several heights and distances
/// from the centre of `(low, high)`, the box around the object, and calls `found` with every candidate.
fn sample_candidates(
    pieces: &[Primitive],
    (low, high): (Point3<f64>, Point3<f64>),
    yaw: f64,
    found: &mut dyn FnMut(Candidate),
) {
    let centre = nalgebra::center(&low, &high);
    let span = 0.5 * libm::hypot(high.x - low.x, high.y - low.y);
    let lines = libm::floor(span / LINE_SPACING) as i32;
    let u = horizontal(yaw);
    let v = Vector3::new(-u.y, u.x, 0.0);
    for w in -lines..=lines {
        for depth in DEPTHS {
            // Not so deep that the tips touch what the object stands on; once at that depth.
            let lowest = low.z + FINGERTIP_DEPTH + 0.0005;
            if high.z - depth < lowest - DEPTH_SPACING {
                break;
            }
            let z = (high.z - depth).max(lowest);
            let line = Point3::new(centre.x, centre.y, z) + v * (LINE_SPACING * f64::from(w));
            for (from, to) in intersections(pieces, line, u, span) {
                let thickness = to - from;
                if !(THICKNESS[0]..=THICKNESS[1]).contains(&thickness) {
                    continue;
                }
                let point = line + u * (0.5 * (from + to));
                let above = point + Vector3::z() * PAD_HEIGHT.min(high.z - z - 0.001);
                let solid = |p: Point3<f64>| pieces.iter().any(|s| s.contains(p));
                let edge = u * (0.5 * thickness - PAD_INSET).max(0.0);
                if solid(above + edge) && solid(above - edge) {
                    let side = v * PAD_HALF_WIDTH;
                    let sides = [edge + side, edge - side, side - edge, -edge - side];
                    found(Candidate {
                        point,
                        yaw,
                        thickness,
                        depth,
                        slanted: !sides.into_iter().all(|s| solid(point + s)),
                    });
                }
            }
        }
    }
}

/// A horizontal direction that turns with the object, rad: its x axis, or y where x is upright.
fn body_direction(r: &Rotation3<f64>) -> f64 {
    let x = r * Vector3::x();
    let axis = if x.z.abs() < 0.7 { x } else { r * Vector3::y() };
    libm::atan2(axis.y, axis.x)
}

/// Intervals of a line that are inside the object: positions along the unit vector `u` from `line`, within
/// `span` of it, m, to [`LINE_STEP`].
fn intersections(
    pieces: &[Primitive],
    line: Point3<f64>,
    u: Vector3<f64>,
    span: f64,
) -> Vec<(f64, f64)> {
    let n = libm::ceil((span + 0.01) / LINE_STEP) as i32;
    // Each piece with the first and the last step that may be inside it.
    let steps = |s: f64| libm::floor(s / LINE_STEP).clamp(-f64::from(n) - 1.0, f64::from(n)) as i32;
    let crossed: Vec<(i32, i32, &Primitive)> = (pieces.iter())
        .filter_map(|piece| {
            let (from, to) = piece.crossing(line, u)?;
            Some((steps(from), steps(to) + 1, piece))
        })
        .collect();
    let first = crossed.iter().map(|c| c.0).min().unwrap_or(n).max(-n);
    let last = crossed.iter().map(|c| c.1 + 1).max().unwrap_or(-n).min(n);
    let mut out = Vec::new();
    let mut entered: Option<f64> = None;
    for i in first..=last {
        let s = LINE_STEP * f64::from(i);
        let p = line + u * s;
        let inside = (crossed.iter())
            .any(|(from, to, piece)| (*from..=*to).contains(&i) && piece.contains(p));
        match (inside, entered) {
            (true, None) => entered = Some(s),
            (false, Some(from)) => {
                out.push((from, s));
                entered = None;
            }
            _ => {}
        }
    }
    out
}

/// Cost of grasps, and the best one so far. Costs are in m of missing clearance or reach, with preferences
/// that break ties.
#[derive(Clone)]
struct GraspScorer<'a> {
    query: &'a GraspQuery<'a>,
    /// The object itself, as an obstacle.
    object_box: Obstacles,
    centre_of_mass: Point3<f64>,
    /// Origin of the object, m.
    origin: Point3<f64>,
    /// Base of the robot, m.
    base: Point3<f64>,
    best: Option<(f64, AntipodalGrasp)>,
}

impl<'a> GraspScorer<'a> {
    fn new(query: &'a GraspQuery<'a>) -> GraspScorer<'a> {
        let world = query.world;
        let object_box = Obstacles::only(world, query.object);
        let (low, high) = object_box.bounding_box();
        let pose = world.instance_pose(query.object);
        let root = world.scene().instances[query.object].model.bodies.first();
        // Models without an inertia have their mass spread over their shapes.
        let centre_of_mass = root
            .and_then(|b| b.inertia.as_ref())
            .map_or(nalgebra::center(&low, &high), |i| {
                pose * Point3::from(i.com)
            });
        GraspScorer {
            query,
            object_box,
            centre_of_mass,
            origin: Point3::from(pose.translation.vector),
            base: robot_base(world),
            best: None,
        }
    }

    /// Scores a candidate at all tilts until one has enough clearance, and keeps the best.
    fn consider(&mut self, c: Candidate) {
        let pose_cost = self.pose_cost(&c);
        for tilt in TILTS {
            let least = pose_cost + 0.014 * tilt.abs() / 0.35;
            if self.best.as_ref().is_some_and(|(b, _)| least >= *b) {
                continue;
            }
            let grasp = self.tilted(&c, tilt);
            // Not for a tilted hand at a thin wall: the boxes of the other walls would always block it.
            let against_object = tilt == 0.0 || !grasp.is_thin();
            let best = self.best.as_ref().map_or(f64::INFINITY, |(best, _)| *best);
            let loses = |part_of_cost: f64| least + part_of_cost >= best;
            let clearance_cost = self.clearance_cost(&grasp, against_object, loses);
            let cost = least + clearance_cost;
            if self.best.as_ref().is_none_or(|(b, _)| cost < *b) {
                self.best = Some((cost, grasp));
            }
            if clearance_cost == 0.0 {
                break;
            }
        }
    }

    /// Cost of a candidate apart from tilt and clearance.
    fn pose_cost(&self, c: &Candidate) -> f64 {
        let depth = c.depth - PREFERRED_DEPTH;
        let turn = (c.yaw - FRAC_PI_2).abs() / FRAC_PI_2;
        let com = self.centre_of_mass;
        let off_centre = libm::hypot(c.point.x - com.x, c.point.y - com.y);
        let reach = [c.point, self.query.goal + (c.point - self.origin)]
            .into_iter()
            .map(|p| shoulder_to_wrist(self.base, p))
            .fold(0.0, f64::max);
        let failed_before = self.query.failed.iter().any(|f| {
            let turned = (f.yaw - c.yaw).rem_euclid(PI);
            (f.point - c.point).norm() < 0.012 && turned.min(PI - turned) < 0.4
        });
        0.012 * turn
            + (reach - 0.672).max(0.0)
            + 0.4 * off_centre
            + 0.3 * depth.abs()
            + self.change_cost(c)
            + if c.slanted { SLANT_COST } else { 0.0 }
            + if failed_before { 0.04 } else { 0.0 }
    }

    /// Cost of the motion from the present pose of a hand that is near; the same for all candidates that are far from it.
    fn change_cost(&self, c: &Candidate) -> f64 {
        let (point, yaw) = self.query.hand;
        let near = 1.0 - ((c.point - point).norm() / NEAR_HAND).min(1.0);
        let turned = (c.yaw - yaw).rem_euclid(PI);
        HAND_TURN_COST * near * turned.min(PI - turned) - HAND_COST * near
    }

    /// The grasp of a candidate with the hand tilted about the opening axis, rad.
    fn tilted(&self, c: &Candidate, tilt: f64) -> AntipodalGrasp {
        let u = horizontal(c.yaw);
        let n = Vector3::new(-u.y, u.x, 0.0);
        // The wrist leans towards the base for a positive angle.
        let away = if n.dot(&(c.point - self.base)) < 0.0 {
            -n
        } else {
            n
        };
        AntipodalGrasp {
            point: c.point,
            yaw: c.yaw,
            approach: away * libm::sin(tilt) - Vector3::z() * libm::cos(tilt),
            thickness: c.thickness,
        }
    }

    /// Cost of missing clearance, on the way to the grasp and where the object is released;
    /// with `against_object` the object itself counts as an obstacle. Ends with a part of the cost that `loses` already.
    fn clearance_cost(
        &self,
        grasp: &AntipodalGrasp,
        against_object: bool,
        loses: impl Fn(f64) -> bool,
    ) -> f64 {
        let r = grasp.orientation();
        let cost_of = |clearance: f64| 6.0 * (0.006 - clearance).max(0.0);
        let mut clearance = 0.05f64;
        for distance in WITHDRAWALS {
            let back = -grasp.approach * distance;
            let of = |obstacles: &Obstacles, room: f64| {
                let enough = |bound: f64| loses(cost_of(bound + room));
                obstacles.hand_clearance_until(grasp.point, &r, back, enough) + room
            };
            // A sum with zero is exact.
            clearance = clearance.min(of(self.query.obstacles, 0.0));
            if against_object && !loses(cost_of(clearance)) {
                clearance = clearance.min(of(&self.object_box, 0.003));
            }
            if loses(cost_of(clearance)) {
                return cost_of(clearance);
            }
        }
        let release = self.query.goal + (grasp.point - self.origin);
        let drop = self.query.obstacles.lowest_free_height(release, &r, 0.02);
        cost_of(clearance) + {
            let (free, cost) = self.query.drop;
            cost * (drop - free).max(0.0)
        }
    }
}
