//! The tables at the end of a run, as plain text.

use crate::{LatencySummary, MemoryReport, Score, TaskSummary};
use std::fmt::Write;

/// A size for people: `3.2 MB` (powers of ten).
pub fn bytes_in_words(bytes: u64) -> String {
    let b = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", b / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", b / 1e6),
        _ => format!("{:.2} GB", b / 1e9),
    }
}

fn score_cells(score: &Score) -> String {
    let steps = match score.median_steps {
        Some(steps) => format!("{steps:.0}"),
        None => "-".to_owned(),
    };
    let errors = match score.errors {
        0 => String::new(),
        n => format!("  {n} harness error{}", if n == 1 { "" } else { "s" }),
    };
    format!(
        "{:>9}  {:>5.1} %  {:>5.1} – {:>5.1} %  {:>12}{errors}",
        format!("{}/{}", score.successes, score.completed),
        100.0 * score.rate(),
        100.0 * score.interval.low,
        100.0 * score.interval.high,
        steps,
    )
}

/// Success per task with Wilson intervals and median steps, and the total.
pub fn success_table(tasks: &[TaskSummary], all: &Score) -> String {
    let width = tasks
        .iter()
        .map(|t| t.short.chars().count())
        .chain(["all tasks".len()])
        .max()
        .unwrap_or(0);
    let mut out = format!(
        "task {:width$}    success    rate   Wilson 95 %       median steps\n",
        ""
    );
    // Writing to a string cannot fail, here and below.
    for task in tasks {
        let _ = writeln!(
            out,
            "{:>4} {:width$}  {}",
            task.task,
            task.short,
            score_cells(&task.score)
        );
    }
    let _ = writeln!(out, "     {:width$}  {}", "all tasks", score_cells(all));
    if all.errors > 0 {
        let _ = writeln!(
            out,
            "Counting harness errors as failures: {:.1} %.",
            100.0 * all.strict_rate()
        );
    }
    out.push_str("The interval covers the choice of initial states only.\n");
    out
}

/// Success per suite and over all of them, columns as in [`success_table`].
pub fn suites_table(suites: &[(String, Score)], all: &Score) -> String {
    let names = suites.iter().map(|(name, _)| name.chars().count());
    let width = names.chain(["all suites".len()]).max().unwrap_or(0);
    let mut out = format!(
        "{:width$}    success    rate   Wilson 95 %       median steps\n",
        "suite"
    );
    for (name, score) in suites {
        let _ = writeln!(out, "{name:width$}  {}", score_cells(score));
    }
    let _ = writeln!(out, "{:width$}  {}", "all suites", score_cells(all));
    out
}

/// Median and 95th percentile of a query and of its phases.
pub fn latency_table(latency: Option<&LatencySummary>) -> String {
    let Some(latency) = latency else {
        return "no policy queries\n".to_owned();
    };
    let mut out = format!(
        "policy query, {} of them     median        p95\n",
        latency.queries
    );
    let width = out.chars().count().saturating_sub(24);
    let rows = std::iter::once(&latency.total)
        .chain(&latency.phases)
        .chain([&latency.render]);
    for row in rows {
        let name = match row.phase {
            "query" => "whole query".to_owned(),
            "rendering" => "(both camera images)".to_owned(),
            phase => format!("  {phase}"),
        };
        let _ = writeln!(
            out,
            "{name:width$}{:>8.2} ms{:>8.2} ms",
            row.median_ms, row.p95_ms
        );
    }
    out
}

/// The memory ledger: weights by class and encoding, whole and resident, activations, program, and the peak that the
/// system saw.
pub fn memory_table(memory: &MemoryReport) -> String {
    let words = |bytes: u64| bytes_in_words(bytes);
    let mut rows: Vec<(String, String, String)> = memory
        .weights
        .iter()
        .map(|w| {
            let mapped = if w.mapped > 0 { ", mapped" } else { "" };
            let name = format!("{}, {}{mapped}", w.class, w.encoding);
            (name, words(w.bytes), words(w.resident))
        })
        .collect();
    if !rows.is_empty() {
        rows.push((
            "all weights".to_owned(),
            words(memory.weight_bytes()),
            words(memory.resident_weight_bytes()),
        ));
        let name = match memory.instances {
            0 | 1 => "activations".to_owned(),
            n => format!("activations, {n} workers"),
        };
        let bytes = memory.instances.max(1) * memory.activation_bytes;
        rows.push((name, String::new(), words(bytes)));
    }
    if memory.program_bytes > 0 {
        let name = "program before the policy".to_owned();
        rows.push((name, String::new(), words(memory.program_bytes)));
    }
    let peak = match memory.peak_resident_bytes {
        0 => "not known".to_owned(),
        bytes => words(bytes),
    };
    if memory.program_bytes > 0 && !memory.weights.is_empty() {
        let name = "sum of the ledger".to_owned();
        rows.push((name, String::new(), words(memory.accounted_bytes())));
        // In a run most of the process is not the policy.
        let rest = memory
            .peak_resident_bytes
            .saturating_sub(memory.accounted_bytes());
        let name = "the rest of the process".to_owned();
        rows.push((name, String::new(), words(rest)));
    }
    rows.push(("peak resident set, process".to_owned(), String::new(), peak));
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
