//! Turns a knob by pushing one end of its bar with closed fingers, from above.

use super::drawer::{joint_at, joint_of};
use super::hand::{CLOSE, Course, Hand, hand_along, turn_to};
use super::obstacles::boxes;
use bitvla_sim::World;
use nalgebra::{Point3, Vector3};

/// How far behind the bar the fingers come down, m.
const BEHIND: f64 = 0.035;
/// How deep below the top of the bar the tips go, m.
const DEPTH: f64 = 0.022;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Above,
    Down,
    Turn,
    Up,
}

/// The memory of this errand.
#[derive(Clone)]
pub(super) struct Knob {
    instance: usize,
    body: usize,
    on: bool,
    course: Course<Phase>,
    /// Which end of the bar is pushed.
    end: f64,
}

/// The bar of a knob now.
#[derive(Clone)]
struct Bar {
    /// Joint axis at the height of the top, m.
    centre: Point3<f64>,
    /// Along the bar, horizontal unit vector.
    along: Vector3<f64>,
    half_length: f64,
    half_width: f64,
}

impl Knob {
    /// Plans to turn the knob that is body `body` of an instance.
    pub(super) fn new(world: &World, instance: usize, body: usize, on: bool) -> Knob {
        let mut knob = Knob {
            instance,
            body,
            on,
            course: Course::new(world, Phase::Above),
            end: 1.0,
        };
        // The end nearer to the robot is easier to reach behind.
        let bar = knob.bar(world);
        let base = Point3::from(world.scene().arena.robot_base_pos);
        let toward = base - bar.centre;
        knob.end = if bar.along.dot(&toward) < 0.0 {
            -1.0
        } else {
            1.0
        };
        knob
    }

    /// Whether the hand has left the knob.
    pub(super) fn done(&self) -> bool {
        self.course.phase == Phase::Up && self.course.steps >= 8
    }

    /// One word for the current phase, for logs.
    pub(super) fn phase(&self) -> String {
        self.course.name()
    }

    /// The tallest shape of the knob, taken as a bar.
    fn bar(&self, world: &World) -> Bar {
        let pose = world.rendered_body_pose(self.instance, self.body);
        let mut bar = Bar {
            centre: Point3::from(pose.translation.vector),
            along: Vector3::x(),
            half_length: 0.04,
            half_width: 0.012,
        };
        let mut top = f64::NEG_INFINITY;
        for (at, half) in boxes(world, self.instance, self.body) {
            let r = at.rotation.to_rotation_matrix();
            let middle = Point3::from(at.translation.vector);
            let height = middle.z + r.matrix().abs().row(2).transpose().dot(&half);
            if height <= top {
                continue;
            }
            top = height;
            // The longest horizontal axis of the shape.
            let mut axes: Vec<(f64, Vector3<f64>)> = (0..3)
                .map(|i| (half[i], Vector3::from(r.matrix().column(i))))
                .filter(|(_, axis)| axis.z.abs() < 0.7)
                .collect();
            axes.sort_by(|a, b| b.0.total_cmp(&a.0));
            if let [long, short, ..] = axes[..] {
                let along = Vector3::new(long.1.x, long.1.y, 0.0).normalize();
                bar = Bar {
                    centre: Point3::new(middle.x, middle.y, height),
                    along,
                    half_length: long.0,
                    half_width: short.0,
                };
            }
        }
        bar
    }

    /// Where the finger tips push: behind the end of the bar, seen in the direction of turning, at a
    /// distance from the face.
    fn contact(&self, world: &World, behind: f64) -> (Point3<f64>, Vector3<f64>) {
        let bar = self.bar(world);
        let axis = joint_of(world, self.instance, self.body).map_or(1.0, |j| j.axis[2]);
        let sense = if self.on { axis } else { -axis };
        let arm = bar.along * self.end;
        let push = Vector3::z().cross(&arm) * sense.signum();
        let at = bar.centre + arm * (bar.half_length - 0.012)
            - push * (bar.half_width + 0.010 + behind)
            - Vector3::z() * (DEPTH - 0.0095);
        (at, push)
    }

    /// The action for the next control step.
    pub(super) fn act(&mut self, world: &World) -> [f64; 7] {
        let eef = self.course.look(world);
        let (wait, _) = self.contact(world, BEHIND - 0.01);
        let q = joint_at(world, self.instance, self.body);
        let n = self.course.steps;
        match self.course.phase {
            Phase::Above => {
                let above = wait + Vector3::z() * 0.07;
                if (eef - above).norm() < 0.012 && n > 8 || n > 70 {
                    self.course.enter(Phase::Down, eef);
                }
            }
            Phase::Down => {
                if (eef - wait).norm() < 0.006 || (self.course.hand.still >= 4 && n > 6) || n > 30 {
                    self.course.enter(Phase::Turn, eef);
                }
            }
            Phase::Turn => {
                let arrived = if self.on { q > 0.56 } else { q < -0.003 };
                if arrived || n > 90 {
                    self.course.enter(Phase::Up, eef);
                }
            }
            Phase::Up => {
                if n > 10 {
                    self.end = -self.end;
                    self.course.enter(Phase::Above, eef);
                }
            }
        }
        let goal = match self.course.phase {
            Phase::Above => {
                let above = wait + Vector3::z() * 0.07;
                // Up first while far away.
                if (eef.xy() - above.xy()).norm() > 0.05 && eef.z < above.z - 0.01 {
                    eef + Vector3::z() * 0.05 + (above - eef) * 0.3
                } else {
                    above
                }
            }
            Phase::Down => wait,
            Phase::Turn => {
                let (touch, push) = self.contact(world, 0.0);
                touch + push * 0.05
            }
            Phase::Up => self.course.from + Vector3::z() * 0.08,
        };
        let bar = self.bar(world);
        let a = self.course.hand.pull(eef, goal);
        Hand::action(
            a,
            turn_to(world, &hand_along(-Vector3::z(), bar.along)),
            CLOSE,
        )
    }
}
