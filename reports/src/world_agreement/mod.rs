//! Does a score in one simulated world predict the score in another? Outcomes of the same policies on the same initial states in two worlds: what
//! became of each state, and how success goes together over policies, suites and tasks.

mod episode_table;
mod outcomes;
mod statistics;
mod tables;

pub use episode_table::{TableEpisode, read_episode_table};
pub use outcomes::{WorldOutcomes, read_outcomes};
pub use statistics::{Estimate, mean_maximum_rank_violation, pearson};

use crate::PairCounts;
use std::collections::BTreeMap;

/// Outcomes of one policy in one suite in both worlds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreementCell {
    /// Name of the policy.
    pub policy: String,
    /// Name of the suite.
    pub suite: String,
    /// Outcomes (first world, second world) by task and initial state.
    pub pairs: BTreeMap<(usize, usize), (bool, bool)>,
}

impl AgreementCell {
    /// Pairs by outcome; the first world is the first of a pair.
    pub fn counts(&self) -> PairCounts {
        PairCounts::of(self.pairs.values().copied())
    }

    /// Pairs of one task by outcome.
    fn task_counts(&self) -> BTreeMap<usize, PairCounts> {
        let mut tasks: BTreeMap<usize, Vec<(bool, bool)>> = BTreeMap::new();
        for ((task, _), pair) in &self.pairs {
            tasks.entry(*task).or_default().push(*pair);
        }
        let counts = tasks
            .into_iter()
            .map(|(task, pairs)| (task, PairCounts::of(pairs)));
        counts.collect()
    }
}

/// Two worlds on the same initial states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorldAgreement {
    /// Name of the first world.
    pub first: String,
    /// Name of the second one, whose scores are to be predicted.
    pub second: String,
    /// Policies and suites that both worlds have, by suite, then policy.
    pub cells: Vec<AgreementCell>,
    /// What only one world has, in words.
    pub gaps: Vec<String>,
}

/// What success rates are compared over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgreementLevel {
    /// One rate per policy and suite.
    Suites,
    /// One rate per policy and task.
    Tasks,
}

impl AgreementLevel {
    /// Both.
    pub const ALL: [AgreementLevel; 2] = [AgreementLevel::Suites, AgreementLevel::Tasks];

    /// Words for a table.
    pub fn name(self) -> &'static str {
        match self {
            AgreementLevel::Suites => "policies x suites",
            AgreementLevel::Tasks => "policies x tasks",
        }
    }
}

impl WorldAgreement {
    /// Pairs the outcomes of two worlds.
    ///
    /// # Errors
    /// A sentence if they share no initial state of a policy and suite.
    pub fn new(first: &WorldOutcomes, second: &WorldOutcomes) -> Result<WorldAgreement, String> {
        let mut cells = Vec::new();
        let mut gaps = Vec::new();
        for ((suite, policy), outcomes) in &second.outcomes {
            let Some(here) = first.outcomes.get(&(suite.clone(), policy.clone())) else {
                gaps.push(format!(
                    "`{policy}` in {suite} was played in {} only",
                    second.world
                ));
                continue;
            };
            let pairs: BTreeMap<_, _> = outcomes
                .iter()
                .filter_map(|(key, there)| Some((*key, (*here.get(key)?, *there))))
                .collect();
            let [here, there] = [here.len(), outcomes.len()];
            if pairs.len() < there {
                gaps.push(format!(
                    "`{policy}` in {suite}: {} of {there} initial states in {}, and {here} in {}, are shared",
                    pairs.len(),
                    second.world,
                    first.world
                ));
            }
            if !pairs.is_empty() {
                cells.push(AgreementCell {
                    policy: policy.clone(),
                    suite: suite.clone(),
                    pairs,
                });
            }
        }
        let only_first = first
            .outcomes
            .keys()
            .filter(|key| !second.outcomes.contains_key(*key));
        for (suite, policy) in only_first {
            gaps.push(format!(
                "`{policy}` in {suite} was played in {} only",
                first.world
            ));
        }
        if cells.is_empty() {
            return Err(format!(
                "{} and {} share no initial state of a policy and suite: {}",
                first.world,
                second.world,
                gaps.join("; ")
            ));
        }
        Ok(WorldAgreement {
            first: first.world.clone(),
            second: second.world.clone(),
            cells,
            gaps,
        })
    }

    /// Pairs of all cells by outcome.
    pub fn counts(&self) -> PairCounts {
        PairCounts::of(
            self.cells
                .iter()
                .flat_map(|cell| cell.pairs.values().copied()),
        )
    }

    /// Names of the suites, in order.
    pub fn suites(&self) -> Vec<&str> {
        let mut suites: Vec<&str> = self.cells.iter().map(|cell| cell.suite.as_str()).collect();
        suites.dedup();
        suites
    }

    /// Mean over the policies of a suite of the rate in the first world minus that in the second.
    pub fn mean_gap(&self, suite: &str) -> f64 {
        let cells = self.cells.iter().filter(|cell| cell.suite == suite);
        let gaps: Vec<f64> = cells.map(|cell| -cell.counts().difference()).collect();
        gaps.iter().sum::<f64>() / gaps.len() as f64
    }
}
