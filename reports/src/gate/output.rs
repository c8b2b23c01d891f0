//! A check as text, JUnit XML, workflow commands of GitHub, and Markdown.

use super::baseline::Check;
use super::verdict::{GateResult, Verdict};
use crate::{TERMINAL_COLUMNS, printable, wrap};
use std::fmt::Write;

/// Flipped episodes that are listed; the JSON file has all.
const LISTED: usize = 10;

impl Check {
    /// Verdict over all suites.
    pub fn verdict(&self) -> Verdict {
        self.judgement.overall.verdict
    }

    /// One sentence about a verdict.
    fn sentence(&self, result: &GateResult) -> String {
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

    /// Suites with their results, and all of them together where there are several.
    fn results(&self) -> Vec<(&str, &GateResult)> {
        let parts = (self.suites.iter().map(String::as_str)).zip(&self.judgement.parts);
        match self.suites.len() {
            1 => parts.collect(),
            _ => parts.chain([("all", &self.judgement.overall)]).collect(),
        }
    }

    /// Sentences about what was not compared or differs.
    fn notes(&self) -> Vec<String> {
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
    fn flipped(&self) -> Vec<String> {
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
        out.push('\n');
        for line in self.flipped() {
            let _ = writeln!(out, "{}", printable(&line));
        }
        for note in self.notes() {
            for line in wrap(&printable(&note), TERMINAL_COLUMNS) {
                let _ = writeln!(out, "{line}");
            }
        }
        let sentence = self.sentence(&self.judgement.overall);
        let verdict = format!("{}: {sentence}", self.verdict().name());
        for line in wrap(&verdict, TERMINAL_COLUMNS) {
            let _ = writeln!(out, "{line}");
        }
        out
    }

    /// Returns the check as JUnit XML: a test case per suite, which fails if it regressed and is skipped if there were too few
    /// episodes to tell.
    pub fn junit(&self) -> String {
        let results = self.results();
        let count = |of: fn(Verdict) -> bool| results.iter().filter(|r| of(r.1.verdict)).count();
        let failures = count(|v| v == Verdict::Regressed);
        let skipped = count(|v| v.exit_code() == 3);
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"bitvla-eval check\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\">\n",
            results.len()
        );
        for (name, result) in results {
            let sentence = xml(&self.sentence(result));
            let element = match result.verdict.exit_code() {
                0 => String::new(),
                1 => format!("<failure message=\"{sentence}\"/>"),
                _ => format!("<skipped message=\"{sentence}\"/>"),
            };
            let _ = writeln!(
                out,
                "    <testcase classname=\"success\" name=\"{}\">{element}<system-out>{}: {sentence}</system-out></testcase>",
                xml(name),
                result.verdict.name()
            );
        }
        out.push_str("  </testsuite>\n</testsuites>\n");
        out
    }

    /// Returns the check as workflow commands of GitHub, one annotation per suite.
    pub fn annotations(&self) -> String {
        let mut out = String::new();
        for (name, result) in self.results() {
            let level = match result.verdict.exit_code() {
                0 => "notice",
                1 => "error",
                _ => "warning",
            };
            let title = format!("{name}: {}", result.verdict.name());
            let _ = writeln!(
                out,
                "::{level} title={}::{}",
                command_property(&title),
                command_text(&self.sentence(result))
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
        let mut out = format!(
            "**{}**: {}\n\n",
            self.verdict().name(),
            self.sentence(&self.judgement.overall)
        );
        out.push_str(&row(&table.header));
        out.push_str(&format!("|{}\n", "---|".repeat(table.header.len())));
        for cells in &table.rows {
            out.push_str(&row(cells));
        }
        let lines: Vec<String> = self.flipped().into_iter().chain(self.notes()).collect();
        if !lines.is_empty() {
            let _ = write!(out, "\n```\n{}\n```\n", lines.join("\n"));
        }
        out
    }
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
