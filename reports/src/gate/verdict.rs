//! Verdict of the gate from paired outcomes: did success drop against a baseline?

use crate::stats::newcombe_paired_at;
use crate::{PairCounts, holm};
use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal};
use statrs::function::beta::{beta_reg, ln_beta};

/// Number of bets over which the e-process of non-inferiority is averaged.
const BETS: u32 = 24;

/// Verdict about a policy against its baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A drop by the margin or more is excluded.
    Held,
    /// Success rose.
    Improved,
    /// Success dropped, and a drop by the margin or more is not excluded.
    Regressed,
    /// The observed drop is the margin or more, but may be chance.
    Suspect,
    /// Too few episodes to exclude a drop by the margin.
    Underpowered,
}

impl Verdict {
    /// All verdicts.
    pub const ALL: [Verdict; 5] = [
        Verdict::Held,
        Verdict::Improved,
        Verdict::Regressed,
        Verdict::Suspect,
        Verdict::Underpowered,
    ];

    /// Name in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Held => "held",
            Verdict::Improved => "improved",
            Verdict::Regressed => "regressed",
            Verdict::Suspect => "suspect",
            Verdict::Underpowered => "underpowered",
        }
    }

    /// Exit code of the gate: 0 where nothing was lost, 1 for a regression, 3 where more episodes are needed to tell.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Held | Verdict::Improved => 0,
            Verdict::Regressed => 1,
            Verdict::Suspect | Verdict::Underpowered => 3,
        }
    }
}

/// Rule of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GateRule {
    /// Non-inferiority margin, a fraction of 1: the drop that must be excluded.
    pub margin: f64,
    /// Probability of each false verdict at most.
    pub level: f64,
    /// True for e-processes, which may be looked at after every episode, in place of tests of a fixed number of episodes.
    pub sequential: bool,
}

impl Default for GateRule {
    /// A margin of 3 points at 5 %.
    fn default() -> GateRule {
        GateRule {
            margin: 0.03,
            level: 0.05,
            sequential: false,
        }
    }
}

/// Pairs of a suite, or of all suites: the baseline is the first of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateInput {
    /// Pairs by outcome.
    pub counts: PairCounts,
    /// True if every pair ended in the same state to the bit: then nothing changed, whatever the number of pairs.
    pub identical: bool,
}

/// Numbers behind a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GateResult {
    /// Verdict.
    pub verdict: Verdict,
    /// True if every pair ended in the same state to the bit.
    pub identical: bool,
    /// Episodes in which both succeeded, only the baseline, only the run, neither.
    pub pairs: [usize; 4],
    /// Success rate of the run minus that of the baseline, a fraction of 1.
    pub difference: f64,
    /// Lower one-sided bound of the difference at the level of the rule (Newcombe), a fraction of 1.
    pub lower_bound: f64,
    /// One-sided p-value of McNemar's exact test against a drop.
    pub p_drop: f64,
    /// The same, adjusted over the suites and their sum (Holm).
    pub p_drop_adjusted: f64,
    /// One-sided p-value against a rise.
    pub p_rise: f64,
    /// e-value against "no drop".
    pub e_drop: f64,
    /// e-value against "no rise".
    pub e_rise: f64,
    /// e-value against "a drop by the margin or more".
    pub e_margin: f64,
}

/// Verdicts of a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// One per input, in its order.
    pub parts: Vec<GateResult>,
    /// Over all of them: regressed if one of the parts or their sum is.
    pub overall: GateResult,
}

/// Judges the suites of a run and their sum. With fixed numbers of episodes a drop or a rise is McNemar's exact test, one-sided,
/// adjusted by Holm's method over suites and sum; a drop by the margin is excluded by Newcombe's bound for pairs. With
/// `sequential` all three are e-processes, which reject at 1 / level times the number of hypotheses, whenever one looks.
pub fn judge(inputs: &[GateInput], rule: GateRule) -> Judgement {
    let add = |sum: PairCounts, i: &GateInput| PairCounts {
        both: sum.both + i.counts.both,
        only_first: sum.only_first + i.counts.only_first,
        only_second: sum.only_second + i.counts.only_second,
        neither: sum.neither + i.counts.neither,
    };
    let all = GateInput {
        counts: inputs.iter().fold(PairCounts::default(), add),
        identical: inputs.iter().all(|i| i.identical),
    };
    // The sum of one part is the part.
    let family = if inputs.len() > 1 {
        inputs.len() + 1
    } else {
        1
    };
    // The sum comes first, so that it is there whatever the number of parts.
    let p = |of: fn(PairCounts) -> f64| -> Vec<f64> {
        let parts = inputs.iter().map(|input| of(input.counts));
        let values: Vec<f64> = std::iter::once(of(all.counts)).chain(parts).collect();
        match family {
            1 => values,
            _ => holm(&values),
        }
    };
    let (drops, rises) = (p(p_drop), p(|c| p_drop(swapped(c))));
    let parts: Vec<GateResult> = (inputs.iter().zip(drops.iter().zip(&rises).skip(1)))
        .map(|(input, (drop, rise))| result(*input, rule, (*drop, *rise), family))
        .collect();
    let mut overall = result(all, rule, (drops[0], rises[0]), family);
    if parts.iter().any(|r| r.verdict == Verdict::Regressed) {
        overall.verdict = Verdict::Regressed;
    }
    Judgement { parts, overall }
}

fn result(input: GateInput, rule: GateRule, (drop, rise): (f64, f64), family: usize) -> GateResult {
    let counts = input.counts;
    let z = Normal::standard().inverse_cdf(1.0 - rule.level);
    let mut result = GateResult {
        verdict: Verdict::Underpowered,
        identical: input.identical && counts.pairs() > 0,
        pairs: [
            counts.both,
            counts.only_first,
            counts.only_second,
            counts.neither,
        ],
        difference: counts.difference(),
        lower_bound: newcombe_paired_at(counts, z).low,
        p_drop: p_drop(counts),
        p_drop_adjusted: drop,
        p_rise: p_drop(swapped(counts)),
        e_drop: e_drop(counts),
        e_rise: e_drop(swapped(counts)),
        e_margin: e_margin(counts, rule.margin),
    };
    let enough = family as f64 / rule.level;
    let (dropped, rose, excluded) = match rule.sequential {
        false => (
            drop < rule.level,
            rise < rule.level,
            result.lower_bound > -rule.margin,
        ),
        true => (
            result.e_drop >= enough,
            result.e_rise >= enough,
            result.e_margin >= 1.0 / rule.level,
        ),
    };
    result.verdict = match () {
        () if result.identical => Verdict::Held,
        () if dropped && !excluded => Verdict::Regressed,
        () if rose => Verdict::Improved,
        () if excluded => Verdict::Held,
        () if counts.difference() <= -rule.margin => Verdict::Suspect,
        () => Verdict::Underpowered,
    };
    result
}

fn swapped(counts: PairCounts) -> PairCounts {
    PairCounts {
        only_first: counts.only_second,
        only_second: counts.only_first,
        ..counts
    }
}

/// One-sided p-value of McNemar's exact test: the probability of as many lost episodes or more among the discordant ones if
/// either side were equally likely.
fn p_drop(counts: PairCounts) -> f64 {
    let discordant = (counts.only_first + counts.only_second) as u64;
    match Binomial::new(0.5, discordant) {
        Ok(distribution) if counts.only_first > 0 => distribution.sf(counts.only_first as u64 - 1),
        _ => 1.0,
    }
}

/// e-value against the hypothesis that a discordant episode is lost with probability 1/2 at most: the likelihood ratio to 1/2,
/// averaged over all probabilities of a loss from 1/2 to 1. Its expectation under the hypothesis is 1 at most after any number of
/// episodes (Ville's inequality bounds the probability that it ever reaches 1 / level).
fn e_drop(counts: PairCounts) -> f64 {
    let (lost, gained) = (counts.only_first as f64, counts.only_second as f64);
    // 2 ∫ p^lost (1 - p)^gained dp from 1/2 to 1, divided by 2^-(lost + gained).
    let tail = beta_reg(gained + 1.0, lost + 1.0, 0.5);
    let log = (lost + gained + 1.0) * std::f64::consts::LN_2 + ln_beta(lost + 1.0, gained + 1.0);
    log.exp() * tail
}

/// e-value against the hypothesis that success drops by `margin` or more: the capital of a gambler who bets on the difference
/// of a pair being above the margin, averaged over bets (Waudby-Smith and Ramdas, JRSS B 86, 2024, 1-27).
fn e_margin(counts: PairCounts, margin: f64) -> f64 {
    let same = (counts.both + counts.neither) as f64;
    let (lost, gained) = (counts.only_first as f64, counts.only_second as f64);
    let most = 1.0 / (1.0 - margin);
    let capital = |k: u32| {
        let bet = most * f64::from(k) / f64::from(BETS + 1);
        let growth = same * (bet * margin).ln_1p()
            + gained * (bet * (1.0 + margin)).ln_1p()
            + lost * (-bet * (1.0 - margin)).ln_1p();
        growth.exp()
    };
    (1..=BETS).map(capital).sum::<f64>() / f64::from(BETS)
}

#[cfg(test)]
mod tests {
    //! Guarantee: two equally good policies are called regressed in at most 5 % of 10 000 comparisons, a drop of 5 points is found
    //! in at least 80 % with 500 pairs, a policy that is worse by the margin is called held in at most 5 %, and the e-processes
    //! keep 5 % although one looks after every episode.
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn input(both: usize, only_first: usize, only_second: usize, neither: usize) -> GateInput {
        GateInput {
            counts: PairCounts {
                both,
                only_first,
                only_second,
                neither,
            },
            identical: false,
        }
    }

    /// Share of `comparisons` of `pairs` pairs that get a verdict. Each pair is lost, gained, failed twice with these
    /// probabilities.
    fn share(
        verdict: Verdict,
        (comparisons, pairs): (usize, usize),
        [lost, gained, neither]: [f64; 3],
    ) -> f64 {
        let mut random = ChaCha8Rng::seed_from_u64(16);
        let mut found = 0;
        for _ in 0..comparisons {
            let mut counts = PairCounts::default();
            for _ in 0..pairs {
                let u: f64 = random.random();
                *match u {
                    u if u < lost => &mut counts.only_first,
                    u if u < lost + gained => &mut counts.only_second,
                    u if u < lost + gained + neither => &mut counts.neither,
                    _ => &mut counts.both,
                } += 1;
            }
            let identical = false;
            let judged = judge(&[GateInput { counts, identical }], GateRule::default());
            found += usize::from(judged.overall.verdict == verdict);
        }
        found as f64 / comparisons as f64
    }

    #[test]
    fn false_alarms_and_power_are_as_promised() {
        for discordant in [0.01, 0.05, 0.2] {
            let equal = [discordant / 2.0, discordant / 2.0, 0.04];
            let alarms = share(Verdict::Regressed, (10_000, 500), equal);
            assert!(alarms <= 0.05, "{alarms} at {discordant}");
        }
        for gained in [0.0, 0.01, 0.03] {
            let found = share(
                Verdict::Regressed,
                (10_000, 500),
                [gained + 0.05, gained, 0.04],
            );
            assert!(found >= 0.8, "{found} at {gained}");
        }
        for gained in [0.0, 0.01, 0.05] {
            let held = share(Verdict::Held, (10_000, 500), [gained + 0.03, gained, 0.04]);
            assert!(held <= 0.055, "{held} at {gained}");
        }
    }

    #[test]
    fn e_processes_may_be_looked_at_after_every_episode() {
        let mut random = ChaCha8Rng::seed_from_u64(17);
        let (mut alarms, mut cleared, runs) = (0, 0, 10_000);
        for _ in 0..runs {
            let mut equal = PairCounts::default();
            let mut worse = PairCounts::default();
            let (mut alarm, mut clear) = (false, false);
            for pair in 0..500 {
                // Discordant in 10 %, evenly; lost in 3 % and never gained.
                let u: f64 = random.random();
                match u {
                    u if u < 0.05 => equal.only_first += 1,
                    u if u < 0.10 => equal.only_second += 1,
                    _ => equal.both += 1,
                }
                match random.random::<f64>() {
                    u if u < 0.03 => worse.only_first += 1,
                    _ => worse.both += 1,
                }
                // A value changes most with a discordant pair; every tenth look sees the others.
                if u < 0.10 || pair % 10 == 9 {
                    alarm |= e_drop(equal) >= 20.0;
                    clear |= e_margin(worse, 0.03) >= 20.0;
                }
            }
            alarms += usize::from(alarm);
            cleared += usize::from(clear);
        }
        assert!(alarms * 20 <= runs, "{alarms} alarms");
        assert!(cleared * 20 <= runs, "{cleared} cleared");
        // They do find what there is.
        assert!(e_drop(input(470, 28, 2, 0).counts) > 1000.0);
        assert!(e_margin(input(475, 0, 0, 25).counts, 0.03) > 1000.0);
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        // Nothing discordant: no evidence. One loss: 2 * 2 * (1/2 - 1/8).
        assert!(close(e_drop(input(9, 0, 0, 1).counts), 1.0));
        assert!(close(e_drop(input(9, 1, 0, 0).counts), 1.5));
    }

    #[test]
    fn verdicts_follow_from_the_counts() {
        let verdict = |i: GateInput| judge(&[i], GateRule::default()).overall.verdict;
        assert_eq!(verdict(input(475, 5, 5, 15)), Verdict::Held);
        assert_eq!(verdict(input(450, 30, 2, 18)), Verdict::Regressed);
        assert_eq!(verdict(input(450, 2, 30, 18)), Verdict::Improved);
        assert_eq!(verdict(input(44, 4, 1, 1)), Verdict::Suspect);
        assert_eq!(verdict(input(19, 0, 0, 1)), Verdict::Underpowered);
        let same = GateInput {
            identical: true,
            ..input(19, 0, 0, 1)
        };
        assert_eq!(verdict(same), Verdict::Held);
        // A significant drop of 1 point among 10 000 episodes is within the margin.
        assert_eq!(verdict(input(9700, 200, 100, 0)), Verdict::Held);
        // No pair says nothing.
        assert_eq!(verdict(input(0, 0, 0, 0)), Verdict::Underpowered);
        // One bad suite of two is enough.
        let judged = judge(
            &[input(450, 30, 2, 18), input(460, 2, 30, 8)],
            GateRule::default(),
        );
        assert_eq!(judged.overall.verdict, Verdict::Regressed);
        assert_eq!(judged.parts[1].verdict, Verdict::Improved);
    }
}
