//! The gate: success, latency and memory against a committed baseline.

mod baseline;
mod costs;
mod output;
mod plan;
mod verdict;

pub use baseline::{
    BASELINE_VERSION, Baseline, Check, Flip, RecordedEpisode, SuiteBaseline, TaskBaseline,
};
pub use costs::{Cost, CostResult, CostRule, LatencyBaseline, TaskLatency};
pub use plan::{ExpectedPairs, episodes_needed, plan_table, verdict_probability};
pub use verdict::{GateInput, GateResult, GateRule, Judgement, Verdict, judge};
