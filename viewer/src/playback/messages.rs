//! Messages between the window and an episode worker: the request that starts it, commands to it, events from it.

use super::step_state::{EpisodeInfo, StepState, Termination, TracedQuery};
use crate::suite_cache::SuiteCache;
use bitvla_eval::{PolicyName, PolicyOptions};
use bitvla_reports::{EpisodeActions, QueryRecord};
use std::sync::Arc;

/// An episode to be played.
#[derive(Clone)]
pub struct EpisodeRequest {
    /// Loaded suites.
    pub suite_cache: SuiteCache,
    /// Name of the suite.
    pub suite: String,
    /// Index of the task.
    pub task: usize,
    /// Index of the initial state.
    pub init: usize,
    /// Seed of the run.
    pub seed: u64,
    /// Change of the episode, as on a protocol card.
    pub perturbation: Vec<String>,
    /// Source of the actions.
    pub control_source: ControlSource,
    /// Initial pacing.
    pub pacing: Pacing,
}

/// Source of an episode's actions.
#[derive(Debug, Clone)]
pub enum ControlSource {
    /// A policy or the expert, queried while the episode runs.
    Policy {
        /// Policy.
        name: PolicyName,
        /// Options of loading and computing it.
        options: PolicyOptions,
    },
    /// Recorded actions.
    Recorded(Recording),
}

impl ControlSource {
    /// Display name.
    pub fn name(&self) -> String {
        match self {
            ControlSource::Policy { name, .. } => name.to_string(),
            ControlSource::Recorded(recording) => recording.name.clone(),
        }
    }
}

/// An episode as it is stored in a run folder.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Display name: the policy that was recorded.
    pub name: String,
    /// Executed actions.
    pub actions: EpisodeActions,
    /// Measured queries, in order.
    pub queries: Vec<QueryRecord>,
    /// Actions executed between two queries.
    pub executed_steps: usize,
    /// Recorded outcome.
    pub termination: Termination,
}

/// Pacing of control steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pacing {
    /// No steps.
    Paused,
    /// This number of steps without waiting, then none.
    Steps(usize),
    /// Steps at a multiple of real time.
    RealTime(f64),
    /// Steps without waiting.
    Unlimited,
}

/// Command to an episode worker, carried out between two control steps.
#[derive(Debug, Clone)]
pub enum Command {
    /// Changes the pacing.
    SetPacing(Pacing),
    /// Attaches a spring to the first body that a ray hits (world frame).
    Grab {
        /// Start of the ray, m.
        origin: [f64; 3],
        /// Direction of the ray.
        direction: [f64; 3],
    },
    /// Moves the target of the spring (world frame, m).
    MoveGrab([f64; 3]),
    /// Detaches the spring.
    Release,
    /// Executes this action instead of the policy's; none returns control to the policy.
    Teleoperate(Option<[f64; 7]>),
    /// Returns to an earlier control step and discards the later ones.
    Rewind(usize),
    /// Replaces the source of actions from the present step on.
    SetControlSource(ControlSource),
}

/// Event of an episode worker.
#[derive(Debug, Clone)]
pub enum Event {
    /// The scene is loaded.
    Opened(Arc<EpisodeInfo>),
    /// A control step was executed.
    Step(Arc<StepState>),
    /// The policy was queried.
    Query(Arc<TracedQuery>),
    /// The episode has ended.
    Ended(Termination),
    /// All steps after this one were discarded.
    Rewound(usize),
    /// A point is attached to the spring (world frame, m); none after a miss or a release.
    Grabbed(Option<[f64; 3]>),
    /// The source of actions was replaced; its display name.
    ControlSourceChanged(String),
    /// The episode cannot be played.
    Failed(String),
}
