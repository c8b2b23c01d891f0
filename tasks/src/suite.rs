//! Suites: ordered tasks with instructions and stored initial states, read from
//! `assets/suites/NAME/` (`suite.toml`, one BDDL file per task, `init/NN.json`).

use crate::bddl::{Goal, Problem};
use crate::{Assets, InitState, TaskError, placement};
use bitvla_sim::{SceneDesc, World};
use serde::Deserialize;
use std::path::Path;

/// Action of the control steps in which objects settle: no motion, gripper open.
pub const SETTLE_ACTION: [f64; 7] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0];

/// A list of tasks evaluated together.
#[derive(Debug, Clone)]
pub struct Suite {
    /// Name, also of its folder.
    pub name: String,
    /// Control steps a policy has after settling.
    pub horizon: usize,
    /// Control steps with the wait action before the policy acts.
    pub settle_steps: usize,
    /// Tasks in evaluation order.
    pub tasks: Vec<Task>,
}

/// One task of a suite.
#[derive(Debug, Clone)]
pub struct Task {
    /// Index in the suite.
    pub id: usize,
    /// Short name.
    pub name: String,
    /// What the policy is told.
    pub instruction: String,
    /// Scene and goal.
    pub problem: Problem,
    /// Stored initial states; empty before they are drawn.
    pub init_states: Vec<InitState>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuiteFile {
    name: String,
    horizon: usize,
    settle_steps: usize,
    task: Vec<TaskEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskEntry {
    name: String,
    file: String,
    instruction: String,
}

/// The suites of this repository, in order.
pub const OWN: [&str; 4] = ["spatial", "object", "goal", "long"];

impl Suite {
    /// Names of the suites under `assets/suites`: the four of this repository first, then others in
    /// alphabetical order.
    pub fn names(assets: &Assets) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(assets.dir().join("suites"))
            .into_iter()
            .flat_map(|entries| entries.flatten())
            .filter(|entry| entry.path().join("suite.toml").is_file())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort_by_key(|name| {
            let place = OWN.iter().position(|own| own == name);
            (place.unwrap_or(OWN.len()), name.clone())
        });
        names
    }

    /// Reads a suite by name; an unknown one is an error that lists what there is.
    pub fn load(assets: &Assets, name: &str) -> Result<Suite, TaskError> {
        let known = Suite::names(assets);
        if !known.iter().any(|k| k == name) {
            return Err(TaskError::Unknown {
                kind: "suite",
                name: name.to_owned(),
                known,
            });
        }
        Suite::read(&assets.dir().join("suites").join(name))
    }

    /// Reads a suite from its folder.
    pub fn read(dir: &Path) -> Result<Suite, TaskError> {
        let path = dir.join("suite.toml");
        let text = read_text(&path)?;
        let file: SuiteFile = toml::from_str(&text).map_err(|e| {
            let at = e.span().map_or(0, |s| s.start).min(text.len());
            let line = 1 + text.as_bytes()[..at]
                .iter()
                .filter(|b| **b == b'\n')
                .count();
            malformed(&path, line, e.message().to_owned(), "a suite")
        })?;
        let mut tasks = Vec::with_capacity(file.task.len());
        for (id, entry) in file.task.into_iter().enumerate() {
            let path = dir.join(&entry.file);
            let problem = Problem::parse(&path.display().to_string(), &read_text(&path)?)?;
            let path = init_path(dir, id);
            let init_states = if path.is_file() {
                serde_json::from_str(&read_text(&path)?)
                    .map_err(|e| malformed(&path, e.line(), e.to_string(), "initial states"))?
            } else {
                Vec::new()
            };
            tasks.push(Task {
                id,
                name: entry.name,
                instruction: entry.instruction,
                problem,
                init_states,
            });
        }
        Ok(Suite {
            name: file.name,
            horizon: file.horizon,
            settle_steps: file.settle_steps,
            tasks,
        })
    }
}

/// Where the stored initial states of a task lie.
pub fn init_path(suite_dir: &Path, id: usize) -> std::path::PathBuf {
    suite_dir.join("init").join(format!("{id:02}.json"))
}

fn read_text(path: &Path) -> Result<String, TaskError> {
    std::fs::read_to_string(path).map_err(|source| TaskError::Read {
        path: path.to_owned(),
        source,
    })
}

fn malformed(path: &Path, line: usize, found: String, expected: &str) -> TaskError {
    TaskError::Malformed {
        path: path.to_owned(),
        line,
        found,
        expected: expected.to_owned(),
    }
}

impl Task {
    /// What is to be achieved.
    pub fn goal(&self) -> &Goal {
        &self.problem.goal
    }

    /// The scene in a given initial state.
    pub fn scene(&self, assets: &Assets, init: &InitState) -> Result<SceneDesc, TaskError> {
        placement::scene(assets, &self.problem, init)
    }

    /// A world in a given initial state, robot posture included.
    pub fn world(&self, assets: &Assets, init: &InitState) -> Result<World, TaskError> {
        placement::world(assets, &self.problem, init)
    }
}
