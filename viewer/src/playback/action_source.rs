//! Source of an episode's actions while it is played: a policy with its executor, or a recording.

use super::messages::{ControlSource, Recording};
use super::step_state::{Termination, TracedQuery};
use bitvla_eval::{
    ActionChunkExecutor, CameraRig, Decision, ErasedAgent, EvalContext, EvalError, PolicySpec,
};
use bitvla_sim::World;
use bitvla_tasks::Task;

/// Supplies the action of each control step.
pub(super) enum ActionSource {
    /// A policy or the expert.
    Agent(Box<AgentSource>),
    /// Recorded actions.
    Recording(Box<Recording>),
}

/// A policy or the expert, and its state within the episode.
pub(super) struct AgentSource {
    agent: Box<dyn ErasedAgent>,
    state: ExecutorState,
    /// Built at the first query.
    rig: Option<CameraRig>,
}

/// State of an agent before a control step; restoring it repeats the same actions.
#[derive(Clone)]
pub(super) struct ExecutorState {
    executor: ActionChunkExecutor,
}

/// The action of a control step.
pub(super) struct NextAction {
    pub(super) action: [f64; 7],
    /// The policy query behind it, if one was made in this step.
    pub(super) query: Option<TracedQuery>,
}

impl ActionSource {
    /// Loads the policy, or takes the recording.
    ///
    /// # Errors
    /// If the checkpoint is missing or malformed, or the expert cannot do what the goal asks for.
    pub(super) fn new(
        control_source: &ControlSource,
        context: EvalContext<'_>,
        key: (usize, usize),
        world: &World,
    ) -> Result<ActionSource, EvalError> {
        Ok(match control_source {
            ControlSource::Policy { name, options } => {
                let assets = context.assets.dir();
                let mut spec =
                    PolicySpec::new(name.clone(), options.clone(), assets).for_suite(context.suite);
                spec.instructions = vec![context.task(key.0)?.instruction.clone()];
                let factory = spec.factory()?;
                factory.check_suite(context.suite, &[key.0])?;
                let mut agent = factory.make()?;
                let start = context.start(key, world)?;
                ActionSource::Agent(Box::new(AgentSource {
                    state: ExecutorState {
                        executor: ActionChunkExecutor::start(&mut *agent, &start)?,
                    },
                    agent,
                    rig: None,
                }))
            }
            ControlSource::Recorded(recording) => {
                ActionSource::Recording(Box::new(recording.clone()))
            }
        })
    }

    /// State of the agent before the next action; none for a recording, which has no state.
    pub(super) fn state(&self) -> Option<ExecutorState> {
        match self {
            ActionSource::Agent(source) => Some(source.state.clone()),
            ActionSource::Recording(_) => None,
        }
    }

    /// Restores a state of the agent; a recording has none.
    pub(super) fn restore(&mut self, state: ExecutorState) {
        if let ActionSource::Agent(source) = self {
            source.state = state;
        }
    }

    /// Restarts the agent from the present state of the world: the next action is preceded by a new query. A recording has
    /// nothing to restart.
    ///
    /// # Errors
    /// If the expert cannot do what the goal asks for.
    pub(super) fn reset(
        &mut self,
        context: EvalContext<'_>,
        key: (usize, usize),
        world: &World,
    ) -> Result<(), EvalError> {
        if let ActionSource::Agent(source) = self {
            let start = context.start(key, world)?;
            source.state.executor = ActionChunkExecutor::start(&mut *source.agent, &start)?;
        }
        Ok(())
    }

    /// Action of control step `step` of the episode `init` of a task.
    ///
    /// # Errors
    /// Why there is no further action: the recording has ended, or the policy failed.
    pub(super) fn next(
        &mut self,
        step: usize,
        world: &World,
        task: &Task,
        init: usize,
    ) -> Result<NextAction, Termination> {
        match self {
            ActionSource::Agent(source) => source.next(step, world, task, init),
            ActionSource::Recording(recording) => recorded_action(recording, step),
        }
    }
}

impl AgentSource {
    fn next(
        &mut self,
        step: usize,
        world: &World,
        task: &Task,
        init: usize,
    ) -> Result<NextAction, Termination> {
        let AgentSource { agent, state, rig } = self;
        let Decision { action, query } = state
            .executor
            .decide(&mut **agent, rig, world, task)
            .map_err(|error| Termination::Error(error.to_string()))?;
        let query = query.map(|query| TracedQuery {
            step,
            times: query.record((task.id, init)),
            path: Vec::new(),
            chunk: query.chunk,
        });
        Ok(NextAction { action, query })
    }
}

fn recorded_action(recording: &Recording, step: usize) -> Result<NextAction, Termination> {
    let actions = &recording.actions.actions;
    let Some(action) = actions.get(step).copied() else {
        return Err(recording.termination.clone());
    };
    let length = recording.executed_steps.max(1);
    let times = step
        .is_multiple_of(length)
        .then(|| recording.queries.get(step / length))
        .flatten();
    let query = times.map(|times| TracedQuery {
        step,
        times: *times,
        chunk: actions[step..(step + length).min(actions.len())].to_vec(),
        path: Vec::new(),
    });
    Ok(NextAction { action, query })
}
