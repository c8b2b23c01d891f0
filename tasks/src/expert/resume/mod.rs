//! An expert for a world in the middle of an episode that another policy has driven.
//!
//! The phase of a skill is inferred from the fingers, the contacts and the poses of hand and object: for a bowl
//! held by its rim in [`rim`], for other objects in [`antipodal`], for insertions in [`insert`], for drawers, knobs and
//! doors in [`articulated`], for pushes in [`push`]. A hand that is still around another object than that of
//! the subgoal withdraws first ([`withdraw`]). What cannot be observed (how long the expert has waited, which
//! grasps have failed) is estimated or forgotten.

mod antipodal;
mod articulated;
mod insert;
mod push;
mod rim;
mod withdraw;

use super::controller::Expert;
use super::door::CloseDoor;
use super::drawer::MoveDrawer;
use super::hand_frame::{
    AROUND, EMPTY, OPEN_FROM, eef_position, finger_distance, instance_origin, rotation_error,
};
use super::insert::Insert;
use super::knob::TurnKnob;
use super::obstacles::Obstacles;
use super::pick_place::{FULL_OPENING, PickPlace};
use super::place_target::PlaceTarget;
use super::push::Push;
use super::skill::Skill;
use super::subgoal::Subgoal;
use crate::error::TaskError;
use crate::suite::Task;
use bitvla_sim::panda::ARM_DOFS;
use bitvla_sim::{Owner, World};
use nalgebra::{Point3, Rotation3, Vector3};
use withdraw::Withdraw;

/// Distance between the fingers from which they are fully open, m: friction holds them back a little.
const FULLY_OPEN: f64 = 0.077;
/// Distance between fingers that hold a rim, m: least and most.
const RIM_OPENING: [f64; 2] = [EMPTY, 0.016];
/// Largest distance between fingers that hold a rim askew, across a part of its curve, m: such a grasp is not planned, and carries a bowl all the
/// same.
const ASKEW_OPENING: f64 = 0.035;
/// Rate of the finger distance beyond which the fingers count as moving, m/s.
const FINGERS_MOVING: f64 = 0.012;
/// Rate beyond which the fingers are being opened, m/s: a wall that turns between closed pads moves them more slowly, the
/// opening gripper faster.
const FINGERS_OPENING: f64 = 0.04;
/// Control steps the fingers take from open to closed, and from closed to open.
const CLOSING_STEPS: f64 = 9.0;
const OPENING_STEPS: f64 = 8.0;
/// Steps in a descent that are assumed of a hand that is under way.
const DESCENDING_STEPS: usize = 8;
/// Height above its resting height up to which a supported object counts as standing, m.
const STANDING: f64 = 0.005;
/// Height above its resting height from which an object counts as lifted, m.
const LIFTED: f64 = 0.0015;
/// Rise assumed of an object in the air whose resting position is not known, or that was carried away from there, m: far enough
/// for full speed.
const ASSUMED_RISE: f64 = 0.05;
/// Horizontal distance from where it rested from which an object was carried away, m.
const CARRIED_AWAY: f64 = 0.03;
/// Distance from hand to origin of the object within which the fingers hold it, m.
const HELD_DISTANCE: f64 = 0.09;
/// The same within which they have just let go of it, m.
const NEAR_OBJECT: f64 = 0.03;
/// Joint speed below which the arm counts as standing still, rad/s.
const ARM_STILL: f64 = 0.02;

/// Position (origin, world frame, m) at which each object was last supported without being touched by the robot. An expert
/// that resumes a lift needs it and cannot observe it.
#[derive(Clone)]
pub struct RestingPositions {
    /// By instance.
    positions: Vec<Point3<f64>>,
}

impl RestingPositions {
    /// Starts with the present positions of the objects, which must be at rest.
    pub fn new(world: &World) -> RestingPositions {
        let instances = 0..world.scene().instances.len();
        RestingPositions {
            positions: instances.map(|i| instance_origin(world, i)).collect(),
        }
    }

    /// Updates the positions from the world; to be called after every control step.
    pub fn observe(&mut self, world: &World) {
        let hand = HandState::observe(world);
        for (i, position) in self.positions.iter_mut().enumerate() {
            let origin = instance_origin(world, i);
            // Most objects stand still in most steps.
            if world.scene().instances[i].fixed || origin == *position {
                continue;
            }
            let touched = world.in_contact(Owner::Robot, Owner::Instance(i));
            // Contacts flicker: an object between closed fingers is held even where none is reported.
            let between_fingers =
                hand.opening < ASKEW_OPENING && (hand.eef - origin).norm() < HELD_DISTANCE;
            if !touched && !between_fingers && is_supported(world, i) {
                *position = origin;
            }
        }
    }
}

/// True if an object touches something other than the robot.
fn is_supported(world: &World, object: usize) -> bool {
    let others = (0..world.scene().instances.len())
        .filter(|i| *i != object)
        .map(Owner::Instance);
    std::iter::once(Owner::Arena)
        .chain(others)
        .any(|other| world.in_contact(Owner::Instance(object), other))
}

/// Observable state of the hand; world frame.
#[derive(Clone, Copy)]
struct HandState {
    /// Grasp point, m.
    eef: Point3<f64>,
    /// Distance between the fingers, m.
    opening: f64,
    /// Its rate, m/s; negative while closing.
    opening_rate: f64,
}

impl HandState {
    fn observe(world: &World) -> HandState {
        let (_, qd) = world.robot_state();
        HandState {
            eef: eef_position(world),
            opening: finger_distance(world),
            opening_rate: qd[ARM_DOFS] - qd[ARM_DOFS + 1],
        }
    }

    /// True if the fingers are closing.
    fn closes(&self) -> bool {
        self.opening_rate < -FINGERS_MOVING
    }

    /// True if the fingers stand apart by the thickness of something between them, and are not being opened.
    fn has_between(&self) -> bool {
        self.opening > EMPTY && self.opening < FULLY_OPEN && self.opening_rate < FINGERS_OPENING
    }

    /// True if the fingers stand still, apart by the thickness of something between them.
    fn grips(&self) -> bool {
        self.has_between() && !self.closes()
    }

    /// Control steps since the fingers began to close.
    fn closed_steps(&self) -> usize {
        (CLOSING_STEPS * (1.0 - self.opening / FULL_OPENING)).clamp(0.0, CLOSING_STEPS) as usize
    }

    /// Control steps since the fingers began to open.
    fn opened_steps(&self) -> usize {
        (OPENING_STEPS * self.opening / FULL_OPENING).clamp(0.0, OPENING_STEPS) as usize
    }

    /// True if the grasp point is inside the axis-aligned box around an instance, or less than `margin` (m) outside.
    fn is_about(&self, world: &World, instance: usize, margin: f64) -> bool {
        Obstacles::only(world, instance).is_about(self.eef, margin)
    }

    /// True if the hand has arrived at a line that leads along `approach` to `to`: at most `width` beside it and `distance` before its
    /// end, m.
    fn is_on_line(
        &self,
        to: Point3<f64>,
        approach: Vector3<f64>,
        width: f64,
        distance: f64,
    ) -> bool {
        let (along, across) = self.along_line(to, approach);
        across < width && along < distance && along > -ON_LINE
    }

    /// Distance of the hand before the end of a line that leads along the unit vector `approach` to `to`, and its distance
    /// from the line, m.
    fn along_line(&self, to: Point3<f64>, approach: Vector3<f64>) -> (f64, f64) {
        let left = to - self.eef;
        let along = left.dot(&approach);
        (along, (left - approach * along).norm())
    }
}

/// Distance beyond the end of a line, m, and turn from the wanted orientation, rad, up to which the hand is on its way.
const ON_LINE: f64 = 0.008;
const TURNED: f64 = 0.1;

/// What the fingers do with the object of a subgoal that they grasp by opposite faces.
enum Fingers {
    /// They hold it.
    Holding(Held),
    /// They close on it.
    Closing,
    /// They are closed near it, or have begun to open.
    Opening,
    /// They are open, or nothing is near them.
    Reaching,
}

/// An object between the fingers.
struct Held {
    /// Its origin, world frame, m.
    object: Point3<f64>,
    /// It touches something other than the robot.
    supported: bool,
    /// It stands where it rested.
    standing: bool,
    /// Height above where it rested, m, for the speed at which a lift continues; zero where that is not known.
    rise: f64,
    /// It is no longer above where it rested.
    carried_away: bool,
}

impl Fingers {
    /// Infers it for an object whose origin rested at `rest` (world frame, m), if that is known.
    fn about(world: &World, hand: &HandState, object: usize, rest: Option<Point3<f64>>) -> Fingers {
        let about = hand.is_about(world, object, AROUND);
        if about && hand.has_between() {
            let origin = instance_origin(world, object);
            let supported = is_supported(world, object);
            let lifted = rest.is_some_and(|rest| origin.z > rest.z + LIFTED) && !supported;
            // What hangs in the air is held, though it turns between the fingers and moves them.
            let touches = || world.in_contact(Owner::Robot, Owner::Instance(object));
            if lifted || (hand.grips() && touches()) {
                return Fingers::Holding(Held {
                    object: origin,
                    supported,
                    standing: supported
                        && rest.is_none_or(|rest| rise_above(origin, rest) < STANDING),
                    rise: rest.map_or(0.0, |rest| rise_above(origin, rest)),
                    carried_away: rest.is_some_and(|rest| is_carried_away(origin, rest)),
                });
            }
        }
        if about && hand.closes() {
            Fingers::Closing
        } else if hand.opening < OPEN_FROM && hand.is_about(world, object, NEAR_OBJECT) {
            Fingers::Opening
        } else {
            Fingers::Reaching
        }
    }
}

/// Height of an object that is held at `origin` above where it rested, m; [`ASSUMED_RISE`] if it was carried away from there:
/// a policy carries objects too low, and the first centimetres of a lift are slow.
fn rise_above(origin: Point3<f64>, rest: Point3<f64>) -> f64 {
    let height = (origin.z - rest.z).max(0.0);
    match is_carried_away(origin, rest) {
        true => height.max(ASSUMED_RISE),
        false => height,
    }
}

/// True if an object is held at `origin` beside where it rested.
fn is_carried_away(origin: Point3<f64>, rest: Point3<f64>) -> bool {
    (origin.xy() - rest.xy()).norm() > CARRIED_AWAY
}

/// Angle from the present orientation of the hand to a wanted one, rad.
fn angle_to(world: &World, wanted: &Rotation3<f64>) -> f64 {
    rotation_error(world, wanted).norm()
}

impl Expert {
    /// An expert for a world in the middle of an episode: it continues from the observable state. Grasps
    /// are chosen as at the start of an episode, except that a hand already descending near another point
    /// of a rim keeps to that one.
    ///
    /// # Errors
    /// As [`Expert::new`].
    pub fn resume(world: &World, task: &Task) -> Result<Expert, TaskError> {
        Expert::with_start(world, task, |world, subgoal| {
            resumed_skill(world, subgoal, None)
        })
    }

    /// As [`Expert::resume`] with known resting positions of the objects, which distinguish an object that stands
    /// from one in the air, and decide the speed at which a lift continues.
    ///
    /// # Errors
    /// As [`Expert::new`].
    pub fn resume_knowing(
        world: &World,
        task: &Task,
        rest: &RestingPositions,
    ) -> Result<Expert, TaskError> {
        Expert::with_start(world, task, |world, subgoal| {
            let rest = rest.positions.get(subgoal.instance()).copied();
            resumed_skill(world, subgoal, rest)
        })
    }
}

/// The skill of a subgoal, in the phase inferred from the world; `rest` is the resting position of the origin of its object
/// (world frame, m), if that is known.
fn resumed_skill(world: &World, subgoal: &Subgoal, rest: Option<Point3<f64>>) -> Box<dyn Skill> {
    let stacks = matches!(
        subgoal,
        Subgoal::PickPlace {
            target: PlaceTarget::StackOn(_),
            ..
        }
    );
    if !stacks && Withdraw::is_needed(world, subgoal) {
        return Box::new(Withdraw::new(world, subgoal.clone()));
    }
    match subgoal {
        Subgoal::PickPlace { object, target } => {
            let mut skill = PickPlace::without_grasp(world, *object, target.clone());
            match target {
                PlaceTarget::StackOn(base) => rim::infer(world, &mut skill, *base, rest),
                _ => antipodal::infer(world, &mut skill, rest),
            }
            Box::new(skill)
        }
        Subgoal::Insert {
            object,
            container,
            site,
        } => {
            let mut skill = Insert::new(world, *object, *container, site);
            insert::infer(world, &mut skill, rest);
            Box::new(skill)
        }
        Subgoal::Push { object, to } => {
            let mut skill = Push::new(world, *object, *to);
            push::infer(world, &mut skill);
            Box::new(skill)
        }
        Subgoal::OpenDrawer { drawer, distance } => {
            let mut skill = MoveDrawer::open(world, *drawer, *distance);
            articulated::infer_drawer(world, &mut skill);
            Box::new(skill)
        }
        Subgoal::CloseDrawer { drawer } => {
            let mut skill = MoveDrawer::close(world, *drawer);
            articulated::infer_drawer(world, &mut skill);
            Box::new(skill)
        }
        Subgoal::TurnKnob { knob, on } => {
            let mut skill = TurnKnob::new(world, *knob, *on);
            articulated::infer_knob(world, &mut skill);
            Box::new(skill)
        }
        Subgoal::CloseDoor { door } => {
            let mut skill = CloseDoor::new(world, *door);
            articulated::infer_door(world, &mut skill);
            Box::new(skill)
        }
    }
}

/// Estimated number of control steps for which the hand has stood still.
fn stalled_steps(world: &World) -> usize {
    let (_, qd) = world.robot_state();
    let fastest = (0..ARM_DOFS).map(|i| qd[i].abs()).fold(0.0, f64::max);
    if fastest < ARM_STILL { 2 } else { 0 }
}
