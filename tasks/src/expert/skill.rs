//! Interface of the skills, and the state that all of them share: phase, time in it, and servo.

use super::hand_frame::eef_position;
use super::servo::CartesianServo;
use bitvla_sim::World;
use nalgebra::Point3;

/// Closed-loop controller that carries out one subgoal.
pub(super) trait Skill: Send + Sync {
    /// Name of the skill and of its current phase, for logs: `place transfer`.
    fn phase(&self) -> String;

    /// The chosen grasp in numbers, for logs; empty for skills that choose none.
    fn summary(&self) -> String;

    /// True once the motion is complete and the hand is clear of the object. A skill that goes on
    /// after that tries again.
    fn done(&self) -> bool;

    /// The action of the next control step, in the units of [`super::servo::action`].
    fn act(&mut self, world: &World) -> [f64; 7];

    /// An independent copy.
    fn boxed_clone(&self) -> Box<dyn Skill>;
}

impl Clone for Box<dyn Skill> {
    fn clone(&self) -> Self {
        // The skill in the box, not the box: `self.boxed_clone()` would call itself.
        (**self).boxed_clone()
    }
}

/// A skill that is a state machine of phases and reads the true state of the world in every control step.
pub(super) trait StateMachine: Clone + Send + Sync + 'static {
    /// Its phases.
    type Phase: Copy + PartialEq + std::fmt::Debug;
    /// Name for logs, one word.
    const NAME: &'static str;
    /// The last phase, and the control steps in it after which the hand is clear.
    const END: (Self::Phase, usize);

    /// Progress through the phases.
    fn state(&self) -> &SkillState<Self::Phase>;

    /// As [`Skill::act`].
    fn step(&mut self, world: &World) -> [f64; 7];

    /// As [`Skill::summary`].
    fn grasp_summary(&self) -> String {
        String::new()
    }
}

impl<M: StateMachine> Skill for M {
    fn phase(&self) -> String {
        let phase = format!("{:?}", self.state().phase).to_lowercase();
        format!("{} {phase}", M::NAME)
    }

    fn summary(&self) -> String {
        self.grasp_summary()
    }

    fn done(&self) -> bool {
        let (phase, steps) = M::END;
        self.state().phase == phase && self.state().steps >= steps
    }

    fn act(&mut self, world: &World) -> [f64; 7] {
        self.step(world)
    }

    fn boxed_clone(&self) -> Box<dyn Skill> {
        Box::new(self.clone())
    }
}

/// Progress of a skill through its phases.
#[derive(Debug, Clone)]
pub(super) struct SkillState<P> {
    /// The current phase.
    pub phase: P,
    /// Control steps in this phase, the present one included.
    pub steps: usize,
    /// Position of the end effector when the phase began, world frame, m.
    pub start: Point3<f64>,
    /// Position control of the hand.
    pub servo: CartesianServo,
}

impl<P> SkillState<P> {
    /// Starts in `phase` with the hand where it is.
    pub(super) fn new(world: &World, phase: P) -> SkillState<P> {
        SkillState {
            phase,
            steps: 0,
            start: eef_position(world),
            servo: CartesianServo::default(),
        }
    }

    /// Begins a control step. Returns the position of the end effector, world frame, m.
    pub(super) fn observe(&mut self, world: &World) -> Point3<f64> {
        self.steps += 1;
        self.servo.observe(world)
    }

    /// Begins a phase with the end effector at `eef` (world frame, m).
    pub(super) fn enter(&mut self, phase: P, eef: Point3<f64>) {
        self.phase = phase;
        self.steps = 0;
        self.start = eef;
        self.servo.reset();
    }

    /// True if the hand has stood still for `stalled` control steps, more than `after` steps into the
    /// phase.
    pub(super) fn stalled(&self, stalled: usize, after: usize) -> bool {
        self.servo.stalled_steps >= stalled && self.steps > after
    }
}
