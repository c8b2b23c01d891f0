//! Scores as a page shows them, and the rows of the headline tables.

use crate::compare::{difference_text, format_p};
use crate::{Report, Score, format_bytes, format_percent, printable};
use serde::Serialize;

/// A score in words, and as a bar.
#[derive(Serialize)]
pub(super) struct ScoreView {
    /// Successes of completed episodes, `453/500`.
    counts: String,
    /// Rate, percent without the sign.
    rate: String,
    /// Ends of Wilson's interval, percent.
    low: String,
    high: String,
    /// Rate and interval as lengths of the bar, percent; 0 where nothing was completed.
    bar: [String; 3],
    /// Harness errors.
    errors: usize,
    /// Rate with harness errors as failures, percent.
    strict: String,
    /// Median steps of successful episodes.
    steps: String,
}

impl ScoreView {
    pub(super) fn of(score: &Score) -> ScoreView {
        let length = |rate: f64| match rate.is_nan() {
            true => "0".to_owned(),
            false => format!("{:.1}", 100.0 * rate),
        };
        let interval = score.interval;
        ScoreView {
            counts: format!("{}/{}", score.successes, score.completed),
            rate: format_percent(score.rate(), 1),
            low: format_percent(interval.low, 1),
            high: format_percent(interval.high, 1),
            bar: [score.rate(), interval.low, interval.high].map(length),
            errors: score.errors,
            strict: format_percent(score.strict_rate(), 1),
            steps: score
                .median_steps
                .map_or_else(|| "-".to_owned(), |s| format!("{s:.0}")),
        }
    }
}

/// A policy in a headline table.
#[derive(Serialize)]
pub(super) struct HeadlineRow {
    policy: String,
    /// Number of its colour in plots.
    color: usize,
    score: ScoreView,
    /// Difference to the reference with its interval, points; empty for the reference.
    difference: String,
    /// Adjusted p-value; empty for the reference.
    p: String,
    letters: String,
    /// Median of a query, empty without queries.
    latency: String,
    /// Weights of an instance, empty without weights.
    weights: String,
}

/// Rows about one suite, or about all of them.
#[derive(Serialize)]
pub(super) struct HeadlineTable {
    /// Name of the suite, or `all suites`.
    suite: String,
    rows: Vec<HeadlineRow>,
}

/// Returns the headline tables: over all suites first, then each of several.
pub(super) fn headline(report: &Report) -> Vec<HeadlineTable> {
    let comparison = &report.comparison;
    let letters = comparison.letters();
    let mut suites = report.suites_and_all();
    // All suites first.
    suites.rotate_right(1);
    if suites.len() == 1 {
        suites = report.suites_and_all();
    }
    let table = |suite: Option<&str>| {
        let rows = comparison.policies().iter().enumerate();
        let rows = rows.filter_map(|(i, policy)| {
            let score = policy.score(suite);
            if score.completed + score.errors == 0 {
                return None;
            }
            let paired = comparison.paired(i, suite);
            let latency = policy.latency();
            Some(HeadlineRow {
                policy: printable(&policy.label).into_owned(),
                color: i % 10,
                score: ScoreView::of(&score),
                difference: paired.as_ref().map_or_else(String::new, difference_text),
                p: paired.map_or_else(String::new, |p| format_p(p.p_adjusted)),
                letters: letters[i].clone(),
                latency: latency
                    .map_or_else(String::new, |l| format!("{:.2} ms", l.total.median_ms)),
                weights: match policy.weight_bytes() {
                    0 => String::new(),
                    bytes => format_bytes(bytes),
                },
            })
        });
        HeadlineTable {
            suite: printable(suite.unwrap_or("all suites")).into_owned(),
            rows: rows.collect(),
        }
    };
    suites.into_iter().map(table).collect()
}
