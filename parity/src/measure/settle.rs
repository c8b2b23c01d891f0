//! Settling: poses of objects after 10 and 100 control steps of waiting, from recorded initial states (objects are dropped
//! from a few centimetres, docs/reference/libero.md, sections 7 and 11).

use super::{MeasureContext, Measured};
use crate::geometry::{angle_deg, distance_mm, pose};
use crate::recorded_scenes::split_joint;
use crate::reference::{BySuite, JointState, SettleRun, SettleTask};
use crate::{ParityError, Quantity};
use bitvla_reports::{ReportError, read_json};
use bitvla_tasks::SETTLE_ACTION;

const FILE: &str = "settle.json";

/// Error of one object or joint in one run after a number of steps.
pub(crate) struct SettleRow {
    /// Suite, task, initial state.
    pub key: (String, usize, usize),
    /// Control steps of waiting.
    pub steps: usize,
    /// Instance, or full joint name.
    pub name: String,
    /// Category of the model.
    pub category: String,
    /// Error.
    pub error: SettleError,
}

/// Difference to the recording.
#[derive(Clone, Copy)]
pub(crate) enum SettleError {
    /// Of an object: distance and angle.
    Pose { mm: f64, degrees: f64 },
    /// Of a joint, m or rad.
    Joint(f64),
}

impl SettleRow {
    /// Position (mm) and angle (degrees) of an object; `None` for a joint.
    pub fn pose(&self) -> Option<(f64, f64)> {
        match self.error {
            SettleError::Pose { mm, degrees } => Some((mm, degrees)),
            SettleError::Joint(_) => None,
        }
    }

    /// Error of a joint, m or rad; `None` for an object.
    pub fn joint(&self) -> Option<f64> {
        match self.error {
            SettleError::Pose { .. } => None,
            SettleError::Joint(q) => Some(q),
        }
    }
}

/// Rows with the number of runs that they are from.
pub(crate) struct SettleRows {
    pub measured: Measured<SettleRow>,
    pub runs: usize,
}

pub(crate) fn measure(ctx: &MeasureContext<'_>) -> Result<SettleRows, ParityError> {
    let path = ctx.data.join(FILE);
    let data: BySuite<SettleTask> = read_json(&path)?;
    let mut items: Vec<(&str, usize, &SettleRun)> = Vec::new();
    let mut notes = Vec::new();
    for (suite, tasks) in &data.suites {
        for (task, record) in tasks {
            let task = task.parse::<usize>().map_err(|e| {
                ReportError::format(&path, format!("{suite}: `{task}` is not a task: {e}"))
            })?;
            if ctx.selects(suite, task, Quantity::Settle, &mut notes)? {
                let runs = record.runs.iter().take(ctx.config.episodes);
                items.extend(runs.map(|r| (suite.as_str(), task, r)));
            }
        }
    }
    let of_runs = ctx.map(Quantity::Settle, &items, |(suite, task, run)| {
        settle(ctx, suite, *task, run)
    })?;
    let mut rows: Vec<SettleRow> = of_runs.into_iter().flatten().collect();
    rows.sort_by(|a, b| (&a.key, a.steps, &a.name).cmp(&(&b.key, b.steps, &b.name)));
    Ok(SettleRows {
        measured: Measured { rows, notes },
        runs: items.len(),
    })
}

fn settle(
    ctx: &MeasureContext<'_>,
    suite: &str,
    task: usize,
    run: &SettleRun,
) -> Result<Vec<SettleRow>, ParityError> {
    let problem = ctx.scenes.problem(suite, task)?;
    let mut world = ctx.scenes.world(suite, task, run.init)?;
    let unknown = |name: &str| {
        let text = format!("{suite} {task}: the scene has no object or joint `{name}`");
        ReportError::format(&ctx.data.join(FILE), text)
    };
    let mut rows = Vec::new();
    for steps in 1..=100 {
        world.step(&SETTLE_ACTION)?;
        let recorded = match steps {
            10 => &run.t10,
            100 => &run.t100,
            _ => continue,
        };
        for (name, state) in &recorded.obj {
            let scene = world.scene();
            let (instance, name, error) = match state {
                JointState::Pose(p) => {
                    let object = name.strip_suffix("_joint0").unwrap_or(name);
                    let i = scene.instance(object).ok_or_else(|| unknown(name))?;
                    let (ours, theirs) = (world.instance_pose(i), pose(p));
                    let error = SettleError::Pose {
                        mm: distance_mm(&ours.translation.vector, &theirs.translation.vector),
                        degrees: angle_deg(&ours.rotation, &theirs.rotation),
                    };
                    (i, object, error)
                }
                JointState::Scalar(q) => {
                    let found = split_joint(problem, name).and_then(|(instance, joint)| {
                        let i = scene.instance(&instance)?;
                        Some((i, world.joint_position(i, &joint)?))
                    });
                    let (i, ours) = found.ok_or_else(|| unknown(name))?;
                    (i, name.as_str(), SettleError::Joint((ours - q).abs()))
                }
            };
            rows.push(SettleRow {
                key: (suite.to_owned(), task, run.init),
                steps,
                name: name.to_owned(),
                category: scene.instances[instance].model.name.clone(),
                error,
            });
        }
    }
    Ok(rows)
}
