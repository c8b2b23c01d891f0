//! How success in two worlds goes together: Pearson's correlation and the mean maximum rank violation, with intervals under resampling of tasks.

use super::{AgreementLevel, WorldAgreement};
use crate::stats::quantile;
use crate::{Interval, PairCounts};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Number of resamples.
const RESAMPLES: usize = 10_000;
/// Seed of the resampling, so that the same outcomes give the same interval.
const SEED: u64 = 250_607_530;

/// A statistic with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Value; `None` where it is not defined (fewer than two rates, or rates that do not differ).
    pub value: Option<f64>,
    /// 95 % percentile interval under resampling of tasks; `None` where resamples do not have it.
    pub interval: Option<Interval>,
}

/// Pearson's correlation of pairs; `None` for fewer than two, or without spread on a side.
pub fn pearson(pairs: &[(f64, f64)]) -> Option<f64> {
    let n = pairs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n;
    let (mx, my) = (mean(|p| p.0), mean(|p| p.1));
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in pairs {
        xy += (x - mx) * (y - my);
        xx += (x - mx) * (x - mx);
        yy += (y - my) * (y - my);
    }
    (pairs.len() > 1 && xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt())
}

/// Mean over policies of the largest difference in the second world to a policy that the first world ranks otherwise (Li et al., SIMPLER,
/// arXiv 2405.05941, section 5): pairs are (first world, second world), one per policy. `None` for fewer than two.
pub fn mean_maximum_rank_violation(pairs: &[(f64, f64)]) -> Option<f64> {
    let worst = |(x, y): &(f64, f64)| {
        let violations = pairs.iter().map(|(other_x, other_y)| {
            let ranked_otherwise = (x > other_x) != (y > other_y);
            if ranked_otherwise {
                (y - other_y).abs()
            } else {
                0.0
            }
        });
        violations.fold(0.0, f64::max)
    };
    (pairs.len() > 1).then(|| pairs.iter().map(worst).sum::<f64>() / pairs.len() as f64)
}

/// Rates of both worlds of one policy.
fn rates(counts: PairCounts) -> (f64, f64) {
    let n = counts.pairs() as f64;
    (counts.first() as f64 / n, counts.second() as f64 / n)
}

fn add(sum: &mut PairCounts, counts: PairCounts) {
    sum.both += counts.both;
    sum.only_first += counts.only_first;
    sum.only_second += counts.only_second;
    sum.neither += counts.neither;
}

/// A statistic of rates by group; `None` where it is not defined.
type Statistic = dyn Fn(&[Vec<(f64, f64)>]) -> Option<f64>;

/// Counts by suite, then task, then policy.
type TaskCounts<'a> = BTreeMap<&'a str, BTreeMap<usize, BTreeMap<&'a str, PairCounts>>>;

impl WorldAgreement {
    fn task_counts(&self) -> TaskCounts<'_> {
        let mut counts = TaskCounts::new();
        for cell in &self.cells {
            let suite = counts.entry(&cell.suite).or_default();
            for (task, of_task) in cell.task_counts() {
                suite.entry(task).or_default().insert(&cell.policy, of_task);
            }
        }
        counts
    }

    /// Rates of the policies in each suite or task.
    pub fn rates(&self, level: AgreementLevel) -> Vec<Vec<(f64, f64)>> {
        let drawn = self.task_counts();
        let drawn: Vec<Vec<_>> = drawn
            .values()
            .map(|tasks| tasks.values().collect())
            .collect();
        groups(&drawn, level)
    }

    /// Pearson's correlation over all rates.
    pub fn pearson(&self, level: AgreementLevel) -> Estimate {
        self.estimate(level, &|groups| pearson(&groups.concat()))
    }

    /// Mean maximum rank violation of the policies, as the mean over suites or tasks.
    pub fn rank_violation(&self, level: AgreementLevel) -> Estimate {
        self.estimate(level, &|groups| {
            let of_groups: Vec<f64> = groups
                .iter()
                .filter_map(|group| mean_maximum_rank_violation(group))
                .collect();
            (!of_groups.is_empty()).then(|| of_groups.iter().sum::<f64>() / of_groups.len() as f64)
        })
    }

    fn estimate(&self, level: AgreementLevel, statistic: &Statistic) -> Estimate {
        let counts = self.task_counts();
        let suites: Vec<Vec<_>> = counts
            .values()
            .map(|tasks| tasks.values().collect())
            .collect();
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        let mut values = Vec::with_capacity(RESAMPLES);
        if suites.iter().any(|tasks| tasks.len() > 1) {
            for _ in 0..RESAMPLES {
                let drawn: Vec<Vec<_>> = suites
                    .iter()
                    .map(|tasks| {
                        tasks
                            .iter()
                            .map(|_| tasks[random.random_range(0..tasks.len())])
                            .collect()
                    })
                    .collect();
                values.extend(statistic(&groups(&drawn, level)));
            }
        }
        let interval = || {
            Some(Interval {
                low: quantile(&values, 0.025)?,
                high: quantile(&values, 0.975)?,
            })
        };
        Estimate {
            value: statistic(&groups(&suites, level)),
            // Resamples without spread have no correlation; where many do, what is left is no interval.
            interval: (values.len() > RESAMPLES / 2).then(interval).flatten(),
        }
    }
}

/// Rates of the policies by suite or by task, of tasks by suite.
fn groups(
    suites: &[Vec<&BTreeMap<&str, PairCounts>>],
    level: AgreementLevel,
) -> Vec<Vec<(f64, f64)>> {
    let of_task =
        |task: &&BTreeMap<&str, PairCounts>| task.values().map(|counts| rates(*counts)).collect();
    match level {
        AgreementLevel::Tasks => suites.iter().flatten().map(of_task).collect(),
        AgreementLevel::Suites => {
            let of_suite = |tasks: &Vec<&BTreeMap<&str, PairCounts>>| {
                let mut sums: BTreeMap<&str, PairCounts> = BTreeMap::new();
                for (policy, counts) in tasks.iter().flat_map(|task| task.iter()) {
                    add(sums.entry(policy).or_default(), *counts);
                }
                sums.into_values().map(rates).collect()
            };
            suites.iter().map(of_suite).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    //! Guarantees: the statistics have the values of hand calculations; agreement without error has correlation 1 and no violation; the same
    //! outcomes give the same interval.
    use super::super::WorldOutcomes;
    use super::*;

    #[test]
    fn statistics_have_the_values_of_hand_calculations() {
        assert_eq!(pearson(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]), Some(1.0));
        assert!(
            (pearson(&[(0.0, 0.0), (1.0, 1.0), (2.0, 0.0), (3.0, 1.0)]).unwrap() - 0.447_213_6)
                .abs()
                < 1e-6
        );
        assert_eq!(pearson(&[(0.5, 0.1), (0.5, 0.2)]), None);
        assert_eq!(pearson(&[(0.5, 0.1)]), None);
        // Ranks of the first two are exchanged, 0.2 apart in the second world; the third is far from both.
        let pairs = [(0.6, 0.5), (0.5, 0.7), (0.1, 0.1)];
        assert!((mean_maximum_rank_violation(&pairs).unwrap() - 0.4 / 3.0).abs() < 1e-12);
        assert_eq!(
            mean_maximum_rank_violation(&[(0.1, 0.1), (0.2, 0.3), (0.9, 0.8)]),
            Some(0.0)
        );
        assert_eq!(mean_maximum_rank_violation(&[(0.1, 0.1)]), None);
    }

    fn worlds(flip: bool) -> WorldAgreement {
        let [mut first, mut second] = ["here", "there"].map(WorldOutcomes::new);
        for (policy, most) in [("full", 9), ("ternary", 6), ("int4", 2)] {
            for task in 0..4 {
                for init in 0..10 {
                    let success = init < most - task.min(most);
                    first.add(("goal", policy), (task, init), success).unwrap();
                    second
                        .add(
                            ("goal", policy),
                            (task, init),
                            success != (flip && init == task),
                        )
                        .unwrap();
                }
            }
        }
        WorldAgreement::new(&first, &second).expect("shared states")
    }

    #[test]
    fn agreement_is_measured_at_both_levels() {
        for level in AgreementLevel::ALL {
            let same = worlds(false);
            assert!((same.pearson(level).value.unwrap() - 1.0).abs() < 1e-12);
            assert_eq!(same.rank_violation(level).value, Some(0.0));
            let other = worlds(true);
            let r = other.pearson(level);
            let (value, interval) = (r.value.unwrap(), r.interval.unwrap());
            assert!(
                value < 1.0 && interval.low <= value && value <= interval.high,
                "{r:?}"
            );
            assert_eq!(r, worlds(true).pearson(level));
        }
        assert_eq!(worlds(false).rates(AgreementLevel::Suites)[0].len(), 3);
        assert_eq!(worlds(false).rates(AgreementLevel::Tasks).len(), 4);
        assert_eq!(worlds(true).mean_gap("goal"), {
            let other = worlds(true);
            let gaps = other.cells.iter().map(|cell| -cell.counts().difference());
            gaps.sum::<f64>() / 3.0
        });
    }
}
