//! Content of a report about runs, from which HTML and Markdown are made.

use crate::{Check, Comparison, Replay, Robustness, printable};

/// A report about the runs of one policy, or of several that are compared with the first.
#[derive(Debug, Clone)]
pub struct Report {
    /// The runs.
    pub comparison: Comparison,
    /// Verdicts against a baseline, at most one per policy.
    pub verdicts: Vec<PolicyVerdict>,
    /// Commands that repeat the runs.
    pub commands: Vec<RunCommands>,
    /// Animations of failed episodes.
    pub animations: Vec<EpisodeAnimation>,
    /// Episodes that the page repeats.
    pub replay: Option<Replay>,
    /// Success under perturbation.
    pub robustness: Option<Robustness>,
}

/// Verdict about one policy.
#[derive(Debug, Clone)]
pub struct PolicyVerdict {
    /// Label of the policy.
    pub label: String,
    /// Name of the baseline's policy.
    pub baseline_policy: String,
    /// Reason that the baseline was written for.
    pub reason: String,
    /// The check.
    pub check: Check,
}

/// Commands that repeat a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunCommands {
    /// Label of the policy.
    pub label: String,
    /// Suite.
    pub suite: String,
    /// Command that runs the episodes again.
    pub evaluate: String,
    /// Command that repeats the recorded actions.
    pub replay: String,
}

/// Animation of an episode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpisodeAnimation {
    /// Label of the policy.
    pub label: String,
    /// Suite.
    pub suite: String,
    /// Index of the task.
    pub task: usize,
    /// Index of the initial state.
    pub init: usize,
    /// Animated PNG.
    pub png: Vec<u8>,
    /// Side of the square image, pixels.
    pub size: usize,
}

impl Report {
    /// Labels of the policies, control characters written out.
    pub(crate) fn labels(&self) -> Vec<String> {
        let policies = self.comparison.policies().iter();
        policies.map(|p| printable(&p.label).into_owned()).collect()
    }

    /// Policies and suites in one line.
    pub(crate) fn title(&self) -> String {
        let suites = self.comparison.suites().join(", ");
        format!("{}: {}", self.labels().join(", "), printable(&suites))
    }

    /// Suites one by one, and `None` for all of them where there are several.
    pub(crate) fn suites_and_all(&self) -> Vec<Option<&str>> {
        let suites = self.comparison.suites();
        let each = suites.iter().map(|suite| Some(suite.as_str()));
        match suites.len() {
            1 => each.collect(),
            _ => each.chain([None]).collect(),
        }
    }

    /// Sentences that explain the columns of the headline table.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            "Rate: successes among completed episodes, with Wilson's 95 % interval over the choice of initial states.".to_owned(),
        ];
        let policies = self.comparison.policies();
        if policies.iter().any(|p| p.score(None).errors > 0) {
            notes.push(
                "Harness errors are counted apart; beside them stands the rate that counts them as failures."
                    .to_owned(),
            );
        }
        if policies.len() > 1 {
            let reference = &self.labels()[0];
            notes.push(self.comparison.difference_note(reference, ""));
        }
        notes
    }
}
