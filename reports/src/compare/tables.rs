//! Tables of a comparison as plain text, and its files.

use super::{ComparedPolicy, Comparison, DiscordantEpisode, PairedResult};
use crate::{
    Interval, ReportError, TERMINAL_COLUMNS, TextTable, format_bytes, format_joules,
    format_percent, printable, wrap,
};
use std::fmt::Write;
use std::path::Path;

/// Discordant episodes that the summary lists per policy; the file has all.
const LISTED: usize = 5;

impl Comparison {
    /// Returns the comparison as text: a table per suite and over all, latency and memory, discordant episodes, differences of
    /// the protocols.
    pub fn summary(&self) -> String {
        let mut out = String::new();
        let reference = printable(&self.policies[0].label).into_owned();
        let letters = self.letters();
        for suite in &self.suites {
            let _ = writeln!(out, "{}", printable(suite));
            out.push_str(&self.success_table(Some(suite), &letters).text());
            out.push('\n');
        }
        if self.suites.len() > 1 {
            out.push_str("all suites\n");
            out.push_str(&self.success_table(None, &letters).text());
            out.push('\n');
        }
        let over = if self.suites.len() > 1 {
            " over all suites"
        } else {
            ""
        };
        let notes = self.difference_note(&format!("`{reference}`"), over);
        for line in wrap(&notes, TERMINAL_COLUMNS) {
            let _ = writeln!(out, "{line}");
        }
        let _ = write!(out, "\n{}", self.resources_table().text());
        let estimated = |p: &ComparedPolicy| {
            let mut runs = p.runs.values();
            runs.any(|run| run.manifest.energy.operations.is_some())
        };
        if self.policies.iter().any(estimated) {
            out.push_str(
                "Energy of a query: estimated from operations and bytes (Horowitz, ISSCC 2014).\n",
            );
        }
        self.add_discordant(&mut out);
        add_list(&mut out, "not compared", &self.gaps);
        add_list(&mut out, "protocols differ in", &self.differences);
        out
    }

    /// Sentences about the columns of a difference from the policy `reference`; `over` follows the level of the letters.
    pub(crate) fn difference_note(&self, reference: &str, over: &str) -> String {
        let adjusted = match self.suites.len() {
            1 => "",
            _ => ", adjusted by Holm's method over suites",
        };
        format!(
            "Difference: points against {reference} on the initial states that both completed, with the 95 % interval under resampling of tasks \
             (Newcombe's where there is one task). p: McNemar's exact test, two-sided{adjusted}. Policies without a common letter differ at \
             5 %{over} (Holm over all pairs)."
        )
    }

    /// Success of every policy in a suite, or over all with `None`.
    fn success_table(&self, suite: Option<&str>, letters: &[String]) -> TextTable {
        let mut table = TextTable::new(&[
            "policy",
            "success",
            "rate",
            "Wilson 95 %",
            "difference",
            "p",
            "letters",
        ]);
        for (i, policy) in self.policies.iter().enumerate() {
            let score = policy.score(suite);
            if score.completed + score.errors == 0 {
                continue;
            }
            let errors = match score.errors {
                0 => String::new(),
                n => format!(", {n} errors"),
            };
            let paired = self.paired(i, suite);
            table.push([
                printable(&policy.label).into_owned(),
                format!("{}/{}{errors}", score.successes, score.completed),
                format!("{} %", format_percent(score.rate(), 1)),
                interval_text(score.interval),
                paired.as_ref().map_or_else(String::new, difference_text),
                paired.map_or_else(String::new, |p| format_p(p.p_adjusted)),
                letters[i].clone(),
            ]);
        }
        table
    }

    /// Latency and memory of every policy.
    fn resources_table(&self) -> TextTable {
        let mut table = TextTable::new(&[
            "policy",
            "query, median",
            "p95",
            "weights",
            "activations",
            "energy",
            "arithmetic",
        ]);
        for policy in &self.policies {
            let latency = policy.latency();
            let ms =
                |of: Option<f64>| of.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.2} ms"));
            let run = policy.runs.values().next();
            let memory = run.map(|run| &run.manifest.memory);
            let operations = run.and_then(|run| run.manifest.energy.operations);
            let bytes = |n: u64| match n {
                0 => "-".to_owned(),
                n => format_bytes(n),
            };
            table.push([
                printable(&policy.label).into_owned(),
                ms(latency.as_ref().map(|l| l.total.median_ms)),
                ms(latency.as_ref().map(|l| l.total.p95_ms)),
                bytes(policy.weight_bytes()),
                bytes(memory.map_or(0, |m| m.activation_bytes)),
                operations.map_or_else(|| "-".to_owned(), |o| format_joules(o.joules())),
                run.map_or_else(String::new, |r| r.manifest.protocol.arithmetic.clone()),
            ]);
        }
        table
    }

    fn add_discordant(&self, out: &mut String) {
        let all = self.discordant();
        for policy in &self.policies[1..] {
            let of: Vec<&DiscordantEpisode> =
                all.iter().filter(|d| d.policy == policy.label).collect();
            let gained = of.iter().filter(|d| d.gained).count();
            let label = printable(&policy.label);
            let _ = writeln!(
                out,
                "\n{label}: {gained} episodes gained and {} lost against {}",
                of.len() - gained,
                printable(&self.policies[0].label)
            );
            let mut table = TextTable::new(&["suite", "task", "state", "", "first other action"]);
            for d in of.iter().take(LISTED) {
                table.push([
                    printable(&d.suite).into_owned(),
                    d.task.to_string(),
                    d.init.to_string(),
                    if d.gained { "gained" } else { "lost" }.to_owned(),
                    d.parts_at
                        .map_or_else(|| "-".to_owned(), |step| format!("step {step}")),
                ]);
            }
            if !of.is_empty() {
                for line in table.text().lines() {
                    let _ = writeln!(out, "  {line}");
                }
            }
            if let Some(more) = of.len().checked_sub(LISTED).filter(|n| *n > 0) {
                let _ = writeln!(out, "  and {more} more in discordant.csv");
            }
        }
    }

    /// Writes `comparison.csv` (a row per policy and suite, `all` over the suites) and `discordant.csv` into a folder.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write_csv(&self, dir: &Path) -> Result<(), ReportError> {
        let mut table = TextTable::new(&[
            "suite",
            "policy",
            "successes",
            "completed",
            "errors",
            "rate",
            "wilson_low",
            "wilson_high",
            "pairs",
            "only_reference",
            "only_policy",
            "difference",
            "by_task_low",
            "by_task_high",
            "newcombe_low",
            "newcombe_high",
            "p",
            "p_adjusted",
        ]);
        let suites = self.suites.iter().map(|s| Some(s.as_str())).chain([None]);
        for suite in suites {
            for (i, policy) in self.policies.iter().enumerate() {
                let score = policy.score(suite);
                let mut row = vec![
                    suite.unwrap_or("all").to_owned(),
                    policy.label.clone(),
                    score.successes.to_string(),
                    score.completed.to_string(),
                    score.errors.to_string(),
                ];
                row.extend([score.rate(), score.interval.low, score.interval.high].map(number));
                match self.paired(i, suite) {
                    Some(p) => {
                        let counts = [p.counts.pairs(), p.counts.only_first, p.counts.only_second];
                        row.extend(counts.map(|n| n.to_string()));
                        row.push(number(p.counts.difference()));
                        let ends = |i: Option<Interval>| match i {
                            Some(i) => [i.low, i.high].map(number),
                            None => [String::new(), String::new()],
                        };
                        row.extend(ends(p.by_task));
                        row.extend(ends(Some(p.newcombe)));
                        row.extend([p.p, p.p_adjusted].map(number));
                    }
                    None => row.extend(std::iter::repeat_n(String::new(), 10)),
                }
                table.push(row);
            }
        }
        table.write_csv(&dir.join("comparison.csv"))?;
        let mut table = TextTable::new(&["policy", "suite", "task", "init", "outcome", "parts_at"]);
        for d in self.discordant() {
            table.push([
                d.policy,
                d.suite,
                d.task.to_string(),
                d.init.to_string(),
                if d.gained { "gained" } else { "lost" }.to_owned(),
                d.parts_at.map_or_else(String::new, |s| s.to_string()),
            ]);
        }
        table.write_csv(&dir.join("discordant.csv"))
    }
}

/// Adds sentences below a title, if there are any.
fn add_list(out: &mut String, title: &str, sentences: &[String]) {
    if !sentences.is_empty() {
        let _ = writeln!(out, "\n{title}");
    }
    for sentence in sentences {
        for line in wrap(&printable(sentence), TERMINAL_COLUMNS - 2) {
            let _ = writeln!(out, "  {line}");
        }
    }
}

/// Six decimals of a fraction; empty for NaN.
fn number(value: f64) -> String {
    match value {
        v if v.is_nan() => String::new(),
        v if v != 0.0 && v.abs() < 1e-4 => format!("{v:.3e}"),
        v => format!("{v:.6}"),
    }
}

fn interval_text(interval: Interval) -> String {
    format!(
        "{}–{}",
        format_percent(interval.low, 1),
        format_percent(interval.high, 1)
    )
}

/// `-1.2 (-3.4 to +0.8)`, in points.
pub(crate) fn difference_text(paired: &PairedResult) -> String {
    let interval = paired.by_task.unwrap_or(paired.newcombe);
    // No difference has no sign.
    let points = |v: f64| match 100.0 * v {
        p if p.abs() < 0.05 => "0.0".to_owned(),
        p => format!("{p:+.1}"),
    };
    format!(
        "{} ({} to {})",
        points(paired.counts.difference()),
        points(interval.low),
        points(interval.high)
    )
}

/// A p-value with two significant digits.
pub(crate) fn format_p(p: f64) -> String {
    match p {
        p if p >= 0.995 => "1".to_owned(),
        p if p >= 0.1 => format!("{p:.2}"),
        p if p >= 0.001 => format!("{p:.3}"),
        p if p >= 1e-99 => format!("{p:.0e}"),
        _ => "<1e-99".to_owned(),
    }
}
