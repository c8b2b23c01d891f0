//! Takes a hand away from an object that the present subgoal does not concern: opens the fingers and moves back.

use super::{AROUND, FULLY_OPEN, HandState, OPEN_FROM};
use crate::expert::servo::{CartesianServo, GRIPPER_OPEN, action};
use crate::expert::skill::Skill;
use crate::expert::subgoal::Subgoal;
use bitvla_sim::{Owner, World};
use nalgebra::{Point3, Vector3};

/// Distance that the hand moves away, m.
const DISTANCE: f64 = 0.12;
/// Vertical component of the direction back along the hand below which it moves back level: it may be in a container.
const LEVEL: f64 = 0.6;
/// Control steps after which it ends in any case.
const MOST_STEPS: usize = 40;

/// A hand that withdraws, and the skill that follows.
#[derive(Clone)]
pub(super) struct Withdraw {
    subgoal: Subgoal,
    servo: CartesianServo,
    /// Where the hand was when the fingers were open, world frame, m.
    start: Option<Point3<f64>>,
    steps: usize,
    /// Where the hand began, world frame, m.
    held_at: Point3<f64>,
    next: Option<Box<dyn Skill>>,
}

impl Withdraw {
    /// True if the hand is around something that the subgoal does not concern.
    pub(super) fn is_needed(world: &World, subgoal: &Subgoal) -> bool {
        let hand = HandState::observe(world);
        // What it holds for the subgoal is no handle, also where the hand touches furniture.
        let holds_own = hand.grips() && hand.is_about(world, subgoal.instance(), AROUND);
        let instances = world.scene().instances.iter().enumerate();
        instances
            .filter(|(i, _)| *i != subgoal.instance())
            .any(|(i, instance)| {
                let touched = world.in_contact(Owner::Robot, Owner::Instance(i));
                if instance.fixed {
                    // A handle between the fingers.
                    touched && hand.opening < OPEN_FROM && hand.grips() && !holds_own
                } else {
                    hand.is_about(world, i, 0.0)
                        || (touched && hand.opening < FULLY_OPEN && hand.is_about(world, i, AROUND))
                }
            })
    }

    /// Withdraws the hand and then carries out a subgoal.
    pub(super) fn new(world: &World, subgoal: Subgoal) -> Withdraw {
        Withdraw {
            subgoal,
            servo: CartesianServo::default(),
            start: None,
            steps: 0,
            held_at: HandState::observe(world).eef,
            next: None,
        }
    }
}

impl Skill for Withdraw {
    fn phase(&self) -> String {
        match &self.next {
            Some(next) => next.phase(),
            None => "withdraw".to_owned(),
        }
    }

    fn summary(&self) -> String {
        self.next
            .as_ref()
            .map_or(String::new(), |next| next.summary())
    }

    fn done(&self) -> bool {
        self.next.as_ref().is_some_and(|next| next.done())
    }

    fn act(&mut self, world: &World) -> [f64; 7] {
        if let Some(next) = &mut self.next {
            return next.act(world);
        }
        self.steps += 1;
        let hand = HandState::observe(world);
        let eef = self.servo.observe(world);
        let waypoint = match self.start {
            None if hand.opening < FULLY_OPEN && self.steps < MOST_STEPS / 2 => self.held_at,
            None => {
                self.start = Some(eef);
                eef
            }
            Some(start) if (eef - start).norm() > 0.8 * DISTANCE || self.steps > MOST_STEPS => {
                return self.next.insert(self.subgoal.start(world)).act(world);
            }
            Some(start) => {
                let back = -(world.eef_pose().rotation * Vector3::z());
                let direction = if back.z < LEVEL {
                    Vector3::new(back.x, back.y, 0.12).normalize()
                } else {
                    (back + Vector3::z()).normalize()
                };
                start + direction * DISTANCE
            }
        };
        let a = self.servo.translation(eef, waypoint);
        action(a, Vector3::zeros(), GRIPPER_OPEN)
    }

    fn boxed_clone(&self) -> Box<dyn Skill> {
        Box::new(self.clone())
    }
}
