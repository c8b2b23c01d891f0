//! Pick a rimmed object by its wall and place it onto another one, by the 7-number action alone.
//!
//! A small machine of phases, each with a target pose of the grip site: hover, descend, close, lift,
//! carry, lower, open, retreat. Every phase ends when its target is reached or its time is up; a miss is
//! noticed (the object does not follow) and planned again from where things are now.

use super::geometry::{clearance, highest_along, rim, surface_points};
use bitvla_sim::World;
use nalgebra::{Isometry3, Matrix3, Point3, Rotation3, UnitQuaternion, Vector3};
use std::f64::consts::{FRAC_PI_2, PI};

/// Translation per unit of action (m) and rotation per unit of action (rad): fact sheet, section 4.
const POSITION_SCALE: f64 = 0.05;
const ROTATION_SCALE: f64 = 0.5;
/// Proportional gain of the outer loop: fraction of the remaining way that is asked for each step.
const GAIN: f64 = 1.3;
/// The grip site is held this far below the rim when pinching the wall, m.
const GRASP_DEPTH: f64 = 0.012;
/// Distance of the grip site from the outermost rim radius, m (half of the wall and its slant).
const RIM_INSET: f64 = 0.004;
/// Free height kept over whatever lies under the way, m.
const CARRY_CLEARANCE: f64 = 0.025;

/// Where the machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Moving over the grasp point.
    Hover,
    /// Going down to the grasp point.
    Descend,
    /// Closing the fingers.
    Close,
    /// Lifting straight up.
    Lift,
    /// Moving over the place.
    Carry,
    /// Lowering onto the place.
    Lower,
    /// Opening the fingers.
    Open,
    /// Going up and away.
    Retreat,
}

/// One attempt: what was planned when it began.
#[derive(Debug, Clone)]
struct Plan {
    /// Grip site at the grasp, m.
    grasp: Point3<f64>,
    /// World angle of the finger axis, rad.
    axis_angle: f64,
    /// Grip site minus object origin at the grasp, m.
    offset: Vector3<f64>,
    /// Grip-site height over the grasp point, m.
    hover_z: f64,
    /// Grip-site height while carrying, m.
    carry_z: f64,
}

/// The scripted pick-and-place.
#[derive(Debug, Clone)]
pub struct PickPlace {
    object: usize,
    target: usize,
    phase: Phase,
    steps_in_phase: usize,
    plan: Plan,
    integral: Vector3<f64>,
    attempts: usize,
}

impl PickPlace {
    /// Plans for moving instance `object` onto instance `target` of the world's scene.
    pub fn new(world: &World, object: usize, target: usize) -> Self {
        Self {
            object,
            target,
            phase: Phase::Hover,
            steps_in_phase: 0,
            plan: make_plan(world, object, target, 0),
            integral: Vector3::zeros(),
            attempts: 0,
        }
    }

    /// Where the machine is, for displays and tests.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The action for the coming control step.
    pub fn act(&mut self, world: &World) -> [f64; 7] {
        self.advance(world);
        self.steps_in_phase += 1;
        let grip = world.eef_pose();
        let (goal, gripper) = self.goal(world, &grip);
        self.command(&grip, &goal, gripper)
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.steps_in_phase = 0;
        self.integral = Vector3::zeros();
    }

    fn replan(&mut self, world: &World) {
        self.attempts += 1;
        self.plan = make_plan(world, self.object, self.target, self.attempts);
        self.enter(Phase::Hover);
    }

    fn place_point(&self, world: &World) -> Point3<f64> {
        let target = world.instance_pose(self.target).translation.vector;
        Point3::from(target + self.plan.offset)
    }

    /// Target of the grip site and gripper command of the current phase.
    fn goal(&self, world: &World, grip: &Isometry3<f64>) -> (Point3<f64>, f64) {
        let plan = &self.plan;
        let place = self.place_point(world);
        let p = grip.translation.vector;
        match self.phase {
            Phase::Hover => {
                let away = (plan.grasp.coords - p).xy().norm();
                // A cone over the grasp point: high while far, low when above it.
                let z = plan.hover_z + (away - 0.02).clamp(0.0, 0.08);
                (Point3::new(plan.grasp.x, plan.grasp.y, z), -1.0)
            }
            Phase::Descend => (plan.grasp, -1.0),
            Phase::Close => (plan.grasp, 1.0),
            Phase::Lift => (
                Point3::new(plan.grasp.x, plan.grasp.y, plan.carry_z.max(plan.grasp.z + 0.04)),
                1.0,
            ),
            Phase::Carry => (Point3::new(place.x, place.y, plan.carry_z), 1.0),
            Phase::Lower => (Point3::new(place.x, place.y, place.z + 0.006), 1.0),
            Phase::Open => (Point3::from(p), -1.0),
            Phase::Retreat => (Point3::new(p.x, p.y, place.z + 0.12), -1.0),
        }
    }

    /// Moves on to the next phase when the current one has done its work.
    fn advance(&mut self, world: &World) {
        let grip = world.eef_pose();
        let (goal, _) = self.goal(world, &grip);
        let error = goal - Point3::from(grip.translation.vector);
        let flat = error.xy().norm();
        let turn = self.turn(&grip).norm();
        let n = self.steps_in_phase;
        let object = world.instance_pose(self.object).translation.vector;
        match self.phase {
            Phase::Hover if (flat < 0.012 && error.z.abs() < 0.03 && turn < 0.12) || n > 60 => {
                self.enter(Phase::Descend);
            }
            Phase::Descend if (flat < 0.006 && error.z.abs() < 0.004) || n > 30 => {
                self.enter(Phase::Close);
            }
            Phase::Close if n >= 11 => self.enter(Phase::Lift),
            Phase::Lift => {
                let risen = grip.translation.z - self.plan.grasp.z;
                let followed = object.z - (self.plan.grasp.z - self.plan.offset.z);
                if risen > 0.03 && followed < 0.4 * risen {
                    self.replan(world);
                } else if error.z < 0.012 || n > 40 {
                    self.enter(Phase::Carry);
                }
            }
            Phase::Carry => {
                if self.dropped(&grip, &object) {
                    self.replan(world);
                } else if flat < 0.008 || n > 70 {
                    self.enter(Phase::Lower);
                }
            }
            Phase::Lower => {
                if self.dropped(&grip, &object) {
                    self.replan(world);
                } else if (error.z.abs() < 0.005 && flat < 0.01) || n > 25 {
                    self.enter(Phase::Open);
                }
            }
            Phase::Open if n >= 8 => self.enter(Phase::Retreat),
            Phase::Retreat if error.z < 0.02 || n > 20 => self.replan(world),
            _ => {}
        }
    }

    /// Whether the object is no longer near where a held one would be.
    fn dropped(&self, grip: &Isometry3<f64>, object: &Vector3<f64>) -> bool {
        let held = grip.translation.vector - self.plan.offset;
        (held - object).norm() > 0.06
    }

    /// Remaining rotation to the planned orientation as a world-frame rotation vector, rad.
    fn turn(&self, grip: &Isometry3<f64>) -> Vector3<f64> {
        (downward(self.plan.axis_angle) * grip.rotation.inverse()).scaled_axis()
    }

    fn command(&mut self, grip: &Isometry3<f64>, goal: &Point3<f64>, gripper: f64) -> [f64; 7] {
        let error = goal - Point3::from(grip.translation.vector);
        // Joint friction leaves a small standing error, which a slow integral removes near the goal.
        if error.norm() < 0.02 {
            self.integral += error * 0.12;
            self.integral = self.integral.map(|v| v.clamp(-0.006, 0.006));
        }
        let linear = (error * GAIN + self.integral) / POSITION_SCALE;
        let peak = linear.amax().max(1.0);
        let linear = linear / peak;
        let mut angular = self.turn(grip) * GAIN / ROTATION_SCALE;
        if angular.norm() < 0.01 {
            angular = Vector3::zeros();
        }
        let angular = angular / angular.amax().max(1.0);
        [
            linear.x, linear.y, linear.z, angular.x, angular.y, angular.z, gripper,
        ]
    }
}

/// Orientation of the grip site with the hand pointing down and the finger axis at a world angle.
fn downward(axis_angle: f64) -> UnitQuaternion<f64> {
    let x = Vector3::new(libm::cos(axis_angle), libm::sin(axis_angle), 0.0);
    let z = -Vector3::z();
    let y = z.cross(&x);
    UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix_unchecked(
        Matrix3::from_columns(&[x, y, z]),
    ))
}

/// Brings `angle` to within a quarter turn of `reference` using the half-turn symmetry of the gripper.
fn nearest_half_turn(angle: f64, reference: f64) -> f64 {
    let turns = libm::round((angle - reference) / PI);
    angle - turns * PI
}

fn make_plan(world: &World, object: usize, target: usize, attempt: usize) -> Plan {
    let scene = world.scene();
    let (radius, top) = rim(&scene.instances[object].model);
    let origin = Point3::from(world.instance_pose(object).translation.vector);
    let place = Point3::from(world.instance_pose(target).translation.vector);
    let obstacles: Vec<Point3<f64>> = (0..scene.instances.len())
        .filter(|&i| i != object)
        .flat_map(|i| surface_points(world, i))
        .collect();
    let others: Vec<Point3<f64>> = (0..scene.instances.len())
        .filter(|&i| i != object && i != target)
        .flat_map(|i| surface_points(world, i))
        .collect();
    let grip = world.eef_pose();
    let finger_axis = grip.rotation * Vector3::x();
    let now = libm::atan2(finger_axis.y, finger_axis.x);

    let reach = (radius - RIM_INSET).max(0.0);
    let mut best: Option<(f64, Point3<f64>, f64)> = None;
    for k in 0..32 {
        let phi = 2.0 * PI * f64::from(k) / 32.0;
        let axis = nearest_half_turn(phi, FRAC_PI_2);
        let point = Point3::new(
            origin.x + reach * libm::cos(phi),
            origin.y + reach * libm::sin(phi),
            origin.z + top - GRASP_DEPTH,
        );
        let gap = clearance(&obstacles, &point, axis, 0.02);
        // Placing must be free as well: the same offset over the target, ignoring the target itself.
        let at_place = Point3::from(place.coords + (point - origin));
        let gap_place = clearance(&others, &at_place, axis, 0.02);
        let spread = (axis - now).abs();
        let score = 60.0 * gap.min(0.008) + 10.0 * gap + 10.0 * gap_place
            - 0.12 * spread
            - 0.25 * (point.coords - Vector3::new(-0.25, 0.0, origin.z)).xy().norm()
            // Another way round on every further attempt.
            - if attempt > 0 && k % 3 != (attempt as i32) % 3 { 0.1 } else { 0.0 };
        if best.as_ref().is_none_or(|(s, _, _)| score > *s) {
            best = Some((score, point, axis));
        }
    }
    let (_, grasp, axis_angle) = best.unwrap_or((0.0, origin, now));
    let offset = grasp - origin;
    let under_way = highest_along(&obstacles, &origin, &place, radius + 0.03);
    let start = Point3::from(grip.translation.vector);
    let approach = highest_along(&obstacles, &start, &grasp, 0.06);
    // What hangs below the grip site while carrying: the object, swung out by its slanted wall.
    let hanging = offset.z + 0.02;
    let carry_z = (under_way + CARRY_CLEARANCE + hanging).max(grasp.z + 0.05);
    let hover_z = (grasp.z + 0.05).max((approach + 0.04).min(grasp.z + 0.08));
    Plan {
        grasp,
        axis_angle,
        offset,
        hover_z,
        carry_z,
    }
}
