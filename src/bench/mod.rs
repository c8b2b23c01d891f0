//! Latency and memory of a whole query, from camera frames to actions: of a checkpoint, opened as the registry opens it, or
//! of a synthetic network at the size of a published model, filled from a seed (time and memory do not depend on the values
//! of the weights).

mod tables;
mod target;
mod timed_queries;

pub use tables::{bench_table, comparison_table};
pub use target::prepare;
pub use timed_queries::bench;

use crate::PolicySpec;
use bitvla_policies::kernels::peak::PeakThroughput;
use bitvla_policies::synthetic::SyntheticWeights;
use bitvla_policies::weights::WeightEncoding;
use bitvla_policies::{Engine, WeightFormat};
use bitvla_reports::{EnergyReport, MachineInfo, MemoryReport};
use serde::{Deserialize, Serialize};

/// Networks whose sizes are built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum BenchModel {
    /// BitVLA as published, 3 billion parameters
    #[value(name = "bitvla-3b")]
    BitVla3b,
    /// OpenVLA-OFT, 7.7 billion parameters
    #[value(name = "openvla-oft-7b")]
    OpenVlaOft7b,
}

impl BenchModel {
    /// Name as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            BenchModel::BitVla3b => "bitvla-3b",
            BenchModel::OpenVlaOft7b => "openvla-oft-7b",
        }
    }
}

/// Plan of a measurement.
#[derive(Debug, Clone)]
pub struct BenchPlan {
    /// Sizes of a synthetic network.
    pub model: BenchModel,
    /// Weight format.
    pub format: WeightFormat,
    /// Encoding of the weights that are not quantised.
    pub stored: WeightEncoding,
    /// Library that computes the network.
    pub engine: Engine,
    /// A checkpoint instead of synthetic weights.
    pub checkpoint: Option<PolicySpec>,
    /// Threads of a query.
    pub threads: usize,
    /// Queries that are timed, after one that is not.
    pub queries: usize,
    /// Seed of synthetic weights.
    pub seed: u64,
}

impl BenchPlan {
    pub(crate) fn source(&self) -> SyntheticWeights {
        SyntheticWeights {
            seed: self.seed,
            stored: self.stored,
        }
    }
}

/// Time of one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseRow {
    /// Name.
    pub phase: String,
    /// Median over the queries, ms.
    pub median_ms: f64,
}

/// Result of a measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchReport {
    /// Name of the model, or path of the checkpoint.
    pub model: String,
    /// Name of the weight format.
    pub policy: String,
    /// Arithmetic of the weights, see [`WeightFormat::arithmetic`].
    pub arithmetic: String,
    /// Library that computes the network.
    #[serde(default)]
    pub engine: String,
    /// `synthetic` or `checkpoint`.
    pub weights: String,
    /// `bf16` or `f32`: encoding of what is not quantised in synthetic weights; `checkpoint`: as the file stores it.
    pub stored: String,
    /// Instruction set of the kernels.
    pub isa: String,
    /// Threads of a query.
    pub threads: usize,
    /// Tokens of a query.
    pub tokens: usize,
    /// From the start of loading to the first query, ms.
    pub start_ms: f64,
    /// The first query, which pages the weights in, ms.
    pub first_ms: f64,
    /// Median of the others, ms.
    pub query_ms: f64,
    /// Phases of the query.
    pub phases: Vec<PhaseRow>,
    /// The same time by kind of work; empty for an engine that keeps no account.
    pub work: Vec<PhaseRow>,
    /// Throughput of the linear layers, 10^9 operations a second on all threads, if the engine keeps account.
    pub linear_gops: Option<f64>,
    /// Measured peak of the processor, all threads.
    pub peak: PeakThroughput,
    /// Time of the products at the peak, ms.
    pub floor_ms: f64,
    /// Query divided by floor; median of the queries, each with the peak around it.
    pub ratio: f64,
    /// Memory by class of tensors.
    pub memory: MemoryReport,
    /// Energy of a query.
    #[serde(default)]
    pub energy: EnergyReport,
    /// Machine.
    pub machine: MachineInfo,
}
