//! One episode: settle, then act until the goal holds or the horizon is reached (`docs/reference/libero.md`, section 9).

use crate::agent::{ActError, AgentFactory, EpisodeStart, ErasedAgent};
use crate::{ActionChunkExecutor, EvalError, LiberoFiles, SuitePerturbation};
use bitvla_perturbations::{EpisodeKey, Perturbation};
use bitvla_reports::{EpisodeActions, EpisodeHashes, EpisodeRecord, QueryRecord};
use bitvla_sim::World;
use bitvla_tasks::SETTLE_ACTION;
use bitvla_tasks::{Assets, InitState, Suite, Task, panic_message, sample_wider_init_state};
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Rule that [`run_episode`] decides success by, for the protocol.
pub(crate) const SUCCESS_RULE: &str = "first control step after settling at which the goal holds";

/// Suite, models and seed that the episodes of a run share.
#[derive(Clone, Copy)]
pub struct EvalContext<'a> {
    /// Models and arenas.
    pub assets: &'a Assets,
    /// The suite.
    pub suite: &'a Suite,
    /// Seed of the run: policies that draw random numbers draw them from it.
    pub seed: u64,
    /// LIBERO's files that the suite was read from; none for a suite of the assets.
    pub libero: Option<&'a LiberoFiles>,
    /// Change of the episodes.
    pub perturbation: &'a SuitePerturbation,
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
    /// Hashes of the settled state and of that after each action, and of the frames of each query.
    pub hashes: EpisodeHashes,
}

impl EpisodeOutcome {
    /// An episode that the harness could not finish, of which nothing is kept but the reason.
    pub(crate) fn failed(
        context: EvalContext<'_>,
        key: (usize, usize),
        factory: &dyn AgentFactory,
        error: String,
    ) -> EpisodeOutcome {
        let mut outcome = EpisodeOutcome::new(context, key, factory);
        outcome.record.error = error;
        outcome
    }

    /// An episode of which nothing has happened yet.
    fn new(
        context: EvalContext<'_>,
        (task, init): (usize, usize),
        factory: &dyn AgentFactory,
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
                policy: factory.name().to_owned(),
                arithmetic: factory.arithmetic().to_owned(),
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
            hashes: EpisodeHashes::new(task, init),
        }
    }
}

impl<'a> EvalContext<'a> {
    /// Change of the episodes of a task.
    pub fn perturbation_of(&self, task: usize) -> Option<&'a Perturbation> {
        self.perturbation.of(task)
    }

    /// The words of an episode that a policy is given.
    ///
    /// # Errors
    /// If the suite has no such task, or its perturbation does not fit it.
    pub(crate) fn instruction(&self, key: (usize, usize)) -> Result<Cow<'a, str>, EvalError> {
        let task = self.task(key.0)?;
        match self.perturbation_of(key.0) {
            Some(change) => Ok(change.instruction(self.suite, task, self.key(key))?),
            None => Ok(Cow::Borrowed(task.words())),
        }
    }

    /// Key of what is drawn in an episode.
    pub(crate) fn key(&self, (task, init): (usize, usize)) -> EpisodeKey {
        let seed = self.seed;
        EpisodeKey { seed, task, init }
    }

    /// The beginning of an episode in its settled world.
    ///
    /// # Errors
    /// If the suite has no such task, or its perturbation does not fit it.
    pub fn start(
        &self,
        (task, init): (usize, usize),
        world: &'a World,
    ) -> Result<EpisodeStart<'a>, EvalError> {
        let mut start = EpisodeStart::new((self.suite, self.task(task)?), init, self.seed, world);
        start.instruction = self.instruction((task, init))?;
        start.perturbation = self.perturbation_of(task);
        Ok(start)
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

    /// The world of a task in a stored initial state.
    fn initial_world(&self, task: usize, init: usize) -> Result<World, EvalError> {
        let (known, state) = (self.task(task)?, self.init_state(task, init)?);
        let Some(perturbation) = self.perturbation_of(task) else {
            return Ok(known.world(self.assets, state)?);
        };
        let (key, settle_steps) = (self.key((task, init)), self.suite.settle_steps);
        Ok(perturbation.world(self.assets, (known, state), key, settle_steps)?)
    }

    /// The world of a task in a stored initial state, settled.
    ///
    /// # Errors
    /// If there is no such task or state, the world cannot be built, or its state is not finite.
    pub fn settled_world(&self, task: usize, init: usize) -> Result<World, EvalError> {
        let mut world = self.initial_world(task, init)?;
        for _ in 0..self.suite.settle_steps {
            step(&mut world, &SETTLE_ACTION, (task, init), || {
                "settling".to_owned()
            })?;
        }
        Ok(world)
    }
}

/// The world of a task in an initial state that is drawn from a seed, settled, with every range of fixtures and objects wider by
/// `margin` on each side, m; the stored states have seeds of their own.
///
/// # Errors
/// If no state can be drawn, the world cannot be built, or its state is not finite.
pub fn sampled_world(
    assets: &Assets,
    suite: &Suite,
    task: &Task,
    seed: u64,
    margin: f64,
) -> Result<World, EvalError> {
    let init = sample_wider_init_state(assets, &task.problem, seed, margin)?;
    let mut world = task.world(assets, &init)?;
    for _ in 0..suite.settle_steps {
        world.step(&SETTLE_ACTION)?;
    }
    Ok(world)
}

/// Runs one episode with an agent of `factory`. An error that stops it half-way (a policy that answers with something not
/// finite, a refusal of the simulator, a world that is not finite any more) becomes the `error` of the record: a harness error, not a failure of the policy.
pub fn run_episode(
    context: EvalContext<'_>,
    key: (usize, usize),
    factory: &dyn AgentFactory,
    agent: &mut dyn ErasedAgent,
) -> EpisodeOutcome {
    let mut outcome = EpisodeOutcome::new(context, key, factory);
    let ended = execute(context, agent, &mut outcome, &|| false);
    finish(outcome, ended)
}

/// As [`run_episode`], with an agent that `make` makes: a panic becomes a harness error, and the agent is made afresh after one.
///
/// # Errors
/// [`EvalError::Stopped`] once `stop` is true, which is asked in every control step; an error of `make`.
pub(crate) fn run_guarded(
    (context, key): (EvalContext<'_>, (usize, usize)),
    factory: &dyn AgentFactory,
    agent: &mut Box<dyn ErasedAgent>,
    make: &dyn Fn() -> Result<Box<dyn ErasedAgent>, EvalError>,
    stop: &dyn Fn() -> bool,
) -> Result<EpisodeOutcome, EvalError> {
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        let mut outcome = EpisodeOutcome::new(context, key, factory);
        match execute(context, &mut **agent, &mut outcome, stop) {
            Err(EvalError::Stopped) => Err(EvalError::Stopped),
            ended => Ok(finish(outcome, ended)),
        }
    }));
    attempt.unwrap_or_else(|panic| {
        *agent = make()?;
        let what = format!("panic: {}", panic_message(&*panic));
        Ok(EpisodeOutcome::failed(context, key, factory, what))
    })
}

/// Fills in how an episode ended.
fn finish(mut outcome: EpisodeOutcome, ended: Result<(), EvalError>) -> EpisodeOutcome {
    if let Err(error) = ended {
        outcome.record.success = false;
        outcome.record.error = error.to_string();
    }
    outcome.record.steps = outcome.actions.actions.len();
    outcome.record.queries = outcome.queries.len();
    outcome
}

/// Advances the world by a control step; an error says in which episode and where.
fn step(
    world: &mut World,
    action: &[f64; 7],
    (task, init): (usize, usize),
    moment: impl FnOnce() -> String,
) -> Result<(), EvalError> {
    world.step(action).map_err(|source| EvalError::Step {
        task,
        init,
        moment: moment(),
        source,
    })
}

fn execute(
    context: EvalContext<'_>,
    agent: &mut dyn ErasedAgent,
    outcome: &mut EpisodeOutcome,
    stop: &dyn Fn() -> bool,
) -> Result<(), EvalError> {
    let key = outcome.record.key();
    let mut world = context.settled_world(key.0, key.1)?;
    outcome.hashes.push_state(world.state_hash());
    let task = context.task(key.0)?;
    let goal = task.compile_goal(&world)?;
    let start = context.start(key, &world)?;
    outcome.record.instruction = start.instruction.clone().into_owned();
    let mut executor = ActionChunkExecutor::start(agent, &start)?;
    let mut cameras = None;
    for number in 0..context.suite.horizon {
        if stop() {
            return Err(EvalError::Stopped);
        }
        let decision = executor.decide(agent, &mut cameras, &world, task);
        let decision = decision.map_err(|why| match why {
            ActError::Eval(error) => error,
            ActError::Policy(error) => error.into(),
            ActError::Action(what) => EvalError::Action {
                policy: outcome.record.policy.clone(),
                task: key.0,
                init: key.1,
                step: number,
                what,
            },
        })?;
        if let Some(query) = &decision.query {
            outcome.queries.push(query.record(key));
            outcome.hashes.frames.push(query.frame_hash(number));
        }
        outcome.actions.actions.push(decision.action);
        step(&mut world, &decision.action, key, || {
            format!("step {number}")
        })?;
        outcome.actions.state_hash = world.state_hash();
        outcome.hashes.push_state(outcome.actions.state_hash);
        if goal.holds(&world) {
            outcome.record.success = true;
            break;
        }
    }
    executor.end(agent, outcome.record.success);
    outcome.record.state_hash = format!("{:016x}", outcome.actions.state_hash);
    Ok(())
}

#[cfg(test)]
mod tests {
    //! Guarantee: a pose that is not finite is noticed after the control step, by the name of its object.
    use super::*;
    use crate::{AssetArgs, AssetResolver};

    #[test]
    fn a_pose_that_is_not_finite_is_named() {
        let resolver = AssetResolver::new(&AssetArgs::default()).expect("assets");
        let loaded = resolver.open("spatial").expect("a suite");
        let context = loaded.context(7);
        let mut world = context.settled_world(0, 0).expect("a world");
        let plate = world.scene().instance("plate_1").expect("a plate");
        let nowhere = bitvla_sim::isometry([f64::NAN, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0]);
        world.set_instance_pose(plate, &nowhere);
        let moved = step(&mut world, &SETTLE_ACTION, (0, 3), || "step 5".to_owned());
        let text = moved.expect_err("not finite").to_string();
        let words = "task 0, initial state 3, step 5: the state of body plate_1/";
        assert!(text.starts_with(words), "{text}");
        assert!(text.contains("is not finite"), "{text}");
    }
}
