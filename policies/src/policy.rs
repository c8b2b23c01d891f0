//! The policy trait: observation in, action chunk out.

use crate::weights::WeightBytes;
use crate::{PolicyError, PolicyProtocol};
use std::time::Duration;

/// Side of the square frames of the published protocol, pixels.
pub const CAMERA_SIZE: usize = 256;

/// Names of the cameras of an observation, in the order in which policies take them.
pub const CAMERAS: [&str; 2] = ["agentview", "eye_in_hand"];

/// Numbers of the proprioception of an observation.
pub const PROPRIO_DIM: usize = 8;

/// One control step as a policy sees it (`docs/reference/libero.md`, sections 5 and 9).
#[derive(Debug, Clone)]
pub struct Observation<'a> {
    /// Agentview, `camera_size` x `camera_size` x 3 RGB, row-major, in the orientation that the policy's protocol names.
    pub agentview: &'a [u8],
    /// Eye-in-hand camera, same layout.
    pub wrist: &'a [u8],
    /// Proprioception: end-effector position (3, m, world), axis-angle (3, rad), finger positions (2, m).
    pub proprio: [f64; PROPRIO_DIM],
    /// The instruction in words.
    pub instruction: &'a str,
}

impl<'a> Observation<'a> {
    /// Frames in the order of [`CAMERAS`].
    pub fn frames(&self) -> [&'a [u8]; CAMERAS.len()] {
        [self.agentview, self.wrist]
    }
}

/// Time spent in the phases of one query.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PhaseTimes {
    /// Image resize, crop and normalisation, tokenisation.
    pub preprocessing: Duration,
    /// Vision tower and connector.
    pub vision: Duration,
    /// Language model.
    pub language: Duration,
    /// Action head and un-normalisation.
    pub head: Duration,
    /// Answering by a policy server, as the server says; zero for a policy of this process.
    pub server: Duration,
    /// The rest of the time until a server's answer: encoding, network, decoding; zero for a policy of this process.
    pub network: Duration,
}

impl PhaseTimes {
    /// Whole query.
    pub fn total(&self) -> Duration {
        let local = self.preprocessing + self.vision + self.language + self.head;
        local + self.server + self.network
    }
}

/// A chunk of actions in environment convention (dx, dy, dz, drx, dry, drz in [-1, 1]; gripper -1 open, +1 close).
#[derive(Debug, Clone, PartialEq)]
pub struct ActionChunk {
    /// Actions in order of execution.
    pub actions: Vec<[f64; 7]>,
    /// Time of the phases of the query.
    pub times: PhaseTimes,
}

/// Class of the ledger for what is computed from positions, which is no part of a checkpoint.
pub(crate) const ROTARY_TABLES: &str = "rotary tables";

/// Memory of one class of tensors in one encoding.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MemoryEntry {
    /// Class of tensors, for example `language linears`.
    pub class: String,
    /// Encoding in memory, for example `ternary 2-bit`.
    pub encoding: String,
    /// Size, bytes.
    pub bytes: u64,
    /// Part of it in a mapped file, bytes.
    pub mapped: u64,
    /// Part of it that is in memory once a query has been answered, bytes.
    pub resident: u64,
}

/// Memory of a policy: weights by class and encoding, and activations.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MemoryLedger {
    /// Weights by class and encoding.
    pub weights: Vec<MemoryEntry>,
    /// Activation buffers, bytes.
    pub activations: u64,
}

impl MemoryLedger {
    fn entry(&mut self, class: &str, encoding: &str) -> &mut MemoryEntry {
        let same = |e: &MemoryEntry| e.class == class && e.encoding == encoding;
        let at = self.weights.iter().position(same).unwrap_or_else(|| {
            self.weights.push(MemoryEntry {
                class: class.into(),
                encoding: encoding.into(),
                bytes: 0,
                mapped: 0,
                resident: 0,
            });
            self.weights.len() - 1
        });
        &mut self.weights[at]
    }

    /// Counts bytes of our own.
    pub(crate) fn add_owned(&mut self, class: &str, encoding: &str, bytes: usize) {
        if bytes > 0 {
            let entry = self.entry(class, encoding);
            entry.bytes += bytes as u64;
            entry.resident += bytes as u64;
        }
    }

    /// Counts bytes, mapped or not; mapped ones are touched whole.
    pub(crate) fn add(&mut self, class: &str, encoding: &str, bytes: &WeightBytes) {
        self.add_owned(class, encoding, bytes.len());
        if let WeightBytes::Mapped(..) = bytes {
            self.entry(class, encoding).mapped += bytes.len() as u64;
        }
    }

    /// Counts bytes that stay in a file and are read in small parts.
    pub(crate) fn add_filed(&mut self, class: &str, encoding: &str, bytes: usize) {
        let entry = self.entry(class, &format!("{encoding}, read by row"));
        entry.bytes += bytes as u64;
    }

    /// All weights, bytes.
    pub fn weight_bytes(&self) -> u64 {
        self.weights.iter().map(|entry| entry.bytes).sum()
    }

    /// Weights in memory and activations, bytes.
    pub fn resident(&self) -> u64 {
        self.weights.iter().map(|entry| entry.resident).sum::<u64>() + self.activations
    }
}

/// A policy that turns observations into action chunks. Implementations are pure: the same observation gives the same
/// bytes whatever was asked before, so that one instance per worker is as good as one for all.
///
/// ```
/// use bitvla_policies::{
///     ActionChunk, MemoryLedger, Observation, PhaseTimes, Policy, PolicyError, PolicyProtocol,
/// };
///
/// /// Moves nothing and keeps the gripper open.
/// struct HoldStill;
///
/// impl Policy for HoldStill {
///     fn name(&self) -> &str {
///         "hold-still"
///     }
///     fn arithmetic(&self) -> &str {
///         "none"
///     }
///     fn query(&mut self, _: &Observation<'_>) -> Result<ActionChunk, PolicyError> {
///         let still = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0];
///         Ok(ActionChunk {
///             actions: vec![still; self.protocol().chunk_length],
///             times: PhaseTimes::default(),
///         })
///     }
///     fn memory(&self) -> MemoryLedger {
///         MemoryLedger::default()
///     }
///     fn protocol(&self) -> PolicyProtocol {
///         PolicyProtocol {
///             chunk_length: 1,
///             executed_steps: 1,
///             ..PolicyProtocol::default()
///         }
///     }
/// }
///
/// let observation = Observation { agentview: &[], wrist: &[], proprio: [0.0; 8], instruction: "wait" };
/// let chunk = HoldStill.query(&observation)?;
/// assert_eq!(chunk.actions, [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0]]);
/// # Ok::<(), PolicyError>(())
/// ```
pub trait Policy: Send {
    /// Short name for tables, for example `ternary`.
    fn name(&self) -> &str;
    /// Arithmetic of its products, see [`crate::WeightFormat::arithmetic`].
    fn arithmetic(&self) -> &str;
    /// Answers one query.
    ///
    /// # Errors
    /// Fails if the observation does not fit the policy or an action is not finite.
    fn query(&mut self, observation: &Observation<'_>) -> Result<ActionChunk, PolicyError>;
    /// Memory of weights and activations.
    fn memory(&self) -> MemoryLedger;
    /// Inputs that it takes and outputs that are executed, computed from what runs.
    fn protocol(&self) -> PolicyProtocol;
}
