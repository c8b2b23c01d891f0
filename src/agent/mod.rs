//! The door for policies. Everything that can drive the robot implements two traits: an [`AgentFactory`] declares a
//! name, a protocol and the suites it knows, and makes one [`Agent`] per worker; an agent answers observations with
//! chunks of actions. Runner, trainer, viewer and `bench` know nothing else. [`registry`] resolves the words of
//! `--policy`.
//!
//! To add a policy: one file in `registry/` and one line of `registry/mod.rs`.
//!
//! ```
//! use bitvla_eval::*;
//!
//! /// Lifts the hand straight up.
//! struct Lift;
//!
//! impl Agent for Lift {
//!     type State = ();
//!     fn start(&mut self, _: &EpisodeStart<'_>) -> Result<(), EvalError> {
//!         Ok(())
//!     }
//!     fn act(&mut self, _: &mut (), _: &mut StepInput<'_>) -> Result<AgentOutput, ActError> {
//!         Ok(AgentOutput::single([0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0]))
//!     }
//! }
//!
//! struct LiftFactory;
//!
//! impl AgentFactory for LiftFactory {
//!     fn name(&self) -> &str {
//!         "lift"
//!     }
//!     fn make(&self) -> Result<Box<dyn ErasedAgent>, EvalError> {
//!         Ok(Box::new(Lift))
//!     }
//! }
//!
//! let loaded = AssetResolver::new(&AssetArgs::default())?.open("spatial")?;
//! let outcomes = evaluate(loaded.context(7), &LiftFactory, &[(0, 0)], 1)?;
//! assert_eq!(outcomes[0].record.policy, "lift");
//! assert!(outcomes[0].record.completed() && !outcomes[0].record.success);
//! # Ok::<(), EvalError>(())
//! ```

mod erased;
mod latency;
pub mod registry;

pub use erased::{AgentState, ErasedAgent};
pub use latency::SimulatedLatency;
pub(crate) use latency::{DelayedFactory, measured_latency};

use crate::observation::{CameraImages, CameraRig};
use crate::{EvalError, proprio};
use bitvla_perturbations::{EpisodeKey, ImageFilter, Perturbation};
use bitvla_policies::{PhaseTimes, PolicyError, PolicyProtocol};
use bitvla_reports::{MemoryReport, QueryOperations};
use bitvla_sim::World;
use bitvla_tasks::{Suite, Task};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Makes the agents of one policy; weights are loaded once and shared by all of them.
pub trait AgentFactory: Send + Sync {
    /// Short name for tables and files, for example `ternary`.
    fn name(&self) -> &str;

    /// Arithmetic of the weights, see [`bitvla_policies::WeightFormat::arithmetic`]; `none` without weights.
    fn arithmetic(&self) -> &str {
        "none"
    }

    /// Library that computes the network; `none` without one.
    fn engine(&self) -> &str {
        "none"
    }

    /// Replacement of a part of every observation, for a sanity check; `none` without one.
    fn sanity(&self) -> &str {
        "none"
    }

    /// Standard deviation of the noise in the actions of an answer, in units of actions; 0 without noise.
    fn action_noise(&self) -> f64 {
        0.0
    }

    /// Simulated latency of the queries of an episode, ms, repeated from the beginning; empty for none.
    fn latency_ms(&self) -> &[f64] {
        &[]
    }

    /// Threads of one query.
    fn threads(&self) -> usize {
        1
    }

    /// Everything about how the policy is asked that changes its answers, read from what runs.
    ///
    /// # Errors
    /// If the weights cannot be loaded.
    fn protocol(&self) -> Result<PolicyProtocol, EvalError> {
        Ok(one_action_per_step())
    }

    /// sha256 of every file that the policy reads, by file name.
    ///
    /// # Errors
    /// If a file cannot be read.
    fn file_hashes(&self) -> Result<BTreeMap<String, String>, EvalError> {
        Ok(BTreeMap::new())
    }

    /// Refuses a suite that the policy cannot do, before its first episode.
    ///
    /// # Errors
    /// Says what the policy lacks.
    fn check_suite(&self, _suite: &Suite, _tasks: &[usize]) -> Result<(), EvalError> {
        Ok(())
    }

    /// Makes an agent with buffers and threads of its own.
    ///
    /// # Errors
    /// If something it needs cannot be loaded.
    fn make(&self) -> Result<Box<dyn ErasedAgent>, EvalError>;
}

/// An instance of a policy that belongs to one worker. Everything that changes within an episode is in
/// [`Agent::State`], whose copies continue independently of each other; whatever else the agent keeps (weights, buffers)
/// must not change an answer.
pub trait Agent: Send {
    /// State of one episode; `()` for a policy without memory.
    type State: Clone + Send + 'static;

    /// Begins an episode in a settled world.
    ///
    /// # Errors
    /// If the policy cannot do the task.
    fn start(&mut self, start: &EpisodeStart<'_>) -> Result<Self::State, EvalError>;

    /// Answers an observation. Called again when all actions of the previous answer have been executed.
    ///
    /// # Errors
    /// If there is no answer.
    fn act(
        &mut self,
        state: &mut Self::State,
        input: &mut StepInput<'_>,
    ) -> Result<AgentOutput, ActError>;

    /// Ends an episode; not called after an error.
    fn end(&mut self, _state: &mut Self::State, _success: bool) {}

    /// Memory of this instance after its queries; the peak of the process is filled in by the caller.
    fn memory(&self) -> MemoryReport {
        MemoryReport::default()
    }

    /// Operations of the last query; `None` without a network, or before the first query.
    fn operations(&self) -> Option<QueryOperations> {
        None
    }
}

/// The episode that begins.
#[derive(Clone)]
pub struct EpisodeStart<'a> {
    /// Name of the suite.
    pub suite: &'a str,
    /// The task.
    pub task: &'a Task,
    /// The words that a policy is given: those of the task, unless they are perturbed.
    pub instruction: Cow<'a, str>,
    /// Index of the initial state.
    pub init: usize,
    /// Seed of the run.
    pub seed: u64,
    /// The settled world.
    pub world: &'a World,
    /// Change of the episode; none for a task as it is.
    pub perturbation: Option<&'a Perturbation>,
}

impl<'a> EpisodeStart<'a> {
    /// The beginning of an episode that is not perturbed, from initial state `init` with the seed of the run.
    pub fn new(
        (suite, task): (&'a Suite, &'a Task),
        init: usize,
        seed: u64,
        world: &'a World,
    ) -> EpisodeStart<'a> {
        EpisodeStart {
            suite: &suite.name,
            task,
            instruction: Cow::Borrowed(task.words()),
            init,
            seed,
            world,
            perturbation: None,
        }
    }

    /// Key of what is drawn in the episode.
    pub fn key(&self) -> EpisodeKey {
        EpisodeKey {
            seed: self.seed,
            task: self.task.id,
            init: self.init,
        }
    }
}

/// The present of an episode, as far as a policy may use it.
pub struct StepInput<'a> {
    /// The world; policies that look at it instead of the cameras are privileged.
    pub world: &'a World,
    /// The task.
    pub task: &'a Task,
    /// The cameras of the scene, prepared when they are first needed.
    pub cameras: &'a mut Option<CameraRig>,
    /// What becomes of the observation, and the control step; none for one as it is.
    pub filter: Option<(&'a mut ImageFilter, usize)>,
}

/// Camera frames and proprioception as a policy takes them.
#[derive(Debug, Clone)]
pub struct AgentObservation {
    /// Both frames in the orientation and size of the protocol.
    pub images: CameraImages,
    /// End-effector position (m, world), orientation (rad), finger positions (m).
    pub proprio: [f64; 8],
    /// Time for rendering both cameras.
    pub render: Duration,
}

impl StepInput<'_> {
    /// Renders and reads what a protocol asks for (size, flip, quaternion rule), perturbed.
    ///
    /// # Errors
    /// If the scene lacks a camera or cannot be drawn.
    pub fn observe(&mut self, protocol: &PolicyProtocol) -> Result<AgentObservation, EvalError> {
        let cameras = CameraRig::prepared(self.cameras, self.world)?;
        let start = Instant::now();
        let looks = (protocol.camera_size, protocol.flip);
        let mut images = cameras.policy_images(self.world, looks)?;
        let render = start.elapsed();
        let mut proprio = proprio(&self.world.observation(), protocol.quaternion_rule);
        if let Some((filter, step)) = &mut self.filter {
            images.perturb(filter, (*step, self.world.event_happened()));
            filter.apply_to_proprio(&mut proprio);
        }
        Ok(AgentObservation {
            images,
            render,
            proprio,
        })
    }
}

/// Answer of an agent.
#[derive(Debug, Clone)]
pub struct AgentOutput {
    /// Actions in order of execution: three translations, three rotations, gripper, each in [-1, 1].
    pub actions: Vec<[f64; 7]>,
    /// Number of them that are executed before the next query.
    pub executed: usize,
    /// The query behind the answer; none where no network was asked.
    pub query: Option<QueryTrace>,
}

/// The images and the times of one network query.
#[derive(Debug, Clone)]
pub struct QueryTrace {
    /// The images as the policy got them.
    pub images: CameraImages,
    /// Time for rendering both cameras.
    pub render: Duration,
    /// Time of the phases of the policy.
    pub times: PhaseTimes,
    /// Processor time of the query; `None` where it is not known.
    pub processor: Option<Duration>,
}

impl AgentOutput {
    /// One action for this step, without a network query.
    pub fn single(action: [f64; 7]) -> AgentOutput {
        AgentOutput {
            actions: vec![action],
            executed: 1,
            query: None,
        }
    }
}

/// Reason why there is no action.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The cameras could not be rendered, or the agent cannot go on.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// The policy refused the observation.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The answer cannot be executed.
    #[error("{0}")]
    Action(String),
}

impl From<ActError> for EvalError {
    fn from(error: ActError) -> EvalError {
        match error {
            ActError::Eval(error) => error,
            ActError::Policy(error) => error.into(),
            ActError::Action(what) => EvalError::Input(what),
        }
    }
}

/// Protocol of a policy that uses no camera and answers with one action per control step.
pub fn one_action_per_step() -> PolicyProtocol {
    PolicyProtocol {
        crop: "none".into(),
        resize_filter: "none".into(),
        chunk_length: 1,
        executed_steps: 1,
        ..PolicyProtocol::default()
    }
}
