//! Ties simulation, tasks, policies and reports together: episodes, the runner, replay, video and the
//! command line. The trainer and the viewer call this library; `main.rs` only hands over to [`cli`].
//!
//! An episode is a function of (suite, task, initial state, seed, weights) alone. Everything measured
//! with a clock is kept apart from it.

// Tests may unwrap and print; library code returns errors and leaves printing to the program.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::print_stdout))]

mod action_noise;
pub mod agent;
mod animation;
mod asset_resolver;
mod bench;
mod calibration;
pub mod cli;
mod dataset_recording;
mod energy_counter;
mod episode;
mod episode_pool;
mod error;
mod executor;
mod failure_phases;
mod journal;
mod journal_line;
mod merge;
mod observation;
mod perturbation_distance;
mod plus_suite;
mod policy_interface;
mod policy_server;
mod preflight;
mod protocol;
mod provenance;
mod query_operations;
mod query_watch;
mod replay_check;
mod replay_record;
mod run_diff;
mod run_folder;
mod run_import;
mod runner;
mod suite_perturbation;
mod video;

pub use bitvla_perturbations::{Perturbation, swept_axes};
pub use bitvla_reports::RunFolder;
pub use bitvla_tasks::{SETTLE_ACTION, WORLD_VERSION, in_parallel};

pub use action_noise::ActionNoise;
pub use agent::registry::{
    PACKED_FILE, PolicyName, PolicyOptions, PolicySpec, SanityCheck, memory_of,
};
pub use agent::{
    ActError, Agent, AgentFactory, AgentObservation, AgentOutput, AgentState, EpisodeStart,
    ErasedAgent, QueryTrace, SimulatedLatency, StepInput, one_action_per_step,
};
pub use animation::animate;
pub use asset_resolver::{AssetArgs, AssetResolver, LoadedSuite};
pub use bench::{BenchModel, BenchPlan, BenchReport, bench, bench_table, comparison_table};
pub use episode::{EpisodeOutcome, EvalContext, run_episode, sampled_world};
pub use episode_pool::RunContext;
pub use error::EvalError;
pub use executor::{ActionChunkExecutor, Decision, PolicyQuery};
pub use failure_phases::{FailedEpisode, FailurePhase, failure_phases};
pub use journal::Journal;
pub use journal_line::JournalEntry;
pub use merge::{MergedRun, merge};
pub use observation::{CameraImages, CameraRig, frame_hash, proprio};
pub use perturbation_distance::EpisodeBeginning;
pub use preflight::preflight;
pub use protocol::{
    LiberoFiles, SOURCE_SHA256, assets_sha256, check_world, protocol, simulation_protocol,
};
pub use provenance::{file_hashes, machine, sha256_of_file, sha256_of_tree};
pub use replay_check::{RecordedFrames, Recording, ReplayResult, replay};
pub use replay_record::ReplayRecord;
pub use run_diff::{EpisodeDifference, FirstDifference, RunDiff};
pub use run_folder::{open_any_run_folder, open_run_folder};
pub use run_import::{import, import_summary};
pub use runner::{RunPlan, RunProgress, RunResult, Shard, evaluate, run, run_until};
pub use suite_perturbation::{SuitePerturbation, parse_perturbation};
pub use video::record_video;
