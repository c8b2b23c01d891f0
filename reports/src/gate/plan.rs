//! Planning of a check: how many episodes a margin needs.

use super::verdict::{GateInput, GateRule, Verdict, judge};
use crate::{PairCounts, TextTable};
use statrs::function::gamma::ln_gamma;

/// Most episodes that are considered.
const MOST: usize = 20_000;
/// Step of the numbers of episodes.
const STEP: usize = 10;
/// Standard deviations of a count that are summed over.
const SPREAD: f64 = 5.5;

/// How two policies differ in the episodes of a plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExpectedPairs {
    /// Probability that only the baseline succeeds.
    pub lost: f64,
    /// Probability that only the run does.
    pub gained: f64,
    /// Success rate of the baseline.
    pub success: f64,
}

/// Returns the probability of a verdict with `pairs` pairs: the sum over all counts of lost and gained episodes, which are
/// multinomial; the others fail or succeed twice in the expected proportion.
pub fn verdict_probability(
    verdict: Verdict,
    pairs: usize,
    expected: ExpectedPairs,
    rule: GateRule,
) -> f64 {
    let n = pairs as f64;
    let ExpectedPairs {
        lost,
        gained,
        success,
    } = expected;
    let range = |rate: f64| {
        // Small counts are skewed.
        let half = SPREAD * (n * rate * (1.0 - rate)).sqrt() + 8.0;
        let low = (n * rate - half).max(0.0) as usize;
        let high = if rate > 0.0 {
            (n * rate + half) as usize
        } else {
            0
        };
        low..=high.min(pairs)
    };
    let failing = (1.0 - success - gained).max(0.0) / (1.0 - lost - gained).max(1e-9);
    let log = |count: usize, rate: f64| match count {
        0 => 0.0,
        count => count as f64 * rate.ln() - ln_gamma(count as f64 + 1.0),
    };
    let mut sum = 0.0;
    for only_first in range(lost) {
        for only_second in range(gained) {
            let Some(same) = pairs.checked_sub(only_first + only_second) else {
                continue;
            };
            let neither = (same as f64 * failing).round() as usize;
            let counts = PairCounts {
                both: same - neither.min(same),
                only_first,
                only_second,
                neither: neither.min(same),
            };
            let identical = false;
            if judge(&[GateInput { counts, identical }], rule)
                .overall
                .verdict
                != verdict
            {
                continue;
            }
            let rest = (1.0 - lost - gained).max(0.0);
            let probability = ln_gamma(n + 1.0)
                + log(only_first, lost)
                + log(only_second, gained)
                + log(same, rest);
            sum += probability.exp();
        }
    }
    sum
}

/// Returns the least number of episodes, a multiple of ten, from which a verdict has at least this probability; `None` beyond
/// 20 000.
pub fn episodes_needed(
    verdict: Verdict,
    power: f64,
    expected: ExpectedPairs,
    rule: GateRule,
) -> Option<usize> {
    let enough = |n: usize| verdict_probability(verdict, n, expected, rule) >= power;
    let mut high = STEP;
    while !enough(high) {
        high *= 2;
        if high > MOST {
            return None;
        }
    }
    let mut low = high / 2;
    // The probability rises, but for the steps of whole numbers.
    while high - low > STEP {
        let middle = (low + high) / 2 / STEP * STEP;
        if middle <= low {
            break;
        }
        if enough(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

/// Returns a table of the episodes that a check needs: a row per share of episodes in which two equally good policies differ.
pub fn plan_table(success: f64, rule: GateRule) -> TextTable {
    const POWER: f64 = 0.8;
    let header = ["discordant", "held", "drop of 3", "drop of 5", "drop of 10"];
    let mut table = TextTable::new(&header);
    for discordant in [0.0, 0.01, 0.02, 0.05, 0.10] {
        let needed = |verdict, lost: f64| {
            let expected = ExpectedPairs {
                lost: lost + discordant / 2.0,
                gained: discordant / 2.0,
                success,
            };
            episodes_needed(verdict, POWER, expected, rule)
                .map_or_else(|| format!("> {MOST}"), |n| n.to_string())
        };
        let drops = [0.03, 0.05, 0.10].map(|drop| needed(Verdict::Regressed, drop));
        let first = [
            format!("{:.0} %", 100.0 * discordant),
            needed(Verdict::Held, 0.0),
        ];
        table.push(first.into_iter().chain(drops));
    }
    table
}

#[cfg(test)]
mod tests {
    //! Guarantee: the probabilities of all verdicts sum to 1, and the planned number of episodes has the power that was asked for,
    //! ten fewer do not.
    use super::*;

    #[test]
    fn plans_have_the_power_that_was_asked_for() {
        let rule = GateRule::default();
        let expected = ExpectedPairs {
            lost: 0.06,
            gained: 0.01,
            success: 0.95,
        };
        let all: f64 = (Verdict::ALL.iter())
            .map(|v| verdict_probability(*v, 200, expected, rule))
            .sum();
        assert!((all - 1.0).abs() < 1e-6, "{all}");
        let n = episodes_needed(Verdict::Regressed, 0.8, expected, rule).unwrap();
        let at = |n| verdict_probability(Verdict::Regressed, n, expected, rule);
        assert!(
            at(n) >= 0.8 && at(n - 20) < 0.8,
            "{n}: {} {}",
            at(n),
            at(n - 20)
        );
        assert!((100..500).contains(&n), "{n}");
        // Policies that never differ: only the bound of the baseline's own rate matters.
        let equal = ExpectedPairs {
            lost: 0.0,
            gained: 0.0,
            success: 0.95,
        };
        assert!(episodes_needed(Verdict::Held, 0.8, equal, rule).unwrap() <= 200);
        assert_eq!(episodes_needed(Verdict::Regressed, 0.8, equal, rule), None);
    }
}
