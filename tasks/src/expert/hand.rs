//! What every errand does with the hand: where it is, how it is pulled to a point and turned, and the
//! seven numbers of an action (fact sheet section 4).

use bitvla_sim::World;
use nalgebra::{Matrix3, Point3, Rotation3, Vector3};

/// Metres of an action component of 1.
const METRES: f64 = 0.05;
/// Radians of an action component of 1.
const RADIANS: f64 = 0.5;
/// Largest vertical action component in the first 15 mm of a lift by a thin wall.
const GENTLE: f64 = 0.2;
/// Gripper component that opens.
pub(super) const OPEN: f64 = -1.0;
/// Gripper component that closes.
pub(super) const CLOSE: f64 = 1.0;

/// The servo's memory.
#[derive(Debug, Clone)]
pub(super) struct Hand {
    integral: Vector3<f64>,
    pub(super) last_eef: Point3<f64>,
    /// Control steps for which the hand has stood still.
    pub(super) still: usize,
}

impl Default for Hand {
    fn default() -> Self {
        Hand {
            integral: Vector3::zeros(),
            last_eef: Point3::origin(),
            still: 0,
        }
    }
}

impl Hand {
    /// Where the grip point is; counts the steps without motion.
    pub(super) fn look(&mut self, world: &World) -> Point3<f64> {
        let eef = grip_point(world);
        let moved = (eef - self.last_eef).norm();
        self.still = if moved < 0.0008 { self.still + 1 } else { 0 };
        self.last_eef = eef;
        eef
    }

    /// Forgets what it has learned about friction; for the start of a new motion.
    pub(super) fn rest(&mut self) {
        self.still = 0;
        self.integral = Vector3::zeros();
    }

    /// Translation part of an action towards a point: proportional control with a little integral
    /// against joint friction; unlimited.
    pub(super) fn pull(&mut self, eef: Point3<f64>, goal: Point3<f64>) -> Vector3<f64> {
        let error = goal - eef;
        if error.norm() < 0.02 {
            let limit = Vector3::repeat(0.02);
            self.integral = (self.integral + 0.25 * error).sup(&-limit).inf(&limit);
        } else {
            self.integral *= 0.5;
        }
        (error * 1.4 + self.integral) / METRES
    }

    /// The action of a translation (action units), a rotation vector (rad, world) and the gripper;
    /// translation and rotation are shortened to what an action may say.
    pub(super) fn action(a: Vector3<f64>, turn: Vector3<f64>, gripper: f64) -> [f64; 7] {
        let a = a / a.amax().max(1.0);
        let turn = turn / RADIANS;
        let turn = turn / turn.amax().max(1.0);
        [a.x, a.y, a.z, turn.x, turn.y, turn.z, gripper]
    }
}

/// How far an errand has come: its phase, how long that has lasted, where it began, and the hand.
#[derive(Debug, Clone)]
pub(super) struct Course<P> {
    pub phase: P,
    /// Control steps in this phase, the present one included.
    pub steps: usize,
    /// Where the grip point was when the phase began, m.
    pub from: Point3<f64>,
    pub hand: Hand,
}

impl<P: Copy + std::fmt::Debug> Course<P> {
    pub(super) fn new(world: &World, phase: P) -> Course<P> {
        Course {
            phase,
            steps: 0,
            from: grip_point(world),
            hand: Hand::default(),
        }
    }

    /// Begins a control step: where the grip point is.
    pub(super) fn look(&mut self, world: &World) -> Point3<f64> {
        self.steps += 1;
        self.hand.look(world)
    }

    /// Begins a phase with the grip point where it is now.
    pub(super) fn enter(&mut self, phase: P, eef: Point3<f64>) {
        self.phase = phase;
        self.steps = 0;
        self.from = eef;
        self.hand.rest();
    }

    /// One word for the phase, for logs.
    pub(super) fn name(&self) -> String {
        format!("{:?}", self.phase).to_lowercase()
    }
}

/// Where the grip point is, m.
pub(super) fn grip_point(world: &World) -> Point3<f64> {
    Point3::from(world.eef_pose().translation.vector)
}

/// The vertical action component of a lift by a thin wall that has risen so far, m: gently at first, while
/// the leaning wall turns until it lies flat between the pads.
pub(super) fn gentle_lift(z: f64, rise: f64) -> f64 {
    let limit = GENTLE + ((rise.max(0.0) - 0.015) / 0.02).clamp(0.0, 1.0) * (1.0 - GENTLE);
    z.clamp(-limit, limit)
}

/// The orientation of a hand that points along `approach` and whose fingers open along `opening`
/// (projected off the approach). Of the two with the opening axis either way it is the one nearer to the
/// hand pointing down with the last joint in the middle of its range (x axis between -x and y of the
/// world): the last joint has room for it.
pub(super) fn hand_along(approach: Vector3<f64>, opening: Vector3<f64>) -> Rotation3<f64> {
    let reset = of(Vector3::new(-1.0, 1.0, 0.0).normalize(), -Vector3::z());
    let (a, b) = (hand_of(approach, opening), hand_of(approach, -opening));
    let angle = |r: &Rotation3<f64>| (r * reset.inverse()).angle();
    if angle(&b) < angle(&a) { b } else { a }
}

/// The orientation of a hand that points along `approach` and whose x axis lies along `opening`, projected
/// off the approach.
pub(super) fn hand_of(approach: Vector3<f64>, opening: Vector3<f64>) -> Rotation3<f64> {
    let z = approach.normalize();
    of((opening - z * z.dot(&opening)).normalize(), z)
}

fn of(x: Vector3<f64>, z: Vector3<f64>) -> Rotation3<f64> {
    Rotation3::from_matrix_unchecked(Matrix3::from_columns(&[x, z.cross(&x), z]))
}

/// The hand pointing down, opening along the direction `yaw` (rad) or its opposite, whichever is
/// nearer to the present one.
pub(super) fn hand_down(world: &World, yaw: f64) -> Rotation3<f64> {
    let now = world.eef_pose().rotation.to_rotation_matrix();
    let x = Vector3::new(libm::cos(yaw), libm::sin(yaw), 0.0);
    let x = if (now * Vector3::x()).dot(&x) < 0.0 {
        -x
    } else {
        x
    };
    of(x, -Vector3::z())
}

/// Rotation vector in the world frame from the present to the wanted hand orientation, rad.
pub(super) fn turn_to(world: &World, wanted: &Rotation3<f64>) -> Vector3<f64> {
    let now = world.eef_pose().rotation.to_rotation_matrix();
    (wanted * now.inverse()).scaled_axis()
}

/// Distance from shoulder to wrist that holding the hand straight down at a point asks for, m; the
/// arm is nearly stretched at 0.70.
pub(super) fn stretch(base: Point3<f64>, p: Point3<f64>) -> f64 {
    let flat = libm::hypot(p.x - base.x, p.y - base.y) - 0.088;
    let up = p.z + 0.2035 - (base.z + 0.333);
    libm::hypot(flat, up)
}
