//! One episode: settle, then act until the goal holds or the horizon is reached (`docs/reference/libero.md`, section 9).

use crate::agent::{ActError, AgentFactory, EpisodeStart, ErasedAgent};
use crate::{ActionChunkExecutor, EvalError};
use bitvla_reports::{EpisodeActions, EpisodeRecord, QueryRecord};
use bitvla_sim::World;
use bitvla_tasks::SETTLE_ACTION;
use bitvla_tasks::{Assets, InitState, Suite, Task};

/// Rule that [`run_episode`] decides success by, for the protocol.
pub(crate) const SUCCESS_RULE: &str =
    "first control step after settling at which every goal predicate holds";

/// Suite, models and seed that the episodes of a run share.
#[derive(Clone, Copy)]
pub struct EvalContext<'a> {
    /// Models and arenas.
    pub assets: &'a Assets,
    /// The suite.
    pub suite: &'a Suite,
    /// Seed of the run: policies that draw random numbers draw them from it.
    pub seed: u64,
}

/// Result of an episode.
#[derive(Debug, Clone)]
pub struct EpisodeOutcome {
    /// The deterministic row.
    pub record: EpisodeRecord,
    /// Times of the queries.
    pub queries: Vec<QueryRecord>,
    /// Executed actions.
    pub actions: EpisodeActions,
}

impl EpisodeOutcome {
    /// An episode of which nothing has happened yet.
    pub(crate) fn new(
        context: EvalContext<'_>,
        (task, init): (usize, usize),
        policy: &str,
        arithmetic: &str,
    ) -> EpisodeOutcome {
        let known = context.suite.tasks.get(task);
        EpisodeOutcome {
            record: EpisodeRecord {
                suite: context.suite.name.clone(),
                task,
                // A task that the suite lacks is the error of the record.
                instruction: known.map_or_else(String::new, |task| task.instruction.clone()),
                init,
                seed: context.seed,
                policy: policy.to_owned(),
                arithmetic: arithmetic.to_owned(),
                success: false,
                steps: 0,
                queries: 0,
                state_hash: String::new(),
                error: String::new(),
            },
            queries: Vec::new(),
            actions: EpisodeActions {
                task,
                init,
                state_hash: 0,
                actions: Vec::new(),
            },
        }
    }
}

impl<'a> EvalContext<'a> {
    /// The beginning of an episode in its settled world.
    ///
    /// # Errors
    /// If the suite has no such task.
    pub fn start(
        &self,
        (task, init): (usize, usize),
        world: &'a World,
    ) -> Result<EpisodeStart<'a>, EvalError> {
        Ok(EpisodeStart {
            suite: &self.suite.name,
            task: self.task(task)?,
            init,
            seed: self.seed,
            world,
        })
    }

    /// A task of the suite.
    ///
    /// # Errors
    /// [`EvalError::Input`] when the suite has no such task.
    pub fn task(&self, task: usize) -> Result<&'a Task, EvalError> {
        self.suite.tasks.get(task).ok_or_else(|| {
            EvalError::Input(format!(
                "suite `{}` has tasks 0 to {}, not {task}",
                self.suite.name,
                self.suite.tasks.len().saturating_sub(1)
            ))
        })
    }

    /// A stored initial state of a task.
    ///
    /// # Errors
    /// If there is no such task or state.
    pub fn init_state(&self, task: usize, init: usize) -> Result<&'a InitState, EvalError> {
        let task = self.task(task)?;
        task.init_states.get(init).ok_or_else(|| {
            EvalError::Input(format!(
                "task {} of suite `{}` has {} stored initial states, so there is no number {init}",
                task.id,
                self.suite.name,
                task.init_states.len()
            ))
        })
    }

    /// The world of a task in a stored initial state, settled.
    ///
    /// # Errors
    /// If there is no such task or state, or the world cannot be built.
    pub fn settled_world(&self, task: usize, init: usize) -> Result<World, EvalError> {
        let (task, state) = (self.task(task)?, self.init_state(task, init)?);
        let mut world = task.world(self.assets, state)?;
        for _ in 0..self.suite.settle_steps {
            world.step(&SETTLE_ACTION)?;
        }
        Ok(world)
    }
}

/// Runs one episode with an agent of `factory`. An error that stops it half-way (a policy that answers with something not
/// finite, a refusal of the simulator) becomes the `error` of the record: a harness error, not a failure of the policy.
pub fn run_episode(
    context: EvalContext<'_>,
    (task, init): (usize, usize),
    factory: &dyn AgentFactory,
    agent: &mut dyn ErasedAgent,
) -> EpisodeOutcome {
    let (name, arithmetic) = (factory.name(), factory.arithmetic());
    let mut outcome = EpisodeOutcome::new(context, (task, init), name, arithmetic);
    if let Err(error) = execute(context, agent, &mut outcome) {
        outcome.record.success = false;
        outcome.record.error = error.to_string();
    }
    outcome.record.steps = outcome.actions.actions.len();
    outcome.record.queries = outcome.queries.len();
    outcome
}

fn execute(
    context: EvalContext<'_>,
    agent: &mut dyn ErasedAgent,
    outcome: &mut EpisodeOutcome,
) -> Result<(), EvalError> {
    let key = outcome.record.key();
    let mut world = context.settled_world(key.0, key.1)?;
    let task = context.task(key.0)?;
    let goal = task.compile_goal(&world)?;
    let mut executor = ActionChunkExecutor::start(agent, &context.start(key, &world)?)?;
    let mut cameras = None;
    for step in 0..context.suite.horizon {
        let decision = executor.decide(agent, &mut cameras, &world, task);
        let decision = decision.map_err(|why| match why {
            ActError::Eval(error) => error,
            ActError::Policy(error) => error.into(),
            ActError::Action(what) => EvalError::Action {
                policy: outcome.record.policy.clone(),
                task: key.0,
                init: key.1,
                step,
                what,
            },
        })?;
        if let Some(query) = &decision.query {
            outcome.queries.push(query.record(key));
        }
        outcome.actions.actions.push(decision.action);
        world.step(&decision.action)?;
        if goal.holds(&world) {
            outcome.record.success = true;
            break;
        }
    }
    outcome.actions.state_hash = world.state_hash();
    outcome.record.state_hash = format!("{:016x}", outcome.actions.state_hash);
    Ok(())
}
