//! Comparison of policies on the same initial states: success with intervals, paired differences with exact tests, latency,
//! memory, and the episodes in which two policies differ.

mod protocols;
mod tables;

pub(crate) use protocols::{check_comparable, field_of_the_policy};
pub(crate) use tables::{difference_text, format_p};

use crate::{
    EpisodeRecord, Interval, LatencySummary, MeasurementSetup, MemoryReport, PairCounts,
    QueryRecord, RunFolder, Score, cluster_bootstrap, compact_letters, holm, mcnemar_exact,
    newcombe_paired, summarise_latency,
};
use std::collections::BTreeMap;

/// Level below which an adjusted p-value counts as a difference, in the compact letter display.
const LEVEL: f64 = 0.05;

/// A policy with its runs, one per suite.
#[derive(Debug, Clone)]
pub struct ComparedPolicy {
    /// Label in tables and plots.
    pub label: String,
    /// Runs by the name of their suite.
    pub runs: BTreeMap<String, RunFolder>,
}

impl ComparedPolicy {
    /// Score in a suite, or over all of them with `None`.
    pub fn score(&self, suite: Option<&str>) -> Score {
        let of = |(name, _): &(&String, &RunFolder)| suite.is_none_or(|suite| *name == suite);
        let runs = self.runs.iter().filter(of);
        Score::of(runs.flat_map(|(_, run)| &run.episodes))
    }

    /// Queries of all its runs, and the setups that their indices are of; `None` for a setup that was not recorded.
    pub(crate) fn queries(&self) -> (Vec<QueryRecord>, Vec<Option<&MeasurementSetup>>) {
        let mut queries = Vec::new();
        let mut setups = Vec::new();
        for run in self.runs.values() {
            for query in &run.queries {
                // The same setup has other indices in other runs.
                let setup = run.manifest.setups.get(query.setup);
                let known = setups.iter().position(|s| *s == setup);
                let index = known.unwrap_or_else(|| {
                    setups.push(setup);
                    setups.len() - 1
                });
                queries.push(QueryRecord {
                    setup: index,
                    ..*query
                });
            }
        }
        (queries, setups)
    }

    /// Latency of its queries in the setup that has most of them; `None` for a policy without queries.
    pub fn latency(&self) -> Option<LatencySummary> {
        let summaries = summarise_latency(&self.queries().0).into_values();
        summaries.reduce(|most, other| {
            if other.queries > most.queries {
                other
            } else {
                most
            }
        })
    }

    /// Weights of one instance, bytes: the largest of its runs.
    pub fn weight_bytes(&self) -> u64 {
        let bytes = self.runs.values().map(|r| r.manifest.memory.weight_bytes());
        bytes.max().unwrap_or(0)
    }

    /// Memory of the run with the largest weights.
    pub(crate) fn memory(&self) -> Option<&MemoryReport> {
        let reports = self.runs.values().map(|run| &run.manifest.memory);
        reports.reduce(
            |most, other| match other.weight_bytes() > most.weight_bytes() {
                true => other,
                false => most,
            },
        )
    }

    /// Row of an initial state, if its episode ran to the end.
    fn completed(&self, suite: &str, key: (usize, usize)) -> Option<&EpisodeRecord> {
        let episodes = &self.runs.get(suite)?.episodes;
        let at = episodes
            .binary_search_by_key(&key, EpisodeRecord::key)
            .ok()?;
        episodes.get(at).filter(|row| row.completed())
    }
}

/// Outcome of a policy against the reference on the initial states that both have completed.
#[derive(Debug, Clone, PartialEq)]
pub struct PairedResult {
    /// Pairs by outcome; the reference is the first of a pair.
    pub counts: PairCounts,
    /// 95 % interval of the difference under resampling of tasks; `None` with fewer than two tasks.
    pub by_task: Option<Interval>,
    /// 95 % interval of the difference of Newcombe.
    pub newcombe: Interval,
    /// p-value of McNemar's exact test, two-sided.
    pub p: f64,
    /// The same, adjusted by Holm's method over the suites of this policy; over all suites together, the value itself.
    pub p_adjusted: f64,
}

/// An initial state in which exactly one of two policies succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscordantEpisode {
    /// Label of the policy that is compared with the reference.
    pub policy: String,
    /// Suite.
    pub suite: String,
    /// Index of the task.
    pub task: usize,
    /// Index of the initial state.
    pub init: usize,
    /// True if the policy succeeded and the reference did not.
    pub gained: bool,
    /// First control step in which the two executed different actions; `None` where actions are missing or never differ.
    pub parts_at: Option<usize>,
}

/// A comparison of policies with the first of them; of one policy, its results.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The policies, in the order given.
    policies: Vec<ComparedPolicy>,
    /// Suites of which at least two policies have a run, in the order in which they are met; all of a single policy.
    suites: Vec<String>,
    /// Fields of protocols that differ, in words.
    differences: Vec<String>,
    /// Runs that are left out or missing, in words.
    gaps: Vec<String>,
}

impl Comparison {
    /// Compares policies with the first one.
    ///
    /// # Errors
    /// A sentence if there are fewer than two policies, and those of [`Comparison::of_any`].
    pub fn new(policies: Vec<ComparedPolicy>) -> Result<Comparison, String> {
        if policies.len() < 2 {
            return Err(format!(
                "a comparison needs runs of two policies at least, found {}",
                policies.len()
            ));
        }
        Comparison::of_any(policies)
    }

    /// As [`Comparison::new`], also of a single policy, which then has no paired result.
    ///
    /// # Errors
    /// A sentence if there is no policy, two have the same label, no suite is shared, or two runs of a suite have
    /// protocols whose results cannot be compared: another world, horizon, rule or other files of the suite.
    pub fn of_any(mut policies: Vec<ComparedPolicy>) -> Result<Comparison, String> {
        if policies.is_empty() {
            return Err("found no run, expected one at least".to_owned());
        }
        let least = policies.len().min(2);
        for (i, policy) in policies.iter().enumerate() {
            if policies[..i].iter().any(|p| p.label == policy.label) {
                return Err(format!(
                    "two policies have the label `{}`; LABEL=DIR gives a run another one",
                    policy.label
                ));
            }
        }
        let mut suites: Vec<String> = Vec::new();
        for suite in policies.iter().flat_map(|p| p.runs.keys()) {
            let runs = policies.iter().filter(|p| p.runs.contains_key(suite));
            if !suites.contains(suite) && runs.count() >= least {
                suites.push(suite.clone());
            }
        }
        if suites.is_empty() {
            return Err("the runs have no suite in common".to_owned());
        }
        let differences = protocols::differences(&policies)?;
        let mut gaps = Vec::new();
        for policy in &mut policies {
            let label = &policy.label;
            policy.runs.retain(|suite, _| {
                let shared = suites.contains(suite);
                if !shared {
                    gaps.push(format!(
                        "suite {suite} of `{label}` is left out: no other policy has a run of it"
                    ));
                }
                shared
            });
            let missing = suites
                .iter()
                .filter(|suite| !policy.runs.contains_key(*suite));
            gaps.extend(missing.map(|suite| format!("`{label}` has no run of suite {suite}")));
        }
        Ok(Comparison {
            policies,
            suites,
            differences,
            gaps,
        })
    }

    /// The policies; the first is the reference.
    pub fn policies(&self) -> &[ComparedPolicy] {
        &self.policies
    }

    /// Suites of which at least two policies have a run; all of a single policy.
    pub fn suites(&self) -> &[String] {
        &self.suites
    }

    /// Runs that are left out because no other policy has one of their suite, and runs that a policy lacks, one sentence each.
    pub fn gaps(&self) -> &[String] {
        &self.gaps
    }

    /// Fields in which the protocols differ without making the results incomparable, one sentence each.
    pub fn protocol_differences(&self) -> &[String] {
        &self.differences
    }

    /// Suites that `suite` stands for: itself, or all with `None`.
    fn suites_of<'a>(&'a self, suite: Option<&'a str>) -> Vec<&'a str> {
        match suite {
            Some(suite) => vec![suite],
            None => self.suites.iter().map(String::as_str).collect(),
        }
    }

    /// Outcomes of two policies, by suite and task: (success of `first`, success of `second`).
    fn pairs(
        &self,
        (first, second): (usize, usize),
        suite: Option<&str>,
    ) -> Vec<BTreeMap<usize, Vec<(bool, bool)>>> {
        let (first, second) = (&self.policies[first], &self.policies[second]);
        let mut strata = Vec::new();
        for suite in self.suites_of(suite) {
            let mut tasks: BTreeMap<usize, Vec<(bool, bool)>> = BTreeMap::new();
            for row in first.runs.get(suite).map_or(&[][..], |run| &run.episodes) {
                let other = second.completed(suite, row.key());
                if let Some(other) = other.filter(|_| row.completed()) {
                    let pair = (row.success, other.success);
                    tasks.entry(row.task).or_default().push(pair);
                }
            }
            strata.push(tasks);
        }
        strata
    }

    /// Outcomes of two policies by number.
    fn counts(&self, pair: (usize, usize), suite: Option<&str>) -> PairCounts {
        let strata = self.pairs(pair, suite);
        PairCounts::of(strata.iter().flat_map(BTreeMap::values).flatten().copied())
    }

    /// Outcome of policy `policy` (an index) against the reference in a suite, or over all suites with `None`; `None` for the
    /// reference and where the two share no completed initial state.
    pub fn paired(&self, policy: usize, suite: Option<&str>) -> Option<PairedResult> {
        if policy == 0 || policy >= self.policies.len() {
            return None;
        }
        let strata = self.pairs((0, policy), suite);
        let counts = PairCounts::of(strata.iter().flat_map(BTreeMap::values).flatten().copied());
        if counts.pairs() == 0 {
            return None;
        }
        let difference = |(first, second): &(bool, bool)| f64::from(*second) - f64::from(*first);
        let clusters: Vec<Vec<Vec<f64>>> = strata
            .iter()
            .map(|tasks| {
                let of_task = |pairs: &Vec<(bool, bool)>| pairs.iter().map(difference).collect();
                tasks.values().map(of_task).collect()
            })
            .collect();
        let p = mcnemar(counts);
        let adjusted = |suite: &str| {
            let p_of = |name: &String| mcnemar(self.counts((0, policy), Some(name)));
            let p: Vec<f64> = self.suites.iter().map(p_of).collect();
            let at = self.suites.iter().position(|name| name == suite)?;
            Some(holm(&p)[at])
        };
        Some(PairedResult {
            counts,
            by_task: cluster_bootstrap(&clusters),
            newcombe: newcombe_paired(counts),
            p,
            p_adjusted: suite.map_or(Some(p), adjusted)?,
        })
    }

    /// Compact letter display over all suites: two policies share a letter unless McNemar's exact test, adjusted by Holm's
    /// method over all pairs of policies, tells them apart at 5 %.
    pub fn letters(&self) -> Vec<String> {
        // The best has the letter a.
        let mut order: Vec<usize> = (0..self.policies.len()).collect();
        let rate = |i: &usize| self.policies[*i].score(None).rate();
        order.sort_by(|i, j| rate(j).total_cmp(&rate(i)));
        let mut pairs = Vec::new();
        let mut p = Vec::new();
        for i in 0..order.len() {
            for j in i + 1..order.len() {
                let counts = self.counts((order[i], order[j]), None);
                if counts.pairs() > 0 {
                    pairs.push((i, j));
                    p.push(mcnemar(counts));
                }
            }
        }
        let adjusted = holm(&p);
        let differ: Vec<(usize, usize)> = (pairs.into_iter().zip(adjusted))
            .filter(|(_, p)| *p < LEVEL)
            .map(|(pair, _)| pair)
            .collect();
        let sorted = compact_letters(order.len(), &differ);
        let mut letters = vec![String::new(); order.len()];
        for (at, text) in order.into_iter().zip(sorted) {
            letters[at] = text;
        }
        letters
    }

    /// Initial states in which exactly one of the reference and another policy succeeded, by policy, suite, task and state.
    pub fn discordant(&self) -> Vec<DiscordantEpisode> {
        let mut found = Vec::new();
        let reference = &self.policies[0];
        for policy in &self.policies[1..] {
            for suite in &self.suites {
                let (Some(first), Some(second)) =
                    (reference.runs.get(suite), policy.runs.get(suite))
                else {
                    continue;
                };
                for row in first.episodes.iter().filter(|row| row.completed()) {
                    let other = policy.completed(suite, row.key());
                    let Some(other) = other.filter(|other| other.success != row.success) else {
                        continue;
                    };
                    found.push(DiscordantEpisode {
                        policy: policy.label.clone(),
                        suite: suite.clone(),
                        task: row.task,
                        init: row.init,
                        gained: other.success,
                        parts_at: (first
                            .actions_of(row.key())
                            .zip(second.actions_of(row.key())))
                        .and_then(|(a, b)| a.parts_from(b)),
                    });
                }
            }
        }
        found
    }
}

/// McNemar's exact test, two-sided.
fn mcnemar(counts: PairCounts) -> f64 {
    mcnemar_exact(counts.only_first, counts.only_second)
}
