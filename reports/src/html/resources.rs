//! Latency by phase and the memory ledger as tables of a page.

use crate::run_tables::memory_rows;
use crate::{Report, TextTable, printable, summarise_latency};
use serde::Serialize;

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
    for policy in report.comparison.policies() {
        let (queries, setups) = policy.queries();
        for (setup, summary) in summarise_latency(&queries) {
            let name = match setups.get(setup) {
                Some(Some(setup)) => setup.to_string(),
                _ => "setup not recorded".to_owned(),
            };
            let at = by_setup.iter().position(|(known, _)| *known == name);
            let at = at.unwrap_or_else(|| {
                let phases = summary.phases.iter().map(|p| p.phase);
                let header: Vec<&str> = ["policy", "queries", "whole query"]
                    .into_iter()
                    .chain(phases)
                    .chain(["camera images"])
                    .collect();
                by_setup.push((name, TextTable::new(&header)));
                by_setup.len() - 1
            });
            let times = std::iter::once(&summary.total)
                .chain(&summary.phases)
                .chain([&summary.render]);
            let times = times.map(|p| format!("{:.2} / {:.2}", p.median_ms, p.p95_ms));
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
