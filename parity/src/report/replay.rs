//! Section of the open-loop replay.

use super::{MetricList, NamedChart, Section};
use crate::Quantity;
use crate::measure::replay::{EpisodeKey, ReplayRow};
use crate::measure::{Measured, ReplayPhase};
use bitvla_reports::{Chart, ChartLine, TextTable, largest, quantile};
use std::collections::BTreeMap;

/// Share of episodes that is to succeed, %.
const TARGET_PERCENT: f64 = 80.0;
/// Number of outcomes: success, lost in one of five phases, failed with no object lost.
const OUTCOMES: usize = ReplayPhase::ALL.len() + 2;

/// Counts by outcome per suite and task.
type TaskOutcomes = BTreeMap<(String, usize), [usize; OUTCOMES]>;

/// Index of the outcome: 0 for success, then the phases of loss, then no object lost.
fn outcome(row: &ReplayRow) -> usize {
    match (&row.success, &row.lost) {
        (Some(_), _) => 0,
        (None, Some((_, phase, _))) => 1 + *phase as usize,
        (None, None) => OUTCOMES - 1,
    }
}

pub(crate) fn section(measured: Measured<ReplayRow>) -> Section {
    let rows = &measured.rows;
    let n = rows.len();
    let over = format!("{n} episodes that succeeded in MuJoCo");
    let share = |k: usize| (n > 0).then(|| 100.0 * k as f64 / n as f64);
    let count = |k: usize| rows.iter().filter(|r| outcome(r) == k).count();
    let in_time = |r: &&ReplayRow| r.success.is_some_and(|s| s < r.recorded_steps);
    let in_time = rows.iter().filter(in_time).count();

    let mut m = MetricList::new(Quantity::Replay);
    let name = "replayed episodes that succeed";
    m.at_least(name, (share(count(0)), "%"), TARGET_PERCENT, &over);
    let name = "of them within the recorded steps";
    m.report(name, (share(in_time), "%"), &over);
    for phase in ReplayPhase::ALL {
        let name = format!("failed, object lost: {}", phase.name());
        let lost = count(1 + phase as usize) as f64;
        m.report(&name, (Some(lost), ""), &over);
    }
    let not_lost = count(OUTCOMES - 1) as f64;
    m.report("failed, object not lost", (Some(not_lost), ""), &over);
    let ends = rows.iter().filter_map(|r| r.drift_mm.last().copied());
    let ends: Vec<f64> = ends.collect();
    for (q, name) in [(0.5, "median"), (0.95, "95th percentile")] {
        let name = format!("drift of the end effector at the end, {name}");
        m.report(&name, (quantile(&ends, q), "mm"), &over);
    }

    let outcomes: Vec<String> = std::iter::once("succeeds".to_owned())
        .chain(ReplayPhase::ALL.map(|p| format!("lost: {}", p.name())))
        .chain(["not lost".to_owned()])
        .collect();
    let mut tasks = TaskOutcomes::new();
    for r in rows {
        let task = (r.key.0.clone(), r.key.1);
        tasks.entry(task).or_insert([0; OUTCOMES])[outcome(r)] += 1;
    }
    Section {
        metrics: m.finish(),
        tables: vec![
            ("replay", tasks_table(&tasks, &outcomes)),
            ("replay_episodes", episodes_table(rows)),
            ("replay_drift", drift_table(rows)),
        ],
        charts: vec![
            NamedChart {
                name: "replay",
                title: "Open-loop replay of episodes that succeeded in MuJoCo",
                subtitle: "outcomes of the same actions here",
                chart: Chart::Stacked {
                    kinds: outcomes,
                    rows: tasks
                        .into_iter()
                        .map(|((suite, task), counts)| (format!("{suite} {task}"), counts.to_vec()))
                        .collect(),
                },
            },
            NamedChart {
                name: "replay_drift",
                title: "Drift of the end effector in open-loop replay",
                subtitle: "distance from the recorded grip site, one line per episode",
                chart: Chart::Lines {
                    x: "control step, settling included".to_owned(),
                    y: "distance, mm".to_owned(),
                    lines: rows.iter().map(drift_line).collect(),
                    target: None,
                    top: Some(60.0),
                },
            },
        ],
        notes: measured.notes,
    }
}

fn drift_line(row: &ReplayRow) -> ChartLine {
    let (label, color) = match row.success {
        Some(_) => ("succeeds here", 0),
        None => ("fails here", 3),
    };
    let points = row.drift_mm.iter().enumerate();
    ChartLine {
        label: label.to_owned(),
        color,
        points: points.map(|(i, mm)| [i as f64, *mm]).collect(),
    }
}

fn key_cells((suite, task, variant, init): &EpisodeKey) -> [String; 4] {
    [
        suite.clone(),
        task.to_string(),
        variant.clone(),
        init.to_string(),
    ]
}

fn episodes_table(rows: &[ReplayRow]) -> TextTable {
    let mut table = TextTable::new(&[
        "suite",
        "task",
        "variant",
        "init",
        "steps",
        "success",
        "success_step",
        "lost_step",
        "lost_phase",
        "lost_object",
        "drift_end_mm",
        "drift_max_mm",
        "object_end_mm",
        "touch_step",
        "touches",
        "truth",
    ]);
    let dash = || "-".to_owned();
    let mm = |v: Option<f64>| v.map_or_else(dash, |v| format!("{v:.3}"));
    for r in rows {
        let (lost, contact) = (r.lost.as_ref(), r.first_contact.as_ref());
        table.push(key_cells(&r.key).into_iter().chain([
            r.recorded_steps.to_string(),
            u8::from(r.success.is_some()).to_string(),
            r.success.map_or_else(dash, |s| s.to_string()),
            lost.map_or_else(dash, |l| l.0.to_string()),
            lost.map_or_else(dash, |l| l.1.name().to_owned()),
            lost.map_or_else(dash, |l| l.2.clone()),
            mm(r.drift_mm.last().copied()),
            mm(largest(r.drift_mm.iter().copied())),
            format!("{:.2}", r.object_mm),
            contact.map_or_else(dash, |c| c.0.to_string()),
            contact.map_or_else(dash, |c| c.1.clone()),
            r.truth.iter().map(|t| if *t { '1' } else { '0' }).collect(),
        ]));
    }
    table
}

fn drift_table(rows: &[ReplayRow]) -> TextTable {
    let mut table = TextTable::new(&["suite", "task", "variant", "init", "step", "drift_mm"]);
    for r in rows {
        for (step, mm) in r.drift_mm.iter().enumerate() {
            let cells = [step.to_string(), format!("{mm:.4}")];
            table.push(key_cells(&r.key).into_iter().chain(cells));
        }
    }
    table
}

fn tasks_table(tasks: &TaskOutcomes, outcomes: &[String]) -> TextTable {
    let mut table = TextTable::new(&["task", "episodes", "succeed", "lost at"]);
    for ((suite, task), counts) in tasks {
        let lost: Vec<String> = (1..OUTCOMES)
            .filter(|k| counts[*k] > 0)
            .map(|k| format!("{} {}", counts[k], outcomes[k].trim_start_matches("lost: ")))
            .collect();
        table.push([
            format!("{suite}:{task}"),
            counts.iter().sum::<usize>().to_string(),
            counts[0].to_string(),
            lost.join(", "),
        ]);
    }
    table
}
