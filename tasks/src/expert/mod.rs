//! The scripted expert: does what a goal asks for, seeing the true state of the world but acting
//! through the same seven numbers as a policy.
//!
//! A goal becomes a list of errands ([`errand`]): put an object somewhere ([`rim`], [`put`],
//! [`insert`]), push it ([`push`]), move a drawer ([`drawer`]), a knob ([`knob`]) or a door ([`door`]).
//! Each errand is a small machine of phases that looks at the world in every step; one that ended
//! without its fact holding is planned again. There are no random numbers: the same worlds give the
//! same actions.

mod door;
mod drawer;
mod errand;
mod hand;
mod insert;
mod knob;
mod obstacles;
mod pinch;
mod push;
mod put;
mod resume;
mod rim;
mod rim_grasp;
mod spot;

use crate::bddl::Problem;
use crate::predicates::fact_holds;
use crate::{Task, TaskError};
use bitvla_sim::World;
use door::Door;
use drawer::Drawer;
use errand::{Errand, Step};
use insert::Insert;
use knob::Knob;
use push::Push;
use put::Put;
pub use resume::RestingHeight;
use rim::RimPlace;
use std::collections::VecDeque;

/// The errand under way.
#[derive(Clone)]
enum Skill {
    Rim(Box<RimPlace>),
    Put(Box<Put>),
    Insert(Box<Insert>),
    Push(Box<Push>),
    Drawer(Drawer),
    Knob(Knob),
    Door(Door),
}

impl Skill {
    fn new(world: &World, errand: &Errand) -> Skill {
        match errand {
            Errand::Rim { object, target } => {
                Skill::Rim(Box::new(RimPlace::new(world, *object, *target)))
            }
            Errand::Put { object, spot } => {
                Skill::Put(Box::new(Put::new(world, *object, spot.clone())))
            }
            Errand::Insert {
                object,
                instance,
                site,
            } => Skill::Insert(Box::new(Insert::new(world, *object, *instance, site))),
            Errand::Push { object, to } => Skill::Push(Box::new(Push::new(world, *object, *to))),
            Errand::Drawer {
                instance,
                body,
                open,
                far,
            } => Skill::Drawer(Drawer::new(world, *instance, *body, *open, *far)),
            Errand::Knob { instance, body, on } => {
                Skill::Knob(Knob::new(world, *instance, *body, *on))
            }
            Errand::Door { instance, body } => Skill::Door(Door::new(world, *instance, *body)),
        }
    }

    fn done(&self) -> bool {
        match self {
            Skill::Rim(s) => s.done(),
            Skill::Put(s) => s.done(),
            Skill::Insert(s) => s.done(),
            Skill::Push(s) => s.done(),
            Skill::Drawer(s) => s.done(),
            Skill::Knob(s) => s.done(),
            Skill::Door(s) => s.done(),
        }
    }

    fn act(&mut self, world: &World) -> [f64; 7] {
        match self {
            Skill::Rim(s) => s.act(world),
            Skill::Put(s) => s.act(world),
            Skill::Insert(s) => s.act(world),
            Skill::Push(s) => s.act(world),
            Skill::Drawer(s) => s.act(world),
            Skill::Knob(s) => s.act(world),
            Skill::Door(s) => s.act(world),
        }
    }
}

/// The expert's memory within one episode.
#[derive(Clone)]
pub struct Expert {
    problem: Problem,
    /// The errand under way, and those after it.
    step: Step,
    later: VecDeque<Step>,
    skill: Skill,
}

impl Expert {
    /// Plans for the goal of the task.
    ///
    /// # Errors
    /// When the goal asks for something the expert cannot do, with the place of the fact.
    pub fn new(world: &World, task: &Task) -> Result<Expert, TaskError> {
        let mut later = VecDeque::from(errand::plan(world, &task.problem)?);
        let Some(step) = later.pop_front() else {
            let fact = task.problem.goal.facts.first();
            return Err(TaskError::from(crate::bddl::BddlError {
                file: task.problem.file.clone(),
                place: fact.map(|f| f.place).unwrap_or_default(),
                message: "the goal holds already: there is nothing to do".to_owned(),
            }));
        };
        Ok(Expert {
            skill: Skill::new(world, &step.errand),
            problem: task.problem.clone(),
            step,
            later,
        })
    }

    /// The instance the present errand is about.
    pub fn object(&self) -> usize {
        errand::subject(&self.step.errand)
    }

    /// The errand and its phase, for logs.
    pub fn phase(&self) -> String {
        match &self.skill {
            Skill::Rim(s) => s.phase(),
            Skill::Put(s) => format!("put {}", s.phase()),
            Skill::Insert(s) => format!("insert {}", s.phase()),
            Skill::Push(s) => format!("push {}", s.phase()),
            Skill::Drawer(s) => format!("drawer {}", s.phase()),
            Skill::Knob(s) => format!("knob {}", s.phase()),
            Skill::Door(s) => format!("door {}", s.phase()),
        }
    }

    /// The chosen grip in numbers, for logs.
    pub fn plan_summary(&self) -> String {
        match &self.skill {
            Skill::Rim(s) => s.plan_summary(),
            Skill::Put(s) => s.summary(),
            _ => String::new(),
        }
    }

    /// The action for the next control step.
    pub fn act(&mut self, world: &World) -> [f64; 7] {
        if self.skill.done() {
            self.next(world);
        }
        self.skill.act(world)
    }

    /// Goes on to the next errand if the present one has done what it was for.
    fn next(&mut self, world: &World) {
        let holds = |fact| fact_holds(world, &self.problem, fact).unwrap_or(false);
        if !self.step.fact.as_ref().is_none_or(holds) {
            return;
        }
        // What was undone meanwhile is done again in the end.
        if self.later.is_empty()
            && let Ok(steps) = errand::plan(world, &self.problem)
        {
            self.later = steps.into();
        }
        if let Some(step) = self.later.pop_front() {
            self.skill = Skill::new(world, &step.errand);
            self.step = step;
        }
    }
}
