//! Ties simulation, tasks, policies and reports together: episodes, the runner, replay, video and the
//! command line. The trainer and the viewer call this library; `main.rs` only hands over to [`cli`].
//!
//! An episode is a function of (suite, task, initial state, seed, weights) alone. Everything measured
//! with a clock is kept apart from it.

mod bench;
pub mod cli;
mod driver;
mod episode;
mod error;
mod fingerprint;
mod journal;
mod mind;
mod observe;
mod parity;
mod pool;
mod protocol;
mod replay;
mod run_folder;
mod runner;
mod sources;
mod video;

pub use bitvla_tasks::WORLD_VERSION;

pub use bench::{BenchPlan, BenchReport, Model, bench, bench_table};
pub use driver::{Driver, Garage, PolicyKind, PolicySpec, memory_of};
pub use episode::{Outcome, SETTLE_ACTION, Stage, run_episode};
pub use error::EvalError;
pub use fingerprint::{
    machine, peak_resident_bytes, resident_bytes, sha256_of_file, sha256_of_tree,
};
pub use journal::{Entry, Journal};
pub use mind::{Decision, Indecision, Mind, Query};
pub use observe::{Eyes, View, axis_angle, proprio};
pub use parity::{
    ParityPlan, ParityProgress, ParityReport, SUITES as PARITY_SUITES, Section, parity,
};
pub use pool::in_parallel;
pub use protocol::{CHUNK_LENGTH, LiberoFiles, check_world, protocol};
pub use replay::{Replayed, replay};
pub use run_folder::RunFolder;
pub use runner::{Progress, RunPlan, RunResult, run};
pub use sources::{Opened, SourceArgs, Sources};
pub use video::record_video;
