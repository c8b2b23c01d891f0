//! Latency and memory of a run against its baseline. The time of a query counts as a multiple of the reference computation that the
//! same worker did before the same episode, so that a slower clock or a busy neighbour moves both; medians of the tasks are
//! paired, and their ratio has an interval under resampling of tasks.

use super::verdict::Verdict;
use crate::{
    Interval, MeasurementSetup, QueryRecord, RunFolder, TextTable, cluster_bootstrap, format_bytes,
    median,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rule of the gate for latency and memory.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CostRule {
    /// Growth of the processor time of a query that is a regression, a fraction of 1.
    pub latency_margin: f64,
    /// Growth of the weights that is a regression, a fraction of 1.
    pub weights_margin: f64,
}

impl Default for CostRule {
    /// 20 % of latency, 1 % of weights.
    fn default() -> CostRule {
        CostRule {
            latency_margin: 0.2,
            weights_margin: 0.01,
        }
    }
}

/// Latency of a suite in a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyBaseline {
    /// The setup with most queries, whose times these are.
    pub setup: MeasurementSetup,
    /// Medians by task.
    pub tasks: BTreeMap<usize, TaskLatency>,
}

/// Median latency of the queries of a task, as multiples of the processor time of the reference computation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskLatency {
    /// Processor time; `None` for a query of several threads.
    pub processor: Option<f64>,
    /// Wall-clock time.
    pub wall: f64,
}

impl LatencyBaseline {
    /// Latency of a run; `None` where it has no queries, or no reference was measured.
    pub(super) fn of(run: &RunFolder) -> Option<LatencyBaseline> {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for query in &run.queries {
            *counts.entry(query.setup).or_default() += 1;
        }
        let (most, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        let mut by_task: BTreeMap<usize, Vec<&QueryRecord>> = BTreeMap::new();
        for query in run.queries.iter().filter(|q| q.setup == most) {
            by_task.entry(query.task).or_default().push(query);
        }
        let mut tasks = BTreeMap::new();
        for (task, queries) in by_task {
            let of = |ratio: fn(&QueryRecord) -> Option<f64>| {
                let ratios: Option<Vec<f64>> = queries.iter().map(|q| ratio(q)).collect();
                median(&ratios?)
            };
            let latency = TaskLatency {
                processor: of(QueryRecord::processor_ratio),
                wall: of(QueryRecord::wall_ratio)?,
            };
            tasks.insert(task, latency);
        }
        Some(LatencyBaseline {
            setup: run.manifest.setups.get(most)?.clone(),
            tasks,
        })
    }

    /// Reason why times of this setup say nothing about times of another one.
    fn incomparable(&self, other: &LatencyBaseline) -> Option<String> {
        let key = |setup: &MeasurementSetup| {
            let MeasurementSetup {
                processor,
                instruction_set,
                threads,
                jobs: _,
            } = setup;
            (processor.clone(), instruction_set.clone(), *threads)
        };
        (key(&self.setup) != key(&other.setup)).then(|| {
            format!(
                "measured with {}, the baseline with {}",
                other.setup, self.setup
            )
        })
    }
}

/// What a policy costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cost {
    /// Processor time of a query, as a multiple of that of the reference computation.
    ProcessorTime,
    /// Wall-clock time of a query, as the same multiple.
    WallTime,
    /// Bytes of the weights of one instance.
    Weights,
}

impl Cost {
    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Cost::ProcessorTime => "query, processor time",
            Cost::WallTime => "query, wall time",
            Cost::Weights => "weights",
        }
    }
}

/// A cost of a suite against the baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CostResult {
    /// Suite.
    pub suite: String,
    /// Cost.
    pub cost: Cost,
    /// In the baseline: median over tasks, or bytes.
    pub baseline: f64,
    /// In the run.
    pub run: f64,
    /// Run divided by baseline: geometric mean over tasks, or of the bytes.
    pub ratio: f64,
    /// 95 % interval of the ratio under resampling of tasks; `None` with fewer than two.
    pub interval: Option<Interval>,
    /// Held, improved or regressed; `None` where it is reported but not judged.
    pub verdict: Option<Verdict>,
}

impl CostResult {
    /// Judges a ratio: a change counts where the whole interval is beyond the margin.
    fn judged(mut self, margin: f64) -> CostResult {
        let interval = self.interval.unwrap_or(Interval {
            low: self.ratio,
            high: self.ratio,
        });
        self.verdict = Some(match (interval.low, interval.high) {
            (low, _) if low > 1.0 + margin => Verdict::Regressed,
            (_, high) if high < 1.0 / (1.0 + margin) => Verdict::Improved,
            _ => Verdict::Held,
        });
        self
    }

    fn of_times(
        (suite, cost): (&str, Cost),
        (before, now): (&LatencyBaseline, &LatencyBaseline),
        of: impl Fn(&TaskLatency) -> Option<f64>,
    ) -> Option<CostResult> {
        let pairs: Vec<(f64, f64)> = (before.tasks.iter())
            .filter_map(|(task, times)| Some((of(times)?, of(now.tasks.get(task)?)?)))
            .collect();
        let logs: Vec<f64> = pairs.iter().map(|(a, b)| (b / a).ln()).collect();
        let interval = cluster_bootstrap(&[logs.iter().map(|log| vec![*log]).collect()]);
        Some(CostResult {
            suite: suite.to_owned(),
            cost,
            baseline: median(&pairs.iter().map(|p| p.0).collect::<Vec<_>>())?,
            run: median(&pairs.iter().map(|p| p.1).collect::<Vec<_>>())?,
            ratio: (logs.iter().sum::<f64>() / logs.len() as f64).exp(),
            interval: interval.map(|i| Interval {
                low: i.low.exp(),
                high: i.high.exp(),
            }),
            verdict: None,
        })
    }

    /// Cells of a table: suite, cost, baseline, run, ratio, interval, verdict.
    fn cells(&self) -> [String; 7] {
        let value = |v: f64| match self.cost {
            Cost::Weights => format_bytes(v as u64),
            _ => format!("{v:.3}"),
        };
        [
            self.suite.clone(),
            self.cost.name().to_owned(),
            value(self.baseline),
            value(self.run),
            format!("{:.3}", self.ratio),
            self.interval
                .map_or_else(String::new, |i| format!("{:.3} to {:.3}", i.low, i.high)),
            self.verdict.map_or("-", Verdict::name).to_owned(),
        ]
    }
}

/// Costs of a suite against its baseline, and sentences about what could not be compared.
pub(super) fn costs(
    suite: &str,
    (before, weights_before): (Option<&LatencyBaseline>, u64),
    run: &RunFolder,
    rule: CostRule,
) -> (Vec<CostResult>, Vec<String>) {
    let (mut results, mut notes) = (Vec::new(), Vec::new());
    let now = LatencyBaseline::of(run);
    match (before, &now) {
        (Some(before), Some(now)) => {
            let reason = before.incomparable(now);
            let judged = |result: CostResult| match reason {
                None => result.judged(rule.latency_margin),
                Some(_) => result,
            };
            let pair = (before, now);
            let wall = CostResult::of_times((suite, Cost::WallTime), pair, |t| Some(t.wall));
            match CostResult::of_times((suite, Cost::ProcessorTime), pair, |t| t.processor) {
                // Workers that share a core make wall times long; they are shown beside.
                Some(processor) => {
                    results.push(judged(processor));
                    results.extend(wall);
                }
                None => results.extend(wall.map(judged)),
            }
            notes.extend(reason.map(|why| format!("suite {suite}: latency is not judged: {why}")));
        }
        (Some(_), None) => notes.push(format!("suite {suite}: the run has no latency to compare")),
        (None, Some(_)) => notes.push(format!(
            "suite {suite}: the baseline has no latency to compare with"
        )),
        (None, None) => {}
    }
    let weights = run.manifest.memory.weight_bytes();
    if weights_before > 0 && weights > 0 {
        let (baseline, run) = (weights_before as f64, weights as f64);
        let result = CostResult {
            suite: suite.to_owned(),
            cost: Cost::Weights,
            baseline,
            run,
            ratio: run / baseline,
            interval: None,
            verdict: None,
        };
        results.push(result.judged(rule.weights_margin));
    }
    (results, notes)
}

/// Rows of costs.
pub(super) fn cost_table(costs: &[CostResult]) -> TextTable {
    let mut table = TextTable::new(&[
        "suite", "cost", "baseline", "run", "ratio", "95 %", "verdict",
    ]);
    for cost in costs {
        table.push(cost.cells());
    }
    table
}

#[cfg(test)]
mod tests {
    //! Guarantee: a ratio is a regression only where its whole interval is beyond the margin, and an improvement likewise.
    use super::*;

    fn times(scale: f64) -> LatencyBaseline {
        let task = |task: usize| {
            let wall = scale * (2.0 + task as f64 / 10.0);
            let processor = Some(0.9 * wall);
            (task, TaskLatency { processor, wall })
        };
        LatencyBaseline {
            setup: MeasurementSetup {
                processor: "some".into(),
                instruction_set: "avx2".into(),
                threads: 1,
                jobs: 2,
            },
            tasks: (0..10).map(task).collect(),
        }
    }

    fn verdict(scale: f64) -> (f64, Option<Verdict>) {
        let pair = (&times(1.0), &times(scale));
        let result =
            CostResult::of_times(("spatial", Cost::ProcessorTime), pair, |t| t.processor).unwrap();
        let result = result.judged(0.2);
        (result.ratio, result.verdict)
    }

    #[test]
    fn a_change_beyond_the_margin_is_a_verdict() {
        for (scale, expected) in [
            (1.0, Verdict::Held),
            (1.19, Verdict::Held),
            (1.21, Verdict::Regressed),
            (0.9, Verdict::Held),
            (0.8, Verdict::Improved),
        ] {
            let (ratio, verdict) = verdict(scale);
            assert!((ratio - scale).abs() < 1e-9, "{ratio}");
            assert_eq!(verdict, Some(expected), "{scale}");
        }
    }

    #[test]
    fn tasks_that_disagree_are_no_regression() {
        let mut now = times(1.0);
        for (task, times) in &mut now.tasks {
            // Half of the tasks take twice the time, the others as long as before.
            times.processor = times
                .processor
                .map(|p| if task % 2 == 0 { 2.0 * p } else { p });
        }
        let pair = (&times(1.0), &now);
        let result =
            CostResult::of_times(("spatial", Cost::ProcessorTime), pair, |t| t.processor).unwrap();
        assert!(result.ratio > 1.4 && result.judged(0.2).verdict == Some(Verdict::Held));
    }
}
