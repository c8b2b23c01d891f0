//! Data of an episode that is kept for display: per episode, per control step, per policy query.

use super::goal_regions::GoalRegion;
use bitvla_reports::QueryRecord;
use bitvla_sim::{Contact, SceneDesc, VisualState};
use std::sync::Arc;

/// Control steps per second of simulated time.
pub const CONTROL_HZ: f64 = 20.0;

/// Description of an episode, known before its first step.
#[derive(Debug, Clone)]
pub struct EpisodeInfo {
    /// Scene; rows of [`VisualState`] follow its body table.
    pub scene: Arc<SceneDesc>,
    /// Name of the suite.
    pub suite: String,
    /// Index of the task.
    pub task: usize,
    /// Index of the initial state.
    pub init: usize,
    /// Number of stored initial states of the task.
    pub inits: usize,
    /// Instruction given to the policy.
    pub instruction: String,
    /// Texts of the goal's predicates, in the order of [`StepState::predicates`].
    pub predicates: Vec<String>,
    /// Regions that the goal's predicates refer to.
    pub regions: Vec<GoalRegion>,
    /// Maximum number of control steps after settling.
    pub horizon: usize,
    /// Recorded outcome; none for a live episode.
    pub recorded: Option<Termination>,
}

/// State of the world after a control step.
#[derive(Debug, Clone)]
pub struct StepState {
    /// Control steps since settling; 0 is the settled initial state.
    pub step: usize,
    /// Poses of all bodies at the instant of the camera images.
    pub visual: VisualState,
    /// Position of the grip site, world frame, m.
    pub eef: [f64; 3],
    /// Orientation of the hand, world frame, `[x, y, z, w]`.
    pub eef_quat_xyzw: [f64; 4],
    /// Distance between the fingers, m.
    pub gripper_width: f64,
    /// Arm torques of the last physics step, N m.
    pub torque: [f64; 7],
    /// Action that led to this state; none at step 0.
    pub action: Option<[f64; 7]>,
    /// Contacts with their forces, world frame.
    pub contacts: Vec<Contact>,
    /// Truth of each predicate of the goal.
    pub predicates: Vec<bool>,
    /// Hash of the whole physical state.
    pub hash: u64,
    /// True if a person pulled at an object or teleoperated the arm before this step, so that it is no result of the
    /// policy.
    pub intervened: bool,
}

/// A policy query and its answer.
#[derive(Debug, Clone)]
pub struct TracedQuery {
    /// Control step whose images the policy received.
    pub step: usize,
    /// Latencies by phase.
    pub times: QueryRecord,
    /// Answered actions; for a recording, the executed ones.
    pub chunk: Vec<[f64; 7]>,
    /// Predicted end-effector positions after each action (world frame, m); empty if they were not computed.
    pub path: Vec<[f64; 3]>,
}

/// End of an episode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Termination {
    /// All predicates of the goal held.
    Success,
    /// The horizon was reached.
    Horizon,
    /// The policy failed.
    Error(String),
}
