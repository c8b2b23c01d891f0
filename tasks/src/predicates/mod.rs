//! Goal predicates with LIBERO's definitions (`docs/reference/libero.md`, section 6).
//!
//! A goal is compiled once per scene: [`Problem::compile_goal`] looks up instances, sites and joints, and the
//! [`CompiledGoal`] that comes of it is evaluated at every control step without a look-up. There is one file per
//! family of predicates, which holds the definitions as pure functions over poses, contacts and joint positions (they
//! are compared with recorded samples) and their compiled forms. [`compile`] is the registry.

mod compiled;
mod elementary;
pub(crate) mod joint_position;
mod spatial;

pub use compiled::CompiledPredicate;
pub use elementary::is_up;
pub use joint_position::{joint_state, joints_state};
pub use spatial::{above_site, in_site, on_object};

use crate::bddl::{Condition, Predicate, PredicateInstance, Problem};
use crate::error::TaskError;
use bitvla_sim::World;
use compiled::Resolver;

/// Compiles one predicate of a problem for the worlds of the scene of `world`.
///
/// # Errors
/// Fails if an argument is not in the scene or does not fit the predicate, or a model lacks a site, joint or threshold of
/// it.
pub fn compile(
    world: &World,
    problem: &Problem,
    instance: &PredicateInstance,
) -> Result<Box<dyn CompiledPredicate>, TaskError> {
    let names = Resolver {
        problem,
        world,
        instance,
    };
    match instance.predicate {
        Predicate::On => spatial::compile_on(&names),
        Predicate::In => spatial::compile_in(&names),
        Predicate::Open | Predicate::Close | Predicate::TurnOn | Predicate::TurnOff => {
            joint_position::compile(&names)
        }
        Predicate::Stack => spatial::compile_stack(&names),
        Predicate::InContact => elementary::compile_in_contact(&names),
        Predicate::Up => elementary::compile_up(&names),
        Predicate::True | Predicate::PrintJointState => elementary::compile_constant(&names, true),
        Predicate::False => elementary::compile_constant(&names, false),
    }
}

/// A goal whose names have been looked up.
#[derive(Debug)]
pub struct CompiledGoal {
    predicates: Vec<Box<dyn CompiledPredicate>>,
    condition: Condition,
}

impl CompiledGoal {
    /// Returns true if the goal holds at this instant in a world of the scene that it was compiled for.
    pub fn holds(&self, world: &World) -> bool {
        (self.condition).holds(&|index| self.predicates[index].holds(world))
    }

    /// Truth of each predicate, in file order.
    pub fn truth(&self, world: &World) -> Vec<bool> {
        self.predicates.iter().map(|p| p.holds(world)).collect()
    }

    /// Returns true if the goal holds given the truth of each predicate, as [`CompiledGoal::truth`] returns it.
    pub fn holds_given(&self, truth: &[bool]) -> bool {
        (self.condition).holds(&|index| truth.get(index) == Some(&true))
    }
}

impl Problem {
    /// Compiles the goal for the worlds of the scene of `world`.
    ///
    /// # Errors
    /// As [`compile`].
    pub fn compile_goal(&self, world: &World) -> Result<CompiledGoal, TaskError> {
        let predicates = (self.goal.predicates.iter())
            .map(|instance| compile(world, self, instance))
            .collect::<Result<_, _>>()?;
        Ok(CompiledGoal {
            predicates,
            condition: self.goal.condition.clone(),
        })
    }
}

/// Returns true if one predicate of a problem holds in a world made from it. It looks up all names; compile what is
/// evaluated more than once.
///
/// # Errors
/// As [`compile`].
pub fn predicate_holds(
    world: &World,
    problem: &Problem,
    instance: &PredicateInstance,
) -> Result<bool, TaskError> {
    Ok(compile(world, problem, instance)?.holds(world))
}
