//! Tables at the end of a run, as plain text: success, latency, memory.

use crate::{LatencySummary, MemoryReport, Score, TaskSummary, format_bytes, format_percent};
use std::fmt::Write;

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
        "{:>9}  {:>5} %  {:>5} – {:>5} %  {:>12}{errors}",
        format!("{}/{}", score.successes, score.completed),
        format_percent(score.rate(), 1),
        format_percent(score.interval.low, 1),
        format_percent(score.interval.high, 1),
        steps,
    )
}

/// Returns success per task with Wilson intervals and median steps, and the total.
pub fn success_table(tasks: &[TaskSummary], all: &Score) -> String {
    let width = tasks
        .iter()
        .map(|t| t.short_name.chars().count())
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
            task.short_name,
            score_cells(&task.score)
        );
    }
    let _ = writeln!(out, "     {:width$}  {}", "all tasks", score_cells(all));
    if all.errors > 0 {
        let _ = writeln!(
            out,
            "Counting harness errors as failures: {} %.",
            format_percent(all.strict_rate(), 1)
        );
    }
    out.push_str("The interval covers the choice of initial states only.\n");
    out
}

/// Returns success per suite and over all of them, columns as in [`success_table`].
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

/// Returns median and 95th percentile of a query and of its phases, ms.
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

/// Returns the memory ledger: weights by class and encoding (all and resident bytes), activations, program, and the peak
/// resident set that the operating system reports.
pub fn memory_table(memory: &MemoryReport) -> String {
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
