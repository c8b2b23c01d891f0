//! Pushes a flat object over the support with open fingers, one on each side of the line of push, so
//! that it cannot turn away. The hand leans forward over the object: behind it there may be furniture.

use super::hand::{CLOSE, Course, Hand, OPEN, hand_along, turn_to};
use super::obstacles::Obstacles;
use super::rim::origin;
use bitvla_sim::World;
use nalgebra::{Point3, Rotation3, Vector3};

/// Height of the grip point above the support while pushing, m.
const LOW: f64 = 0.014;
/// Room between the fingers and the object when they come down, m.
const GAP: f64 = 0.018;
/// How far the hand leans in the direction of the push, rad.
const LEAN: f64 = 0.5;
/// Distance at which the object counts as arrived, m.
const ARRIVED: f64 = 0.012;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Above,
    Down,
    Push,
    Up,
}

/// The memory of this errand.
#[derive(Clone)]
pub(super) struct Push {
    object: usize,
    to: Point3<f64>,
    course: Course<Phase>,
    radius: f64,
    /// Direction of push, fixed when the fingers come down.
    direction: Vector3<f64>,
}

impl Push {
    /// Plans to push an instance until its origin is at a point of the support.
    pub(super) fn new(world: &World, object: usize, to: Point3<f64>) -> Push {
        let (low, high) = Obstacles::only(world, object).corners();
        Push {
            object,
            to: Point3::new(to.x, to.y, low.z),
            course: Course::new(world, Phase::Above),
            radius: 0.5 * (high.x - low.x).max(high.y - low.y),
            direction: Vector3::x(),
        }
    }

    /// Whether the hand has left the object.
    pub(super) fn done(&self) -> bool {
        self.course.phase == Phase::Up && self.course.steps >= 8
    }

    /// One word for the current phase, for logs.
    pub(super) fn phase(&self) -> String {
        self.course.name()
    }

    /// The direction of push nearest to the wanted one for which the fingers have room behind the object.
    fn with_room(&self, world: &World, object: Point3<f64>, wanted: Vector3<f64>) -> Vector3<f64> {
        let around = Obstacles::new(world, &[self.object]);
        let turned = |k: i32| {
            let by = 0.25 * f64::from(k);
            Rotation3::from_axis_angle(&Vector3::z_axis(), by) * wanted
        };
        let room = |direction: Vector3<f64>| {
            let behind = object - direction * (self.radius + GAP);
            let down = Point3::new(behind.x, behind.y, self.to.z + LOW);
            let approach = -direction * libm::sin(LEAN) - Vector3::z() * libm::cos(LEAN);
            let hand = hand_along(approach, Vector3::z().cross(&direction));
            // On the way down along the hand, too.
            [0.0, 0.03, 0.06]
                .map(|back| around.room(down, &hand, -approach * back))
                .into_iter()
                .fold(f64::INFINITY, f64::min)
        };
        [0, 1, -1, 2, -2, 3, -3]
            .map(turned)
            .into_iter()
            .find(|d| room(*d) > 0.001)
            .unwrap_or(wanted)
    }

    /// The hand leans forward over the object.
    fn approach(&self) -> Vector3<f64> {
        -self.direction * libm::sin(LEAN) - Vector3::z() * libm::cos(LEAN)
    }

    fn orientation(&self) -> Rotation3<f64> {
        hand_along(self.approach(), Vector3::z().cross(&self.direction))
    }

    /// The action for the next control step.
    pub(super) fn act(&mut self, world: &World) -> [f64; 7] {
        let eef = self.course.look(world);
        let n = self.course.steps;
        let object = origin(world, self.object);
        let mut way = self.to - object;
        way.z = 0.0;
        if self.course.phase == Phase::Above && way.norm() > 1e-6 {
            self.direction = self.with_room(world, object, way.normalize());
        }
        let behind = object - self.direction * (self.radius + GAP);
        let down = Point3::new(behind.x, behind.y, self.to.z + LOW);
        let wait = down - self.approach() * 0.09;
        match self.course.phase {
            Phase::Above => {
                let turned = turn_to(world, &self.orientation()).norm() < 0.08;
                if ((eef - wait).norm() < 0.012 && turned) || n > 80 {
                    self.course.enter(Phase::Down, eef);
                }
            }
            Phase::Down => {
                if (eef - down).norm() < 0.008 || (self.course.hand.still >= 4 && n > 5) || n > 30 {
                    self.course.enter(Phase::Push, eef);
                }
            }
            Phase::Push => {
                if way.norm() < ARRIVED || way.dot(&self.direction) < 0.004 || n > 60 {
                    self.course.enter(Phase::Up, eef);
                }
            }
            Phase::Up => {
                if n > 12 {
                    self.course.enter(Phase::Above, eef);
                }
            }
        }
        let goal = match self.course.phase {
            Phase::Above => {
                let far = (eef.xy() - wait.xy()).norm();
                let z = wait.z + 0.6 * (far - 0.05).clamp(0.0, 0.25);
                Point3::new(wait.x, wait.y, z)
            }
            Phase::Down => down,
            Phase::Push => {
                // Straight on from where the fingers came down.
                let off = eef - self.course.from;
                let aside = off - self.direction * off.dot(&self.direction);
                let p = eef + self.direction * 0.03 - aside;
                Point3::new(p.x, p.y, self.to.z + LOW)
            }
            Phase::Up => self.course.from + Vector3::z() * 0.10 - self.direction * 0.02,
        };
        let turn = turn_to(world, &self.orientation());
        let mut a = self.course.hand.pull(eef, goal);
        if self.course.phase == Phase::Push {
            a.x = a.x.clamp(-0.7, 0.7);
            a.y = a.y.clamp(-0.7, 0.7);
        }
        let gripper = if self.course.phase == Phase::Up {
            CLOSE
        } else {
            OPEN
        };
        Hand::action(a, turn, gripper)
    }
}
