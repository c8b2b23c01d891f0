//! Tables at the end of a run, as plain text: success, latency, memory.

use crate::{
    LatencySummary, MeasurementSetup, MemoryReport, Score, TERMINAL_COLUMNS, TaskSummary,
    TextTable, format_bytes, format_percent, printable, wrap,
};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Cells of a score, in the order of [`SCORE_COLUMNS`].
fn score_cells(score: &Score) -> [String; 5] {
    let percent = |rate: f64| format!("{:>5}", format_percent(rate, 1));
    let interval = score.interval;
    [
        format!("{:>7}", format!("{}/{}", score.successes, score.completed)),
        format!("{} %", percent(score.rate())),
        format!("{} – {} %", percent(interval.low), percent(interval.high)),
        score
            .median_steps
            .map_or_else(|| "-".to_owned(), |s| format!("{s:.0}")),
        match score.errors {
            0 => String::new(),
            n => n.to_string(),
        },
    ]
}

const SCORE_COLUMNS: [&str; 5] = ["success", "rate", "Wilson 95 %", "steps", "errors"];

/// A table of scores: some columns that name the row, then those of the score; without harness errors no column for them.
fn score_table(names: &[&str], rows: Vec<(Vec<String>, &Score)>) -> String {
    let with_errors = rows.iter().any(|(_, score)| score.errors > 0);
    let columns = SCORE_COLUMNS.len() - usize::from(!with_errors);
    let header = [names, &SCORE_COLUMNS[..columns]].concat();
    let mut table = TextTable::new(&header);
    for (name, score) in rows {
        table.push(
            name.into_iter()
                .chain(score_cells(score).into_iter().take(columns)),
        );
    }
    table.text()
}

/// Returns success per task with Wilson intervals and the median number of steps of successful episodes, and the total.
pub fn success_table(tasks: &[TaskSummary], all: &Score) -> String {
    let rows = tasks.iter().map(|t| {
        let name = vec![format!("{:>4}", t.task), t.short_name.clone()];
        (name, &t.score)
    });
    let total = (vec![String::new(), "all tasks".to_owned()], all);
    let mut out = score_table(&["task", ""], rows.chain([total]).collect());
    if all.errors > 0 {
        let s = if all.errors == 1 { "" } else { "s" };
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(
            out,
            "{} harness error{s}. Counting harness errors as failures: {} %.",
            all.errors,
            format_percent(all.strict_rate(), 1)
        );
    }
    out.push_str("The interval covers the choice of initial states only.\n");
    out.push_str("Steps are the median of the successful episodes.\n");
    out
}

/// Returns success per suite and over all of them, columns as in [`success_table`].
pub fn suites_table(suites: &[(String, Score)], all: &Score) -> String {
    let rows = suites
        .iter()
        .map(|(name, score)| (vec![printable(name).into_owned()], score));
    let total = (vec!["all suites".to_owned()], all);
    score_table(&["suite"], rows.chain([total]).collect())
}

/// Returns median and 95th percentile of a query and of its phases (ms), one table per setup: times of different setups are
/// not pooled.
pub fn latency_table(
    latency: &BTreeMap<usize, LatencySummary>,
    setups: &[MeasurementSetup],
) -> String {
    if latency.is_empty() {
        return "no policy queries\n".to_owned();
    }
    let mut out = String::new();
    if latency.len() > 1 {
        out.push_str("policy queries were measured in different setups, which are not pooled\n");
    }
    for (setup, summary) in latency {
        match setups.get(*setup) {
            Some(setup) => {
                for line in wrap(&printable(&setup.to_string()), TERMINAL_COLUMNS) {
                    out.push_str(&line);
                    out.push('\n');
                }
            }
            None if latency.len() > 1 => out.push_str("setup not recorded\n"),
            None => {}
        }
        add_latency(&mut out, summary);
    }
    out
}

fn add_latency(out: &mut String, latency: &LatencySummary) {
    let title = format!(
        "policy query, {} of them     median        p95",
        latency.queries
    );
    let width = title.chars().count().saturating_sub(23);
    let _ = writeln!(out, "{title}");
    let rows = std::iter::once(&latency.total)
        .chain(&latency.phases)
        .chain(&latency.processor)
        .chain([&latency.render]);
    for row in rows {
        let name = match row.phase {
            "query" => "whole query".to_owned(),
            "processor time" => "(its processor time)".to_owned(),
            "rendering" => "(both camera images)".to_owned(),
            phase => format!("  {phase}"),
        };
        let _ = writeln!(
            out,
            "{name:width$}{:>8.2} ms{:>8.2} ms",
            row.median_ms, row.p95_ms
        );
    }
}

/// Returns the rows of the memory ledger, each a name, all bytes and resident bytes: weights by class and encoding, activations,
/// program, and the peak resident set that the operating system reports.
pub(crate) fn memory_rows(memory: &MemoryReport) -> Vec<(String, String, String)> {
    let mut rows: Vec<(String, String, String)> = memory
        .weights
        .iter()
        .map(|w| {
            let mapped = if w.mapped > 0 { ", mapped" } else { "" };
            let name = format!("{}, {}{mapped}", w.class, w.encoding);
            (name, format_bytes(w.bytes), format_bytes(w.resident))
        })
        .collect();
    if !rows.is_empty() {
        rows.push((
            "all weights".to_owned(),
            format_bytes(memory.weight_bytes()),
            format_bytes(memory.resident_weight_bytes()),
        ));
        let name = match memory.instances {
            0 | 1 => "activations".to_owned(),
            n => format!("activations, {n} workers"),
        };
        let bytes = memory.instances.max(1) * memory.activation_bytes;
        rows.push((name, String::new(), format_bytes(bytes)));
    }
    if memory.program_bytes > 0 {
        let name = "program before the policy".to_owned();
        rows.push((name, String::new(), format_bytes(memory.program_bytes)));
    }
    let peak = match memory.peak_resident_bytes {
        0 => "not known".to_owned(),
        bytes => format_bytes(bytes),
    };
    if memory.program_bytes > 0 && !memory.weights.is_empty() {
        let name = "sum of the ledger".to_owned();
        rows.push((name, String::new(), format_bytes(memory.accounted_bytes())));
        // In a run most of the process is not the policy.
        let rest = memory
            .peak_resident_bytes
            .saturating_sub(memory.accounted_bytes());
        let name = "the rest of the process".to_owned();
        rows.push((name, String::new(), format_bytes(rest)));
    }
    rows.push(("peak resident set, process".to_owned(), String::new(), peak));
    rows
}

/// Returns the memory ledger as text: weights by class and encoding (all and resident bytes), activations, program, and the peak
/// resident set that the operating system reports.
pub fn memory_table(memory: &MemoryReport) -> String {
    let rows = memory_rows(memory);
    let width = rows
        .iter()
        .map(|(name, ..)| name.chars().count())
        .max()
        .unwrap_or(0);
    let mut out = format!(
        "{:width$}         all    resident\n",
        "memory",
        width = width + 2
    );
    for (name, all, resident) in &rows {
        let _ = writeln!(out, "  {name:width$}{all:>12}{resident:>12}");
    }
    out
}
