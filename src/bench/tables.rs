//! Tables of measurements.

use super::BenchReport;
use bitvla_reports::{energy_table, memory_table};
use std::fmt::Write;

/// Table of one report.
pub fn bench_table(r: &BenchReport) -> String {
    let mut out = format!(
        "{}, {} ({}), engine {}, {} weights, rest {}\n{} tokens, {} thread{}, {}, {}\n\n",
        r.model,
        r.policy,
        r.arithmetic,
        r.engine,
        r.weights,
        r.stored,
        r.tokens,
        r.threads,
        if r.threads == 1 { "" } else { "s" },
        r.isa,
        r.machine.processor
    );
    // Writing to a string cannot fail, here and below.
    let mut line = |name: &str, value: f64| {
        let share = 100.0 * value / r.query_ms.max(1e-9);
        let _ = writeln!(out, "  {name:24}{value:>10.1} ms{share:>8.1} %");
    };
    line("whole query, median", r.query_ms);
    for row in r.phases.iter().chain(&r.work) {
        line(&row.phase, row.median_ms);
    }
    let _ = writeln!(
        out,
        "  {:24}{:>10.1} ms    (peak {:.0} GOPS int8, {:.0} GFLOPS f32)",
        "floor at the peak", r.floor_ms, r.peak.int8_gops, r.peak.f32_gflops
    );
    let _ = writeln!(out, "  {:24}{:>10.2}", "query / floor, median", r.ratio);
    if let Some(gops) = r.linear_gops {
        let _ = writeln!(out, "  {:24}{gops:>10.0} GOPS", "linear layers");
    }
    let _ = writeln!(
        out,
        "  {:24}{:>10.1} ms    first query {:.0} ms",
        "start", r.start_ms, r.first_ms
    );
    let _ = write!(out, "\n{}", memory_table(&r.memory));
    if r.memory.peak_resident_bytes > 0 {
        let apart = r.memory.accounted_bytes() as f64 / r.memory.peak_resident_bytes as f64 - 1.0;
        let _ = writeln!(out, "  the ledger is {:+.1} % of the peak", 100.0 * apart);
    }
    let _ = write!(out, "\n{}", energy_table(&r.energy, None));
    out
}

/// Reports side by side: one column per engine or instruction set, the ratio of the last column to the first.
pub fn comparison_table(reports: &[BenchReport]) -> String {
    let mut out = String::new();
    let mut row = |name: &str, cells: Vec<String>| {
        let _ = write!(out, "{name:26}");
        for cell in cells {
            let _ = write!(out, "{cell:>14}");
        }
        out.push('\n');
    };
    let cells = |of: &dyn Fn(&BenchReport) -> String| reports.iter().map(of).collect::<Vec<_>>();
    let times = |of: &dyn Fn(&BenchReport) -> f64| {
        let mut cells = cells(&|r| format!("{:.1} ms", of(r)));
        if let [first, .., last] = reports {
            cells.push(format!("{:.2} x", of(last) / of(first)));
        }
        cells
    };
    row("engine", cells(&|r| r.engine.clone()));
    row("instruction set", cells(&|r| r.isa.clone()));
    row("arithmetic", cells(&|r| r.arithmetic.clone()));
    row("start", times(&|r| r.start_ms));
    row("first query", times(&|r| r.first_ms));
    row("whole query, median", times(&|r| r.query_ms));
    for (i, phase) in reports
        .first()
        .map_or(&[][..], |r| &r.phases)
        .iter()
        .enumerate()
    {
        // All reports have the same phases.
        row(
            &format!("  {}", phase.phase),
            times(&|r| r.phases.get(i).map_or(f64::NAN, |p| p.median_ms)),
        );
    }
    row(
        "query / floor, median",
        cells(&|r| format!("{:.2}", r.ratio)),
    );
    row(
        "weights",
        cells(&|r| format!("{:.1} MB", r.memory.weight_bytes() as f64 / 1e6)),
    );
    row(
        "activations",
        cells(&|r| format!("{:.1} MB", r.memory.activation_bytes as f64 / 1e6)),
    );
    out
}
