//! What every policy is to the runner: observation in, action chunk out.

use crate::PolicyError;
use std::time::Duration;

/// Side of the square camera images handed to a policy, pixels.
pub const CAMERA_SIZE: usize = 256;

/// What a policy may look at: fact sheet of LIBERO, section 5 and 9.
#[derive(Debug, Clone)]
pub struct Observation<'a> {
    /// Agentview, 256 x 256 x 3 RGB, row-major, both axes of the raw buffer flipped (as policies see it).
    pub agentview: &'a [u8],
    /// Eye-in-hand camera, same layout.
    pub wrist: &'a [u8],
    /// Proprioception: end-effector position (3, m, world), axis-angle (3, rad), finger positions (2, m).
    pub proprio: [f64; 8],
    /// The instruction in words.
    pub instruction: &'a str,
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
}

impl PhaseTimes {
    /// Whole query.
    pub fn total(&self) -> Duration {
        self.preprocessing + self.vision + self.language + self.head
    }
}

/// A chunk of actions in environment convention (dx, dy, dz, drx, dry, drz in [-1, 1]; gripper -1 open, +1 close).
#[derive(Debug, Clone, PartialEq)]
pub struct ActionChunk {
    /// Actions in order of execution.
    pub actions: Vec<[f64; 7]>,
    /// Where the time went.
    pub times: PhaseTimes,
}

/// Memory of a policy by what it is spent on, bytes.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MemoryLedger {
    /// `(tensor class, encoding, bytes)`, for example `("language linears", "ternary 2-bit", 123456)`.
    pub weights: Vec<(String, String, u64)>,
    /// Activation buffers.
    pub activations: u64,
}

/// A policy that turns observations into action chunks. Implementations are pure: the same observation
/// gives the same bytes whatever was asked before, so that one instance per worker is as good as one for all.
pub trait Policy: Send {
    /// Short name for tables, for example `ternary`.
    fn name(&self) -> &str;
    /// Answers one query.
    ///
    /// # Errors
    /// When the observation does not fit the policy or an action is not finite.
    fn query(&mut self, observation: &Observation<'_>) -> Result<ActionChunk, PolicyError>;
    /// What the weights and activations take.
    fn memory(&self) -> MemoryLedger;
}
