//! Settling: where things lie after 10 and 100 control steps of waiting, from recorded initial states
//! (objects are dropped from a few centimetres, fact sheet sections 7 and 11).

use super::reference::{self, BySuite, JointState, SettleRun, SettleTask};
use super::scenes::{angle_deg, distance_mm, pose, split_joint};
use super::{Context, Section, SectionResult, at_least, plain};
use crate::{EvalError, SETTLE_ACTION};
use bitvla_reports::{Chart, Table, median, number};
use std::collections::BTreeMap;

/// Tolerances of the target.
const NEAR_MM: f64 = 5.0;
const NEAR_DEG: f64 = 3.0;

/// One object or joint of one run at one of the two moments.
struct Row {
    key: (String, usize, usize),
    steps: usize,
    thing: String,
    category: String,
    /// Pose error of an object: mm and degrees.
    pose: Option<(f64, f64)>,
    /// Position error of a joint, m or rad.
    joint: Option<f64>,
}

pub(super) fn run(ctx: &Context<'_>) -> Result<SectionResult, EvalError> {
    let data: BySuite<SettleTask> = reference::read(ctx.data, "settle.json")?;
    let mut items: Vec<(String, usize, &SettleRun)> = Vec::new();
    let mut notes = Vec::new();
    for (suite, tasks) in &data.suites {
        for (task, record) in tasks {
            let Ok(task) = task.parse::<usize>() else {
                continue;
            };
            if !ctx.wanted(suite, task, Section::Settle, &mut notes)? {
                continue;
            }
            let runs = record.runs.iter().take(ctx.plan.episodes);
            items.extend(runs.map(|r| (suite.clone(), task, r)));
        }
    }
    let mut rows: Vec<Row> = Vec::new();
    ctx.each(
        Section::Settle,
        &items,
        |(suite, task, run)| one(ctx, suite, *task, run),
        |r| rows.extend(r),
    )?;
    rows.sort_by(|a, b| (&a.key, a.steps, &a.thing).cmp(&(&b.key, b.steps, &b.thing)));

    let mut table = Table::new(&[
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
    for r in &rows {
        let cell = |v: Option<f64>, digits: usize| {
            v.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"))
        };
        table.push([
            r.key.0.clone(),
            r.key.1.to_string(),
            r.key.2.to_string(),
            r.steps.to_string(),
            r.thing.clone(),
            r.category.clone(),
            cell(r.pose.map(|p| p.0), 4),
            cell(r.pose.map(|p| p.1), 4),
            cell(r.joint, 6),
        ]);
    }
    let s = Section::Settle;
    let mut figures = Vec::new();
    let mut groups = Vec::new();
    for steps in [10, 100] {
        let poses: Vec<(f64, f64)> = rows
            .iter()
            .filter(|r| r.steps == steps)
            .filter_map(|r| r.pose)
            .collect();
        let near = poses
            .iter()
            .filter(|(mm, deg)| *mm <= NEAR_MM && *deg <= NEAR_DEG)
            .count();
        let share = 100.0 * near as f64 / poses.len() as f64;
        let over = format!("{} objects in {} runs", poses.len(), items.len());
        let name = format!("after {steps} steps within 5 mm and 3 degrees");
        figures.push(at_least(s, &name, share, "%", 95.0, &over));
        let mm: Vec<f64> = poses.iter().map(|p| p.0).collect();
        let deg: Vec<f64> = poses.iter().map(|p| p.1).collect();
        let name = format!("after {steps} steps, position, median");
        figures.push(plain(s, &name, median(&mm).unwrap_or(0.0), "mm", &over));
        let name = format!("after {steps} steps, angle, median");
        figures.push(plain(
            s,
            &name,
            median(&deg).unwrap_or(0.0),
            "degree",
            &over,
        ));
        groups.push((format!("position after {steps} steps, mm"), mm));
        groups.push((format!("angle after {steps} steps, degrees"), deg));
    }
    let joints: Vec<f64> = rows.iter().filter_map(|r| r.joint).collect();
    if !joints.is_empty() {
        let worst = joints.iter().copied().fold(0.0, f64::max);
        let over = format!("{} joints of fixtures", joints.len());
        figures.push(plain(s, "joint position, worst", worst, "m or rad", &over));
    }
    let by_category = categories(&rows);
    Ok(SectionResult {
        figures,
        tables: vec![("settle_objects", table), ("settle", by_category)],
        charts: vec![(
            "settle",
            "Settling against MuJoCo".to_owned(),
            "share of objects whose final pose is at most this far away; the target is at 5 mm (and 3 degrees) for 95 %".to_owned(),
            Chart::Cumulative {
                x: "distance, mm; angle, degrees".to_owned(),
                groups,
                target: Some(NEAR_MM),
                low: 1e-4,
            },
        )],
        notes,
    })
}

/// Per category: how many are near after 100 steps, and the worst.
fn categories(rows: &[Row]) -> Table {
    let mut by: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for r in rows.iter().filter(|r| r.steps == 100) {
        if let Some(p) = r.pose {
            by.entry(&r.category).or_default().push(p);
        }
    }
    let mut table = Table::new(&[
        "category",
        "objects",
        "near",
        "median mm",
        "worst mm",
        "median deg",
        "worst deg",
    ]);
    for (category, poses) in by {
        let mm: Vec<f64> = poses.iter().map(|p| p.0).collect();
        let deg: Vec<f64> = poses.iter().map(|p| p.1).collect();
        let near = poses
            .iter()
            .filter(|(mm, deg)| *mm <= NEAR_MM && *deg <= NEAR_DEG)
            .count();
        let worst = |v: &[f64]| number(v.iter().copied().fold(0.0, f64::max));
        table.push([
            category.to_owned(),
            poses.len().to_string(),
            near.to_string(),
            number(median(&mm).unwrap_or(0.0)),
            worst(&mm),
            number(median(&deg).unwrap_or(0.0)),
            worst(&deg),
        ]);
    }
    table
}

fn one(
    ctx: &Context<'_>,
    suite: &str,
    task: usize,
    run: &SettleRun,
) -> Result<Vec<Row>, EvalError> {
    let problem = ctx.scenes.problem(suite, task)?;
    let mut world = ctx.scenes.world(suite, task, run.init)?;
    let unknown = |name: &str| EvalError::Format {
        path: ctx.data.join("settle.json"),
        what: format!("{suite} {task}: nothing in the scene answers to `{name}`"),
    };
    let mut rows = Vec::new();
    for step in 1..=100 {
        world.step(&SETTLE_ACTION)?;
        let recorded = match step {
            10 => &run.t10,
            100 => &run.t100,
            _ => continue,
        };
        for (name, state) in &recorded.obj {
            let scene = world.scene();
            let row = |thing: &str, category: &str| Row {
                key: (suite.to_owned(), task, run.init),
                steps: step,
                thing: thing.to_owned(),
                category: category.to_owned(),
                pose: None,
                joint: None,
            };
            match state {
                JointState::Pose(p) => {
                    let thing = name.strip_suffix("_joint0").unwrap_or(name);
                    let Some(i) = scene.instance(thing) else {
                        return Err(unknown(name));
                    };
                    let (ours, theirs) = (world.instance_pose(i), pose(p));
                    let mm = distance_mm(&ours.translation.vector, &theirs.translation.vector);
                    let deg = angle_deg(&ours.rotation, &theirs.rotation);
                    rows.push(Row {
                        pose: Some((mm, deg)),
                        ..row(thing, &scene.instances[i].model.name)
                    });
                }
                JointState::Scalar(q) => {
                    let found = split_joint(problem, name).and_then(|(instance, joint)| {
                        let i = scene.instance(&instance)?;
                        Some((i, world.joint_position(i, &joint)?))
                    });
                    let Some((i, ours)) = found else {
                        return Err(unknown(name));
                    };
                    rows.push(Row {
                        joint: Some((ours - q).abs()),
                        ..row(name, &scene.instances[i].model.name)
                    });
                }
            }
        }
    }
    Ok(rows)
}
