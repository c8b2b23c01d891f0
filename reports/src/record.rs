//! Records of a run: one row per episode and one row per policy query.

use serde::{Deserialize, Serialize};

/// Result of one episode. Every field depends only on suite, task, initial state, seed and weights,
/// never on the clock, the order of episodes or the number of workers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpisodeRecord {
    /// Name of the suite, for example `spatial`.
    pub suite: String,
    /// Index of the task in its suite.
    pub task: usize,
    /// Instruction given to the policy.
    pub instruction: String,
    /// Index of the stored initial state.
    pub init: usize,
    /// Seed of the run.
    pub seed: u64,
    /// Name of the policy.
    pub policy: String,
    /// Arithmetic of its matrix products: `native-packed` (the packed codes, in integers), `dequantised` (packed in
    /// memory, widened for every product), `simulated`, `dense`, or `none`.
    #[serde(default)]
    pub arithmetic: String,
    /// True if the goal held at some step within the horizon.
    pub success: bool,
    /// Control steps after settling: up to and including the first one at which the goal held.
    pub steps: usize,
    /// Number of policy queries.
    pub queries: usize,
    /// Hash of the final physical state, hexadecimal.
    pub state_hash: String,
    /// Harness error that ended the episode (then `success` is false); empty for a completed one.
    pub error: String,
}

impl EpisodeRecord {
    /// Returns the sort key of all tables: task, then initial state.
    pub fn key(&self) -> (usize, usize) {
        (self.task, self.init)
    }

    /// Returns true if the episode ran to its end.
    pub fn completed(&self) -> bool {
        self.error.is_empty()
    }
}

/// Wall-clock time of one policy query by phase, ms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct QueryRecord {
    /// Index of the task in its suite.
    pub task: usize,
    /// Index of the stored initial state.
    pub init: usize,
    /// Number of the query in its episode, from 0.
    pub query: usize,
    /// Rendering both cameras (not part of the policy's latency), ms.
    pub render_ms: f64,
    /// Image resize, crop, normalisation and tokenisation, ms.
    pub preprocessing_ms: f64,
    /// Vision tower and connector, ms.
    pub vision_ms: f64,
    /// Language model, ms.
    pub language_ms: f64,
    /// Action head and un-normalisation, ms.
    pub head_ms: f64,
    /// Answering by a policy server, as the server says, ms; 0 for a policy of the program.
    #[serde(default)]
    pub server_ms: f64,
    /// The rest of the time until a server's answer, ms; 0 for a policy of the program.
    #[serde(default)]
    pub network_ms: f64,
    /// Index of the setup that it was measured in, see [`RunManifest::setups`](crate::RunManifest::setups).
    #[serde(default)]
    pub setup: usize,
    /// Processor time of all phases but rendering, ms; `None` where the system does not tell, or where the query has several
    /// threads.
    #[serde(default)]
    pub processor_ms: Option<f64>,
    /// Processor time of the reference computation before the episode, ms: a fixed number of products in registers, the yardstick of
    /// a machine whose clock changes.
    #[serde(default)]
    pub reference_ms: Option<f64>,
}

impl QueryRecord {
    /// Returns the policy's latency: all phases but rendering, ms.
    pub fn total_ms(&self) -> f64 {
        let local = self.preprocessing_ms + self.vision_ms + self.language_ms + self.head_ms;
        local + self.server_ms + self.network_ms
    }

    /// Returns the processor time of the query as a multiple of that of the reference computation.
    pub fn processor_ratio(&self) -> Option<f64> {
        let (query, reference) = (self.processor_ms?, self.reference_ms?);
        (reference > 0.0).then_some(query / reference)
    }

    /// Returns the latency of the query as a multiple of the processor time of the reference computation.
    pub fn wall_ratio(&self) -> Option<f64> {
        let reference = self.reference_ms.filter(|reference| *reference > 0.0)?;
        Some(self.total_ms() / reference)
    }
}
