//! Manifest of a run: its protocol (everything two results must agree on to be comparable, field by field) and
//! everything measured once per run.

use crate::EnergyReport;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Version of the layout of `run.json` and `journal.jsonl` that this program writes. Version 1 is that of files without
/// one: it lacks the fields of [`EvalProtocol`] with a default; version 2 lacks the setups and the checksums of the journal,
/// version 3 the hashes of states and frames, version 4 the hash of the sources. All are read; newer versions are refused.
pub const SCHEMA_VERSION: u32 = 5;

/// Inputs that the outcome of an episode depends on, besides task and initial state. A run folder holds
/// episodes of exactly one protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvalProtocol {
    /// Version of this program.
    pub version: String,
    /// Simulator that ran the episodes: [`OWN_WORLD`], or another one whose results were imported, for example `mujoco 2.3.7`.
    #[serde(default = "own_world")]
    pub world: String,
    /// Version of the simulated world, 0 for an imported run; cards from before it was written are of world version 1.
    #[serde(default = "first_world")]
    pub world_version: u32,
    /// Name of the suite.
    pub suite: String,
    /// Origin of the instructions that the policy is given, for example `name of the BDDL file`; several are separated by
    /// commas.
    #[serde(default)]
    pub instruction_source: String,
    /// Name of the policy.
    pub policy: String,
    /// Seed of the run.
    pub seed: u64,
    /// Control steps an episode may take after settling.
    pub horizon: usize,
    /// Control steps with the settling action before the first action of the policy.
    pub settle_steps: usize,
    /// The settling action.
    pub settle_action: [f64; 7],
    /// Actions that the policy answers a query with.
    pub chunk_length: usize,
    /// Actions of an answer that are executed before the next query.
    #[serde(default)]
    pub executed_steps: usize,
    /// Control frequency, Hz.
    pub control_hz: f64,
    /// Cameras whose images the policy gets, in its order; empty for a policy without cameras.
    pub cameras: Vec<String>,
    /// Side of the square camera images, pixels.
    pub camera_size: usize,
    /// Side of the square input image of the network, pixels; 0 without cameras.
    #[serde(default)]
    pub network_image_size: usize,
    /// Orientation of the images for the policy.
    pub flip: String,
    /// True if the policy's preprocessing encodes and decodes images as JPEG.
    #[serde(default)]
    pub jpeg_round_trip: bool,
    /// Crop applied by the policy's preprocessing.
    pub crop: String,
    /// Filter of the resize from `camera_size` to `network_image_size`.
    #[serde(default)]
    pub resize_filter: String,
    /// Rule that turns the end-effector orientation into three numbers.
    pub quaternion_rule: String,
    /// Key of the statistics that (un)normalise proprioception and actions.
    pub normaliser_key: String,
    /// Encoding of each class of tensors; empty for a policy without weights.
    #[serde(default)]
    pub precision: BTreeMap<String, String>,
    /// Classes of tensors with weights of more than two bits.
    #[serde(default)]
    pub above_2_bits: Vec<String>,
    /// Arithmetic of the weights: `native-packed`, `dequantised`, `simulated`, `dense` or `none`.
    #[serde(default)]
    pub arithmetic: String,
    /// Library that computes the network: `native`, `candle` or `none`.
    #[serde(default)]
    pub engine: String,
    /// Replacement of a part of every observation, for a sanity check; `none` without one.
    #[serde(default = "no_replacement")]
    pub sanity: String,
    /// Standard deviation of the noise in the motions of an answer, in units of actions; 0 without noise.
    #[serde(default)]
    pub action_noise: f64,
    /// Simulated latency of the queries of an episode, ms, repeated from the beginning; empty for none.
    #[serde(default)]
    pub latency_ms: Vec<f64>,
    /// Change of every episode, one text per axis (`camera:yaw=30.0`); empty for the suite as it is.
    #[serde(default)]
    pub perturbation: Vec<String>,
    /// Name of the robot model.
    #[serde(default)]
    pub robot_model: String,
    /// Settings of the simulated world by group: step lengths, solver, controller, gripper, bodies, joints.
    #[serde(default)]
    pub simulation: BTreeMap<String, serde_json::Value>,
    /// Rule that decides success.
    pub success_rule: String,
    /// sha256 of the files of the suite and of everything else under `assets/` but checkpoints.
    pub assets_sha256: String,
    /// sha256 of LIBERO's files by kind (`bddl`, `init`, `assets`; `robosuite` and `fixtures` if they were given); empty
    /// for a suite that is not LIBERO's. Without `fixtures` their poses are those that LIBERO's evaluation draws.
    #[serde(default)]
    pub libero_sha256: BTreeMap<String, String>,
    /// sha256 of every file that the policy reads (of a checkpoint, of a recording), by file name.
    pub weights_sha256: BTreeMap<String, String>,
    /// sha256 of the sources that the program was built from, the same for every processor and system; empty in cards from before
    /// it was written.
    #[serde(default)]
    pub source_sha256: String,
}

/// Name of this program's own simulator in a protocol.
pub const OWN_WORLD: &str = "bitvla-eval";

/// Simulator of protocols from before runs could be imported.
fn own_world() -> String {
    OWN_WORLD.to_owned()
}

/// World version of protocols that do not name theirs.
fn first_world() -> u32 {
    1
}

/// Replacement in protocols from before there were sanity checks.
fn no_replacement() -> String {
    "none".to_owned()
}

impl EvalProtocol {
    /// True for a run of another simulator, whose results were imported: it has no actions, no states and no times.
    pub fn is_imported(&self) -> bool {
        self.world != OWN_WORLD
    }

    /// Names of the fields in which two protocols differ, with both values; of a field with parts, such as the hashes of files,
    /// the parts that differ. Hashes are cut to twelve digits.
    pub fn differences(&self, other: &EvalProtocol) -> Vec<String> {
        let json = |p: &EvalProtocol| serde_json::to_value(p).unwrap_or_default();
        let mut found = Vec::new();
        add_differences(&mut found, "", &json(self), &json(other));
        found
    }
}

fn add_differences(found: &mut Vec<String>, name: &str, ours: &Value, theirs: &Value) {
    if ours == theirs {
        return;
    }
    let (Value::Object(a), Value::Object(b)) = (ours, theirs) else {
        let (a, b) = (short_value(ours), short_value(theirs));
        found.push(format!("{name}: {a} against {b}"));
        return;
    };
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    for key in keys {
        let part = match name {
            "" => key.clone(),
            name => format!("{name}.{key}"),
        };
        let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
        add_differences(found, &part, &of(a), &of(b));
    }
}

/// A value as it is shown in a message: `nothing` for null, the first twelve digits of a sha256.
fn short_value(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(s) if s.len() == 64 && s.bytes().all(|b| b.is_ascii_hexdigit()) => {
            s[..12].to_owned()
        }
        other => other.to_string(),
    }
}

/// Machine that a run was measured on, and the program built for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineInfo {
    /// Name of the processor.
    pub processor: String,
    /// Instruction sets that matter for the kernels.
    pub features: Vec<String>,
    /// Logical cores.
    pub cores: usize,
    /// Operating system and architecture.
    pub system: String,
    /// sha256 of the program's file; empty in cards that name it elsewhere.
    #[serde(default)]
    pub binary_sha256: String,
}

/// What the time of a query depends on besides the protocol. Latencies of different setups are never pooled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasurementSetup {
    /// Name of the processor.
    pub processor: String,
    /// Instruction set of the kernels, as `BITVLA_ISA` names it.
    pub instruction_set: String,
    /// Threads of one query.
    pub threads: usize,
    /// Workers that ran episodes at the same time.
    pub jobs: usize,
}

impl std::fmt::Display for MeasurementSetup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let s = |n: usize| if n == 1 { "" } else { "s" };
        let MeasurementSetup {
            processor,
            instruction_set,
            threads,
            jobs,
        } = self;
        write!(
            f,
            "{instruction_set}, {threads} thread{}, {jobs} worker{}, {processor}",
            s(*threads),
            s(*jobs)
        )
    }
}

/// One row of the memory ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightMemory {
    /// Class of tensors, for example `language linears`.
    pub class: String,
    /// Encoding, for example `ternary 2-bit`.
    pub encoding: String,
    /// Size, bytes.
    pub bytes: u64,
    /// Of these, bytes in a mapped file.
    #[serde(default)]
    pub mapped: u64,
    /// Bytes that are in memory once a query has been answered.
    #[serde(default)]
    pub resident: u64,
}

/// Memory of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryReport {
    /// Weights of one policy instance by class and encoding.
    pub weights: Vec<WeightMemory>,
    /// Activation buffers of one policy instance, bytes.
    pub activation_bytes: u64,
    /// Policy instances that worked at the same time; they share the weights.
    #[serde(default)]
    pub instances: u64,
    /// Resident set of the process before the policy was loaded: program and libraries, bytes.
    #[serde(default)]
    pub program_bytes: u64,
    /// Largest resident set of the process (all workers, physics and images included), bytes; 0 where
    /// the system does not tell.
    pub peak_resident_bytes: u64,
}

impl MemoryReport {
    /// All weights of one policy instance, bytes.
    pub fn weight_bytes(&self) -> u64 {
        self.weights.iter().map(|row| row.bytes).sum()
    }

    /// Those that are in memory once a query has been answered, bytes.
    pub fn resident_weight_bytes(&self) -> u64 {
        self.weights.iter().map(|row| row.resident).sum()
    }

    /// Sum of the ledger, bytes: program, resident weights and activations of all instances, without simulation and
    /// images.
    pub fn accounted_bytes(&self) -> u64 {
        let activations = self.instances.max(1) * self.activation_bytes;
        self.program_bytes + self.resident_weight_bytes() + activations
    }
}

/// Schema version of files that do not name theirs.
fn first_schema() -> u32 {
    1
}

/// Returns the `schema_version` of a JSON object, 1 where it names none.
///
/// # Errors
/// If the text is no JSON object, or its version is no number or newer than [`SCHEMA_VERSION`]; other fields are not
/// read.
pub fn schema_version_of(json: &str) -> Result<u32, String> {
    #[derive(Deserialize)]
    struct Versioned {
        #[serde(default = "first_schema")]
        schema_version: u32,
    }
    let found: Versioned = serde_json::from_str(json).map_err(|e| e.to_string())?;
    match found.schema_version {
        version @ 1..=SCHEMA_VERSION => Ok(version),
        other => Err(format!(
            "schema version {other}, this program reads versions 1 to {SCHEMA_VERSION}"
        )),
    }
}

/// `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunManifest {
    /// Version of the layout, see [`SCHEMA_VERSION`].
    #[serde(default = "first_schema")]
    pub schema_version: u32,
    /// Inputs that the episodes depend on.
    pub protocol: EvalProtocol,
    /// Tasks that were run.
    pub tasks: Vec<usize>,
    /// Episodes per task: initial states 0 to one less.
    pub episodes: usize,
    /// Worker threads; changes the duration, never an episode.
    pub jobs: usize,
    /// Wall clock of the last call that added episodes, seconds.
    pub elapsed_secs: f64,
    /// Episodes that the last call took over from an earlier, interrupted one.
    pub resumed_episodes: usize,
    /// Machine.
    pub machine: MachineInfo,
    /// Setups in which queries were measured; rows of `latency.csv` name theirs by its index.
    #[serde(default)]
    pub setups: Vec<MeasurementSetup>,
    /// Memory.
    pub memory: MemoryReport,
    /// Energy.
    #[serde(default)]
    pub energy: EnergyReport,
}
