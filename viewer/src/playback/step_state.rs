//! What is kept of a control step: all that any part of the window shows of it.

use super::GoalRegion;
use bitvla_reports::QueryRecord;
use bitvla_sim::{Contact, SceneDesc, VisualState};
use std::sync::Arc;

/// What is known before the first step.
#[derive(Debug, Clone)]
pub struct EpisodeInfo {
    /// The scene; rows of [`VisualState`] follow its body table.
    pub scene: Arc<SceneDesc>,
    /// Suite, task and initial state.
    pub suite: String,
    /// Index of the task.
    pub task: usize,
    /// Index of the initial state.
    pub init: usize,
    /// How many stored initial states the task has.
    pub inits: usize,
    /// What the policy is told.
    pub instruction: String,
    /// The goal's predicates in words, in the order of [`StepState::facts`].
    pub predicates: Vec<String>,
    /// Places the goal speaks of.
    pub regions: Vec<GoalRegion>,
    /// Control steps after settling.
    pub horizon: usize,
    /// Who drives, in words: `ternary`, `expert`, or the run it was recorded in.
    pub name: String,
    /// The outcome that was recorded, where a recording is shown.
    pub recorded: Option<Termination>,
}

/// The world after a control step, at the instants that cameras and sensors look.
#[derive(Debug, Clone)]
pub struct StepState {
    /// Control steps since settling; 0 is the settled initial state.
    pub step: usize,
    /// Poses of all bodies.
    pub visual: VisualState,
    /// Grip site in the world, m.
    pub eef: [f64; 3],
    /// Orientation of the hand, `[x, y, z, w]`.
    pub eef_quat_xyzw: [f64; 4],
    /// Distance between the fingers, m.
    pub gripper_width: f64,
    /// Arm torques of the last physics step, N m.
    pub torque: [f64; 7],
    /// The action that led here; none at the start.
    pub action: Option<[f64; 7]>,
    /// What touches what.
    pub contacts: Vec<Contact>,
    /// Truth of each predicate of the goal.
    pub predicates: Vec<bool>,
    /// Bits of the whole physical state.
    pub hash: u64,
    /// Somebody pulled at something or took the arm before this: no longer a result of the policy.
    pub intervened: bool,
}

impl StepState {
    /// Simulated time since settling, s.
    pub fn secs(&self) -> f64 {
        self.step as f64 / 20.0
    }
}

/// A question to the policy and its answer.
#[derive(Debug, Clone)]
pub struct PolicyQuery {
    /// The step whose images were shown to the policy.
    pub step: usize,
    /// Where the time went.
    pub times: QueryRecord,
    /// The answer; empty where it was not recorded.
    pub chunk: Vec<[f64; 7]>,
    /// Where the chunk takes the hand, m, one point per action; empty where it was not worked out.
    pub path: Vec<[f64; 3]>,
}

/// How an episode ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Termination {
    /// All predicates held.
    Success,
    /// The horizon was reached.
    Horizon,
    /// It could not go on.
    Error(String),
}
