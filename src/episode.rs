//! One episode: settle, then act until the goal holds or the horizon is reached (LIBERO fact sheet,
//! section 9).

use crate::{ActError, ActionChunkExecutor, Agent, EvalError};
use bitvla_reports::{EpisodeActions, EpisodeRecord, QueryRecord};
use bitvla_sim::World;
use bitvla_tasks::SETTLE_ACTION;
use bitvla_tasks::{Assets, InitState, Suite, Task};

/// Where episodes take place.
#[derive(Clone, Copy)]
pub struct EvalContext<'a> {
    /// Models and arenas.
    pub assets: &'a Assets,
    /// The suite.
    pub suite: &'a Suite,
    /// Seed of the run. Nothing here draws random numbers yet; it is part of every record.
    pub seed: u64,
}

/// What came of an episode.
#[derive(Debug, Clone)]
pub struct EpisodeOutcome {
    /// The deterministic row.
    pub record: EpisodeRecord,
    /// Where the time of the queries went.
    pub queries: Vec<QueryRecord>,
    /// What the robot was told.
    pub actions: EpisodeActions,
}

impl<'a> EvalContext<'a> {
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
    /// When there is no such task or state.
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
    /// When there is no such task or state, or the world cannot be built.
    pub fn settled_world(&self, task: usize, init: usize) -> Result<World, EvalError> {
        let (task, state) = (self.task(task)?, self.init_state(task, init)?);
        let mut world = task.world(self.assets, state)?;
        for _ in 0..self.suite.settle_steps {
            world.step(&SETTLE_ACTION)?;
        }
        Ok(world)
    }
}

/// Runs one episode. What stops it half-way (a policy that answers with something not finite, a refusal
/// of the simulator) becomes the `error` of the record: a harness error, not a failure of the policy.
pub fn run_episode(
    context: EvalContext<'_>,
    task: usize,
    init: usize,
    agent: &mut Agent,
) -> EpisodeOutcome {
    let (policy, arithmetic) = match agent {
        Agent::Expert => ("expert", "none"),
        Agent::Model(policy) => (policy.name(), policy.arithmetic()),
    };
    let (policy, arithmetic) = (policy.to_owned(), arithmetic.to_owned());
    let instruction = context
        .task(task)
        .map(|t| t.instruction.clone())
        .unwrap_or_default();
    let mut outcome = EpisodeOutcome {
        record: EpisodeRecord {
            suite: context.suite.name.clone(),
            task,
            instruction,
            init,
            seed: context.seed,
            policy,
            arithmetic,
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
    };
    if let Err(error) = play(context, agent, &mut outcome) {
        outcome.record.success = false;
        outcome.record.error = error.to_string();
    }
    outcome.record.steps = outcome.actions.actions.len();
    outcome.record.queries = outcome.queries.len();
    outcome
}

fn play(
    context: EvalContext<'_>,
    agent: &mut Agent,
    outcome: &mut EpisodeOutcome,
) -> Result<(), EvalError> {
    let (id, init) = (outcome.record.task, outcome.record.init);
    let mut world = context.settled_world(id, init)?;
    let task = context.task(id)?;
    let goal = task.compile_goal(&world)?;
    let mut executor = ActionChunkExecutor::new(agent, &world, task)?;
    let mut cameras = None;
    for step in 0..context.suite.horizon {
        let decision = executor.decide(agent, &mut cameras, &world, task);
        let decision = decision.map_err(|why| match why {
            ActError::CameraRig(error) => error,
            ActError::Policy(error) => error.into(),
            ActError::Action(what) => EvalError::Action {
                policy: outcome.record.policy.clone(),
                task: id,
                init,
                step,
                what,
            },
        })?;
        if let Some(query) = &decision.query {
            let number = outcome.queries.len();
            outcome.queries.push(query.record((id, init), number));
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
