//! Scenes of recorded episodes: the BDDL file of the task from a LIBERO checkout, poses of objects,
//! fixtures and robot from the recorded initial states (fixtures are not in LIBERO's init files,
//! fact sheet section 8).

use super::reference::{self, BySuite, InitRecord, InitTask, SuitesFile};
use crate::EvalError;
use bitvla_sim::{World, isometry};
use bitvla_tasks::bddl::Problem;
use bitvla_tasks::{Assets, InitState, TaskError, placement};
use nalgebra::{Isometry3, UnitQuaternion, Vector3};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// All tasks of the recorded suites with their initial states.
pub(super) struct Scenes {
    pub assets: Assets,
    tasks: BTreeMap<(String, usize), Place>,
}

/// One task.
#[derive(Clone)]
struct Place {
    problem: Arc<Problem>,
    states: Arc<Vec<InitState>>,
}

impl Scenes {
    /// Reads tasks and initial states.
    pub fn open(assets: Assets, libero: &Path, data: &Path) -> Result<Scenes, EvalError> {
        let suites: SuitesFile = reference::read(data, "suites.json")?;
        let init: BySuite<InitTask> = reference::read(data, "init_states.json")?;
        let bddl = libero.join("libero/libero/bddl_files");
        let mut tasks = BTreeMap::new();
        for (suite, entries) in &suites.suites {
            let Some(states) = init.suites.get(suite) else {
                continue;
            };
            for (id, entry) in entries.iter().enumerate() {
                let path = bddl.join(suite).join(&entry.bddl_file);
                let text = std::fs::read_to_string(&path).map_err(EvalError::io(&path))?;
                let problem =
                    Problem::parse(&path.display().to_string(), &text).map_err(TaskError::from)?;
                let records = states.get(&id.to_string()).map_or(&[][..], |t| &t.states);
                let states = records.iter().map(|r| init_state(&problem, r)).collect();
                let place = Place {
                    problem: Arc::new(problem),
                    states: Arc::new(states),
                };
                tasks.insert((suite.clone(), id), place);
            }
        }
        Ok(Scenes { assets, tasks })
    }

    fn place(&self, suite: &str, task: usize) -> Result<&Place, EvalError> {
        self.tasks.get(&(suite.to_owned(), task)).ok_or_else(|| {
            EvalError::Input(format!(
                "the reference folder has no initial states for task {task} of `{suite}`"
            ))
        })
    }

    /// What the task is.
    pub fn problem(&self, suite: &str, task: usize) -> Result<&Problem, EvalError> {
        Ok(&self.place(suite, task)?.problem)
    }

    /// A stored initial state with the fixture poses of that episode.
    pub fn state(&self, suite: &str, task: usize, init: usize) -> Result<&InitState, EvalError> {
        let states = &self.place(suite, task)?.states;
        states.get(init).ok_or_else(|| {
            EvalError::Input(format!(
                "task {task} of `{suite}` has {} recorded initial states, so there is no number {init}",
                states.len()
            ))
        })
    }

    /// The world of an episode before its first step.
    pub fn world(&self, suite: &str, task: usize, init: usize) -> Result<World, EvalError> {
        let state = self.state(suite, task, init)?;
        Ok(placement::world(
            &self.assets,
            self.problem(suite, task)?,
            state,
        )?)
    }

    /// Categories a task needs and the assets do not have.
    pub fn missing(&self, suite: &str, task: usize) -> Result<BTreeSet<String>, EvalError> {
        let problem = self.problem(suite, task)?;
        let mut missing = BTreeSet::new();
        for thing in problem.objects.iter().chain(problem.model_fixtures()) {
            match self.assets.model(&thing.category) {
                Ok(_) => {}
                Err(TaskError::Unknown { .. }) => {
                    missing.insert(thing.category.clone());
                }
                Err(e) => return Err(e.into()),
            }
        }
        if let Some(arena) = problem.arena() {
            match self.assets.arena(arena) {
                Ok(_) => {}
                Err(TaskError::Unknown { .. }) => {
                    missing.insert(format!("arena {arena}"));
                }
                Err(e) => return Err(e.into()),
            }
        }
        Ok(missing)
    }
}

fn init_state(problem: &Problem, record: &InitRecord) -> InitState {
    let mut joints: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    for (name, q) in &record.joints {
        if let Some((instance, joint)) = split_joint(problem, name) {
            joints.entry(instance).or_default().insert(joint, *q);
        }
    }
    let (arm, fingers) = (&record.robot_qpos, &record.gripper_qpos);
    InitState {
        objects: record.objects.clone(),
        fixtures: record.fixtures.clone(),
        joints,
        robot_qpos: std::array::from_fn(|i| if i < 7 { arm[i] } else { fingers[i - 7] }),
    }
}

/// Instance and joint of a full joint name such as `wooden_cabinet_1_top_level`.
pub(super) fn split_joint(problem: &Problem, name: &str) -> Option<(String, String)> {
    problem
        .objects
        .iter()
        .chain(&problem.fixtures)
        .filter_map(|t| {
            let joint = name.strip_prefix(&t.name)?.strip_prefix('_')?;
            Some((t.name.clone(), joint.to_owned()))
        })
        .max_by_key(|(instance, _)| instance.len())
}

/// A recorded pose.
pub(super) fn pose(v: &[f64; 7]) -> Isometry3<f64> {
    isometry([v[0], v[1], v[2]], [v[3], v[4], v[5], v[6]])
}

/// Distance of two points, mm.
pub(super) fn distance_mm(a: &Vector3<f64>, b: &Vector3<f64>) -> f64 {
    (a - b).norm() * 1e3
}

/// Angle between two orientations, degrees.
pub(super) fn angle_deg(a: &UnitQuaternion<f64>, b: &UnitQuaternion<f64>) -> f64 {
    // By the vector part: exact for small angles, where the cosine is not.
    let d = a.rotation_to(b);
    let v = d.imag().norm().min(1.0);
    2.0 * libm::atan2(v, d.w.abs()).to_degrees()
}

/// The data folder of a reference folder: itself or its `data`.
pub(super) fn data_dir(reference: &Path) -> Result<PathBuf, EvalError> {
    [reference.to_path_buf(), reference.join("data")]
        .into_iter()
        .find(|dir| dir.join("suites.json").is_file())
        .ok_or_else(|| {
            EvalError::Input(format!(
                "{} is missing: name the folder of the recorded MuJoCo runs with --reference DIR",
                reference.join("suites.json").display()
            ))
        })
}
