//! Wilson's interval for a success rate, medians, quantiles and maxima; tests of paired outcomes.

mod letters;
mod paired;

pub use letters::compact_letters;
pub(crate) use paired::newcombe_paired_at;
pub use paired::{PairCounts, cluster_bootstrap, holm, mcnemar_exact, newcombe_paired};

use serde::{Deserialize, Serialize};

/// A two-sided confidence interval, as fractions of 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// 97.5 % quantile of the standard normal distribution.
const Z95: f64 = 1.959_963_984_540_054;

/// Returns Wilson's 95 % score interval for `successes` of `trials` (Wilson, JASA 22, 1927).
///
/// `(p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)`, clamped to `[0, 1]`; all of `[0, 1]` for
/// no trials. It covers the sampling of initial states only, not a change of machine or weights.
pub fn wilson(successes: usize, trials: usize) -> Interval {
    wilson_at(successes, trials, Z95)
}

/// Wilson's interval with another quantile `z` of the standard normal distribution.
fn wilson_at(successes: usize, trials: usize, z: f64) -> Interval {
    if trials == 0 {
        return Interval {
            low: 0.0,
            high: 1.0,
        };
    }
    let (n, z2) = (trials as f64, z * z);
    let p = successes as f64 / n;
    let centre = p + z2 / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    Interval {
        low: if successes == 0 {
            0.0
        } else {
            ((centre - half) / scale).max(0.0)
        },
        high: if successes == trials {
            1.0
        } else {
            ((centre + half) / scale).min(1.0)
        },
    }
}

/// Returns quantile `q` in `[0, 1]` by linear interpolation between order statistics; `None` for no values, NaN if one is
/// NaN.
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    if values.iter().any(|v| v.is_nan()) {
        return Some(f64::NAN);
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let at = q.clamp(0.0, 1.0) * last as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (at - below as f64))
}

/// Returns the median; `None` for no values, NaN if one is NaN.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// Returns the largest value; `None` for no values, NaN if one is NaN.
pub fn largest(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    // Unlike `f64::max`, NaN wins.
    let larger = |a: f64, b: f64| if a.is_nan() || a > b { a } else { b };
    values.into_iter().reduce(larger)
}

/// Returns the mean; `None` for no values, NaN if one is NaN.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
