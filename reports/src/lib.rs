//! What was seen: episode records, their statistics, the files of a run, tables and plots.
//!
//! A run folder holds `episodes.csv` (deterministic columns only), `latency.csv` (wall-clock times),
//! `actions.bin` (what the robot was told, bit for bit), `run.json` (the protocol card), `summary.txt`
//! and `plots/`. This crate knows nothing of robots, physics or networks: it is given numbers and
//! words, and it writes the same bytes for the same numbers and words.

mod actions;
mod error;
mod files;
mod manifest;
mod parity;
mod plots;
mod record;
mod stats;
mod summary;
mod tables;

pub use actions::{EpisodeActions, from_hex, read_actions, to_hex, write_actions};
pub use error::ReportError;
pub use files::{
    read_episodes, read_latency, read_manifest, write_episodes, write_latency, write_manifest,
    write_text,
};
pub use manifest::{EvalProtocol, MachineInfo, MemoryReport, RunManifest, WeightMemory};
pub use parity::{Figure, Table, Target, figures_table, number};
pub use plots::{
    Chart, CurvePoint, CurveStage, Line, Plot, write_chart, write_plots, write_training_curves,
};
pub use record::{EpisodeRecord, QueryRecord};
pub use stats::{Interval, median, quantile, wilson};
pub use summary::{LatencySummary, PhaseSummary, Score, TaskSummary, summarise, summarise_latency};
pub use tables::{bytes_in_words, latency_table, memory_table, success_table, suites_table};
