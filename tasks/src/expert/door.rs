//! Pushes a hinged door shut with closed fingers that reach down behind its upper edge.

use super::drawer::{body_pose, joint_at, joint_of};
use super::hand::{CLOSE, Hand, hand_along, turn_to};
use super::obstacles::bounds;
use bitvla_sim::{World, isometry};
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
pub(super) struct Door {
    instance: usize,
    body: usize,
    phase: Phase,
    steps: usize,
    hand: Hand,
    from: Point3<f64>,
}

/// The panel of a door now.
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
        let mut door = Door {
            instance,
            body,
            phase: Phase::Rise,
            steps: 0,
            hand: Hand::default(),
            from: Point3::origin(),
        };
        door.enter(Phase::Rise, world);
        door
    }

    /// Whether the hand has left the door.
    pub(super) fn done(&self) -> bool {
        self.phase == Phase::Up && self.steps >= 8
    }

    /// One word for the current phase, for logs.
    pub(super) fn phase(&self) -> String {
        format!("{:?}", self.phase).to_lowercase()
    }

    fn enter(&mut self, phase: Phase, world: &World) {
        self.phase = phase;
        self.steps = 0;
        self.hand.rest();
        self.from = Point3::from(world.eef_pose().translation.vector);
    }

    /// The panel is the widest shape of the door.
    fn panel(&self, world: &World) -> Panel {
        let pose = body_pose(world, self.instance, self.body);
        let hinge = Point3::from(pose.translation.vector);
        let mut panel = Panel {
            at: hinge,
            push: Vector3::y(),
            along: Vector3::x(),
        };
        let mut widest = 0.0;
        let bodies = &world.scene().instances[self.instance].model.bodies;
        for shape in &bodies[self.body].collision {
            let Some((centre, half)) = bounds(&shape.shape) else {
                continue;
            };
            if half.amax() <= widest {
                continue;
            }
            widest = half.amax();
            let at = pose * isometry(shape.pos, shape.quat_wxyz);
            let r = at.rotation.to_rotation_matrix();
            let middle = at * Point3::from(centre);
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
        let eef = self.hand.look(world);
        self.steps += 1;
        let n = self.steps;
        let panel = self.panel(world);
        let touch = panel.at - panel.push * TOUCH - Vector3::z() * DEPTH;
        let wait = touch - panel.push * 0.035;
        let over = panel.at.z + 0.07;
        let q = joint_at(world, self.instance, self.body);
        match self.phase {
            Phase::Rise => {
                if eef.z > over - 0.01 || n > 40 {
                    self.enter(Phase::Across, world);
                }
            }
            Phase::Across => {
                let turned = turn_to(world, &hand_along(-Vector3::z(), panel.along)).norm() < 0.1;
                if ((eef.xy() - wait.xy()).norm() < 0.012 && turned) || n > 80 {
                    self.enter(Phase::Down, world);
                }
            }
            Phase::Down => {
                if (eef.z - wait.z).abs() < 0.008 || (self.hand.still >= 4 && n > 6) || n > 30 {
                    self.enter(Phase::Push, world);
                }
            }
            Phase::Push => {
                let shut = joint_of(world, self.instance, self.body)
                    .is_some_and(|j| q > j.range[1] - 0.003);
                if shut || (self.hand.still >= 8 && n > 20) || n > 110 {
                    self.enter(Phase::Up, world);
                }
            }
            Phase::Up => {
                if n > 10 {
                    self.enter(Phase::Rise, world);
                }
            }
        }
        let goal = match self.phase {
            Phase::Rise => Point3::new(self.from.x, self.from.y, over + 0.01),
            Phase::Across => Point3::new(wait.x, wait.y, over + 0.005),
            Phase::Down => wait,
            Phase::Push => touch + panel.push * 0.05,
            Phase::Up => self.from + Vector3::z() * 0.09 - panel.push * 0.03,
        };
        let a = self.hand.pull(eef, goal);
        let turn = turn_to(world, &hand_along(-Vector3::z(), panel.along));
        // A hand that comes level rises as it is and turns on the way back to the robot, slowly: the arm
        // stretches otherwise.
        let share = match self.phase {
            Phase::Rise => 0.0,
            Phase::Across => 0.2 / turn.amax().max(0.2),
            _ => 1.0,
        };
        Hand::action(a, turn * share, CLOSE)
    }
}
