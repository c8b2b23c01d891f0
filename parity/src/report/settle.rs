//! Section of the settled poses.

use super::{MetricList, NamedChart, Section};
use crate::Quantity;
use crate::measure::settle::{SettleRow, SettleRows};
use bitvla_reports::{Chart, TextTable, format_value, largest, median};
use std::collections::BTreeMap;

/// Tolerances of a settled object.
const NEAR_MM: f64 = 5.0;
const NEAR_DEG: f64 = 3.0;
/// Share of objects that is to be within the tolerances, %.
const TARGET_PERCENT: f64 = 95.0;

/// Share of objects of the worst task that is to be within the tolerances after ten steps, %.
const WORST_TASK_PERCENT: f64 = 80.0;

/// Pose errors of objects.
#[derive(Default)]
struct PoseErrors {
    mm: Vec<f64>,
    deg: Vec<f64>,
}

impl PoseErrors {
    fn push(&mut self, (mm, deg): (f64, f64)) {
        self.mm.push(mm);
        self.deg.push(deg);
    }

    /// Number of objects within the tolerances.
    fn near(&self) -> usize {
        let errors = self.mm.iter().zip(&self.deg);
        errors
            .filter(|(mm, deg)| **mm <= NEAR_MM && **deg <= NEAR_DEG)
            .count()
    }
}

pub(crate) fn section(rows: SettleRows) -> Section {
    let SettleRows { measured, runs } = rows;
    let rows = &measured.rows;
    let mut m = MetricList::new(Quantity::Settle);
    let mut groups = Vec::new();
    for steps in [10, 100] {
        let mut errors = PoseErrors::default();
        for pose in rows
            .iter()
            .filter(|r| r.steps == steps)
            .filter_map(SettleRow::pose)
        {
            errors.push(pose);
        }
        let n = errors.mm.len();
        let over = format!("{n} objects in {runs} runs");
        let share = (n > 0).then(|| 100.0 * errors.near() as f64 / n as f64);
        let name = format!("after {steps} steps within 5 mm and 3 degrees");
        m.at_least(&name, (share, "%"), TARGET_PERCENT, &over);
        let name = format!("after {steps} steps, position, median");
        m.report(&name, (median(&errors.mm), "mm"), &over);
        let name = format!("after {steps} steps, angle, median");
        m.report(&name, (median(&errors.deg), "degree"), &over);
        groups.push((format!("position after {steps} steps, mm"), errors.mm));
        groups.push((format!("angle after {steps} steps, degrees"), errors.deg));
    }
    let tasks = by_task(rows);
    let shares: Vec<f64> = tasks.values().map(TaskErrors::share).collect();
    let smallest = largest(shares.iter().map(|s| -s)).map(|s| -s);
    let over = format!(
        "{} tasks, share of objects within 5 mm and 3 degrees",
        tasks.len()
    );
    let name = "after 10 steps, worst task";
    m.at_least(name, (smallest, "%"), WORST_TASK_PERCENT, &over);
    let full = shares.iter().filter(|s| **s >= TARGET_PERCENT).count();
    let name = "after 10 steps, tasks with at least 95 %";
    m.report(name, (Some(full as f64), ""), &over);
    let joints: Vec<f64> = rows.iter().filter_map(SettleRow::joint).collect();
    if !joints.is_empty() {
        let over = format!("{} joints of fixtures", joints.len());
        let worst = largest(joints);
        m.report("joint position, worst", (worst, "m or rad"), &over);
    }
    Section {
        metrics: m.finish(),
        tables: vec![
            ("settle_objects", objects_table(rows)),
            ("settle", categories_table(rows)),
            ("settle_tasks", tasks_table(&tasks)),
        ],
        charts: vec![NamedChart {
            name: "settle",
            title: "Settling against MuJoCo",
            subtitle: "share of objects whose final pose is at most this far away; the target is at 5 mm (and 3 degrees) for 95 %",
            chart: Chart::Cumulative {
                x: "distance, mm; angle, degrees".to_owned(),
                groups,
                target: Some(NEAR_MM),
                low: 1e-4,
            },
        }],
        notes: measured.notes,
    }
}

/// Rows of the objects of one task after ten steps; never empty.
struct TaskErrors<'a> {
    errors: PoseErrors,
    /// The object that is furthest outside the tolerances, with its excess (1 at the tolerance).
    worst: (f64, &'a SettleRow),
}

impl TaskErrors<'_> {
    /// Objects within the tolerances, %.
    fn share(&self) -> f64 {
        100.0 * self.errors.near() as f64 / self.errors.mm.len() as f64
    }
}

fn by_task(rows: &[SettleRow]) -> BTreeMap<(&str, usize), TaskErrors<'_>> {
    let mut tasks: BTreeMap<(&str, usize), TaskErrors<'_>> = BTreeMap::new();
    for r in rows.iter().filter(|r| r.steps == 10) {
        let Some((mm, deg)) = r.pose() else {
            continue;
        };
        let excess = largest([mm / NEAR_MM, deg / NEAR_DEG]).unwrap_or(f64::NAN);
        let task = tasks
            .entry((r.key.0.as_str(), r.key.1))
            .or_insert_with(|| TaskErrors {
                errors: PoseErrors::default(),
                worst: (excess, r),
            });
        task.errors.push((mm, deg));
        if excess.is_nan() || excess > task.worst.0 {
            task.worst = (excess, r);
        }
    }
    tasks
}

/// Objects within the tolerances after ten steps, and the worst object, per task.
fn tasks_table(tasks: &BTreeMap<(&str, usize), TaskErrors<'_>>) -> TextTable {
    let mut table = TextTable::new(&[
        "task",
        "objects",
        "near, %",
        "worst mm",
        "worst deg",
        "worst object",
    ]);
    for ((suite, task), of) in tasks {
        let PoseErrors { mm, deg } = &of.errors;
        let worst = |v: &[f64], unit| format_value(largest(v.iter().copied()), unit);
        let (_, object) = of.worst;
        table.push([
            format!("{suite}:{task}"),
            mm.len().to_string(),
            format_value(Some(of.share()), "%"),
            worst(mm, "mm"),
            worst(deg, "degree"),
            object.name.clone(),
        ]);
    }
    table
}

fn objects_table(rows: &[SettleRow]) -> TextTable {
    let mut table = TextTable::new(&[
        "suite",
        "task",
        "init",
        "steps",
        "thing",
        "category",
        "position_mm",
        "angle_deg",
        "joint",
    ]);
    let cell = |v: Option<f64>, digits: usize| {
        v.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"))
    };
    for r in rows {
        table.push([
            r.key.0.clone(),
            r.key.1.to_string(),
            r.key.2.to_string(),
            r.steps.to_string(),
            r.name.clone(),
            r.category.clone(),
            cell(r.pose().map(|p| p.0), 4),
            cell(r.pose().map(|p| p.1), 4),
            cell(r.joint(), 6),
        ]);
    }
    table
}

/// Objects within the tolerances after 100 steps, and the worst, per category.
fn categories_table(rows: &[SettleRow]) -> TextTable {
    let mut by: BTreeMap<&str, PoseErrors> = BTreeMap::new();
    for r in rows.iter().filter(|r| r.steps == 100) {
        if let Some(pose) = r.pose() {
            by.entry(&r.category).or_default().push(pose);
        }
    }
    let mut table = TextTable::new(&[
        "category",
        "objects",
        "near",
        "median mm",
        "worst mm",
        "median deg",
        "worst deg",
    ]);
    for (category, errors) in by {
        let PoseErrors { mm, deg } = &errors;
        let worst = |v: &[f64], unit| format_value(largest(v.iter().copied()), unit);
        table.push([
            category.to_owned(),
            mm.len().to_string(),
            errors.near().to_string(),
            format_value(median(mm), "mm"),
            worst(mm, "mm"),
            format_value(median(deg), "degree"),
            worst(deg, "degree"),
        ]);
    }
    table
}
