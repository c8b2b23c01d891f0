//! Summaries of records: success per task, latency per phase.

use crate::{EpisodeRecord, Interval, QueryRecord, median, printable, quantile, wilson};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Successes among episodes, harness errors kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Episodes in which the goal was reached.
    pub successes: usize,
    /// Episodes that ran to their end.
    pub completed: usize,
    /// Episodes the harness could not finish.
    pub errors: usize,
    /// Wilson's 95 % interval of successes among completed episodes.
    pub interval: Interval,
    /// Median number of control steps of the successful episodes.
    pub median_steps: Option<f64>,
}

impl Score {
    pub(crate) fn of<'a>(episodes: impl Iterator<Item = &'a EpisodeRecord>) -> Score {
        let (mut completed, mut errors, mut steps) = (0, 0, Vec::new());
        for episode in episodes {
            if episode.completed() {
                completed += 1;
            } else {
                errors += 1;
            }
            if episode.success {
                steps.push(episode.steps as f64);
            }
        }
        Score {
            successes: steps.len(),
            completed,
            errors,
            interval: wilson(steps.len(), completed),
            median_steps: median(&steps),
        }
    }

    /// Successes among completed episodes, a fraction of 1; NaN where none was completed.
    pub fn rate(&self) -> f64 {
        self.successes as f64 / self.completed as f64
    }

    /// Successes among all episodes, harness errors counted as failures, a fraction of 1; NaN for no episode.
    pub fn strict_rate(&self) -> f64 {
        self.successes as f64 / (self.completed + self.errors) as f64
    }
}

/// Score of one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskSummary {
    /// Index of the task in its suite.
    pub task: usize,
    /// Instruction given to the policy.
    pub instruction: String,
    /// Instruction without the words that all tasks share at the beginning and at the end.
    pub short_name: String,
    /// Score of its episodes.
    pub score: Score,
}

/// Returns scores per task in order of the task index, and over all episodes.
pub fn summarise(episodes: &[EpisodeRecord]) -> (Vec<TaskSummary>, Score) {
    let mut tasks: Vec<(usize, &str)> = episodes
        .iter()
        .map(|e| (e.task, e.instruction.as_str()))
        .collect();
    tasks.sort_unstable();
    tasks.dedup_by_key(|(task, _)| *task);
    let short_names =
        strip_common_words(&tasks.iter().map(|(_, words)| *words).collect::<Vec<_>>());
    let summaries = tasks
        .iter()
        .zip(short_names)
        .map(|((task, instruction), short_name)| TaskSummary {
            task: *task,
            instruction: (*instruction).to_owned(),
            short_name: printable(&short_name).into_owned(),
            score: Score::of(episodes.iter().filter(|e| e.task == *task)),
        })
        .collect();
    (summaries, Score::of(episodes.iter()))
}

/// Returns the sentences without the words that all of them begin and end with; an ellipsis marks each gap.
fn strip_common_words(sentences: &[&str]) -> Vec<String> {
    let words: Vec<Vec<&str>> = sentences
        .iter()
        .map(|s| s.split_whitespace().collect())
        .collect();
    let Some(first) = words.first().filter(|_| words.len() > 1) else {
        return sentences.iter().map(|s| (*s).to_owned()).collect();
    };
    let shortest = words.iter().map(Vec::len).min().unwrap_or(0);
    let same = |at: &dyn Fn(&[&str]) -> usize| {
        let word = first[at(first)];
        words.iter().all(|w| w[at(w)] == word)
    };
    // At least one word stays of every sentence.
    let room = shortest.saturating_sub(1);
    let head = (0..room).take_while(|i| same(&|_| *i)).count();
    let tail = (0..room - head)
        .take_while(|i| same(&|w| w.len() - 1 - *i))
        .count();
    words
        .iter()
        .map(|w| {
            let kept = w[head..w.len() - tail].join(" ");
            let front = if head > 0 { "… " } else { "" };
            let back = if tail > 0 { " …" } else { "" };
            format!("{front}{kept}{back}")
        })
        .collect()
}

/// Median and 95th percentile of one phase, ms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PhaseSummary {
    /// Name of the phase.
    pub phase: &'static str,
    /// Median, ms.
    pub median_ms: f64,
    /// 95th percentile, ms.
    pub p95_ms: f64,
}

/// Latency of policy queries in one setup.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LatencySummary {
    /// Number of queries.
    pub queries: usize,
    /// Whole query: preprocessing to head, without rendering.
    pub total: PhaseSummary,
    /// Preprocessing, vision, language, head; server and network for a policy behind a network. Names of [`PHASES`].
    pub phases: Vec<PhaseSummary>,
    /// Rendering both cameras, for comparison.
    pub render: PhaseSummary,
    /// Processor time of the whole query, where it is known of every query.
    pub processor: Option<PhaseSummary>,
    /// Median of the processor time of a query as a multiple of that of the reference computation, where it is known of every query.
    pub processor_ratio: Option<f64>,
}

/// Time of a part of a query, ms.
pub type TimeOf = fn(&QueryRecord) -> f64;

/// Phases of a query by name: four of a policy of the program, two of one behind a network.
pub const PHASES: [(&str, TimeOf); 6] = [
    ("preprocessing", |q| q.preprocessing_ms),
    ("vision", |q| q.vision_ms),
    ("language", |q| q.language_ms),
    ("head", |q| q.head_ms),
    ("server", |q| q.server_ms),
    ("network", |q| q.network_ms),
];

impl PhaseSummary {
    /// Place of the phase in [`PHASES`], which decides its colour; 0 for what is no phase.
    pub(crate) fn place(&self) -> usize {
        let named = |(name, _): &(&str, _)| *name == self.phase;
        PHASES.iter().position(named).unwrap_or(0)
    }
}

/// Returns median and 95th percentile per phase of each setup that has queries, with the index of the setup.
pub fn summarise_latency(queries: &[QueryRecord]) -> BTreeMap<usize, LatencySummary> {
    let mut by_setup: BTreeMap<usize, Vec<&QueryRecord>> = BTreeMap::new();
    for query in queries {
        by_setup.entry(query.setup).or_default().push(query);
    }
    let summaries = by_setup
        .into_iter()
        .filter_map(|(setup, queries)| Some((setup, summarise_setup(&queries)?)));
    summaries.collect()
}

/// Median and 95th percentile per phase of queries of one setup; `None` for no queries.
fn summarise_setup(queries: &[&QueryRecord]) -> Option<LatencySummary> {
    let phase = |phase, of: fn(&QueryRecord) -> f64| {
        let values: Vec<f64> = queries.iter().map(|query| of(query)).collect();
        Some(PhaseSummary {
            phase,
            median_ms: median(&values)?,
            p95_ms: quantile(&values, 0.95)?,
        })
    };
    let remote = queries.iter().any(|query| query.network_ms > 0.0);
    let (local, served) = PHASES.split_at(4);
    let of = if remote { served } else { local };
    Some(LatencySummary {
        queries: queries.len(),
        total: phase("query", QueryRecord::total_ms)?,
        phases: of
            .iter()
            .map(|(name, of)| phase(name, *of))
            .collect::<Option<_>>()?,
        render: phase("rendering", |q| q.render_ms)?,
        processor: of_all(queries, |q| q.processor_ms).and_then(|values| {
            Some(PhaseSummary {
                phase: "processor time",
                median_ms: median(&values)?,
                p95_ms: quantile(&values, 0.95)?,
            })
        }),
        processor_ratio: of_all(queries, QueryRecord::processor_ratio)
            .and_then(|values| median(&values)),
    })
}

/// Values of all queries; `None` if one of them has none.
fn of_all(queries: &[&QueryRecord], of: impl Fn(&QueryRecord) -> Option<f64>) -> Option<Vec<f64>> {
    queries.iter().map(|query| of(query)).collect()
}
