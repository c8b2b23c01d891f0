//! Ties simulation, tasks, policies and reports together: episodes, the runner, replay, video and the
//! command line. The trainer and the viewer call this library; `main.rs` only hands over to [`cli`].
//!
//! An episode is a function of (suite, task, initial state, seed, weights) alone. Everything measured
//! with a clock is kept apart from it.

mod agent;
mod asset_resolver;
mod bench;
pub mod cli;
mod episode;
mod error;
mod executor;
mod journal;
mod observation;
mod protocol;
mod provenance;
mod replay_check;
mod run_folder;
mod runner;
mod video;

pub use bitvla_tasks::{SETTLE_ACTION, WORLD_VERSION, in_parallel};

pub use agent::{Agent, PolicyKind, PolicyLoader, PolicySpec, memory_of};
pub use asset_resolver::{AssetArgs, AssetResolver, LoadedSuite};
pub use bench::{BenchPlan, BenchReport, Model, bench, bench_table};
pub use episode::{EpisodeOutcome, EvalContext, run_episode};
pub use error::EvalError;
pub use executor::{ActError, ActionChunkExecutor, Decision, PolicyQuery};
pub use journal::{Journal, JournalEntry};
pub use observation::{CameraImages, CameraRig, axis_angle, proprio};
pub use protocol::{CHUNK_LENGTH, LiberoFiles, check_world, protocol};
pub use provenance::{
    machine, peak_resident_bytes, resident_bytes, sha256_of_file, sha256_of_tree,
};
pub use replay_check::{ReplayResult, replay};
pub use run_folder::RunFolder;
pub use runner::{RunPlan, RunProgress, RunResult, run};
pub use video::record_video;
