//! Scenes of recorded episodes: the BDDL file of the task from a LIBERO checkout, poses of objects, fixtures and robot
//! from the recorded initial states (fixtures are not in LIBERO's init files, docs/reference/libero.md, section 8).

use crate::ParityError;
use crate::reference::{BySuite, InitRecord, InitTask, SuitesFile};
use bitvla_reports::{ReportError, read_json};
use bitvla_sim::World;
use bitvla_tasks::bddl::Problem;
use bitvla_tasks::{Assets, InitState, TaskError, scene};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// All tasks of the recorded suites with their initial states.
pub(crate) struct RecordedScenes {
    pub assets: Assets,
    tasks: BTreeMap<(String, usize), RecordedTask>,
}

/// Problem and recorded initial states of one task.
struct RecordedTask {
    problem: Problem,
    states: Vec<InitState>,
}

impl RecordedScenes {
    /// Reads tasks and initial states.
    pub fn open(assets: Assets, libero: &Path, data: &Path) -> Result<RecordedScenes, ParityError> {
        let suites: SuitesFile = read_json(&data.join("suites.json"))?;
        let states_path = data.join("init_states.json");
        let init: BySuite<InitTask> = read_json(&states_path)?;
        let bddl = libero.join("libero/libero/bddl_files");
        let mut tasks = BTreeMap::new();
        for (suite, entries) in &suites.suites {
            // A suite without recorded states is refused where one of its tasks is requested.
            let Some(states) = init.suites.get(suite) else {
                continue;
            };
            for (id, entry) in entries.iter().enumerate() {
                if entry.bddl_file.contains(['/', '\\']) || suite.contains(['/', '\\', '.']) {
                    let found = format!(
                        "suite `{suite}`: found the file `{}`, expected names without folders",
                        entry.bddl_file
                    );
                    return Err(ReportError::format(&data.join("suites.json"), found).into());
                }
                let path = bddl.join(suite).join(&entry.bddl_file);
                let text = std::fs::read_to_string(&path).map_err(ReportError::io(&path))?;
                let problem =
                    Problem::parse(&path.display().to_string(), &text).map_err(TaskError::from)?;
                // A task without recorded states is refused where one of them is requested.
                let records = states.get(&id.to_string()).map_or(&[][..], |t| &t.states);
                let states = records.iter().map(|r| {
                    init_state(&problem, r).map_err(|joint| {
                        let text =
                            format!("{suite} {id}: no object of the task has joint `{joint}`");
                        ReportError::format(&states_path, text)
                    })
                });
                let states = states.collect::<Result<_, _>>()?;
                tasks.insert((suite.clone(), id), RecordedTask { problem, states });
            }
        }
        Ok(RecordedScenes { assets, tasks })
    }

    fn task(&self, suite: &str, task: usize) -> Result<&RecordedTask, ParityError> {
        self.tasks.get(&(suite.to_owned(), task)).ok_or_else(|| {
            ParityError::Input(format!(
                "the reference folder has no initial states for task {task} of `{suite}`"
            ))
        })
    }

    /// Returns the problem of a task.
    pub fn problem(&self, suite: &str, task: usize) -> Result<&Problem, ParityError> {
        Ok(&self.task(suite, task)?.problem)
    }

    /// Returns a recorded initial state with the fixture poses of that episode.
    pub fn state(&self, suite: &str, task: usize, init: usize) -> Result<&InitState, ParityError> {
        let states = &self.task(suite, task)?.states;
        states.get(init).ok_or_else(|| {
            ParityError::Input(format!(
                "task {task} of `{suite}` has {} recorded initial states, so there is no number {init}",
                states.len()
            ))
        })
    }

    /// Builds the world of an episode before its first step.
    pub fn world(&self, suite: &str, task: usize, init: usize) -> Result<World, ParityError> {
        let state = self.state(suite, task, init)?;
        let problem = self.problem(suite, task)?;
        Ok(scene::build_world(&self.assets, problem, state)?)
    }

    /// Returns the categories and the arena that a task needs and the assets do not have.
    pub fn missing_models(
        &self,
        suite: &str,
        task: usize,
    ) -> Result<BTreeSet<String>, ParityError> {
        let problem = self.problem(suite, task)?;
        let mut missing = BTreeSet::new();
        for object in problem.objects.iter().chain(problem.model_fixtures()) {
            if is_unknown(self.assets.model(&object.category))? {
                missing.insert(object.category.clone());
            }
        }
        if let Some(arena) = problem.arena()
            && is_unknown(self.assets.arena(arena))?
        {
            missing.insert(format!("arena {arena}"));
        }
        Ok(missing)
    }
}

/// Returns true if the assets have no model of that name, and any other error.
pub(crate) fn is_unknown<T>(found: Result<T, TaskError>) -> Result<bool, TaskError> {
    match found {
        Ok(_) => Ok(false),
        Err(TaskError::Unknown { .. }) => Ok(true),
        Err(e) => Err(e),
    }
}

/// Converts a recorded initial state; the error is the name of a joint that no object of the problem has.
fn init_state(problem: &Problem, record: &InitRecord) -> Result<InitState, String> {
    let mut joints: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    for (name, q) in &record.joints {
        let (instance, joint) = split_joint(problem, name).ok_or_else(|| name.clone())?;
        joints.entry(instance).or_default().insert(joint, *q);
    }
    let (arm, fingers) = (&record.robot_qpos, &record.gripper_qpos);
    Ok(InitState {
        objects: record.objects.clone(),
        fixtures: record.fixtures.clone(),
        joints,
        robot_qpos: std::array::from_fn(|i| if i < 7 { arm[i] } else { fingers[i - 7] }),
        velocities: None,
    })
}

/// Splits a full joint name such as `wooden_cabinet_1_top_level` into instance and joint.
pub(crate) fn split_joint(problem: &Problem, name: &str) -> Option<(String, String)> {
    problem
        .objects
        .iter()
        .chain(&problem.fixtures)
        .filter_map(|object| {
            let joint = name.strip_prefix(&object.name)?.strip_prefix('_')?;
            Some((object.name.clone(), joint.to_owned()))
        })
        .max_by_key(|(instance, _)| instance.len())
}

/// Returns the data folder of a reference folder: itself or its `data`.
pub(crate) fn data_dir(reference: &Path) -> Result<PathBuf, ParityError> {
    [reference.to_path_buf(), reference.join("data")]
        .into_iter()
        .find(|dir| dir.join("suites.json").is_file())
        .ok_or_else(|| {
            ParityError::Input(format!(
                "{} is missing: name the folder of the recorded MuJoCo runs with --reference DIR",
                reference.join("suites.json").display()
            ))
        })
}
