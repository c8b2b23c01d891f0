//! Takes an object from above wherever it can be pinched and puts it down at a spot: approach,
//! descend, close, lift, carry as low as the things in between allow, lower, open, retreat. A grip
//! that closed on nothing or an object that slipped sends it back to planning with that grip marked.

use super::hand::{CLOSE, Course, Hand, OPEN, gentle_lift, grip_point, hand_along, turn_to};
use super::obstacles::Obstacles;
use super::pinch::{Pinch, Wish, choose};
use super::rim::origin;
use super::spot::Spot;
use bitvla_sim::World;
use nalgebra::{Point3, Rotation3, Vector3};

/// How far above the grip point the fingers wait before descending, m.
const HOVER: f64 = 0.05;
/// The same for a leaning hand, along its own direction, m: it comes and goes beside what it avoids.
const LEANING_HOVER: f64 = 0.14;
/// Free height between the bottom of a carried object and what it passes over, m.
const MARGIN: f64 = 0.025;

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

/// The memory of this errand.
#[derive(Clone)]
pub(super) struct Put {
    object: usize,
    spot: Spot,
    base: Point3<f64>,
    course: Course<Phase>,
    pinch: Option<Pinch>,
    /// Grip point, later where the hand was when the phase began.
    grip: Point3<f64>,
    /// All but the object.
    around: Obstacles,
    /// Orientation of the hand in the frame of the object, and object origin minus grip point, just
    /// after closing.
    held: Rotation3<f64>,
    held_at: Vector3<f64>,
    rest_z: f64,
    /// Height above the resting height at which the fingers have room to open, m.
    release: f64,
    failed: Vec<Pinch>,
}

impl Put {
    /// Plans to put instance `object` at a spot.
    pub(super) fn new(world: &World, object: usize, spot: Spot) -> Put {
        let mut put = Put {
            object,
            spot,
            base: Point3::from(world.scene().arena.robot_base_pos),
            course: Course::new(world, Phase::Approach),
            pinch: None,
            grip: Point3::origin(),
            around: Obstacles::new(world, &[object]),
            held: Rotation3::identity(),
            held_at: Vector3::zeros(),
            rest_z: 0.0,
            release: 0.0,
            failed: Vec::new(),
        };
        put.plan(world);
        put
    }

    /// Whether the object has been let go and the hand has left it.
    pub(super) fn done(&self) -> bool {
        self.course.phase == Phase::Retreat && self.course.steps >= 10
    }

    /// One word for the current phase, for logs.
    pub(super) fn phase(&self) -> String {
        self.course.name()
    }

    /// The chosen grip in numbers, for logs.
    pub(super) fn summary(&self) -> String {
        let p = self
            .pinch
            .map_or((f64::NAN, f64::NAN), |p| (p.yaw.to_degrees(), p.thickness));
        format!(
            "[pinch yaw {:.0}, {:.3} m thick, try {}]",
            p.0,
            p.1,
            self.failed.len()
        )
    }

    fn plan(&mut self, world: &World) {
        self.around = Obstacles::new(world, &[self.object]);
        let goal = self.spot.goal(world, self.object, &self.around);
        let object = origin(world, self.object);
        self.pinch = choose(&Wish {
            world,
            object: self.object,
            goal,
            obstacles: &self.around,
            failed: &self.failed,
            drop: 0.06,
        });
        self.rest_z = object.z;
        self.grip = self.pinch.map_or(object, |p| p.at);
        self.course.enter(Phase::Approach, grip_point(world));
    }

    /// The orientation of the hand that the grip asks for.
    fn gripping(&self) -> Rotation3<f64> {
        self.pinch.map_or_else(
            || hand_along(-Vector3::z(), Vector3::y()),
            |p| hand_along(p.approach, p.opening()),
        )
    }

    /// Where the hand waits before the grip and where it lifts to first, m; and whether it leans.
    fn before(&self) -> (Point3<f64>, bool) {
        let approach = self.pinch.map_or(-Vector3::z(), |p| p.approach);
        let leans = approach.z > -0.98;
        let hover = if leans { LEANING_HOVER } else { HOVER };
        (self.grip - approach * hover, leans)
    }

    fn give_up_grip(&mut self, eef: Point3<f64>) {
        self.failed.extend(self.pinch);
        self.grip = eef;
        self.course.enter(Phase::Open, eef);
    }

    /// The orientation the hand should have now.
    fn orientation(&self, world: &World) -> Rotation3<f64> {
        match (self.course.phase, self.spot.turn()) {
            (Phase::Carry | Phase::Lower | Phase::Open, Some(turn)) => turn * self.held,
            (Phase::Retreat, Some(_)) => world.eef_pose().rotation.to_rotation_matrix(),
            _ => self.gripping(),
        }
    }

    /// The action for the next control step.
    pub(super) fn act(&mut self, world: &World) -> [f64; 7] {
        let eef = self.course.look(world);
        let goal = self.spot.goal(world, self.object, &self.around);
        self.advance(world, eef, goal);
        let object = origin(world, self.object);
        let to = goal - object;
        let (point, gripper) = match self.course.phase {
            Phase::Approach => {
                let ceiling = self.grip.z.max(self.base.z + 0.188) + 0.12;
                let wait = match self.before() {
                    (wait, true) => self.around.way_above(eef, wait, 0.0, ceiling),
                    (_, false) => self.around.way_above(eef, self.grip, HOVER, ceiling),
                };
                (wait, OPEN)
            }
            Phase::Descend => (self.grip, OPEN),
            Phase::Close => (self.grip, CLOSE),
            Phase::Lift => {
                let z = eef.z + self.clear_height(world, object, goal) - object.z;
                let (wait, leans) = self.before();
                if leans && eef.z < wait.z - 0.01 {
                    // Out the way it came.
                    (eef + (wait - eef).normalize() * 0.05, CLOSE)
                } else {
                    (Point3::new(eef.x, eef.y, z), CLOSE)
                }
            }
            Phase::Carry => {
                let lack = self.clear_height(world, object, goal) - object.z;
                // Up before across.
                let slow = ((0.03 - lack) / 0.02).clamp(0.0, 1.0);
                let flat = Vector3::new(to.x, to.y, 0.0) * slow;
                (eef + flat + Vector3::z() * lack, CLOSE)
            }
            Phase::Lower => {
                let down = (to.z + self.release).clamp(-0.02, 0.0) - 0.004;
                (Point3::new(eef.x + to.x, eef.y + to.y, eef.z + down), CLOSE)
            }
            Phase::Open => (self.grip, OPEN),
            Phase::Retreat => {
                let back = -(world.eef_pose().rotation * Vector3::z());
                (self.grip + (back + Vector3::z()).normalize() * 0.12, OPEN)
            }
        };
        let mut a = self.course.hand.pull(eef, point);
        let thin = self.pinch.is_some_and(|p| p.thickness < 0.01);
        if self.course.phase == Phase::Lift && thin {
            a.z = gentle_lift(a.z, eef.z - self.grip.z);
        }
        if self.course.phase == Phase::Lower {
            a.z = a.z.clamp(-0.4, 0.4);
        }
        Hand::action(a, turn_to(world, &self.orientation(world)), gripper)
    }

    /// Moves on to the next phase when the present one has done its work.
    fn advance(&mut self, world: &World, eef: Point3<f64>, goal: Point3<f64>) {
        let object = origin(world, self.object);
        let n = self.course.steps;
        let error = turn_to(world, &self.orientation(world)).norm();
        match self.course.phase {
            Phase::Approach => {
                let (wait, _) = self.before();
                let flat = (eef.xy() - wait.xy()).norm();
                let low = eef.z - wait.z < 0.03;
                if flat < 0.006 && error < 0.06 && low {
                    self.course.enter(Phase::Descend, eef);
                } else if n > 80 || (self.course.hand.still >= 12 && n > 30) {
                    // Something is in the way of this one.
                    self.give_up_grip(eef);
                }
            }
            Phase::Descend => {
                let there = (eef - self.grip).norm() < 0.004;
                if (there && n > 2) || (self.course.hand.still >= 4 && n > 8) || n > 30 {
                    self.grip = eef;
                    self.course.enter(Phase::Close, eef);
                }
            }
            Phase::Close => {
                if n > 12 {
                    self.held_at = object - eef;
                    let hand = world.eef_pose().rotation.to_rotation_matrix();
                    let it = world.instance_pose(self.object).rotation;
                    self.held = it.to_rotation_matrix().inverse() * hand;
                    self.course.enter(Phase::Lift, eef);
                }
            }
            Phase::Lift => {
                let wanted = self.clear_height(world, object, goal);
                let rise = eef.z - self.grip.z;
                if rise > 0.03 && object.z < self.rest_z + 0.4 * rise - 0.005 {
                    self.give_up_grip(eef);
                } else if object.z > wanted - 0.012 || n > 40 {
                    self.course.enter(Phase::Carry, eef);
                }
            }
            Phase::Carry => {
                let flat = (object.xy() - goal.xy()).norm();
                if self.dropped(object, eef) {
                    self.give_up_grip(eef);
                } else if (flat < 0.006 && n > 3 && error < 0.05)
                    || (flat < 0.02 && self.course.hand.still >= 5)
                {
                    self.release = self.release_height(eef, object, goal);
                    self.course.enter(Phase::Lower, eef);
                }
            }
            Phase::Lower => {
                let low = object.z < goal.z + self.release + 0.002;
                if self.dropped(object, eef) {
                    self.give_up_grip(eef);
                } else if (low && (self.release > 0.0 || n > 8))
                    || (self.course.hand.still >= 3 && n > 5)
                    || n > 40
                {
                    self.grip = eef;
                    self.course.enter(Phase::Open, eef);
                }
            }
            Phase::Open => {
                if n > 7 {
                    self.course.enter(Phase::Retreat, eef);
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
        ((object - eef).norm() - self.held_at.norm()).abs() > 0.03
    }

    /// Least height above the resting height at which the opening hand touches nothing, m.
    fn release_height(&self, eef: Point3<f64>, object: Point3<f64>, goal: Point3<f64>) -> f64 {
        let hand = match self.spot.turn() {
            Some(turn) => turn * self.held,
            None => self.gripping(),
        };
        if (hand * Vector3::z()).z > -0.6 {
            return 0.0;
        }
        let rest = eef + (goal - object);
        self.around.lowest(rest, &hand, 0.004)
    }

    /// Height the origin of the carried object should have here, given what lies ahead, m.
    fn clear_height(&self, world: &World, object: Point3<f64>, goal: Point3<f64>) -> f64 {
        let (low, high) = Obstacles::only(world, self.object).corners();
        let below = object.z - low.z;
        let wide = 0.5 * libm::hypot(high.x - low.x, high.y - low.y);
        let to = goal.xy() - object.xy();
        let flat = to.norm();
        let mut z = goal.z + 0.03;
        for i in 0..=6 {
            let ahead = (0.02 * f64::from(i)).min(flat);
            let p = object.xy() + to * (ahead / flat.max(1e-9));
            if let Some(h) = self.around.height(p.x, p.y, wide + 0.02) {
                z = z.max(h + below + MARGIN);
            }
        }
        z
    }
}
