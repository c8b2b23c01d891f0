//! Control loop of the expert: one skill after the other, and a new plan for predicates that do not hold at the end.

use super::planner::{PlanStep, plan};
use super::skill::Skill;
use super::subgoal::Subgoal;
use crate::bddl::{BddlError, Problem};
use crate::error::TaskError;
use crate::predicates::predicate_holds;
use crate::suite::Task;
use bitvla_sim::World;
use std::collections::VecDeque;

/// The scripted expert within one episode. Clones are independent.
#[derive(Clone)]
pub struct Expert {
    problem: Problem,
    /// The current step of the plan, and those after it.
    step: PlanStep,
    remaining: VecDeque<PlanStep>,
    skill: Box<dyn Skill>,
}

impl Expert {
    /// Plans for the goal of the task.
    ///
    /// # Errors
    /// Fails with the location of a predicate of the goal that no skill achieves, or if the goal holds already.
    pub fn new(world: &World, task: &Task) -> Result<Expert, TaskError> {
        Expert::with_start(world, task, |world, subgoal| subgoal.start(world))
    }

    /// As [`Expert::new`], with `start` to make the first skill.
    pub(super) fn with_start(
        world: &World,
        task: &Task,
        start: impl FnOnce(&World, &Subgoal) -> Box<dyn Skill>,
    ) -> Result<Expert, TaskError> {
        let mut remaining = VecDeque::from(plan(world, &task.problem)?);
        let Some(step) = remaining.pop_front() else {
            let first = task.problem.goal.predicates.first();
            return Err(TaskError::from(BddlError {
                file: task.problem.file.clone(),
                // A goal without predicates has no location of its own.
                location: first.map(|p| p.location).unwrap_or_default(),
                message: "the goal holds already: there is nothing to do".to_owned(),
            }));
        };
        Ok(Expert {
            skill: start(world, &step.subgoal),
            problem: task.problem.clone(),
            step,
            remaining,
        })
    }

    /// Index in the scene of the instance that the current subgoal moves or articulates.
    pub fn object(&self) -> usize {
        self.step.subgoal.instance()
    }

    /// Name of the skill and its phase, for logs: `place transfer`.
    pub fn phase(&self) -> String {
        self.skill.phase()
    }

    /// The chosen grasp in numbers, for logs; empty for skills that choose none.
    pub fn plan_summary(&self) -> String {
        self.skill.summary()
    }

    /// The action for the next control step: translation and rotation increments in units of the
    /// operational-space controller (0.05 m and 0.5 rad, world frame; `docs/reference/libero.md`, section 4), each
    /// in [-1, 1], and the gripper, -1 to open and 1 to close.
    pub fn act(&mut self, world: &World) -> [f64; 7] {
        if self.skill.done() {
            self.next(world);
        }
        self.skill.act(world)
    }

    /// Goes on to the next step of the plan if the present one has achieved its subgoal; otherwise the skill
    /// tries again.
    fn next(&mut self, world: &World) {
        // The planner has evaluated every predicate of the goal, so that none can fail to evaluate here; one
        // that did would count as not achieved.
        let holds = |wanted| predicate_holds(world, &self.problem, wanted).unwrap_or(false);
        if !self.step.predicate.as_ref().is_none_or(holds) {
            return;
        }
        // Predicates that have ceased to hold are achieved again at the end. A goal that could be planned at the
        // start can be planned now: the planner refuses by models and names only.
        if self.remaining.is_empty()
            && let Ok(steps) = plan(world, &self.problem)
        {
            self.remaining = steps.into();
        }
        if let Some(step) = self.remaining.pop_front() {
            self.skill = step.subgoal.start(world);
            self.step = step;
        }
    }
}
