//! Recorded MuJoCo runs: the JSON files of the reference folder as types (docs/reference/libero.md, sections 4, 5, 8 and
//! 12).
//! SI units; quaternions `[w, x, y, z]` unless a name says otherwise; a pose is `[x, y, z, w, x, y, z]`.

use serde::Deserialize;
use std::collections::BTreeMap;

/// `osc_responses.json`: action sequences with the observations after each control step.
#[derive(Debug, Deserialize)]
pub(crate) struct ResponsesFile {
    pub sequences: Vec<RecordedSequence>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RecordedSequence {
    pub name: String,
    pub actions: Vec<[f64; 7]>,
    pub obs_eef_pos: Vec<[f64; 3]>,
    pub obs_eef_quat_xyzw: Vec<[f64; 4]>,
    pub obs_gripper_qpos: Vec<[f64; 2]>,
    /// Number of contacts of the whole scene after each step.
    pub ncon: Vec<u32>,
    pub start: SequenceStart,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SequenceStart {
    pub qpos9: [f64; 9],
}

/// `osc_pointwise.json`.
#[derive(Debug, Deserialize)]
pub(crate) struct PointwiseFile {
    pub samples: Vec<PointwiseSample>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PointwiseSample {
    pub q: [f64; 7],
    pub qd: [f64; 7],
    pub finger_q: [f64; 2],
    pub finger_qd: [f64; 2],
    pub goal_pos: [f64; 3],
    pub goal_ori: [f64; 9],
    pub ee_pos: [f64; 3],
    /// 6 x 7, rows first.
    #[serde(rename = "J")]
    pub jacobian: Vec<f64>,
    /// 7 x 7, rows first.
    #[serde(rename = "M")]
    pub mass: Vec<f64>,
    pub bias: [f64; 7],
    pub tau_unclipped: [f64; 7],
}

/// A file with one entry per suite and task.
#[derive(Debug, Deserialize)]
pub(crate) struct BySuite<T> {
    pub suites: BTreeMap<String, BTreeMap<String, T>>,
}

/// `settle.json`.
#[derive(Debug, Deserialize)]
pub(crate) struct SettleTask {
    pub runs: Vec<SettleRun>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SettleRun {
    pub init: usize,
    pub t10: SettledState,
    pub t100: SettledState,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SettledState {
    /// By joint name: free joints are `OBJECT_joint0`, others `INSTANCE_JOINT`.
    pub obj: BTreeMap<String, JointState>,
}

/// Position of a joint: a pose for a free one.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum JointState {
    Pose([f64; 7]),
    Scalar(f64),
}

/// `init_states.json`.
#[derive(Debug, Deserialize)]
pub(crate) struct InitTask {
    pub states: Vec<InitRecord>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct InitRecord {
    pub robot_qpos: [f64; 7],
    pub gripper_qpos: [f64; 2],
    pub objects: BTreeMap<String, [f64; 7]>,
    /// By `INSTANCE_JOINT`.
    pub joints: BTreeMap<String, f64>,
    pub fixtures: BTreeMap<String, [f64; 7]>,
}

/// `suites.json`.
#[derive(Debug, Deserialize)]
pub(crate) struct SuitesFile {
    pub suites: BTreeMap<String, Vec<SuiteEntry>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SuiteEntry {
    pub bddl_file: String,
}

/// `grasp.json`.
#[derive(Debug, Deserialize)]
pub(crate) struct GraspFile {
    pub tasks: Vec<GraspTask>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct GraspTask {
    pub suite: String,
    pub task_id: usize,
    pub variant: String,
    pub episodes: Vec<GraspEpisode>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct GraspEpisode {
    pub init: usize,
    pub action: Vec<[f64; 7]>,
    /// Grip site at the start of the last physics step of each control step.
    pub eef_pos: Vec<[f64; 3]>,
    pub goal: Vec<Vec<u8>>,
    pub obj: BTreeMap<String, Vec<[f64; 7]>>,
    pub ok: bool,
}

/// `predicates.json`.
#[derive(Debug, Deserialize)]
pub(crate) struct PredicateFile {
    pub records: Vec<PredicateRecord>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PredicateRecord {
    pub suite: String,
    pub task_id: usize,
    pub predicate: Vec<String>,
    #[serde(default)]
    pub site_size: Option<[f64; 3]>,
    /// Full names of the joints that are swept together.
    #[serde(default)]
    pub joints: Option<Vec<String>>,
    pub samples: Vec<PredicateSample>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PredicateSample {
    pub goal: bool,
    #[serde(default)]
    pub obj_pos: Option<[f64; 3]>,
    #[serde(default)]
    pub obj_quat_wxyz: Option<[f64; 4]>,
    #[serde(default)]
    pub target_pos: Option<[f64; 3]>,
    #[serde(default)]
    pub target_quat_wxyz: Option<[f64; 4]>,
    #[serde(default)]
    pub contact: Option<bool>,
    #[serde(default)]
    pub contact_with_parent: Option<bool>,
    #[serde(default)]
    pub site_pos: Option<[f64; 3]>,
    #[serde(default)]
    pub site_mat: Option<[f64; 9]>,
    /// Position of the drawer that carries the region, m.
    #[serde(default)]
    pub slide_q: Option<[f64; 1]>,
    #[serde(default)]
    pub q: Option<f64>,
}

/// A body with explicit inertia (`objects.json`, `robot.json`).
#[derive(Debug, Deserialize)]
pub(crate) struct BodyRecord {
    pub name: String,
    pub parent: String,
    pub pos: [f64; 3],
    pub quat_wxyz: [f64; 4],
    pub mass: f64,
    pub inertia_diag: [f64; 3],
    pub ipos: [f64; 3],
    pub iquat_wxyz: [f64; 4],
}

/// A joint; in `robot.json` without its body, which is the link of the same number.
#[derive(Debug, Deserialize)]
pub(crate) struct JointRecord {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub body: Option<String>,
    pub axis: [f64; 3],
    pub range: [f64; 2],
    pub damping: f64,
    pub frictionloss: f64,
    pub armature: f64,
}

/// `robot.json` and each entry of `objects.json`.
#[derive(Debug, Deserialize)]
pub(crate) struct ModelRecord {
    pub bodies: Vec<BodyRecord>,
    #[serde(default)]
    pub joints: Vec<JointRecord>,
}

/// `objects.json`.
#[derive(Debug, Deserialize)]
pub(crate) struct ObjectsFile {
    pub objects: BTreeMap<String, ModelRecord>,
}
