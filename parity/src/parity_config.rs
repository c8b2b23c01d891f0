//! Settings of a comparison and its progress.

use crate::Quantity;
use std::path::PathBuf;

/// Suites with recorded initial states, in the order of reports.
pub const SUITES: [&str; 4] = [
    "libero_spatial",
    "libero_object",
    "libero_goal",
    "libero_10",
];

/// Settings of a comparison.
#[derive(Debug, Clone)]
pub struct ParityConfig {
    /// LIBERO checkout with the BDDL files.
    pub libero: PathBuf,
    /// Folder of the recorded MuJoCo runs.
    pub reference: PathBuf,
    /// Folder of the recorded images; `None` for `images` beside the runs.
    pub images: Option<PathBuf>,
    /// Quantities to compare.
    pub quantities: Vec<Quantity>,
    /// Suites to compare, some of [`SUITES`].
    pub suites: Vec<String>,
    /// Largest number of episodes per task.
    pub episodes: usize,
    /// Object categories whose pixels are masked in the comparison of images.
    pub exclude: Vec<String>,
    /// Folder for the rendered camera images; `None` to write none.
    pub frames: Option<PathBuf>,
    /// Number of worker threads; never changes a result.
    pub jobs: usize,
}

/// Progress of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParityProgress {
    /// Quantity that is being measured.
    pub quantity: Quantity,
    /// Number of its items that are done.
    pub done: usize,
    /// Number of its items.
    pub total: usize,
}
