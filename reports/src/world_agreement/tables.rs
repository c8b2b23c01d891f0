//! Tables of an agreement.

use super::{AgreementLevel, Estimate, WorldAgreement};
use crate::compare::format_p;
use crate::{
    PairCounts, ReportError, TextTable, format_percent, mcnemar_exact, wilson, write_text,
};
use std::path::Path;

/// Rate with Wilson's interval, in percent.
fn rate(successes: usize, pairs: usize) -> String {
    let interval = wilson(successes, pairs);
    format!(
        "{} ({} to {})",
        format_percent(successes as f64 / pairs as f64, 1),
        format_percent(interval.low, 1),
        format_percent(interval.high, 1)
    )
}

/// A difference of rates in points.
fn points(difference: f64) -> String {
    // Zero has no sign.
    format!("{:+.1}", 100.0 * difference + 0.0)
}

/// Share of pairs with the same outcome that two independent worlds with these rates would have.
fn expected_agreement(counts: PairCounts) -> f64 {
    let n = counts.pairs() as f64;
    let first = counts.first() as f64 / n;
    let second = counts.second() as f64 / n;
    first * second + (1.0 - first) * (1.0 - second)
}

impl Estimate {
    /// Value and interval in words.
    fn words(self) -> String {
        let number = |x: f64| format!("{x:.3}");
        match (self.value, self.interval) {
            (None, _) => "-".to_owned(),
            (Some(value), None) => number(value),
            (Some(value), Some(i)) => {
                format!(
                    "{} ({} to {})",
                    number(value),
                    number(i.low),
                    number(i.high)
                )
            }
        }
    }
}

impl WorldAgreement {
    /// A row per policy and suite: success in both worlds in percent with intervals, difference in points.
    pub fn success_table(&self) -> TextTable {
        let header = [
            "suite",
            "policy",
            "states",
            self.first.as_str(),
            self.second.as_str(),
            "difference",
        ];
        let mut table = TextTable::new(&header);
        for cell in &self.cells {
            let counts = cell.counts();
            let n = counts.pairs();
            table.push([
                cell.suite.clone(),
                cell.policy.clone(),
                n.to_string(),
                rate(counts.first(), n),
                rate(counts.second(), n),
                points(-counts.difference()),
            ]);
        }
        table
    }

    /// A row per suite: mean over its policies of the first world's rate minus the second's, points.
    pub fn gap_table(&self) -> TextTable {
        let mut table = TextTable::new(&["suite", "policies", "mean_gap"]);
        for suite in self.suites() {
            let policies = self.cells.iter().filter(|cell| cell.suite == suite).count();
            let gap = points(self.mean_gap(suite));
            table.push([suite.to_owned(), policies.to_string(), gap]);
        }
        table
    }

    /// A row per level: Pearson's correlation and mean maximum rank violation with intervals.
    pub fn correlation_table(&self) -> TextTable {
        let mut table = TextTable::new(&["over", "rates", "Pearson", "MMRV"]);
        for level in AgreementLevel::ALL {
            let rates: usize = self.rates(level).iter().map(Vec::len).sum();
            table.push([
                level.name().to_owned(),
                rates.to_string(),
                self.pearson(level).words(),
                self.rank_violation(level).words(),
            ]);
        }
        table
    }

    /// What became of each shared initial state, in the columns of [`FLIP_COLUMNS`].
    fn flip_row(&self) -> [String; 12] {
        let counts = self.counts();
        let n = counts.pairs();
        let flips = counts.only_first + counts.only_second;
        let interval = wilson(flips, n);
        let percent = |rate: f64| format_percent(rate, 1);
        [
            self.first.clone(),
            self.second.clone(),
            n.to_string(),
            counts.both.to_string(),
            counts.only_first.to_string(),
            counts.only_second.to_string(),
            counts.neither.to_string(),
            percent(flips as f64 / n as f64),
            percent(interval.low),
            percent(interval.high),
            percent(1.0 - expected_agreement(counts)),
            format_p(mcnemar_exact(counts.only_first, counts.only_second)),
        ]
    }

    /// A row per task: outcomes in both worlds.
    pub fn task_table(&self) -> TextTable {
        let header = [
            "suite",
            "task",
            "policy",
            "states",
            "both",
            "only_first",
            "only_second",
            "neither",
        ];
        let mut table = TextTable::new(&header);
        for cell in &self.cells {
            for (task, counts) in cell.task_counts() {
                let numbers = [
                    counts.pairs(),
                    counts.both,
                    counts.only_first,
                    counts.only_second,
                    counts.neither,
                ];
                let names = [cell.suite.clone(), task.to_string(), cell.policy.clone()];
                table.push(names.into_iter().chain(numbers.map(|n| n.to_string())));
            }
        }
        table
    }

    /// The report in words: the agreement, and beside it that of other pairs of worlds as yardsticks.
    pub fn summary(&self, yardsticks: &[WorldAgreement]) -> String {
        let mut text = format!(
            "Success in {} and in {} on the same initial states, in percent with Wilson's 95 % intervals\n\n{}\n",
            self.first,
            self.second,
            self.success_table().text()
        );
        text.push_str(&format!(
            "Mean over the policies of a suite, {} minus {}, points\n\n{}\n",
            self.first,
            self.second,
            self.gap_table().text()
        ));
        text.push_str(&format!(
            "How the two go together, with 95 % intervals under resampling of tasks\n\n{}\n",
            self.correlation_table().text()
        ));
        text.push_str(&format!(
            "Outcomes on shared initial states: flips in percent with Wilson's 95 % interval, beside those of\n\
             independent worlds with the same rates; p of McNemar's exact test\n\n{}",
            flip_text(self, yardsticks)
        ));
        if !self.gaps.is_empty() {
            text.push_str(&format!("\nnot compared: {}\n", self.gaps.join("; ")));
        }
        text
    }

    /// Writes the summary, and the tables as CSV, into a folder.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, yardsticks: &[WorldAgreement], dir: &Path) -> Result<(), ReportError> {
        write_text(&dir.join("summary.txt"), &self.summary(yardsticks))?;
        self.success_table().write_csv(&dir.join("success.csv"))?;
        self.correlation_table()
            .write_csv(&dir.join("correlation.csv"))?;
        flip_table(self, yardsticks).write_csv(&dir.join("flips.csv"))?;
        self.task_table().write_csv(&dir.join("tasks.csv"))
    }
}

/// Columns of the table of flips: worlds, outcomes of their shared initial states (success in both, in the first or second only, in neither), flips
/// in percent with Wilson's interval, those of independent worlds with the same rates, p of McNemar's exact test.
const FLIP_COLUMNS: [&str; 12] = [
    "world",
    "against",
    "states",
    "both",
    "only_first",
    "only_second",
    "neither",
    "flips",
    "low",
    "high",
    "independent",
    "p",
];

/// Outcomes on shared initial states, a row per pair of worlds.
fn flip_table(agreement: &WorldAgreement, yardsticks: &[WorldAgreement]) -> TextTable {
    let mut table = TextTable::new(&FLIP_COLUMNS);
    for pair in std::iter::once(agreement).chain(yardsticks) {
        table.push(pair.flip_row());
    }
    table
}

/// The same in words, a line per pair of worlds.
fn flip_text(agreement: &WorldAgreement, yardsticks: &[WorldAgreement]) -> String {
    let lines = std::iter::once(agreement).chain(yardsticks).map(|pair| {
        let [first, second, states, _, only_first, only_second, _, flips, low, high, independent, p] =
            pair.flip_row();
        format!(
            "{first} against {second}\n  {states} states: {only_first} succeed in the first only, {only_second} in the second only;\n  flips {flips} ({low} to {high}), of independent worlds {independent}; p {p}\n"
        )
    });
    lines.collect()
}
