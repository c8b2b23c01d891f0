//! Opens a drawer by its handle, or pushes it closed. The hand comes from the front, tilted down and
//! turned towards the robot's side, its fingers above and below the handle bar; for closing it comes
//! with closed fingers.

use super::hand::{CLOSE, Course, Hand, OPEN, grip_point, hand_along, turn_to};
use super::obstacles::boxes;
use bitvla_sim::{JointDesc, JointKind, World};
use nalgebra::{Point3, Rotation3, Vector3};

/// How far the hand points down, rad.
const TILT: f64 = 0.45;
/// How far it is turned away from the drawer's direction, rad.
const SIDE: f64 = 0.35;
/// Where it waits in front of the handle, m.
const STANDOFF: f64 = 0.09;

/// Largest turn asked for at a time while the arm changes its posture, rad.
const GENTLY: f64 = 0.25;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Rise,
    Align,
    Advance,
    Close,
    Pull,
    Open,
    Retreat,
}

/// The memory of this errand.
#[derive(Clone)]
pub(super) struct Drawer {
    instance: usize,
    body: usize,
    open: bool,
    /// How far it is pulled open, m.
    far: f64,
    course: Course<Phase>,
    turn: Rotation3<f64>,
    approach: Vector3<f64>,
}

/// The joint of a body.
pub(super) fn joint_of(world: &World, instance: usize, body: usize) -> Option<&JointDesc> {
    world.scene().instances[instance].model.bodies[body]
        .joint
        .as_ref()
}

/// Its position.
pub(super) fn joint_at(world: &World, instance: usize, body: usize) -> f64 {
    joint_of(world, instance, body)
        .and_then(|j| world.joint_position(instance, &j.name))
        .unwrap_or(0.0)
}

/// Unit vector in the world along which the drawer that is body `body` of an instance opens; `None` if it
/// does not slide.
pub(super) fn outward(world: &World, instance: usize, body: usize) -> Option<Vector3<f64>> {
    let joint = joint_of(world, instance, body).filter(|j| j.kind == JointKind::Slide)?;
    let inwards = joint.range[0].abs() > joint.range[1].abs();
    let sign = if inwards { -1.0 } else { 1.0 };
    Some(world.rendered_body_pose(instance, body).rotation * Vector3::from(joint.axis) * sign)
}

impl Drawer {
    /// Plans to open (`far` m) or close the drawer that is body `body` of an instance.
    pub(super) fn new(world: &World, instance: usize, body: usize, open: bool, far: f64) -> Drawer {
        let mut drawer = Drawer {
            instance,
            body,
            open,
            far,
            course: Course::new(world, Phase::Rise),
            turn: Rotation3::identity(),
            approach: -Vector3::z(),
        };
        drawer.plan(world);
        drawer
    }

    /// Whether the drawer is where it should be and the hand has left it.
    pub(super) fn done(&self) -> bool {
        self.course.phase == Phase::Retreat && self.course.steps >= 14
    }

    /// One word for the current phase, for logs.
    pub(super) fn phase(&self) -> String {
        self.course.name()
    }

    fn outward(&self, world: &World) -> Vector3<f64> {
        outward(world, self.instance, self.body).unwrap_or_else(Vector3::x)
    }

    /// Middle of the handle: the wide shape that sticks out farthest.
    fn handle(&self, world: &World) -> Point3<f64> {
        let out = self.outward(world);
        let mut best: Option<(f64, Point3<f64>)> = None;
        for (at, half) in boxes(world, self.instance, self.body) {
            let middle = at.translation.vector;
            let reach = (at.rotation.to_rotation_matrix().matrix().transpose() * out)
                .abs()
                .dot(&half)
                + middle.dot(&out);
            if half.amax() > 0.02 && best.as_ref().is_none_or(|(r, _)| reach > *r) {
                best = Some((reach, middle.into()));
            }
        }
        let body = world.rendered_body_pose(self.instance, self.body);
        best.map_or(Point3::from(body.translation.vector), |(_, p)| p)
    }

    fn plan(&mut self, world: &World) {
        let out = self.outward(world);
        // Away from the robot along the front.
        let along = Vector3::z().cross(&out);
        let away = if along.x < 0.0 { -along } else { along };
        let flat = -out * libm::cos(SIDE) + away * libm::sin(SIDE);
        self.approach = flat * libm::cos(TILT) - Vector3::z() * libm::sin(TILT);
        // Fingers above and below the bar to pull it; a flat hand to push, for there may be little height.
        let opening = if self.open {
            Vector3::z()
        } else {
            Vector3::z().cross(&self.approach)
        };
        self.turn = hand_along(self.approach, opening);
        self.course.enter(Phase::Rise, grip_point(world));
    }

    fn gripper(&self) -> f64 {
        match (self.open, self.course.phase) {
            (true, Phase::Close | Phase::Pull) | (false, _) => CLOSE,
            _ => OPEN,
        }
    }

    /// The action for the next control step.
    pub(super) fn act(&mut self, world: &World) -> [f64; 7] {
        let eef = self.course.look(world);
        self.advance(world, eef);
        let out = self.outward(world);
        let handle = self.handle(world);
        let wait = handle - self.approach * STANDOFF + Vector3::z() * 0.01;
        let goal = match self.course.phase {
            Phase::Rise => Point3::new(
                self.course.from.x,
                self.course.from.y,
                self.course.from.z.max(wait.z + 0.10),
            ),
            Phase::Align => wait,
            Phase::Advance if self.open => handle,
            Phase::Advance => handle - self.approach * 0.01,
            Phase::Close => self.course.from,
            Phase::Pull if self.open => eef + out * 0.04,
            Phase::Pull => eef - out * 0.03 + (handle - eef - out * out.dot(&(handle - eef))) * 0.5,
            Phase::Open => self.course.from,
            Phase::Retreat => self.course.from - self.approach * 0.08 + Vector3::z() * 0.08,
        };
        let mut a = self.course.hand.pull(eef, goal);
        if self.course.phase == Phase::Pull && self.open {
            // Straight out, at the height and place where the bar was taken.
            let side = self.course.from - eef;
            let side = side - out * out.dot(&side);
            a = out * 0.6 + side / 0.05;
        }
        let turn = turn_to(world, &self.turn);
        // Slowly while the arm gets into its new posture: it stretches otherwise.
        let turn = match self.course.phase {
            Phase::Rise => Vector3::zeros(),
            Phase::Align => turn * (GENTLY / turn.amax().max(GENTLY)),
            _ => turn,
        };
        Hand::action(a, turn, self.gripper())
    }

    fn advance(&mut self, world: &World, eef: Point3<f64>) {
        let n = self.course.steps;
        let q = joint_at(world, self.instance, self.body);
        let handle = self.handle(world);
        let wait = handle - self.approach * STANDOFF + Vector3::z() * 0.01;
        match self.course.phase {
            Phase::Rise => {
                if eef.z > wait.z + 0.08 || n > 20 {
                    self.course.enter(Phase::Align, eef);
                }
            }
            Phase::Align => {
                let error = turn_to(world, &self.turn).norm();
                if ((eef - wait).norm() < 0.012 && error < 0.06) || n > 70 {
                    self.course.enter(Phase::Advance, eef);
                }
            }
            Phase::Advance => {
                let left = (handle - eef).dot(&self.approach);
                let there = left < if self.open { 0.003 } else { 0.016 };
                if there || (self.course.hand.still >= 4 && n > 8) || n > 40 {
                    self.course
                        .enter(if self.open { Phase::Close } else { Phase::Pull }, eef);
                }
            }
            Phase::Close => {
                if n > 12 {
                    self.course.enter(Phase::Pull, eef);
                }
            }
            Phase::Pull => {
                let arrived = if self.open { q < -self.far } else { q > 0.004 };
                let lost = self.open && (handle - eef).norm() > 0.03;
                if arrived || lost || (self.course.hand.still >= 8 && n > 15) || n > 60 {
                    self.course.enter(Phase::Open, eef);
                }
            }
            Phase::Open => {
                if n > if self.open { 7 } else { 1 } {
                    self.course.enter(Phase::Retreat, eef);
                }
            }
            Phase::Retreat => {
                if n > 14 {
                    self.plan(world);
                }
            }
        }
    }
}
