//! The scripted expert: picks an object up by its rim and puts it on another one, seeing the true
//! state of the world but acting through the same seven numbers as a policy.
//!
//! It plans a grip on the rim with room for the fingers, goes above it, descends, closes, lifts,
//! carries as low as the things in between allow (a stretched arm stalls), aligns the origins of the
//! two objects, lowers, opens and retreats. A grip that closed on nothing, or an object that slipped,
//! sends it back to planning with that side of the rim marked as tried. It has no random numbers: the
//! same worlds give the same actions.

mod grasp;
mod obstacles;
mod resume;

use crate::bddl::Predicate;
use crate::{Task, TaskError};
use bitvla_sim::World;
use grasp::{Grasp, Rim, Setting, choose};
use nalgebra::{Matrix3, Point3, Rotation3, Vector3};
use obstacles::Obstacles;
pub use resume::RestingHeight;

/// Metres of an action component of 1 (fact sheet section 4).
const METRES: f64 = 0.05;
/// Radians of an action component of 1.
const RADIANS: f64 = 0.5;
/// How far above the grip point the fingers wait before descending, m.
const HOVER: f64 = 0.05;
/// Free height between the bottom of a carried object and what it passes over, m.
const CARRY_MARGIN: f64 = 0.03;
/// Largest vertical action component in the first 15 mm of a lift.
const GENTLE: f64 = 0.2;
const OPEN: f64 = -1.0;
const CLOSE: f64 = 1.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Approach,
    Descend,
    Close,
    Lift,
    Carry,
    Lower,
    Open,
    Retreat,
}

/// The expert's memory within one episode.
pub struct Expert {
    object: usize,
    target: usize,
    rim: Rim,
    base: Point3<f64>,
    phase: Phase,
    steps_in_phase: usize,
    grasp: Grasp,
    /// Grip point in the world, fixed when the descent begins.
    grip: Point3<f64>,
    obstacles: Obstacles,
    /// Object origin minus grip point just after closing.
    held: Vector3<f64>,
    /// Height of the object before it was lifted, m.
    rest_z: f64,
    failed: Vec<f64>,
    integral: Vector3<f64>,
    last_eef: Point3<f64>,
    still: usize,
}

impl Expert {
    /// Plans for the first fact of the goal, which must be On of two objects.
    pub fn new(world: &World, task: &Task) -> Result<Expert, TaskError> {
        let (object, target) = errand(world, task)?;
        let base = Point3::from(world.scene().arena.robot_base_pos);
        let mut expert = Expert {
            object,
            target,
            rim: Rim::of(&world.scene().instances[object].model),
            base,
            phase: Phase::Approach,
            steps_in_phase: 0,
            grasp: Grasp {
                angle: 0.0,
                yaw: 0.0,
                offset: Vector3::zeros(),
            },
            grip: Point3::origin(),
            obstacles: Obstacles::new(world, &[object, target]),
            held: Vector3::zeros(),
            rest_z: 0.0,
            failed: Vec::new(),
            integral: Vector3::zeros(),
            last_eef: Point3::origin(),
            still: 0,
        };
        expert.plan(world);
        Ok(expert)
    }

    /// One word for the current phase, for logs.
    pub fn phase(&self) -> String {
        format!("{:?}", self.phase).to_lowercase()
    }

    /// The chosen grip in numbers, for logs.
    pub fn plan_summary(&self) -> String {
        let g = self.grasp;
        let radial = libm::hypot(g.offset.x, g.offset.y);
        let (angle, yaw) = (g.angle.to_degrees(), g.yaw.to_degrees());
        format!(
            "[rim {angle:.0} deg, yaw {yaw:.0}, radius {radial:.3}, try {}]",
            self.failed.len()
        )
    }

    /// The action for the next control step.
    pub fn act(&mut self, world: &World) -> [f64; 7] {
        let eef = Point3::from(world.eef_pose().translation.vector);
        let moved = (eef - self.last_eef).norm();
        self.still = if moved < 0.0008 { self.still + 1 } else { 0 };
        self.last_eef = eef;
        self.steps_in_phase += 1;
        self.advance(world, eef);
        let object = origin(world, self.object);
        let target = origin(world, self.target);
        let (goal, gripper) = match self.phase {
            Phase::Approach => (self.above(eef), OPEN),
            Phase::Descend => (self.grip, OPEN),
            Phase::Close => (self.grip, CLOSE),
            Phase::Lift => {
                let z = eef.z - object.z + self.clear_height(object, target);
                (Point3::new(self.grip.x, self.grip.y, z), CLOSE)
            }
            Phase::Carry => {
                let z = eef.z - object.z + self.clear_height(object, target);
                let to = target - object;
                (Point3::new(eef.x + to.x, eef.y + to.y, z), CLOSE)
            }
            Phase::Lower => {
                let to = target - object;
                (Point3::new(eef.x + to.x, eef.y + to.y, eef.z - 0.02), CLOSE)
            }
            Phase::Open => (self.grip, OPEN),
            Phase::Retreat => (self.grip + Vector3::z() * 0.10, OPEN),
        };
        self.servo(world, eef, goal, gripper)
    }

    /// Looks at the world afresh and chooses a grip.
    fn plan(&mut self, world: &World) {
        self.obstacles = Obstacles::new(world, &[self.object, self.target]);
        let object = origin(world, self.object);
        self.grasp = choose(&Setting {
            rim: self.rim,
            object,
            target: origin(world, self.target),
            base: self.base,
            obstacles: &self.obstacles,
            failed: &self.failed,
        });
        self.rest_z = object.z;
        self.grip = object + self.grasp.offset;
        self.enter(Phase::Approach);
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.steps_in_phase = 0;
        self.still = 0;
        self.integral = Vector3::zeros();
    }

    fn give_up_grip(&mut self, eef: Point3<f64>) {
        self.failed.push(self.grasp.angle);
        self.grip = eef;
        self.enter(Phase::Open);
    }

    /// Moves on to the next phase when the present one has done its work.
    fn advance(&mut self, world: &World, eef: Point3<f64>) {
        let object = origin(world, self.object);
        let target = origin(world, self.target);
        let n = self.steps_in_phase;
        match self.phase {
            Phase::Approach => {
                let flat = (eef.xy() - self.grip.xy()).norm();
                let turned = yaw_error(world, self.grasp.yaw).abs() < 0.06;
                let low = eef.z - self.grip.z < HOVER + 0.03;
                if (flat < 0.006 && turned && low) || n > 90 {
                    self.grip = object + self.grasp.offset;
                    self.enter(Phase::Descend);
                }
            }
            Phase::Descend => {
                let there = (eef - self.grip).norm() < 0.004;
                if (there && n > 2) || (self.still >= 4 && n > 8) || n > 30 {
                    self.grip = eef;
                    self.enter(Phase::Close);
                }
            }
            Phase::Close => {
                if n > 13 {
                    self.held = object - eef;
                    self.enter(Phase::Lift);
                }
            }
            Phase::Lift => {
                let wanted = self.clear_height(object, target);
                let rise = eef.z - self.grip.z;
                if rise > 0.03 && object.z < self.rest_z + 0.4 * rise - 0.005 {
                    self.give_up_grip(eef);
                } else if object.z > wanted - 0.012 || n > 40 {
                    self.enter(Phase::Carry);
                }
            }
            Phase::Carry => {
                let flat = (object.xy() - target.xy()).norm();
                if self.dropped(object, eef) {
                    self.give_up_grip(eef);
                } else if (flat < 0.006 && n > 3) || (flat < 0.02 && self.still >= 3) {
                    self.enter(Phase::Lower);
                }
            }
            Phase::Lower => {
                if self.dropped(object, eef) {
                    self.give_up_grip(eef);
                } else if (self.still >= 3 && n > 5) || n > 25 {
                    self.grip = eef;
                    self.enter(Phase::Open);
                }
            }
            Phase::Open => {
                if n > 7 {
                    self.enter(Phase::Retreat);
                }
            }
            Phase::Retreat => {
                if n > 10 {
                    self.plan(world);
                }
            }
        }
    }

    fn dropped(&self, object: Point3<f64>, eef: Point3<f64>) -> bool {
        ((object - eef) - self.held).norm() > 0.045
    }

    /// Way to the point above the grip: high while far away, down a slope when near.
    fn above(&self, eef: Point3<f64>) -> Point3<f64> {
        let to = self.grip.xy() - eef.xy();
        let flat = to.norm();
        let over = HOVER + 0.5 * (flat - 0.06).max(0.0);
        // Higher than what the open fingers pass over on the way.
        let mut need = self.grip.z + over;
        for i in 0..=3 {
            let p = eef.xy() + to * (f64::from(i) / 3.0) * (0.10f64.min(flat) / flat.max(1e-9));
            if flat > 0.03
                && let Some(h) = self.obstacles.height(p.x, p.y, 0.06)
            {
                need = need.max(h + 0.025);
            }
        }
        let z = need.min(self.grip.z.max(1.10) + 0.12);
        if eef.z < z - 0.03 && flat > 0.03 {
            // First up, then across.
            let slow = ((0.05 - (z - eef.z - 0.03)) / 0.05).clamp(0.0, 1.0);
            return Point3::new(eef.x + to.x * slow, eef.y + to.y * slow, z);
        }
        Point3::new(self.grip.x, self.grip.y, z)
    }

    /// Height the origin of the carried object should have here, given what lies ahead, m.
    fn clear_height(&self, object: Point3<f64>, target: Point3<f64>) -> f64 {
        let to = target.xy() - object.xy();
        let flat = to.norm();
        let mut z = target.z + 0.045;
        for i in 0..=4 {
            let ahead = (0.02 * f64::from(i)).min(flat);
            let p = object.xy() + to * (ahead / flat.max(1e-9));
            if flat < 0.03 {
                continue;
            }
            if let Some(h) = self.obstacles.height(p.x, p.y, 0.075) {
                z = z.max(h + CARRY_MARGIN);
            }
        }
        z
    }

    /// Proportional control with a little integral against joint friction.
    fn servo(
        &mut self,
        world: &World,
        eef: Point3<f64>,
        goal: Point3<f64>,
        gripper: f64,
    ) -> [f64; 7] {
        let error = goal - eef;
        if error.norm() < 0.02 {
            let limit = Vector3::repeat(0.02);
            self.integral = (self.integral + 0.25 * error).sup(&-limit).inf(&limit);
        } else {
            self.integral *= 0.5;
        }
        let mut a = (error * 1.4 + self.integral) / METRES;
        if self.phase == Phase::Lift {
            // Gently at first: the leaning wall turns until it lies flat between the pads.
            let rise = (eef.z - self.grip.z).max(0.0);
            let limit = GENTLE + ((rise - 0.015) / 0.02).clamp(0.0, 1.0) * (1.0 - GENTLE);
            a.z = a.z.clamp(-limit, limit);
        }
        if self.phase == Phase::Lower {
            a.z = a.z.clamp(-0.5, 0.5);
        }
        a /= a.amax().max(1.0);
        let turn = rotation_error(world, self.grasp.yaw) / RADIANS;
        let turn = turn / turn.amax().max(1.0);
        [a.x, a.y, a.z, turn.x, turn.y, turn.z, gripper]
    }
}

/// Indices of the instance that is to be moved and of the one it is to be put on: the first fact of the
/// goal, which must be On of two objects.
fn errand(world: &World, task: &Task) -> Result<(usize, usize), TaskError> {
    let index = |name: &str| world.scene().instances.iter().position(|i| i.name == name);
    let first = task.goal().facts.first();
    let pair = first.and_then(|f| match (f.predicate, &f.args[..]) {
        (Predicate::On, [a, b]) => Some((index(a)?, index(b)?)),
        _ => None,
    });
    pair.ok_or_else(|| {
        TaskError::from(crate::bddl::BddlError {
            file: task.problem.file.clone(),
            place: first.map(|f| f.place).unwrap_or_default(),
            message: "the scripted expert only knows On of two objects".to_owned(),
        })
    })
}

fn origin(world: &World, i: usize) -> Point3<f64> {
    Point3::from(world.instance_pose(i).translation.vector)
}

/// Rotation vector in the world frame from the present to the wanted hand orientation: pointing down,
/// opening along `yaw`.
fn rotation_error(world: &World, yaw: f64) -> Vector3<f64> {
    let now = world.eef_pose().rotation.to_rotation_matrix();
    let x = Vector3::new(libm::cos(yaw), libm::sin(yaw), 0.0);
    // Of the two equivalent orientations the one nearer to the present one.
    let x = if (now * Vector3::x()).dot(&x) < 0.0 {
        -x
    } else {
        x
    };
    let z = -Vector3::z();
    let wanted = Rotation3::from_matrix_unchecked(Matrix3::from_columns(&[x, z.cross(&x), z]));
    (wanted * now.inverse()).scaled_axis()
}

fn yaw_error(world: &World, yaw: f64) -> f64 {
    rotation_error(world, yaw).z
}
