//! Pushes a hinged door shut with closed fingers that reach down behind its upper edge.

use super::drawer::{joint_at, joint_of};
use super::hand::{CLOSE, Course, Hand, hand_along, turn_to};
use super::obstacles::boxes;
use bitvla_sim::World;
use nalgebra::{Point3, Vector3};

/// How far the grip point is below the upper edge, m: the hand stays above it.
const DEPTH: f64 = 0.022;
/// Share of the width of the door at which it is pushed.
const SHARE: f64 = 0.72;
/// Distance from the middle of the panel to the middle of the fingers that touch it, m.
const TOUCH: f64 = 0.024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Rise,
    Across,
    Down,
    Push,
    Up,
}

/// The memory of this errand.
#[derive(Clone)]
pub(super) struct Door {
    instance: usize,
    body: usize,
    course: Course<Phase>,
}

/// The panel of a door now.
#[derive(Clone)]
struct Panel {
    /// Point of the panel where it is pushed, at its upper edge, m.
    at: Point3<f64>,
    /// Direction in which that point moves when the door shuts.
    push: Vector3<f64>,
    /// From the hinge along the panel.
    along: Vector3<f64>,
}

impl Door {
    /// Plans to shut the door that is body `body` of an instance.
    pub(super) fn new(world: &World, instance: usize, body: usize) -> Door {
        Door {
            instance,
            body,
            course: Course::new(world, Phase::Rise),
        }
    }

    /// Whether the hand has left the door.
    pub(super) fn done(&self) -> bool {
        self.course.phase == Phase::Up && self.course.steps >= 8
    }

    /// One word for the current phase, for logs.
    pub(super) fn phase(&self) -> String {
        self.course.name()
    }

    /// The panel is the widest shape of the door.
    fn panel(&self, world: &World) -> Panel {
        let pose = world.rendered_body_pose(self.instance, self.body);
        let hinge = Point3::from(pose.translation.vector);
        let mut panel = Panel {
            at: hinge,
            push: Vector3::y(),
            along: Vector3::x(),
        };
        let mut widest = 0.0;
        for (at, half) in boxes(world, self.instance, self.body) {
            if half.amax() <= widest {
                continue;
            }
            widest = half.amax();
            let r = at.rotation.to_rotation_matrix();
            let middle = Point3::from(at.translation.vector);
            let top = middle.z + r.matrix().abs().row(2).transpose().dot(&half);
            let mut along = middle - hinge;
            along.z = 0.0;
            let away = along.norm().max(1e-6);
            let along = along / away;
            // From the middle of the panel outwards to the share wanted.
            let shift = (2.0 * SHARE - 1.0) * away;
            let p = middle + along * shift;
            let (low, high) = joint_of(world, self.instance, self.body)
                .map_or((0.0, 0.0), |j| (j.range[0], j.range[1]));
            let axis = joint_of(world, self.instance, self.body).map_or(1.0, |j| j.axis[2]);
            let sense = if low.abs() > high.abs() { axis } else { -axis };
            panel = Panel {
                at: Point3::new(p.x, p.y, top),
                push: Vector3::z().cross(&along) * sense.signum(),
                along,
            };
        }
        panel
    }

    /// The action for the next control step.
    pub(super) fn act(&mut self, world: &World) -> [f64; 7] {
        let eef = self.course.look(world);
        let n = self.course.steps;
        let panel = self.panel(world);
        let touch = panel.at - panel.push * TOUCH - Vector3::z() * DEPTH;
        let wait = touch - panel.push * 0.035;
        let over = panel.at.z + 0.07;
        let q = joint_at(world, self.instance, self.body);
        match self.course.phase {
            Phase::Rise => {
                if eef.z > over - 0.01 || n > 40 {
                    self.course.enter(Phase::Across, eef);
                }
            }
            Phase::Across => {
                let turned = turn_to(world, &hand_along(-Vector3::z(), panel.along)).norm() < 0.1;
                if ((eef.xy() - wait.xy()).norm() < 0.012 && turned) || n > 80 {
                    self.course.enter(Phase::Down, eef);
                }
            }
            Phase::Down => {
                if (eef.z - wait.z).abs() < 0.008
                    || (self.course.hand.still >= 4 && n > 6)
                    || n > 30
                {
                    self.course.enter(Phase::Push, eef);
                }
            }
            Phase::Push => {
                let shut = joint_of(world, self.instance, self.body)
                    .is_some_and(|j| q > j.range[1] - 0.003);
                if shut || (self.course.hand.still >= 8 && n > 20) || n > 110 {
                    self.course.enter(Phase::Up, eef);
                }
            }
            Phase::Up => {
                if n > 10 {
                    self.course.enter(Phase::Rise, eef);
                }
            }
        }
        let goal = match self.course.phase {
            Phase::Rise => Point3::new(self.course.from.x, self.course.from.y, over + 0.01),
            Phase::Across => Point3::new(wait.x, wait.y, over + 0.005),
            Phase::Down => wait,
            Phase::Push => touch + panel.push * 0.05,
            Phase::Up => self.course.from + Vector3::z() * 0.09 - panel.push * 0.03,
        };
        let a = self.course.hand.pull(eef, goal);
        let turn = turn_to(world, &hand_along(-Vector3::z(), panel.along));
        // A hand that comes level rises as it is and turns on the way back to the robot, slowly: the arm
        // stretches otherwise.
        let share = match self.course.phase {
            Phase::Rise => 0.0,
            Phase::Across => 0.2 / turn.amax().max(0.2),
            _ => 1.0,
        };
        Hand::action(a, turn * share, CLOSE)
    }
}
