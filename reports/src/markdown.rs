//! The report as Markdown for the description of a pull request: headline table, verdicts, failed episodes in a fold.

use crate::compare::{difference_text, format_p};
use crate::{EpisodeRecord, Report, format_bytes, format_percent, printable};
use std::fmt::Write;

/// Failed episodes that are listed per policy and suite; the HTML report has all.
const LISTED: usize = 50;

/// Returns a report as Markdown; the same report gives the same text.
pub fn markdown_report(report: &Report) -> String {
    let mut out = format!("## {}\n\n", escape(&report.title()));
    add_headline(&mut out, report);
    for note in report.notes() {
        let _ = writeln!(out, "{}\n", escape(&note));
    }
    let comparison = &report.comparison;
    let differences = comparison.protocol_differences().iter();
    let differences = differences.map(|d| format!("protocols differ: {d}"));
    let gaps: Vec<String> = comparison
        .gaps()
        .iter()
        .cloned()
        .chain(differences)
        .collect();
    for gap in &gaps {
        let _ = writeln!(out, "- {}", escape(gap));
    }
    if !gaps.is_empty() {
        out.push('\n');
    }
    for verdict in &report.verdicts {
        let _ = writeln!(out, "### Verdict about {}\n", escape(&verdict.label));
        let _ = writeln!(out, "{}", verdict.check.markdown());
    }
    if let Some(robustness) = &report.robustness {
        let _ = writeln!(out, "### Robustness\n\n{}\n", escape(&robustness.scope));
        for answer in robustness.answers() {
            let _ = writeln!(out, "{}\n", escape(&answer));
        }
        let text = robustness.level_table().text();
        let _ = writeln!(out, "{}", fenced(text.trim_end()));
    }
    add_failures(&mut out, report);
    let commands: Vec<&str> = (report.commands.iter())
        .flat_map(|c| [c.evaluate.as_str(), c.replay.as_str()])
        .collect();
    if !commands.is_empty() {
        let text = commands.join("\n");
        let _ = write!(
            out,
            "<details><summary>Commands that repeat this</summary>\n\n{}\n</details>\n",
            fenced(&text)
        );
    }
    out
}

/// A code block whose fence is longer than any in the text.
fn fenced(text: &str) -> String {
    let longest = (text.split(|c| c != '`').map(str::len)).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}\n{}\n{fence}\n", printable(text))
}

fn add_headline(out: &mut String, report: &Report) {
    let comparison = &report.comparison;
    let several = comparison.policies().len() > 1;
    let errors = comparison
        .policies()
        .iter()
        .any(|p| p.score(None).errors > 0);
    let mut header = vec!["suite", "policy", "success", "rate", "Wilson 95 %"];
    if errors {
        header.extend(["errors", "errors as failures"]);
    }
    if several {
        header.extend(["difference", "p", "letters"]);
    }
    header.extend(["query, median", "weights"]);
    let letters = comparison.letters();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for suite in report.suites_and_all() {
        for (i, policy) in comparison.policies().iter().enumerate() {
            let score = policy.score(suite);
            if score.completed + score.errors == 0 {
                continue;
            }
            let percent = |rate: f64| format!("{} %", format_percent(rate, 1));
            let mut row = vec![
                suite.unwrap_or("all suites").to_owned(),
                policy.label.clone(),
                format!("{}/{}", score.successes, score.completed),
                percent(score.rate()),
                format!(
                    "{} – {}",
                    format_percent(score.interval.low, 1),
                    format_percent(score.interval.high, 1)
                ),
            ];
            if errors {
                row.extend([score.errors.to_string(), percent(score.strict_rate())]);
            }
            if several {
                let paired = comparison.paired(i, suite);
                row.push(paired.as_ref().map_or_else(String::new, difference_text));
                row.push(paired.map_or_else(String::new, |p| format_p(p.p_adjusted)));
                row.push(letters[i].clone());
            }
            let latency = policy.latency();
            row.push(latency.map_or_else(
                || "-".to_owned(),
                |l| format!("{:.2} ms", l.total.median_ms),
            ));
            row.push(match policy.weight_bytes() {
                0 => "-".to_owned(),
                bytes => format_bytes(bytes),
            });
            rows.push(row);
        }
    }
    let _ = writeln!(out, "| {} |", header.join(" | "));
    let _ = writeln!(out, "|{}", "---|".repeat(header.len()));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| escape(cell)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out.push('\n');
}

fn add_failures(out: &mut String, report: &Report) {
    for policy in report.comparison.policies() {
        for (suite, run) in &policy.runs {
            let failed: Vec<&EpisodeRecord> =
                run.episodes.iter().filter(|row| !row.success).collect();
            if failed.is_empty() {
                continue;
            }
            let _ = writeln!(
                out,
                "<details><summary>{} of {} episodes of {} in {} failed</summary>\n",
                failed.len(),
                run.episodes.len(),
                escape(&policy.label),
                escape(suite)
            );
            out.push_str(
                "| task | instruction | state | outcome | steps |\n|---|---|---|---|---|\n",
            );
            for row in failed.iter().take(LISTED) {
                let outcome = match row.completed() {
                    true => "failed".to_owned(),
                    false => format!("error: {}", row.error),
                };
                let _ = writeln!(
                    out,
                    "| {} | {} | {} | {} | {} |",
                    row.task,
                    escape(&row.instruction),
                    row.init,
                    escape(&outcome),
                    row.steps
                );
            }
            if let Some(more) = failed.len().checked_sub(LISTED).filter(|n| *n > 0) {
                let _ = writeln!(out, "\nand {more} more");
            }
            out.push_str("\n</details>\n\n");
        }
    }
}

/// Text in which nothing is markup, HTML or a link; control characters are written out, line breaks become spaces.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '\n' => out.push(' '),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A zero-width joiner keeps a name from being a mention.
            '@' => out.push_str("@\u{200d}"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.replace("://", ":\u{200d}//")
}

#[cfg(test)]
mod tests {
    //! Guarantee: text of a run folder is no markup in the Markdown report.
    use super::*;

    #[test]
    fn names_are_no_markup() {
        assert_eq!(
            escape("<b>|`x`|\n[a](http://b) @c"),
            "&lt;b&gt;\\|\\`x\\`\\| \\[a\\](http:\u{200d}//b) @\u{200d}c"
        );
        assert!(fenced("a ```` b").starts_with("`````\n"));
    }
}
