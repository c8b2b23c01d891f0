//! The gate: success against a committed baseline.

mod baseline;
mod output;
mod plan;
mod verdict;

pub use baseline::{
    BASELINE_VERSION, Baseline, Check, Flip, RecordedEpisode, SuiteBaseline, TaskBaseline,
};
pub use plan::{ExpectedPairs, episodes_needed, plan_table, verdict_probability};
pub use verdict::{GateInput, GateResult, GateRule, Judgement, Verdict, judge};
