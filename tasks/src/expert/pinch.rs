//! Where to take any object from above: lines along the opening axis are sent through its collision
//! shapes; wherever they cross a piece that fits between the pads (a bottle, a wall, a handle, a knob)
//! there is a grip. The cheapest one has room for the open fingers, lies near the centre of mass and
//! within reach.

use super::hand;
use super::obstacles::{Obstacles, bounds};
use super::rim_grasp::Rim;
use bitvla_sim::{ShapeDesc, World, isometry};
use nalgebra::{Isometry3, Point3, Rotation3, Vector3};
use std::f64::consts::{FRAC_PI_2, PI};

/// Directions of the opening axis looked at, over half a turn.
const DIRECTIONS: usize = 24;
/// Step along the opening axis, m.
const STEP: f64 = 0.001;
/// Thickness that fits between the pads, m.
const THICKNESS: [f64; 2] = [0.003, 0.068];
/// How far below the grip point the finger tips reach, m.
pub(super) const TIP: f64 = 0.0095;

/// A grip from above.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pinch {
    /// Grip point in the world, m.
    pub at: Point3<f64>,
    /// Direction in which the fingers open, rad.
    pub yaw: f64,
    /// Unit vector along which the hand points: down, or leaning about the opening axis.
    pub approach: Vector3<f64>,
    /// What is between the pads, m.
    pub thickness: f64,
}

impl Pinch {
    /// The axis along which the fingers open.
    pub(super) fn opening(&self) -> Vector3<f64> {
        Vector3::new(libm::cos(self.yaw), libm::sin(self.yaw), 0.0)
    }
}

/// How far the hand may lean, rad: away from the robot's base if negative.
const LEANS: [f64; 5] = [0.0, 0.35, 0.7, -0.35, -0.7];

/// A convex piece of an object.
#[derive(Clone)]
struct Solid {
    pose: Isometry3<f64>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Box(Vector3<f64>),
    Round { radius: f64, half_height: f64 },
    Ball(f64),
}

impl Solid {
    fn contains(&self, p: Point3<f64>) -> bool {
        let q = self.pose.inverse_transform_point(&p);
        match self.kind {
            Kind::Box(half) => (0..3).all(|i| q[i].abs() <= half[i]),
            Kind::Round {
                radius,
                half_height,
            } => q.z.abs() <= half_height && q.x * q.x + q.y * q.y <= radius * radius,
            Kind::Ball(radius) => q.coords.norm_squared() <= radius * radius,
        }
    }
}

/// The collision shapes of an instance where it is now; hulls count as boxes.
fn solids(world: &World, instance: usize) -> Vec<Solid> {
    let mut out = Vec::new();
    for (b, body) in world.scene().instances[instance]
        .model
        .bodies
        .iter()
        .enumerate()
    {
        let pose = world.rendered_body_pose(instance, b);
        for c in &body.collision {
            let at = pose * isometry(c.pos, c.quat_wxyz);
            let (pose, kind) = match &c.shape {
                ShapeDesc::Cylinder {
                    radius,
                    half_height,
                } => (
                    at,
                    Kind::Round {
                        radius: *radius,
                        half_height: *half_height,
                    },
                ),
                ShapeDesc::Sphere { radius } => (at, Kind::Ball(*radius)),
                other => match bounds(other) {
                    Some((centre, half)) => {
                        (at * nalgebra::Translation3::from(centre), Kind::Box(half))
                    }
                    None => continue,
                },
            };
            out.push(Solid { pose, kind });
        }
    }
    out
}

/// What the choice is made from.
#[derive(Clone)]
pub(super) struct Wish<'a> {
    pub world: &'a World,
    /// Instance to be taken.
    pub object: usize,
    /// Where its origin is to go.
    pub goal: Point3<f64>,
    /// Everything else.
    pub obstacles: &'a Obstacles,
    /// Grips already tried in vain.
    pub failed: &'a [Pinch],
    /// Height from which the object may fall at no cost, m.
    pub drop: f64,
}

/// The cheapest grip, if there is any.
pub(super) fn choose(wish: &Wish) -> Option<Pinch> {
    let world = wish.world;
    let own = Obstacles::only(world, wish.object);
    let (low, high) = own.corners();
    let pose = world.instance_pose(wish.object);
    let model = &world.scene().instances[wish.object].model;
    let com = model
        .bodies
        .first()
        .and_then(|b| b.inertia.as_ref())
        .map_or(nalgebra::center(&low, &high), |i| {
            pose * Point3::from(i.com)
        });
    let origin = Point3::from(pose.translation.vector);
    let judge = Judge {
        wish,
        own,
        com,
        origin,
        base: Point3::from(world.scene().arena.robot_base_pos),
    };
    let mut best: Option<(f64, Pinch)> = None;
    let mut look = |at: Point3<f64>, yaw: f64, thickness: f64, depth: f64, usual: f64| {
        let start = judge.start(at, yaw, depth - usual);
        for (k, lean) in LEANS.into_iter().enumerate() {
            let least = start + 0.014 * lean.abs() / 0.35;
            if best.as_ref().is_some_and(|(c, _)| least >= *c) {
                continue;
            }
            let pinch = judge.leaning(at, yaw, thickness, lean);
            let lack = judge.lack(&pinch, k == 0 || thickness >= 0.01);
            let cost = least + lack;
            if best.as_ref().is_none_or(|(c, _)| cost < *c) {
                best = Some((cost, pinch));
            }
            if lack == 0.0 {
                break;
            }
        }
    };
    let upright = (pose.rotation * Vector3::z()).z > 0.95;
    if Rim::round(model) && upright {
        // A bowl is taken by its rim.
        for (angle, offset) in Rim::of(model).grips() {
            look(origin + offset, angle.rem_euclid(PI), 0.003, 0.022, 0.022);
        }
    } else {
        let pieces = solids(world, wish.object);
        let first = own_direction(&pose.rotation.to_rotation_matrix());
        for d in 0..DIRECTIONS {
            let yaw = (first + PI * d as f64 / DIRECTIONS as f64).rem_euclid(PI);
            scan(&pieces, (low, high), yaw, &mut |at, thickness, depth| {
                look(at, yaw, thickness, depth, 0.022);
            });
        }
    }
    best.filter(|(c, _)| *c < 1.0).map(|(_, p)| p)
}

/// Sends lines along one opening direction through the pieces, at several heights and distances from
/// the middle, and hands on every grip point with its thickness and its depth below the top.
fn scan(
    pieces: &[Solid],
    (low, high): (Point3<f64>, Point3<f64>),
    yaw: f64,
    found: &mut dyn FnMut(Point3<f64>, f64, f64),
) {
    let middle = nalgebra::center(&low, &high);
    let span = 0.5 * libm::hypot(high.x - low.x, high.y - low.y);
    let across = libm::floor(span / 0.01) as i32;
    let u = Vector3::new(libm::cos(yaw), libm::sin(yaw), 0.0);
    let v = Vector3::new(-u.y, u.x, 0.0);
    for w in -across..=across {
        for level in 0..8 {
            let depth = 0.008 + 0.006 * f64::from(level);
            // Not so deep that the tips touch what it stands on; once at that depth.
            let lowest = low.z + TIP + 0.0005;
            if high.z - depth < lowest - 0.006 {
                break;
            }
            let z = (high.z - depth).max(lowest);
            let line = Point3::new(middle.x, middle.y, z) + v * (0.01 * f64::from(w));
            for (from, to) in crossings(pieces, line, u, span) {
                let thickness = to - from;
                if !(THICKNESS[0]..=THICKNESS[1]).contains(&thickness) {
                    continue;
                }
                let at = line + u * (0.5 * (from + to));
                let above = at + Vector3::z() * 0.006f64.min(high.z - z - 0.001);
                let held = |p: Point3<f64>| pieces.iter().any(|s| s.contains(p));
                let edge = u * (0.5 * thickness - 0.0025).max(0.0);
                if held(above + edge) && held(above - edge) {
                    found(at, thickness, depth);
                }
            }
        }
    }
}

/// A horizontal direction that belongs to the object, rad: its x axis, or y where x stands upright.
fn own_direction(r: &Rotation3<f64>) -> f64 {
    let x = r * Vector3::x();
    let axis = if x.z.abs() < 0.7 { x } else { r * Vector3::y() };
    libm::atan2(axis.y, axis.x)
}

/// Stretches of a line inside the object.
fn crossings(solids: &[Solid], line: Point3<f64>, u: Vector3<f64>, span: f64) -> Vec<(f64, f64)> {
    let n = libm::ceil((span + 0.01) / STEP) as i32;
    let mut out = Vec::new();
    let mut open: Option<f64> = None;
    for i in -n..=n {
        let s = STEP * f64::from(i);
        let p = line + u * s;
        let inside = solids.iter().any(|solid| solid.contains(p));
        match (inside, open) {
            (true, None) => open = Some(s),
            (false, Some(from)) => {
                out.push((from, s));
                open = None;
            }
            _ => {}
        }
    }
    out
}

/// What grips are judged by.
#[derive(Clone)]
struct Judge<'a> {
    wish: &'a Wish<'a>,
    own: Obstacles,
    com: Point3<f64>,
    origin: Point3<f64>,
    base: Point3<f64>,
}

impl Judge<'_> {
    /// What a grip costs before anybody has looked for room.
    fn start(&self, at: Point3<f64>, yaw: f64, depth: f64) -> f64 {
        let turn = (yaw - FRAC_PI_2).abs() / FRAC_PI_2;
        let off = libm::hypot(at.x - self.com.x, at.y - self.com.y);
        let far = [at, self.wish.goal + (at - self.origin)]
            .into_iter()
            .map(|p| hand::stretch(self.base, p))
            .fold(0.0, f64::max);
        let again = self.wish.failed.iter().any(|f| {
            let off = (f.yaw - yaw).rem_euclid(PI);
            (f.at - at).norm() < 0.012 && off.min(PI - off) < 0.4
        });
        0.012 * turn
            + (far - 0.672).max(0.0)
            + 0.4 * off
            + 0.3 * depth.abs()
            + if again { 0.04 } else { 0.0 }
    }

    fn leaning(&self, at: Point3<f64>, yaw: f64, thickness: f64, lean: f64) -> Pinch {
        let u = Vector3::new(libm::cos(yaw), libm::sin(yaw), 0.0);
        let n = Vector3::new(-u.y, u.x, 0.0);
        // The body of the hand leans towards the base for a positive angle.
        let away = if n.dot(&(at - self.base)) < 0.0 {
            -n
        } else {
            n
        };
        Pinch {
            at,
            yaw,
            approach: away * libm::sin(lean) - Vector3::z() * libm::cos(lean),
            thickness,
        }
    }

    /// What missing room costs, on the way to the grip and where the object is let go; `own` says whether
    /// the object itself can be in the way.
    fn lack(&self, pinch: &Pinch, own: bool) -> f64 {
        let r = hand::hand_along(pinch.approach, pinch.opening());
        let mut room = 0.05f64;
        for way in [0.0, 0.03, 0.06, 0.10, 0.15, 0.20] {
            let back = -pinch.approach * way;
            room = room.min(self.wish.obstacles.room(pinch.at, &r, back));
            if own {
                room = room.min(self.own.room(pinch.at, &r, back) + 0.003);
            }
        }
        let there = self.wish.goal + (pinch.at - self.origin);
        let drop = self.wish.obstacles.lowest(there, &r, 0.02);
        6.0 * (0.006 - room).max(0.0) + 0.3 * (drop - self.wish.drop).max(0.0)
    }
}
