//! A check as text, JUnit XML, workflow commands of GitHub, and Markdown.

use super::baseline::Check;
use super::costs::{CostResult, cost_table};
use super::verdict::{GateResult, Verdict};
use crate::{TERMINAL_COLUMNS, TextTable, printable, wrap};
use std::fmt::Write;

/// Flipped episodes that are listed; the JSON file has all.
const LISTED: usize = 10;

impl Check {
    /// One sentence about a verdict.
    pub(crate) fn sentence(&self, result: &GateResult) -> String {
        let margin = 100.0 * self.rule.margin;
        let difference = 100.0 * result.difference;
        let bound = 100.0 * result.lower_bound;
        let level = 100.0 * (1.0 - self.rule.level);
        match result.verdict {
            _ if result.identical => "every episode ends in the same state, to the bit".to_owned(),
            Verdict::Held => format!(
                "success changed by {difference:+.1} points; a drop by {margin} points is excluded (at least {bound:+.1} at {level} %)"
            ),
            Verdict::Improved => format!("success rose by {difference:.1} points"),
            Verdict::Regressed => {
                format!("success changed by {difference:+.1} points, which is no chance")
            }
            Verdict::Suspect => format!(
                "success changed by {difference:+.1} points, which may be chance; more episodes will tell"
            ),
            Verdict::Underpowered => format!(
                "a drop by {margin} points is not excluded (at least {bound:+.1} at {level} %); more episodes will tell"
            ),
        }
    }

    /// One sentence about everything: the costs that grew, then success.
    pub(crate) fn overall_sentence(&self) -> String {
        let grown = self
            .costs
            .iter()
            .filter(|c| c.verdict == Some(Verdict::Regressed));
        let sentences: Vec<String> = grown
            .map(|cost| format!("suite {}: {}", cost.suite, cost_sentence(cost)))
            .chain([self.sentence(&self.judgement.overall)])
            .collect();
        sentences.join("; ")
    }

    /// Rows of latency and weights; `None` where nothing can be compared.
    pub(crate) fn cost_table(&self) -> Option<TextTable> {
        (!self.costs.is_empty()).then(|| cost_table(&self.costs))
    }

    /// Suites with their results, and all of them together where there are several.
    fn results(&self) -> Vec<(&str, &GateResult)> {
        let parts = (self.suites.iter().map(String::as_str)).zip(&self.judgement.parts);
        match self.suites.len() {
            1 => parts.collect(),
            _ => parts.chain([("all", &self.judgement.overall)]).collect(),
        }
    }

    /// Sentences about what was not compared or differs.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = self.not_checked.clone();
        for (suite, n) in &self.missing {
            notes.push(format!(
                "suite {suite}: {n} episodes of the baseline are not in the run"
            ));
        }
        for (suite, n) in &self.errors {
            notes.push(format!(
                "suite {suite}: {n} harness errors count in no pair"
            ));
        }
        notes.extend(self.differences.iter().map(|d| format!("protocol of {d}")));
        notes
    }

    /// The flipped episodes in words, the first ones of many.
    pub(crate) fn flipped(&self) -> Vec<String> {
        let lost = self.flips.iter().filter(|f| !f.gained).count();
        let mut lines = Vec::new();
        if !self.flips.is_empty() {
            lines.push(format!(
                "{lost} episodes are lost and {} gained:",
                self.flips.len() - lost
            ));
        }
        // Losses first.
        let flips = self.flips.iter().filter(|f| !f.gained);
        let flips = flips.chain(self.flips.iter().filter(|f| f.gained));
        for flip in flips.take(LISTED) {
            let what = if flip.gained { "gained" } else { "lost" };
            lines.push(format!(
                "  {what} {} task {} state {}",
                flip.suite, flip.task, flip.init
            ));
        }
        if let Some(more) = self.flips.len().checked_sub(LISTED).filter(|n| *n > 0) {
            lines.push(format!("  and {more} more"));
        }
        lines
    }

    /// Returns the check as text for a terminal.
    pub fn summary(&self) -> String {
        let mut out = self.table().text();
        if let Some(costs) = self.cost_table() {
            let _ = write!(out, "\n{}", costs.text());
        }
        out.push('\n');
        for line in self.flipped() {
            let _ = writeln!(out, "{}", printable(&line));
        }
        for note in self.notes() {
            for line in wrap(&printable(&note), TERMINAL_COLUMNS) {
                let _ = writeln!(out, "{line}");
            }
        }
        let verdict = format!("{}: {}", self.verdict.name(), self.overall_sentence());
        for line in wrap(&verdict, TERMINAL_COLUMNS) {
            let _ = writeln!(out, "{line}");
        }
        out
    }

    /// What was judged: success of each suite and of all together, and the costs.
    fn cases(&self) -> Vec<Case<'_>> {
        let success = self.results().into_iter().map(|(suite, result)| Case {
            class: "success",
            suite,
            verdict: result.verdict,
            sentence: self.sentence(result),
        });
        let costs = self.costs.iter().filter_map(|cost| {
            Some(Case {
                class: cost.cost.name(),
                suite: &cost.suite,
                verdict: cost.verdict?,
                sentence: cost_sentence(cost),
            })
        });
        success.chain(costs).collect()
    }

    /// Returns the check as JUnit XML: a test case per suite and cost, which fails if it regressed and is skipped if there were too few
    /// episodes to tell.
    pub fn junit(&self) -> String {
        let cases = self.cases();
        let count = |of: fn(Verdict) -> bool| cases.iter().filter(|c| of(c.verdict)).count();
        let failures = count(|v| v == Verdict::Regressed);
        let skipped = count(|v| v.exit_code() == 3);
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"bitvla-eval check\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\">\n",
            cases.len()
        );
        for case in cases {
            let sentence = xml(&case.sentence);
            let element = match case.verdict.exit_code() {
                0 => String::new(),
                1 => format!("<failure message=\"{sentence}\"/>"),
                _ => format!("<skipped message=\"{sentence}\"/>"),
            };
            let _ = writeln!(
                out,
                "    <testcase classname=\"{}\" name=\"{}\">{element}<system-out>{}: {sentence}</system-out></testcase>",
                case.class,
                xml(case.suite),
                case.verdict.name()
            );
        }
        out.push_str("  </testsuite>\n</testsuites>\n");
        out
    }

    /// Returns the check as workflow commands of GitHub, one annotation per suite.
    pub fn annotations(&self) -> String {
        let mut out = String::new();
        for case in self.cases() {
            let level = match case.verdict.exit_code() {
                0 => "notice",
                1 => "error",
                _ => "warning",
            };
            let title = format!("{}, {}: {}", case.suite, case.class, case.verdict.name());
            let _ = writeln!(
                out,
                "::{level} title={}::{}",
                command_property(&title),
                command_text(&case.sentence)
            );
        }
        out
    }

    /// Returns the check as Markdown, for the summary of a workflow step or a pull request.
    pub fn markdown(&self) -> String {
        let table = self.table();
        let cell = |text: &String| text.replace('|', "\\|");
        let row = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(cell).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut out = format!("**{}**: {}\n", self.verdict.name(), self.overall_sentence());
        for table in [Some(table), self.cost_table()].into_iter().flatten() {
            let _ = write!(out, "\n{}", row(&table.header));
            let _ = writeln!(out, "|{}", "---|".repeat(table.header.len()));
            for cells in &table.rows {
                out.push_str(&row(cells));
            }
        }
        let lines: Vec<String> = self.flipped().into_iter().chain(self.notes()).collect();
        if !lines.is_empty() {
            let _ = write!(out, "\n```\n{}\n```\n", lines.join("\n"));
        }
        out
    }
}

/// One thing that was judged.
struct Case<'a> {
    class: &'static str,
    suite: &'a str,
    verdict: Verdict,
    sentence: String,
}

/// One sentence about a cost.
fn cost_sentence(cost: &CostResult) -> String {
    let interval = cost
        .interval
        .map_or_else(String::new, |i| format!(" ({:.3} to {:.3})", i.low, i.high));
    format!(
        "{}: {:.3}{interval} times the baseline",
        cost.cost.name(),
        cost.ratio
    )
}

/// Text as the value of an XML attribute or as character data.
fn xml(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Message of a workflow command, escaped as GitHub's toolkit does.
fn command_text(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Property of a workflow command.
fn command_property(text: &str) -> String {
    command_text(text).replace(':', "%3A").replace(',', "%2C")
}
