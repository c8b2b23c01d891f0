//! Statistics of two policies on the same initial states: each pair of episodes has one of four outcomes.

use super::{Interval, Z95, quantile, wilson_at};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{Binomial, DiscreteCDF};

/// Number of resamples of a bootstrap.
const RESAMPLES: usize = 10_000;
/// Seed of the resampling, so that the same runs give the same interval.
const SEED: u64 = 250_607_530;

/// Pairs of episodes by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PairCounts {
    /// Both policies succeeded.
    pub both: usize,
    /// Only the first did.
    pub only_first: usize,
    /// Only the second did.
    pub only_second: usize,
    /// Neither did.
    pub neither: usize,
}

impl PairCounts {
    /// Counts pairs (success of the first, success of the second).
    pub fn of(pairs: impl IntoIterator<Item = (bool, bool)>) -> PairCounts {
        let mut counts = PairCounts::default();
        for pair in pairs {
            *match pair {
                (true, true) => &mut counts.both,
                (true, false) => &mut counts.only_first,
                (false, true) => &mut counts.only_second,
                (false, false) => &mut counts.neither,
            } += 1;
        }
        counts
    }

    /// Number of pairs.
    pub fn pairs(self) -> usize {
        self.both + self.only_first + self.only_second + self.neither
    }

    /// Pairs in which the first succeeded.
    pub fn first(self) -> usize {
        self.both + self.only_first
    }

    /// Pairs in which the second succeeded.
    pub fn second(self) -> usize {
        self.both + self.only_second
    }

    /// Success rate of the second minus that of the first, a fraction of 1; NaN for no pair.
    pub fn difference(self) -> f64 {
        (self.only_second as f64 - self.only_first as f64) / self.pairs() as f64
    }
}

/// Returns the two-sided p-value of McNemar's exact test: under the hypothesis that the two policies are equally good, each
/// of the `only_first + only_second` discordant pairs falls to either side with probability 1/2. Twice the smaller tail of
/// the binomial distribution, at most 1; 1 without discordant pairs.
///
/// ```
/// use bitvla_reports::mcnemar_exact;
/// assert_eq!(mcnemar_exact(0, 0), 1.0);
/// assert!((mcnemar_exact(0, 5) - 2.0 / 32.0).abs() < 1e-12);
/// ```
pub fn mcnemar_exact(only_first: usize, only_second: usize) -> f64 {
    let discordant = only_first + only_second;
    match Binomial::new(0.5, discordant as u64) {
        Ok(distribution) if discordant > 0 => {
            let tail = distribution.cdf(only_first.min(only_second) as u64);
            (2.0 * tail).min(1.0)
        }
        _ => 1.0,
    }
}

/// Returns the 95 % interval of the paired difference second - first, as fractions of 1 (Newcombe, Statistics in Medicine 17,
/// 1998, 2635-2650, method 10: Wilson's intervals of both rates, with their correlation); [-1, 1] for no pair.
pub fn newcombe_paired(counts: PairCounts) -> Interval {
    newcombe_paired_at(counts, Z95)
}

/// Newcombe's interval with another quantile `z` of the standard normal distribution.
pub(crate) fn newcombe_paired_at(counts: PairCounts, z: f64) -> Interval {
    let n = counts.pairs();
    if n == 0 {
        return Interval {
            low: -1.0,
            high: 1.0,
        };
    }
    let [a, b, c, d] = [
        counts.both,
        counts.only_second,
        counts.only_first,
        counts.neither,
    ]
    .map(|k| k as f64);
    let second = wilson_at(counts.both + counts.only_second, n, z);
    let first = wilson_at(counts.both + counts.only_first, n, z);
    let (p2, p1) = ((a + b) / n as f64, (a + c) / n as f64);
    let margins = (a + b) * (c + d) * (a + c) * (b + d);
    let product = a * d - b * c;
    // With Newcombe's correction for continuity of a positive correlation.
    let phi = match () {
        () if margins == 0.0 => 0.0,
        () if product > 0.0 => (product - n as f64 / 2.0).max(0.0) / margins.sqrt(),
        () => product / margins.sqrt(),
    };
    let span = |of_second: f64, of_first: f64| {
        let square = of_second * of_second - 2.0 * phi * of_second * of_first + of_first * of_first;
        square.max(0.0).sqrt()
    };
    let difference = p2 - p1;
    Interval {
        low: difference - span(p2 - second.low, first.high - p1),
        high: difference + span(second.high - p2, p1 - first.low),
    }
}

/// Returns the 95 % percentile interval of a mean difference under resampling of whole clusters (tasks), which episodes of one
/// task need because they succeed and fail together. `strata` holds, per stratum (suite), its clusters, each the differences
/// of its pairs; as many clusters as there are are drawn from every stratum, with replacement. `None` if no stratum has
/// two clusters.
pub fn cluster_bootstrap(strata: &[Vec<Vec<f64>>]) -> Option<Interval> {
    if !strata.iter().any(|clusters| clusters.len() > 1) {
        return None;
    }
    let sums: Vec<Vec<(f64, f64)>> = strata
        .iter()
        .map(|clusters| {
            let sum = |pairs: &Vec<f64>| (pairs.iter().sum(), pairs.len() as f64);
            clusters.iter().map(sum).collect()
        })
        .collect();
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut means = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        let (mut sum, mut pairs) = (0.0, 0.0);
        for clusters in sums.iter().filter(|clusters| !clusters.is_empty()) {
            for _ in 0..clusters.len() {
                let (s, n) = clusters[random.random_range(0..clusters.len())];
                sum += s;
                pairs += n;
            }
        }
        means.push(sum / pairs);
    }
    Some(Interval {
        low: quantile(&means, 0.025)?,
        high: quantile(&means, 0.975)?,
    })
}

/// Returns p-values adjusted for testing several hypotheses at once (Holm, Scandinavian Journal of Statistics 6, 1979, 65-70),
/// in the order of `p`.
///
/// ```
/// use bitvla_reports::holm;
/// assert_eq!(holm(&[0.01, 0.04, 0.03]), [0.03, 0.06, 0.06]);
/// ```
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|i, j| p[*i].total_cmp(&p[*j]));
    let mut adjusted = vec![1.0; p.len()];
    let mut least = 0.0f64;
    for (rank, i) in order.into_iter().enumerate() {
        least = least.max((p[i] * (p.len() - rank) as f64).min(1.0));
        adjusted[i] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    //! Guarantee: the tests and intervals have the values of the cited papers and of hand calculations, and the bootstrap
    //! interval widens when the differences of a task go together.
    use super::*;

    #[test]
    fn mcnemar_has_the_exact_binomial_tail() {
        // 2 (1 + 10 + 45) / 1024
        assert!((mcnemar_exact(2, 8) - 112.0 / 1024.0).abs() < 1e-12);
        assert_eq!(mcnemar_exact(8, 2), mcnemar_exact(2, 8));
        assert_eq!(mcnemar_exact(5, 5), 1.0);
        assert!(mcnemar_exact(0, 2000) < 1e-300);
    }

    #[test]
    fn newcombe_has_the_published_values() {
        // Table II of the paper: (both, one, the other, neither) and method 10.
        let close = |got: Interval, low: f64, high: f64| {
            assert!(
                (got.low - low).abs() < 5e-5 && (got.high - high).abs() < 5e-5,
                "{got:?}"
            );
        };
        let counts = |both, only_second, only_first, neither| PairCounts {
            both,
            only_first,
            only_second,
            neither,
        };
        close(newcombe_paired(counts(36, 12, 2, 0)), 0.0569, 0.3404);
        close(newcombe_paired(counts(0, 0, 0, 50)), -0.0713, 0.0713);
    }

    #[test]
    fn holm_is_monotone_and_at_most_one() {
        assert_eq!(holm(&[]), Vec::<f64>::new());
        assert_eq!(holm(&[0.6, 0.7]), [1.0, 1.0]);
        assert_eq!(holm(&[0.02, 0.001]), [0.02, 0.002]);
    }

    #[test]
    fn resampling_tasks_sees_that_episodes_of_a_task_go_together() {
        // Ten tasks of ten pairs, 20 losses: spread evenly, or all in two tasks.
        let even = vec![vec![[vec![-1.0; 2], vec![0.0; 8]].concat(); 10]];
        let mut together = vec![vec![vec![0.0; 10]; 10]];
        together[0][0] = vec![-1.0; 10];
        together[0][1] = vec![-1.0; 10];
        let even = cluster_bootstrap(&even).unwrap();
        let together_interval = cluster_bootstrap(&together).unwrap();
        assert_eq!((even.low, even.high), (-0.2, -0.2));
        assert!(together_interval.low <= -0.4 && together_interval.high >= -0.05);
        assert_eq!(cluster_bootstrap(&[vec![vec![1.0]]]), None);
    }
}
