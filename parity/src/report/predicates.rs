//! Section of the predicates.

use super::{MetricList, NamedChart, Section};
use crate::Quantity;
use crate::measure::Measured;
use crate::measure::predicates::{Agreement, PredicateRow, TruthSource};
use bitvla_reports::{Chart, TextTable, largest};
use std::collections::BTreeMap;

/// Share of truth values that is to agree, %.
const TARGET_PERCENT: f64 = 100.0;

pub(crate) fn section(measured: Measured<PredicateRow>) -> Section {
    let rows = &measured.rows;
    let mut m = MetricList::new(Quantity::Predicates);
    for (k, source) in TruthSource::ALL.iter().enumerate() {
        let mut sum = Agreement::default();
        for row in rows {
            sum.add(row.agreement[k]);
        }
        let over = format!("{} truth values", sum.compared);
        m.at_least(source.name(), (sum.percent(), "%"), TARGET_PERCENT, &over);
    }
    let site = largest(rows.iter().filter_map(|r| r.site_mm));
    let name = "sites of fixtures, worst";
    m.report(name, (site, "mm"), "recorded site poses");
    Section {
        metrics: m.finish(),
        tables: vec![
            ("predicates_differing", disagreements_table(rows)),
            ("predicates", agreement_table(rows)),
        ],
        charts: vec![NamedChart {
            name: "predicates",
            title: "Predicates on recorded states",
            subtitle: "share of truth values that agree with LIBERO's",
            chart: Chart::Bars {
                top: 100.0,
                unit: "%".to_owned(),
                target: Some(TARGET_PERCENT),
                rows: bars(rows),
            },
        }],
        notes: measured.notes,
    }
}

fn disagreements_table(rows: &[PredicateRow]) -> TextTable {
    let mut table = TextTable::new(&[
        "what",
        "suite",
        "task",
        "predicate",
        "state",
        "mujoco",
        "ours",
        "detail",
    ]);
    for row in rows {
        for d in &row.disagreements {
            table.push([
                d.source.name().to_owned(),
                row.suite.clone(),
                row.task.to_string(),
                d.predicate.clone(),
                d.state.clone(),
                d.recorded.to_string(),
                d.ours.to_string(),
                d.detail.clone(),
            ]);
        }
    }
    table
}

/// States and agreeing states by label.
fn agreement_table(rows: &[PredicateRow]) -> TextTable {
    let mut table = TextTable::new(&["predicate", "states", "agree"]);
    for group in rows.chunk_by(|a, b| a.label == b.label) {
        let mut sum = Agreement::default();
        for agreement in group.iter().flat_map(|row| row.agreement) {
            sum.add(agreement);
        }
        table.push([
            group[0].label.clone(),
            sum.compared.to_string(),
            sum.agreeing.to_string(),
        ]);
    }
    table
}

/// Agreement in percent by source and suite.
fn bars(rows: &[PredicateRow]) -> Vec<(String, f64, usize)> {
    let mut by_suite: BTreeMap<(usize, &str), Agreement> = BTreeMap::new();
    for row in rows {
        for (source, agreement) in row.agreement.iter().enumerate() {
            let sum = by_suite.entry((source, row.suite.as_str())).or_default();
            sum.add(*agreement);
        }
    }
    let measured = by_suite.iter().filter_map(|((source, suite), sum)| {
        let label = format!("{suite}, {}", TruthSource::ALL[*source].short_name());
        Some((label, sum.percent()?, *source))
    });
    measured.collect()
}
