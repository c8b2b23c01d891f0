//! Episode records, their statistics, the files of a run, tables and plots.
//!
//! A run folder holds `episodes.csv` (deterministic columns only), `latency.csv` (wall-clock times),
//! `actions.bin` (executed actions, bit for bit), `hashes.bin` (states and frames), `run.json` (the protocol card), `summary.txt`
//! and `plots/`. This crate depends on no other crate of the workspace: it gets numbers and text, and it writes the same
//! bytes for the same numbers and text.

// Tests may unwrap and print; library code returns errors and leaves printing to the program.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::print_stdout))]

mod actions;
mod atomic_file;
mod binary;
mod compare;
mod energy;
mod error;
mod folder_lock;
mod format;
mod gate;
mod hashes;
mod html;
mod manifest;
mod markdown;
mod metrics;
mod plots;
mod record;
mod replay;
mod report;
mod robustness;
mod run_folder;
mod run_tables;
mod stats;
mod summary;
mod sweep;
mod terminal_text;
mod text_files;
mod text_table;
mod vla_eval;
mod world_agreement;

pub use actions::{EpisodeActions, from_digits, from_hex, read_actions, to_hex, write_actions};
pub use atomic_file::{StagedFile, check_regular, write_atomically};
pub use compare::{ComparedPolicy, Comparison, DiscordantEpisode, PairedResult};
pub use energy::{EnergyReport, MeasuredEnergy, QueryOperations, energy_table, format_joules};
pub use error::ReportError;
pub use folder_lock::{FolderLock, lock_for};
pub use format::{format_bytes, format_number, format_percent, format_value};
pub use gate::{
    BASELINE_VERSION, Baseline, Check, Cost, CostResult, CostRule, ExpectedPairs, Flip, GateInput,
    GateResult, GateRule, Judgement, LatencyBaseline, RecordedEpisode, SuiteBaseline, TaskBaseline,
    TaskLatency, Verdict, episodes_needed, judge, plan_table, verdict_probability,
};
pub use hashes::{EpisodeHashes, FrameHash, read_hashes, write_hashes};
pub use html::html_report;
pub use html::replay::WORKER as REPLAY_WORKER;
pub use manifest::{
    EvalProtocol, MachineInfo, MeasurementSetup, MemoryReport, OWN_WORLD, RunManifest,
    SCHEMA_VERSION, WeightMemory, schema_version_of,
};
pub use markdown::markdown_report;
pub use metrics::{Metric, Target, TargetOutcome, metrics_table};
pub use plots::{
    Chart, ChartLine, LossCurve, LossPoint, PlotFiles, write_agreement_plot, write_chart,
    write_comparison_plots, write_plots, write_robustness_plots, write_sweep_plot,
    write_training_curves,
};
pub use record::{EpisodeRecord, QueryRecord};
pub use replay::{Replay, ReplayEpisode};
pub use report::{EpisodeAnimation, PolicyVerdict, Report, RunCommands};
pub use robustness::{
    CellDistance, ExtraCost, Outcomes, PerturbedCell, PerturbedScore, ROBUSTNESS_FILE, Robustness,
    StateKey, outcomes_of,
};
pub use run_folder::RunFolder;
pub use run_tables::{latency_table, memory_table, success_table, suites_table};
pub use stats::{
    Interval, PairCounts, cluster_bootstrap, compact_letters, holm, largest, mcnemar_exact, mean,
    median, newcombe_paired, quantile, wilson,
};
pub use summary::{
    LatencySummary, PHASES, PhaseSummary, Score, TaskSummary, TimeOf, summarise, summarise_latency,
};
pub use sweep::{Sweep, SweepLine, SweepPoint};
pub use terminal_text::{TERMINAL_COLUMNS, printable, wrap};
pub use text_files::{
    read_episodes, read_json, read_latency, read_manifest, write_episodes, write_json,
    write_latency, write_manifest, write_text,
};
pub use text_table::TextTable;
pub use vla_eval::vla_eval_result;
pub use world_agreement::{
    AgreementCell, AgreementLevel, Estimate, TableEpisode, WorldAgreement, WorldOutcomes,
    mean_maximum_rank_violation, pearson, read_episode_table, read_outcomes,
};
