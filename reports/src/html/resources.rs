//! Latency by phase, the memory ledger and energy as tables of a page.

use crate::run_tables::memory_rows;
use crate::{
    PHASES, PhaseSummary, QueryOperations, Report, TextTable, format_joules, printable,
    summarise_latency,
};
use serde::Serialize;
use std::collections::BTreeSet;

/// A table with a caption.
#[derive(Serialize)]
pub(super) struct CaptionedTable {
    caption: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl CaptionedTable {
    /// A text table with a caption, control characters written out.
    pub(super) fn of(caption: &str, table: TextTable) -> CaptionedTable {
        let cells = |row: &Vec<String>| row.iter().map(|c| printable(c).into_owned()).collect();
        CaptionedTable {
            caption: printable(caption).into_owned(),
            header: cells(&table.header),
            rows: table.rows.iter().map(cells).collect(),
        }
    }
}

/// Returns median and 95th percentile of a query and its phases, one table per setup that queries were measured in.
pub(super) fn latency_tables(report: &Report) -> Vec<CaptionedTable> {
    let mut by_setup: Vec<(String, TextTable)> = Vec::new();
    let policies = report.comparison.policies().iter();
    let drawn: BTreeSet<&str> = policies
        .filter_map(|policy| policy.latency())
        .flat_map(|latency| latency.phases.into_iter().map(|phase| phase.phase))
        .collect();
    let shown = |name: &str| drawn.contains(name);
    for policy in report.comparison.policies() {
        let (queries, setups) = policy.queries();
        for (setup, summary) in summarise_latency(&queries) {
            let name = match setups.get(setup) {
                Some(Some(setup)) => setup.to_string(),
                _ => "setup not recorded".to_owned(),
            };
            let at = by_setup.iter().position(|(known, _)| *known == name);
            let at = at.unwrap_or_else(|| {
                let phases = PHASES
                    .iter()
                    .map(|(name, _)| *name)
                    .filter(|name| shown(name));
                let header: Vec<&str> = ["policy", "queries", "whole query"]
                    .into_iter()
                    .chain(phases)
                    .chain(["processor time", "camera images"])
                    .collect();
                by_setup.push((name, TextTable::new(&header)));
                by_setup.len() - 1
            });
            let phases = PHASES.iter().filter(|(name, _)| shown(name));
            let named = phases.map(|(name, _)| summary.phases.iter().find(|p| p.phase == *name));
            let times = std::iter::once(Some(&summary.total))
                .chain(named)
                .chain([summary.processor.as_ref(), Some(&summary.render)]);
            let cell = |p: &PhaseSummary| format!("{:.2} / {:.2}", p.median_ms, p.p95_ms);
            let times = times.map(|phase| phase.map_or_else(|| "-".to_owned(), cell));
            let row = [policy.label.clone(), summary.queries.to_string()];
            by_setup[at].1.push(row.into_iter().chain(times));
        }
    }
    let tables = by_setup.into_iter();
    tables
        .map(|(setup, table)| CaptionedTable::of(&setup, table))
        .collect()
}

/// Returns the memory ledger of every policy, of its run with the largest weights.
pub(super) fn memory_tables(report: &Report) -> Vec<CaptionedTable> {
    let policies = report.comparison.policies().iter();
    policies
        .filter_map(|policy| {
            let mut table = TextTable::new(&["", "all", "resident"]);
            for (name, all, resident) in memory_rows(policy.memory()?) {
                table.push([name, all, resident]);
            }
            Some(CaptionedTable::of(&policy.label, table))
        })
        .collect()
}

/// Returns the energy of a query and of an episode of every policy; `None` where nothing is known.
pub(super) fn energy_table(report: &Report) -> Option<CaptionedTable> {
    let mut table = TextTable::new(&[
        "policy",
        "arithmetic",
        "weights from DRAM",
        "query",
        "episode",
        "measured, episode",
    ]);
    for policy in report.comparison.policies() {
        let Some(run) = policy.runs.values().next() else {
            continue;
        };
        let energy = &run.manifest.energy;
        let measured = energy.measured.as_ref().filter(|m| m.count > 0);
        if energy.operations.is_none() && measured.is_none() {
            continue;
        }
        let episodes = run.episodes.iter().filter(|row| row.completed()).count();
        let queries = run.queries.len() as f64 / episodes.max(1) as f64;
        let estimated = |of: &dyn Fn(&QueryOperations) -> f64| {
            let joules = energy.operations.as_ref().map(of);
            joules.map_or_else(|| "-".to_owned(), format_joules)
        };
        table.push([
            policy.label.clone(),
            estimated(&QueryOperations::arithmetic_joules),
            estimated(&QueryOperations::weights_joules),
            estimated(&QueryOperations::joules),
            estimated(&|operations| queries * operations.joules()),
            measured.map_or_else(
                || "-".to_owned(),
                |m| format_joules(m.joules / m.count as f64),
            ),
        ]);
    }
    (!table.rows.is_empty()).then(|| CaptionedTable::of("", table))
}
