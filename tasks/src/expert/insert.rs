//! Puts an object into something that opens to the side (a microwave): the hand comes level, takes the
//! object by what sticks out towards it (a handle), lifts it over the sill, pushes it in and lets go.

use super::hand::{CLOSE, Course, Hand, OPEN, grip_point, hand_of, turn_to};
use super::obstacles::Obstacles;
use super::rim::origin;
use bitvla_sim::World;
use nalgebra::{Point3, Rotation3, Vector3};

/// How far the hand points down, rad.
const TILT: f64 = 0.5;
/// Free height over the sill, m.
const OVER: f64 = 0.018;
/// How far the object is turned aside, rad.
const ASIDE: f64 = 0.25;
/// How far inside the edge the near side of the object ends up, m.
const INSIDE: f64 = 0.018;

/// How far in front of the base it turns into its posture, m.
const NEAR: f64 = 0.43;
/// Largest turn asked for at a time while the arm changes its posture, rad.
const GENTLY: f64 = 0.25;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Rise,
    Align,
    Advance,
    Close,
    Lift,
    Before,
    Into,
    Lower,
    Open,
    Retreat,
}

/// The memory of this errand.
#[derive(Clone)]
pub(super) struct Insert {
    object: usize,
    base: Point3<f64>,
    course: Course<Phase>,
    inward: Vector3<f64>,
    approach: Vector3<f64>,
    turn: Rotation3<f64>,
    /// Grip point in the frame of the object, m.
    grip: Vector3<f64>,
    /// Lowest point of the object from its origin, m.
    below: f64,
    rest_z: f64,
    /// Middle of the opening at the height of its floor, on its near edge.
    door: Point3<f64>,
    /// How far the object is turned before it goes in, rad: away from an open door.
    aside: f64,
}

impl Insert {
    /// Plans to put instance `object` into the site of an instance.
    pub(super) fn new(world: &World, object: usize, instance: usize, site: &str) -> Insert {
        let (site, _) = world
            .site_pose(instance, site)
            .unwrap_or((world.instance_pose(instance), [0.0; 3]));
        let centre = Point3::from(site.translation.vector);
        let it = origin(world, object);
        // Of the horizontal axes of the site the one that leads away from the object's side.
        let y = site.rotation * Vector3::y();
        let inward = if (centre - it).dot(&y) < 0.0 { -y } else { y };
        let approach = inward * libm::cos(TILT) - Vector3::z() * libm::sin(TILT);
        let door = opening(&Obstacles::only(world, instance), centre, inward);
        let across = Vector3::z().cross(&inward);
        let bodies = &world.scene().instances[instance].model.bodies;
        let hinge = (0..bodies.len())
            .find(|b| bodies[*b].joint.is_some())
            .map(|b| world.rendered_body_pose(instance, b).translation.vector - door.coords);
        let aside = hinge.map_or(0.0, |h| ASIDE.copysign(h.dot(&across)));
        let mut insert = Insert {
            object,
            base: Point3::from(world.scene().arena.robot_base_pos),
            course: Course::new(world, Phase::Rise),
            inward,
            approach,
            turn: Rotation3::identity(),
            grip: Vector3::zeros(),
            below: 0.0,
            rest_z: it.z,
            door,
            aside,
        };
        insert.plan(world);
        insert
    }

    /// Whether the object has been let go and the hand has left.
    pub(super) fn done(&self) -> bool {
        self.course.phase == Phase::Retreat && self.course.steps >= 14
    }

    /// One word for the current phase, for logs.
    pub(super) fn phase(&self) -> String {
        self.course.name()
    }

    fn plan(&mut self, world: &World) {
        let it = origin(world, self.object);
        let (low, high) = Obstacles::only(world, self.object).corners();
        let middle = nalgebra::center(&low, &high);
        let half = 0.5 * (high - low);
        let reach = half.x * self.inward.x.abs() + half.y * self.inward.y.abs();
        let near = middle - self.inward * reach;
        // The uppermost piece on the near side: a handle is held by its corner, which turns least.
        let own = Obstacles::only(world, self.object);
        let column = |z: f64| Point3::new(near.x, near.y, z) + self.inward * 0.006;
        let mut z = high.z;
        while z > middle.z && !own.inside(column(z)) {
            z -= 0.002;
        }
        let grip = column(z - 0.012) + self.inward * 0.004;
        self.grip = world.instance_pose(self.object).rotation.inverse() * (grip - it);
        self.below = it.z - low.z;
        self.rest_z = it.z;
        let across = Vector3::z().cross(&self.inward);
        // The x axis of a level hand points away from the robot: the last joint stays near its middle.
        let out = if across.x < 0.0 { -across } else { across };
        self.turn = hand_of(self.approach, out);
        self.course.enter(Phase::Rise, grip_point(world));
    }

    /// Where the object is held now, m.
    fn held(&self, world: &World) -> Point3<f64> {
        let pose = world.instance_pose(self.object);
        Point3::from(pose.translation.vector) + pose.rotation * self.grip
    }

    /// How far the object still has to go in, m.
    fn left(&self, world: &World) -> f64 {
        let (low, high) = Obstacles::only(world, self.object).corners();
        let middle = nalgebra::center(&low, &high);
        let half = 0.5 * (high - low);
        let reach = half.x * self.inward.x.abs() + half.y * self.inward.y.abs();
        (self.door - middle).dot(&self.inward) + reach + INSIDE
    }

    /// The orientation the hand should have now.
    fn orientation(&self) -> Rotation3<f64> {
        let aside = match self.course.phase {
            Phase::Before | Phase::Into | Phase::Lower | Phase::Open | Phase::Retreat => self.aside,
            _ => 0.0,
        };
        Rotation3::from_axis_angle(&Vector3::z_axis(), aside) * self.turn
    }

    /// The action for the next control step.
    pub(super) fn act(&mut self, world: &World) -> [f64; 7] {
        let eef = self.course.look(world);
        let object = origin(world, self.object);
        self.advance(world, eef, object);
        let grip = self.held(world);
        let wait = grip - self.approach * 0.09;
        let z = self.door.z + self.below + OVER;
        let across = Vector3::z().cross(&self.inward);
        let line = (self.door - object).dot(&across);
        let goal = match self.course.phase {
            // The hand turns near the robot, where the elbow is bent.
            Phase::Rise => Point3::new(self.base.x + NEAR, 0.5 * wait.y, wait.z + 0.14),
            Phase::Align => wait,
            Phase::Advance => grip,
            Phase::Close | Phase::Open => self.course.from,
            Phase::Lift => {
                Point3::new(self.course.from.x, self.course.from.y, eef.z + z - object.z)
            }
            Phase::Before => eef + across * line + Vector3::z() * (z - object.z),
            Phase::Into => {
                let left = self.left(world);
                eef + across * line + Vector3::z() * (z - object.z) + self.inward * left.min(0.03)
            }
            Phase::Lower => eef - Vector3::z() * 0.015,
            Phase::Retreat => {
                let back = self.orientation() * Vector3::z();
                let flat = Vector3::new(back.x, back.y, 0.0).normalize();
                self.course.from - flat * 0.16 + Vector3::z() * 0.02
            }
        };
        let gripper = match self.course.phase {
            Phase::Close | Phase::Lift | Phase::Before | Phase::Into | Phase::Lower => CLOSE,
            _ => OPEN,
        };
        let mut a = self.course.hand.pull(eef, goal);
        if matches!(self.course.phase, Phase::Into | Phase::Lower | Phase::Lift) {
            a = a.map(|v| v.clamp(-0.6, 0.6));
        }
        let turn = turn_to(world, &self.orientation());
        // Slowly while the arm gets into its new posture: it stretches otherwise.
        let turn = match self.course.phase {
            Phase::Rise | Phase::Align => turn * (GENTLY / turn.amax().max(GENTLY)),
            _ => turn,
        };
        Hand::action(a, turn, gripper)
    }

    fn advance(&mut self, world: &World, eef: Point3<f64>, object: Point3<f64>) {
        let n = self.course.steps;
        let grip = self.held(world);
        let wait = grip - self.approach * 0.09;
        let z = self.door.z + self.below + OVER;
        let across = Vector3::z().cross(&self.inward);
        let error = turn_to(world, &self.orientation()).norm();
        let lost = (grip - eef).norm() > 0.04;
        match self.course.phase {
            Phase::Rise => {
                if (eef.x < self.base.x + NEAR + 0.05 && error < 0.2) || n > 60 {
                    self.course.enter(Phase::Align, eef);
                }
            }
            Phase::Align => {
                if ((eef - wait).norm() < 0.010 && error < 0.06) || n > 70 {
                    self.course.enter(Phase::Advance, eef);
                }
            }
            Phase::Advance => {
                let there = (grip - eef).norm() < 0.005;
                if there || (self.course.hand.still >= 4 && n > 8) || n > 40 {
                    self.course.enter(Phase::Close, eef);
                }
            }
            Phase::Close => {
                if n > 12 {
                    self.course.enter(Phase::Lift, eef);
                }
            }
            Phase::Lift => {
                let rise = eef.z - self.course.from.z;
                if rise > 0.03 && object.z < self.rest_z + 0.4 * rise - 0.005 {
                    self.course.enter(Phase::Open, eef);
                } else if object.z > z - 0.006 || n > 40 {
                    self.course.enter(Phase::Before, eef);
                }
            }
            Phase::Before => {
                let off = (self.door - object).dot(&across).abs();
                if lost {
                    self.course.enter(Phase::Open, eef);
                } else if (off < 0.008 && error < 0.06) || n > 50 {
                    self.course.enter(Phase::Into, eef);
                }
            }
            Phase::Into => {
                let left = self.left(world);
                if lost {
                    self.course.enter(Phase::Open, eef);
                } else if left < 0.004 || (self.course.hand.still >= 5 && n > 10) || n > 60 {
                    self.course.enter(Phase::Lower, eef);
                }
            }
            Phase::Lower => {
                let low = object.z < self.door.z + self.below + 0.008;
                if low || (self.course.hand.still >= 2 && n > 3) || n > 8 {
                    self.course.enter(Phase::Open, eef);
                }
            }
            Phase::Open => {
                if n > 7 {
                    self.course.enter(Phase::Retreat, eef);
                }
            }
            Phase::Retreat => {
                if n > 16 {
                    self.plan(world);
                }
            }
        }
    }
}

/// Middle of an opening at the height of the floor behind it: from a point inside downwards to the
/// floor, to both side walls, and out to the edge of the floor.
fn opening(walls: &Obstacles, inside: Point3<f64>, inward: Vector3<f64>) -> Point3<f64> {
    let across = Vector3::z().cross(&inward);
    let march = |from: Point3<f64>, step: Vector3<f64>, free: bool| {
        let mut p = from;
        for _ in 0..200 {
            if walls.inside(p) == free {
                break;
            }
            p += step;
        }
        p
    };
    let floor = march(inside, Vector3::z() * -0.002, true);
    let left = march(inside, across * 0.002, true);
    let right = march(inside, across * -0.002, true);
    let middle = nalgebra::center(&left, &right);
    let under = Point3::new(middle.x, middle.y, floor.z - 0.004);
    let edge = march(under, inward * -0.002, false);
    Point3::new(edge.x, edge.y, floor.z)
}
