//! Success of policies under perturbations of growing strength, on the same initial states: what each axis costs, and whether it costs one policy
//! more than another.

use crate::compare::format_p;
use crate::{
    EpisodeRecord, Interval, PairCounts, ReportError, TextTable, cluster_bootstrap, format_percent,
    holm, mcnemar_exact, read_json, wilson,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Episode of a suite: suite, task, initial state.
pub type StateKey = (String, usize, usize);

/// Outcomes by episode; harness errors are left out.
pub type Outcomes = BTreeMap<StateKey, bool>;

/// Least number of tasks for an interval under resampling of them: of two or three, a few resamplings say nothing.
const MIN_TASKS: usize = 5;
/// File of a sweep that `report` reads.
pub const ROBUSTNESS_FILE: &str = "robustness.json";

/// Collects the outcomes of completed episodes.
pub fn outcomes_of<'a>(episodes: impl IntoIterator<Item = &'a EpisodeRecord>) -> Outcomes {
    let completed = episodes.into_iter().filter(|row| row.completed());
    completed
        .map(|row| ((row.suite.clone(), row.task, row.init), row.success))
        .collect()
}

/// Distance of perturbed episodes from unperturbed ones at their start, a mean over tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CellDistance {
    /// Mean absolute difference of the image of the camera that looks at the table, of 255.
    pub agentview: f64,
    /// The same of the camera on the hand.
    pub wrist: f64,
    /// Share of the words of the task that are others, a fraction of 1.
    pub words: f64,
}

impl CellDistance {
    /// All three.
    pub fn all(&self) -> [f64; 3] {
        [self.agentview, self.wrist, self.words]
    }
}

/// A perturbation of one axis and strength.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PerturbedCell {
    /// Name of the axis.
    pub axis: String,
    /// Level of strength, from 1.
    pub level: u8,
    /// Strength in words, for example `30 degrees`.
    pub strength: String,
    /// Episodes that can be solved although they are perturbed; all without a reference that can tell.
    pub solvable: Option<BTreeSet<StateKey>>,
    /// Number of episodes of the reference that tells what can be solved.
    pub reference_episodes: Option<usize>,
    /// Distance from the unperturbed episodes, if it was measured.
    pub distance: Option<CellDistance>,
    /// Outcomes by policy, in the order of [`Robustness::policies`].
    #[serde(serialize_with = "write_outcomes", deserialize_with = "read_outcomes")]
    pub outcomes: Vec<Outcomes>,
}

impl PerturbedCell {
    /// True if an episode can be solved, as far as that is known.
    fn is_solvable(&self, key: &StateKey) -> bool {
        self.solvable.as_ref().is_none_or(|can| can.contains(key))
    }
}

/// Policies under perturbations. The first policy is the reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Robustness {
    /// Names.
    pub policies: Vec<String>,
    /// Suites and episodes per task in words.
    pub scope: String,
    /// Outcomes without perturbation, by policy.
    #[serde(serialize_with = "write_outcomes", deserialize_with = "read_outcomes")]
    pub control: Vec<Outcomes>,
    /// The cells, by axis and level.
    pub cells: Vec<PerturbedCell>,
}

/// Success of a policy in cells, beside its own control on the same states.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PerturbedScore {
    /// Control (first) and perturbed (second) on the same solvable states.
    pub pairs: PairCounts,
    /// Perturbed episodes that cannot be solved, left out.
    pub unsolvable: usize,
}

impl PerturbedScore {
    /// Share of successes under perturbation, a fraction of 1; NaN for no episode.
    pub fn rate(&self) -> f64 {
        self.pairs.second() as f64 / self.pairs.pairs() as f64
    }

    /// Wilson's 95 % interval of [`PerturbedScore::rate`].
    pub fn interval(&self) -> Interval {
        wilson(self.pairs.second(), self.pairs.pairs())
    }
}

/// How much more a perturbation costs a policy than the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExtraCost {
    /// Loss of the reference, a fraction of 1.
    pub reference: f64,
    /// Loss of the policy.
    pub policy: f64,
    /// 95 % interval of the loss of the reference minus that of the policy, under resampling of tasks; `None` with fewer than five.
    pub interval: Option<Interval>,
}

/// Writes outcomes as rows: a text of JSON is no key of several parts.
fn write_outcomes<S: Serializer>(outcomes: &[Outcomes], serializer: S) -> Result<S::Ok, S::Error> {
    let rows = outcomes
        .iter()
        .map(|outcomes| Vec::from_iter(outcomes.iter()));
    rows.collect::<Vec<_>>().serialize(serializer)
}

fn read_outcomes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Outcomes>, D::Error> {
    let rows: Vec<Vec<(StateKey, bool)>> = Vec::deserialize(deserializer)?;
    Ok(rows.into_iter().map(Outcomes::from_iter).collect())
}

impl Robustness {
    /// Reads the file that a sweep has written.
    ///
    /// # Errors
    /// If it cannot be read, or lacks the outcomes of a policy.
    pub fn read(path: &Path) -> Result<Robustness, ReportError> {
        let read: Robustness = read_json(path)?;
        let count = read.policies.len();
        let cells = read.cells.iter().map(|cell| cell.outcomes.len());
        let lengths = cells.chain([read.control.len()]);
        match lengths
            .into_iter()
            .find(|length| *length != count || count == 0)
        {
            None => Ok(read),
            Some(length) => {
                let what = format!("found outcomes of {length} policies, expected {count}");
                Err(ReportError::format(path, what))
            }
        }
    }

    /// Axes in the order in which they are met.
    pub fn axes(&self) -> Vec<&str> {
        let mut axes: Vec<&str> = Vec::new();
        for cell in &self.cells {
            if !axes.contains(&cell.axis.as_str()) {
                axes.push(&cell.axis);
            }
        }
        axes
    }

    /// Cells of an axis, or all with `None`.
    pub fn cells_of<'a>(
        &'a self,
        axis: Option<&'a str>,
    ) -> impl Iterator<Item = &'a PerturbedCell> {
        self.cells
            .iter()
            .filter(move |cell| axis.is_none_or(|axis| cell.axis == axis))
    }

    /// Share of successes of a policy without perturbation, a fraction of 1; NaN for no episode.
    pub fn control_rate(&self, policy: usize) -> f64 {
        let control = self.control[policy].values();
        let successes = control.clone().filter(|success| **success).count();
        successes as f64 / control.len() as f64
    }

    /// Score of a policy in cells.
    pub fn score<'a>(
        &self,
        policy: usize,
        cells: impl IntoIterator<Item = &'a PerturbedCell>,
    ) -> PerturbedScore {
        let mut pairs = Vec::new();
        let mut unsolvable = 0;
        for cell in cells {
            for (key, success) in &cell.outcomes[policy] {
                if !cell.is_solvable(key) {
                    unsolvable += 1;
                } else if let Some(control) = self.control[policy].get(key) {
                    pairs.push((*control, *success));
                }
            }
        }
        PerturbedScore {
            pairs: PairCounts::of(pairs),
            unsolvable,
        }
    }

    /// Outcomes of the reference and of a policy under the same perturbations, on the same solvable states.
    fn paired<'a>(
        &self,
        policy: usize,
        cells: impl IntoIterator<Item = &'a PerturbedCell>,
    ) -> PairCounts {
        let mut pairs = Vec::new();
        for cell in cells {
            let shared = cell.outcomes[0].iter();
            let shared = shared.filter(|(key, _)| cell.is_solvable(key));
            pairs
                .extend(shared.filter_map(|(key, a)| Some((*a, *cell.outcomes[policy].get(key)?))));
        }
        PairCounts::of(pairs)
    }

    /// Difference of the losses of the reference and of a policy over cells; `None` for the reference itself.
    pub fn extra_cost(&self, policy: usize, axis: Option<&str>) -> Option<ExtraCost> {
        if policy == 0 || policy >= self.policies.len() {
            return None;
        }
        let number = |success: &bool| f64::from(u8::from(*success));
        // By suite, then task.
        let mut strata: BTreeMap<&str, BTreeMap<usize, Vec<f64>>> = BTreeMap::new();
        let (mut reference, mut own, mut count) = (0.0, 0.0, 0usize);
        for cell in self.cells_of(axis) {
            let solvable = cell.outcomes[0].iter();
            for (key, a) in solvable.filter(|(key, _)| cell.is_solvable(key)) {
                let all = (
                    cell.outcomes[policy].get(key),
                    self.control[0].get(key),
                    self.control[policy].get(key),
                );
                let (Some(b), Some(a_control), Some(b_control)) = all else {
                    continue;
                };
                let losses = [number(a_control) - number(a), number(b_control) - number(b)];
                reference += losses[0];
                own += losses[1];
                count += 1;
                let tasks = strata.entry(&key.0).or_default();
                tasks.entry(key.1).or_default().push(losses[0] - losses[1]);
            }
        }
        let clusters: Vec<Vec<Vec<f64>>> = (strata.into_values())
            .map(|tasks| tasks.into_values().collect())
            .collect();
        let tasks = clusters.iter().map(Vec::len).sum::<usize>();
        Some(ExtraCost {
            reference: reference / count as f64,
            policy: own / count as f64,
            interval: cluster_bootstrap(&clusters).filter(|_| tasks >= MIN_TASKS),
        })
    }

    /// A row per axis, level and policy: success, the change from the unperturbed episodes of the same states, in points.
    pub fn table(&self) -> TextTable {
        let header = [
            "axis",
            "level",
            "strength",
            "policy",
            "success",
            "rate",
            "low",
            "high",
            "change",
            "unsolvable",
            "agentview_distance",
            "wrist_distance",
            "changed_words",
        ];
        let mut table = TextTable::new(&header);
        for cell in &self.cells {
            for (i, policy) in self.policies.iter().enumerate() {
                let score = self.score(i, [cell]);
                let interval = score.interval();
                let distance = cell.distance.map(|distance| distance.all());
                let [agentview, wrist, words] = match distance {
                    Some([table, hand, words]) => [
                        format!("{table:.2}"),
                        format!("{hand:.2}"),
                        format_percent(words, 1),
                    ],
                    None => Default::default(),
                };
                table.push([
                    cell.axis.clone(),
                    cell.level.to_string(),
                    cell.strength.clone(),
                    policy.clone(),
                    format!("{}/{}", score.pairs.second(), score.pairs.pairs()),
                    format_percent(score.rate(), 1),
                    format_percent(interval.low, 1),
                    format_percent(interval.high, 1),
                    points(score.pairs.difference()),
                    score.unsolvable.to_string(),
                    agentview,
                    wrist,
                    words,
                ]);
            }
        }
        table
    }

    /// A row per axis and policy with the rate at each level, in percent; level 0 is without perturbation.
    pub fn level_table(&self) -> TextTable {
        let levels: BTreeSet<u8> = self.cells.iter().map(|cell| cell.level).collect();
        let mut table = TextTable::new(&["axis", "policy", "0"]);
        table.header.extend(levels.iter().map(u8::to_string));
        for axis in self.axes() {
            for (i, policy) in self.policies.iter().enumerate() {
                let without = format_percent(self.control_rate(i), 1);
                let mut row = vec![axis.to_owned(), policy.clone(), without];
                for level in &levels {
                    let cells = self
                        .cells_of(Some(axis))
                        .filter(|cell| cell.level == *level);
                    let score = self.score(i, cells);
                    row.push(match score.pairs.pairs() {
                        0 => "-".to_owned(),
                        _ => format_percent(score.rate(), 1),
                    });
                }
                table.push(row);
            }
        }
        table
    }

    /// A row per axis and policy over all levels: success, change from the unperturbed episodes, difference from the reference with McNemar's exact test (Holm's
    /// method over axes), and the difference of the changes with its interval.
    pub fn axis_table(&self) -> TextTable {
        let header = [
            "axis", "policy", "success", "rate", "change", "diff", "p", "extra", "95 %",
        ];
        let mut table = TextTable::new(&header);
        let axes = self.axes();
        let scopes: Vec<Option<&str>> = axes.iter().map(|a| Some(*a)).chain([None]).collect();
        for (i, policy) in self.policies.iter().enumerate() {
            let tests: Vec<PairCounts> = scopes
                .iter()
                .map(|s| self.paired(i, self.cells_of(*s)))
                .collect();
            let raw = |pairs: &PairCounts| mcnemar_exact(pairs.only_first, pairs.only_second);
            let mut p = holm(&tests[..axes.len()].iter().map(raw).collect::<Vec<_>>());
            p.extend(tests.last().map(raw));
            for ((scope, pairs), p) in scopes.iter().zip(&tests).zip(p) {
                let score = self.score(i, self.cells_of(*scope));
                let cost = self.extra_cost(i, *scope);
                let extra = cost.map(|cost| points(cost.policy - cost.reference));
                let interval = cost.and_then(|cost| cost.interval);
                let interval =
                    interval.map(|i| format!("{} to {}", points(-i.high), points(-i.low)));
                let compared = i > 0 && pairs.pairs() > 0;
                table.push([
                    scope.unwrap_or("all").to_owned(),
                    policy.clone(),
                    format!("{}/{}", score.pairs.second(), score.pairs.pairs()),
                    format_percent(score.rate(), 1),
                    points(score.pairs.difference()),
                    if compared {
                        points(pairs.difference())
                    } else {
                        String::new()
                    },
                    if compared { format_p(p) } else { String::new() },
                    extra.unwrap_or_default(),
                    interval.unwrap_or_default(),
                ]);
            }
        }
        table
    }

    /// One sentence per policy beside the reference: does it lose more under perturbation?
    pub fn answers(&self) -> Vec<String> {
        let reference = &self.policies[0];
        (1..self.policies.len())
            .filter_map(|i| {
                let cost = self.extra_cost(i, None)?;
                let policy = &self.policies[i];
                let extra = cost.policy - cost.reference;
                let verdict = match cost.interval {
                    Some(interval) if interval.high < 0.0 => "loses more than",
                    Some(interval) if interval.low > 0.0 => "loses less than",
                    Some(_) => "does not lose more than",
                    None => "cannot be told from",
                };
                let interval = cost.interval.map_or_else(String::new, |i| {
                    format!(", 95 % interval {} to {}", points(i.low), points(i.high))
                });
                Some(format!(
                    "Under perturbation {policy} {verdict} {reference}: {} points against {} points, a difference of {} points{interval}.",
                    points(-cost.policy),
                    points(-cost.reference),
                    points(-extra)
                ))
            })
            .collect()
    }
}

/// A share in percentage points with its sign.
fn points(share: f64) -> String {
    let points = 100.0 * share;
    // No negative zero.
    let points = if points.abs() < 0.05 { 0.0 } else { points };
    format!("{points:+.1}")
}

#[cfg(test)]
mod tests {
    //! Guarantees: losses are of the same states; episodes that cannot be solved are left out and counted; the sentence says what the numbers say.
    use super::*;

    fn outcomes(successes: impl Fn(usize, usize) -> bool) -> Outcomes {
        let keys = (0..10).flat_map(|task| (0..10).map(move |init| (task, init)));
        keys.map(|(task, init)| (("spatial".to_owned(), task, init), successes(task, init)))
            .collect()
    }

    fn robustness() -> Robustness {
        let cell = |level: u8, solvable| PerturbedCell {
            axis: "camera".into(),
            level,
            strength: format!("{} degrees", 15 * level),
            solvable,
            reference_episodes: None,
            distance: None,
            // The second policy loses twice as much.
            outcomes: vec![
                outcomes(|_, init| init >= usize::from(level)),
                outcomes(|_, init| init >= 2 * usize::from(level)),
            ],
        };
        let can = outcomes(|_, _| true)
            .into_keys()
            .filter(|key| key.2 != 9)
            .collect();
        Robustness {
            scope: "suite spatial, 10 episodes a task".into(),
            policies: vec!["full".into(), "ternary".into()],
            control: vec![outcomes(|_, _| true), outcomes(|_, _| true)],
            cells: vec![cell(1, None), cell(2, Some(can))],
        }
    }

    #[test]
    fn losses_are_of_the_same_states() {
        let found = robustness();
        let score = found.score(1, [&found.cells[1]]);
        assert_eq!(
            (score.pairs.second(), score.pairs.pairs(), score.unsolvable),
            (50, 90, 10)
        );
        let cost = found.extra_cost(1, None).expect("a second policy");
        let both = (10.0 + 20.0) / 190.0;
        assert!((cost.reference - both).abs() < 1e-12 && (cost.policy - 2.0 * both).abs() < 1e-12);
        let interval = cost.interval.expect("ten tasks");
        assert!(
            interval.low <= -both + 1e-9 && interval.high >= -both - 1e-9 && interval.high < 0.0
        );
        assert!(found.extra_cost(0, None).is_none());
        let answer = found.answers().concat();
        assert!(
            answer.starts_with(
                "Under perturbation ternary loses more than full: -31.6 points against -15.8 points"
            ),
            "{answer}"
        );
        assert_eq!(found.table().rows.len(), 4);
        assert_eq!(
            found.level_table().rows[1],
            ["camera", "ternary", "100.0", "80.0", "55.6"]
        );
        assert_eq!(found.axis_table().rows.len(), 4);
    }

    #[test]
    fn it_is_read_back_as_it_was_written() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(ROBUSTNESS_FILE);
        let written = robustness();
        crate::write_json(&path, &written).expect("written");
        assert_eq!(Robustness::read(&path).expect("read"), written);
        let mut short = written;
        short.control.pop();
        crate::write_json(&path, &short).expect("written");
        let error = Robustness::read(&path).expect_err("too short").to_string();
        assert!(
            error.contains("found outcomes of 1 policies, expected 2"),
            "{error}"
        );
    }

    #[test]
    fn equal_losses_are_said_to_be_equal() {
        let mut found = robustness();
        for cell in &mut found.cells {
            cell.outcomes[1] = cell.outcomes[0].clone();
        }
        assert!(found.answers().concat().contains("does not lose more than"));
    }
}
