//! Pushes a flat object over the support with open fingers, one on each side of the line of push, so that
//! it cannot turn away. The hand is tilted forward over the object: behind it there may be furniture.

use super::funnel::Funnel;
use super::hand_frame::{
    distance_from_line, instance_origin, rotation_error, symmetric_orientation,
};
use super::obstacles::Obstacles;
use super::servo::{GRIPPER_CLOSE, GRIPPER_OPEN, action};
use super::skill::{SkillState, StateMachine};
use bitvla_sim::World;
use nalgebra::{Point3, Rotation3, Vector3};

/// Height of the grasp point above the support while pushing, m.
pub(super) const PUSH_HEIGHT: f64 = 0.014;
/// Clearance between the fingers and the object when they come down, m.
const GAP: f64 = 0.018;
/// Tilt of the hand in the direction of the push, rad.
const TILT: f64 = 0.5;
/// Largest distance of a waypoint from the point where the fingers come down, along the hand, m.
pub(super) const PREPUSH_DISTANCE: f64 = 0.09;
/// Errors with which the hand goes down along the line to the place where the fingers come down, and with which it stays at the full distance.
pub(super) const FUNNEL: Funnel = Funnel {
    arrived: (0.014, 0.08),
    outside: (0.05, 0.6),
};
/// Distance from the goal at which the object has arrived, m.
const ARRIVED: f64 = 0.012;
/// Clearance of the hand that a direction of push needs, m, and the angle between the directions tried, rad.
const FREE_CLEARANCE: f64 = 0.001;
const DIRECTION_STEP: f64 = 0.25;
/// Largest horizontal translation component of a push.
const PUSH_SPEED: f64 = 0.7;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// To the point above and behind the object.
    Approach,
    /// Down behind the object, fingers open.
    Descend,
    /// Push until the object has arrived.
    Push,
    /// Up and back.
    Retreat,
}

/// Controller that pushes an object.
#[derive(Clone)]
pub(super) struct Push {
    pub(super) object: usize,
    /// Goal of the origin of the object, at the height of its lowest point, world frame, m.
    pub(super) goal: Point3<f64>,
    pub(super) state: SkillState<Phase>,
    /// Half width of the object, m.
    radius: f64,
    /// Horizontal unit vector of the push, fixed when the fingers come down.
    pub(super) direction: Vector3<f64>,
}

impl Push {
    /// Plans to push an instance until its origin is at a point of the support (world frame, m).
    pub(super) fn new(world: &World, object: usize, to: Point3<f64>) -> Push {
        let (low, high) = Obstacles::only(world, object).bounding_box();
        Push {
            object,
            goal: Point3::new(to.x, to.y, low.z),
            state: SkillState::new(world, Phase::Approach),
            radius: 0.5 * (high.x - low.x).max(high.y - low.y),
            direction: Vector3::x(),
        }
    }

    /// The direction of push nearest to the wanted one for which the hand has clearance behind the object;
    /// the wanted one where none has.
    pub(super) fn free_direction(
        &self,
        world: &World,
        object: Point3<f64>,
        wanted: Vector3<f64>,
    ) -> Vector3<f64> {
        let obstacles = Obstacles::except(world, &[self.object]);
        let turned = |k: i32| {
            let by = DIRECTION_STEP * f64::from(k);
            Rotation3::from_axis_angle(&Vector3::z_axis(), by) * wanted
        };
        let clearance = |direction: Vector3<f64>| {
            let behind = self.behind(object, direction);
            let hand = orientation(direction);
            // On the way down along the hand, too.
            [0.0, 0.03, 0.06]
                .map(|back| obstacles.hand_clearance(behind, &hand, -approach(direction) * back))
                .into_iter()
                .fold(f64::INFINITY, f64::min)
        };
        [0, 1, -1, 2, -2, 3, -3]
            .map(turned)
            .into_iter()
            .find(|d| clearance(*d) > FREE_CLEARANCE)
            .unwrap_or(wanted)
    }

    /// Grasp point behind the object, where the fingers come down, world frame, m.
    pub(super) fn behind(&self, object: Point3<f64>, direction: Vector3<f64>) -> Point3<f64> {
        let p = object - direction * (self.radius + GAP);
        Point3::new(p.x, p.y, self.goal.z + PUSH_HEIGHT)
    }

    /// Enters the next phase when the present one is complete. `behind` is the point at which the fingers come
    /// down, world frame, m, `to_go` the displacement of the object that is left.
    fn advance(
        &mut self,
        world: &World,
        eef: Point3<f64>,
        behind: Point3<f64>,
        to_go: Vector3<f64>,
    ) {
        let n = self.state.steps;
        match self.state.phase {
            Phase::Approach => {
                if self.misalignment(world, eef, behind) == 0.0 || n > 80 {
                    self.state.enter(Phase::Descend, eef);
                }
            }
            Phase::Descend => {
                if (eef - behind).norm() < 0.008 || self.state.stalled(4, 5) || n > 30 {
                    self.state.enter(Phase::Push, eef);
                }
            }
            Phase::Push => {
                if to_go.norm() < ARRIVED || to_go.dot(&self.direction) < 0.004 || n > 60 {
                    self.state.enter(Phase::Retreat, eef);
                }
            }
            Phase::Retreat => {
                if n > 12 {
                    self.state.enter(Phase::Approach, eef);
                }
            }
        }
    }

    /// Share of [`PREPUSH_DISTANCE`] at which the hand stays from the place where the fingers come down, 0 to 1.
    fn misalignment(&self, world: &World, eef: Point3<f64>, behind: Point3<f64>) -> f64 {
        let across = distance_from_line(eef, behind, approach(self.direction));
        let turned = rotation_error(world, &orientation(self.direction));
        FUNNEL.share(across, turned.norm())
    }

    /// Target position of the hand in the current phase, world frame, m.
    fn waypoint(&self, world: &World, eef: Point3<f64>, behind: Point3<f64>) -> Point3<f64> {
        match self.state.phase {
            Phase::Approach => {
                let back = PREPUSH_DISTANCE * self.misalignment(world, eef, behind);
                let prepush = behind - approach(self.direction) * back;
                let distance = (eef.xy() - prepush.xy()).norm();
                let z = prepush.z + 0.6 * (distance - 0.05).clamp(0.0, 0.25);
                Point3::new(prepush.x, prepush.y, z)
            }
            Phase::Descend => behind,
            Phase::Push => {
                // Straight on from where the fingers came down.
                let off = eef - self.state.start;
                let sideways = off - self.direction * off.dot(&self.direction);
                let p = eef + self.direction * 0.03 - sideways;
                Point3::new(p.x, p.y, self.goal.z + PUSH_HEIGHT)
            }
            Phase::Retreat => self.state.start + Vector3::z() * 0.10 - self.direction * 0.02,
        }
    }
}

/// Unit vector along which the hand points: down, the wrist tilted forward over the object, world frame.
pub(super) fn approach(direction: Vector3<f64>) -> Vector3<f64> {
    -direction * libm::sin(TILT) - Vector3::z() * libm::cos(TILT)
}

/// Orientation of the hand, which opens across the push, world frame.
pub(super) fn orientation(direction: Vector3<f64>) -> Rotation3<f64> {
    symmetric_orientation(approach(direction), Vector3::z().cross(&direction))
}

impl StateMachine for Push {
    type Phase = Phase;
    const NAME: &'static str = "push";
    const END: (Phase, usize) = (Phase::Retreat, 8);

    fn state(&self) -> &SkillState<Phase> {
        &self.state
    }

    fn step(&mut self, world: &World) -> [f64; 7] {
        let eef = self.state.observe(world);
        let object = instance_origin(world, self.object);
        let mut to_go = self.goal - object;
        to_go.z = 0.0;
        if self.state.phase == Phase::Approach && to_go.norm() > 1e-6 {
            self.direction = self.free_direction(world, object, to_go.normalize());
        }
        let behind = self.behind(object, self.direction);
        self.advance(world, eef, behind, to_go);
        let waypoint = self.waypoint(world, eef, behind);
        let mut a = self.state.servo.translation(eef, waypoint);
        if self.state.phase == Phase::Push {
            a.x = a.x.clamp(-PUSH_SPEED, PUSH_SPEED);
            a.y = a.y.clamp(-PUSH_SPEED, PUSH_SPEED);
        }
        let gripper = if self.state.phase == Phase::Retreat {
            GRIPPER_CLOSE
        } else {
            GRIPPER_OPEN
        };
        let rotation = rotation_error(world, &orientation(self.direction));
        action(a, rotation, gripper)
    }
}
