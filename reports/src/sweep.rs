//! Success of policies at several simulated latencies.

use crate::{Score, TextTable, format_number, format_percent};

/// Success at one latency.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepPoint {
    /// Simulated latency of a query, ms.
    pub latency_ms: f64,
    /// Score of its episodes.
    pub score: Score,
}

/// Points of a policy in order of latency.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepLine {
    /// Name of the policy.
    pub policy: String,
    /// The points.
    pub points: Vec<SweepPoint>,
}

/// Success against latency.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// One line per policy.
    pub lines: Vec<SweepLine>,
    /// Latencies to mark, ms, with their names.
    pub marks: Vec<(String, f64)>,
}

impl Sweep {
    /// Returns a row per policy and latency, with Wilson's interval; rates in percent.
    pub fn table(&self) -> TextTable {
        let header = ["policy", "latency_ms", "success", "rate", "low", "high"];
        let mut table = TextTable::new(&header);
        for line in &self.lines {
            for SweepPoint { latency_ms, score } in &line.points {
                let percent = |rate: f64| format_percent(rate, 1);
                table.push([
                    line.policy.clone(),
                    format_number(*latency_ms),
                    format!("{}/{}", score.successes, score.completed),
                    percent(score.rate()),
                    percent(score.interval.low),
                    percent(score.interval.high),
                ]);
            }
        }
        table
    }
}
