//! Picks a hollow object up by its rim and puts it on another one.
//!
//! It plans a grip on the rim with room for the fingers, goes above it, descends, closes, lifts,
//! carries as low as the things in between allow (a stretched arm stalls), aligns the origins of the
//! two objects, lowers, opens and retreats. A grip that closed on nothing, or an object that slipped,
//! sends it back to planning with that side of the rim marked as tried. It has no random numbers: the
//! same worlds give the same actions.

use super::hand::{CLOSE, Course, Hand, OPEN, gentle_lift, grip_point, hand_down, turn_to};
use super::obstacles::Obstacles;
use super::rim_grasp::{Grasp, Rim, Setting, choose};
use bitvla_sim::World;
use nalgebra::{Point3, Vector3};

/// How far above the grip point the fingers wait before descending, m.
pub(super) const HOVER: f64 = 0.05;
/// Free height between the bottom of a carried object and what it passes over, m.
const CARRY_MARGIN: f64 = 0.03;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
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
pub(super) struct RimPlace {
    pub(super) object: usize,
    pub(super) target: usize,
    pub(super) rim: Rim,
    pub(super) base: Point3<f64>,
    pub(super) course: Course<Phase>,
    pub(super) grasp: Grasp,
    /// Grip point in the world, fixed when the descent begins.
    pub(super) grip: Point3<f64>,
    pub(super) obstacles: Obstacles,
    /// Object origin minus grip point just after closing.
    pub(super) held: Vector3<f64>,
    /// Height of the object before it was lifted, m.
    pub(super) rest_z: f64,
    pub(super) failed: Vec<f64>,
}

impl RimPlace {
    /// Plans to put instance `object` on instance `target`.
    pub(super) fn new(world: &World, object: usize, target: usize) -> RimPlace {
        let base = Point3::from(world.scene().arena.robot_base_pos);
        let mut errand = RimPlace {
            object,
            target,
            rim: Rim::of(&world.scene().instances[object].model),
            base,
            course: Course::new(world, Phase::Approach),
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
        };
        errand.plan(world);
        errand
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
    pub(super) fn plan_summary(&self) -> String {
        let g = self.grasp;
        let radial = libm::hypot(g.offset.x, g.offset.y);
        let (angle, yaw) = (g.angle.to_degrees(), g.yaw.to_degrees());
        format!(
            "[rim {angle:.0} deg, yaw {yaw:.0}, radius {radial:.3}, try {}]",
            self.failed.len()
        )
    }

    /// The action for the next control step.
    pub(super) fn act(&mut self, world: &World) -> [f64; 7] {
        let eef = self.course.look(world);
        self.advance(world, eef);
        let object = origin(world, self.object);
        let target = origin(world, self.target);
        let (goal, gripper) = match self.course.phase {
            Phase::Approach => {
                let ceiling = self.grip.z.max(1.10) + 0.12;
                let way = self.obstacles.way_above(eef, self.grip, HOVER, ceiling);
                (way, OPEN)
            }
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
        self.course.enter(Phase::Approach, grip_point(world));
    }

    fn give_up_grip(&mut self, eef: Point3<f64>) {
        self.failed.push(self.grasp.angle);
        self.grip = eef;
        self.course.enter(Phase::Open, eef);
    }

    /// Moves on to the next phase when the present one has done its work.
    fn advance(&mut self, world: &World, eef: Point3<f64>) {
        let object = origin(world, self.object);
        let target = origin(world, self.target);
        let n = self.course.steps;
        match self.course.phase {
            Phase::Approach => {
                let flat = (eef.xy() - self.grip.xy()).norm();
                let turned = yaw_error(world, self.grasp.yaw).abs() < 0.06;
                let low = eef.z - self.grip.z < HOVER + 0.03;
                if (flat < 0.006 && turned && low) || n > 90 {
                    self.grip = object + self.grasp.offset;
                    self.course.enter(Phase::Descend, eef);
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
                if n > 13 {
                    self.held = object - eef;
                    self.course.enter(Phase::Lift, eef);
                }
            }
            Phase::Lift => {
                let wanted = self.clear_height(object, target);
                let rise = eef.z - self.grip.z;
                if rise > 0.03 && object.z < self.rest_z + 0.4 * rise - 0.005 {
                    self.give_up_grip(eef);
                } else if object.z > wanted - 0.012 || n > 40 {
                    self.course.enter(Phase::Carry, eef);
                }
            }
            Phase::Carry => {
                let flat = (object.xy() - target.xy()).norm();
                if self.dropped(object, eef) {
                    self.give_up_grip(eef);
                } else if (flat < 0.006 && n > 3) || (flat < 0.02 && self.course.hand.still >= 3) {
                    self.course.enter(Phase::Lower, eef);
                }
            }
            Phase::Lower => {
                if self.dropped(object, eef) {
                    self.give_up_grip(eef);
                } else if (self.course.hand.still >= 3 && n > 5) || n > 25 {
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
        ((object - eef) - self.held).norm() > 0.045
    }

    /// Height the origin of the carried object should have here, given what lies ahead, m.
    pub(super) fn clear_height(&self, object: Point3<f64>, target: Point3<f64>) -> f64 {
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

    fn servo(
        &mut self,
        world: &World,
        eef: Point3<f64>,
        goal: Point3<f64>,
        gripper: f64,
    ) -> [f64; 7] {
        let mut a = self.course.hand.pull(eef, goal);
        if self.course.phase == Phase::Lift {
            a.z = gentle_lift(a.z, eef.z - self.grip.z);
        }
        if self.course.phase == Phase::Lower {
            a.z = a.z.clamp(-0.5, 0.5);
        }
        Hand::action(a, rotation_error(world, self.grasp.yaw), gripper)
    }
}

pub(super) fn origin(world: &World, i: usize) -> Point3<f64> {
    Point3::from(world.instance_pose(i).translation.vector)
}

/// Rotation vector in the world frame from the present to the wanted hand orientation: pointing down,
/// opening along `yaw`.
fn rotation_error(world: &World, yaw: f64) -> Vector3<f64> {
    turn_to(world, &hand_down(world, yaw))
}

pub(super) fn yaw_error(world: &World, yaw: f64) -> f64 {
    rotation_error(world, yaw).z
}
