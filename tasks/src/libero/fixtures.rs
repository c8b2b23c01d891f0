//! Fixture poses. LIBERO's initial states do not contain them: its evaluation resets the world before each episode
//! and keeps what that reset drew (`docs/reference/libero.md`, section 8). [`super::resets`] draws the same again.
//!
//! Poses may come from a file instead. It is JSON, by folder of the suite, number of the task and number of the
//! initial state; other fields are ignored, so the reference recording `init_states.json` is such a file:
//!
//! ```json
//! {"suites": {"libero_goal": {"0": {"states": [
//!     {"fixtures": {"wooden_cabinet_1": [0.03, -0.28, 0.905, 1.0, 0.0, 0.0, 0.0]}}
//! ]}}}}
//! ```
//!
//! A pose is x, y, z of the root body in the world, m, and its orientation as a quaternion w, x, y, z.

use super::resets::{PosesByName, draw_fixture_poses};
use crate::assets::Assets;
use crate::error::TaskError;
use crate::init_state::{InitState, is_unit};
use crate::suite::Task;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Source of fixture poses.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum FixturePoses {
    /// As LIBERO's evaluation draws them.
    #[default]
    Drawn,
    /// From a file.
    File(PoseFile),
}

/// A file of fixture poses.
#[derive(Debug, Clone, PartialEq)]
pub struct PoseFile {
    path: PathBuf,
    suites: BTreeMap<String, BTreeMap<String, TaskPoses>>,
}

#[derive(Deserialize)]
struct PoseFileJson {
    suites: BTreeMap<String, BTreeMap<String, TaskPoses>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct TaskPoses {
    states: Vec<StatePoses>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct StatePoses {
    fixtures: PosesByName,
}

impl PoseFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Fails if it cannot be read or is not of the form above.
    pub fn read(path: &Path) -> Result<PoseFile, TaskError> {
        let text = std::fs::read_to_string(path).map_err(|source| TaskError::Read {
            path: path.to_owned(),
            source,
        })?;
        PoseFile::parse(path, &text)
    }

    /// Reads a text; `path` names it in errors.
    ///
    /// # Errors
    /// Fails if it is not of the form above.
    pub fn parse(path: &Path, text: &str) -> Result<PoseFile, TaskError> {
        let json: PoseFileJson =
            serde_json::from_str(text).map_err(|error| TaskError::Malformed {
                path: path.to_owned(),
                line: error.line(),
                found: error.to_string(),
                expected: "fixture poses by suite, task and state".into(),
            })?;
        Ok(PoseFile {
            path: path.to_owned(),
            suites: json.suites,
        })
    }

    fn poses(&self, folder: &str, task: usize) -> Option<&[StatePoses]> {
        let tasks = self.suites.get(folder)?;
        Some(&tasks.get(&task.to_string())?.states)
    }
}

impl FixturePoses {
    /// Gives the fixtures of a task of the suite in a folder of this name their poses in all its states.
    ///
    /// # Errors
    /// Fails if a pose is missing, is not finite or has no unit quaternion, or LIBERO's draws cannot be repeated.
    pub fn apply(
        &self,
        assets: &Assets,
        folder: &str,
        task: &Task,
        states: &mut [InitState],
    ) -> Result<(), TaskError> {
        if task.problem.model_fixtures().next().is_none() {
            return Ok(());
        }
        match self {
            FixturePoses::File(file) => apply_file(file, folder, task, states),
            FixturePoses::Drawn => {
                let drawn = draw_fixture_poses(assets, &task.problem, states.len())?;
                for (state, poses) in states.iter_mut().zip(drawn) {
                    state.fixtures = poses;
                }
                Ok(())
            }
        }
    }
}

fn apply_file(
    file: &PoseFile,
    folder: &str,
    task: &Task,
    states: &mut [InitState],
) -> Result<(), TaskError> {
    let wanted: Vec<&str> = task
        .problem
        .model_fixtures()
        .map(|f| f.name.as_str())
        .collect();
    let task_name = format!("{folder} task {}", task.id);
    let fail = |row: usize, found: String| TaskError::Row {
        path: file.path.clone(),
        row,
        found,
        expected: format!("poses of {} in {task_name}", wanted.join(", ")),
    };
    let known = file.poses(folder, task.id);
    let known = known.ok_or_else(|| fail(0, "no such task".into()))?;
    if known.len() < states.len() {
        return Err(fail(known.len(), "the end of the states".into()));
    }
    for (row, (state, known)) in states.iter_mut().zip(known).enumerate() {
        for name in &wanted {
            let pose = known.fixtures.get(*name);
            let pose = pose.ok_or_else(|| fail(row, format!("no pose of `{name}`")))?;
            if !pose.iter().all(|v| v.is_finite()) || !is_unit(pose) {
                return Err(fail(row, format!("{pose:?} as the pose of `{name}`")));
            }
            state.fixtures.insert((*name).to_owned(), *pose);
        }
    }
    Ok(())
}
