//! Suites: ordered tasks with instructions and stored initial states, read from
//! `assets/suites/NAME/` (`suite.toml`, one BDDL file per task, `init/NN.json`).

use crate::assets::{AssetFiles, Assets, parse_toml};
use crate::bddl::{Goal, Problem};
use crate::error::TaskError;
use crate::init_state::InitState;
use crate::instruction::{self, InstructionSource};
use crate::predicates::CompiledGoal;
use crate::scene;
use bitvla_sim::{SceneDesc, World};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Action of the control steps in which objects settle: no motion, gripper open (`docs/reference/libero.md`, section 9).
pub const SETTLE_ACTION: [f64; 7] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0];

/// A list of tasks evaluated together.
///
/// ```
/// use bitvla_tasks::{Assets, Suite};
///
/// let assets = Assets::open(&Assets::default_dir())?;
/// let suite = Suite::load(&assets, "spatial")?;
/// assert_eq!(suite.tasks.len(), 10);
///
/// let task = &suite.tasks[0];
/// assert_eq!(
///     task.instruction,
///     "pick up the black bowl between the plate and the ramekin and place it on the plate"
/// );
///
/// // The world of the first stored initial state, and whether the goal holds there already.
/// let mut world = task.world(&assets, &task.init_states[0])?;
/// let goal = task.compile_goal(&world)?;
/// world.step(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0])?;
/// assert!(!goal.holds(&world));
/// # Ok::<(), bitvla_tasks::TaskError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Suite {
    /// Name: that of `suite.toml`, or that of the catalogue for a suite of LIBERO.
    pub name: String,
    /// Control steps that a policy has after settling.
    pub horizon: usize,
    /// Control steps with [`SETTLE_ACTION`] before the policy acts.
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
    /// Instruction of the task.
    pub instruction: String,
    /// Words in its place, of a task that is varied: those that the policy is given.
    pub other_words: Option<String>,
    /// Origin of the instruction.
    pub instruction_source: InstructionSource,
    /// Objects, initial predicates and goal.
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
pub const BUILTIN_SUITES: [&str; 4] = ["spatial", "object", "goal", "long"];

impl Suite {
    /// Names of the suites under `assets/suites`: the four of this repository first, then others in
    /// alphabetical order; none if there is no such folder.
    pub fn names(assets: &Assets) -> Vec<String> {
        let folders = assets.files().entries(&assets.dir().join("suites"));
        let mut names: Vec<String> = (folders.into_iter())
            .filter(|folder| assets.files().is_file(&folder.join("suite.toml")))
            .filter_map(|folder| Some(folder.file_name()?.to_string_lossy().into_owned()))
            .collect();
        names.sort_by_key(|name| {
            let rank = BUILTIN_SUITES.iter().position(|builtin| builtin == name);
            (rank.unwrap_or(BUILTIN_SUITES.len()), name.clone())
        });
        names
    }

    /// Origins of the instructions of the tasks that have initial states, in words; several are separated by commas.
    pub fn instruction_sources(&self) -> String {
        let loaded = self
            .tasks
            .iter()
            .filter(|task| !task.init_states.is_empty());
        let sources: BTreeSet<String> = loaded
            .map(|task| match task.instruction_source {
                InstructionSource::Given => format!("--instruction `{}`", task.instruction),
                source => source.describe().to_owned(),
            })
            .collect();
        Vec::from_iter(sources).join(", ")
    }

    /// Reads a suite by name.
    ///
    /// # Errors
    /// Fails if there is no such suite (the error lists those there are), or a file is missing or malformed.
    pub fn load(assets: &Assets, name: &str) -> Result<Suite, TaskError> {
        let known = Suite::names(assets);
        if !known.iter().any(|k| k == name) {
            return Err(TaskError::Unknown {
                kind: "suite",
                name: name.to_owned(),
                known,
            });
        }
        Suite::of_files(assets.files(), &assets.dir().join("suites").join(name))
    }

    /// Reads a suite from its folder.
    ///
    /// # Errors
    /// Fails if a file is missing or malformed.
    pub fn read(dir: &Path) -> Result<Suite, TaskError> {
        Suite::of_files(&AssetFiles::Folder(dir.to_owned()), dir)
    }

    fn of_files(files: &AssetFiles, dir: &Path) -> Result<Suite, TaskError> {
        let path = dir.join("suite.toml");
        let text = files.read_text(&path)?;
        let file: SuiteFile = parse_toml(&path, &text)?;
        check_name(dir, &path, &text, &file.name)?;
        for entry in &file.task {
            check_file_name(&path, &text, &entry.file)?;
        }
        let mut tasks = Vec::with_capacity(file.task.len());
        for (id, entry) in file.task.into_iter().enumerate() {
            let path = dir.join(&entry.file);
            let problem = Problem::parse(&path.display().to_string(), &files.read_text(&path)?)?;
            let path = init_states_path(dir, id);
            let init_states = match files.is_file(&path) {
                true => read_init_states(&path, &files.read_text(&path)?, &problem)?,
                false => Vec::new(),
            };
            tasks.push(Task {
                id,
                name: entry.name,
                instruction: entry.instruction,
                other_words: None,
                instruction_source: InstructionSource::SuiteFile,
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

/// Reads the stored initial states of a task.
fn read_init_states(
    path: &Path,
    text: &str,
    problem: &Problem,
) -> Result<Vec<InitState>, TaskError> {
    let states: Vec<InitState> = serde_json::from_str(text).map_err(|e| TaskError::Malformed {
        path: path.to_owned(),
        line: e.line(),
        found: e.to_string(),
        expected: "initial states".into(),
    })?;
    for (row, state) in states.iter().enumerate() {
        state
            .check(problem)
            .map_err(|(found, expected)| TaskError::Row {
                path: path.to_owned(),
                row,
                found,
                expected,
            })?;
    }
    Ok(states)
}

/// File of the stored initial states of a task.
pub fn init_states_path(suite_dir: &Path, id: usize) -> PathBuf {
    suite_dir.join("init").join(format!("{id:02}.json"))
}

/// Refuses a suite whose name is not that of its folder: results are named after the suite, files are read from the folder.
fn check_name(dir: &Path, path: &Path, text: &str, name: &str) -> Result<(), TaskError> {
    let folder = dir.canonicalize().ok();
    let folder = folder.as_deref().unwrap_or(dir).file_name();
    if folder.is_some_and(|folder| folder == name) {
        return Ok(());
    }
    let folder = folder.unwrap_or_default().to_string_lossy();
    let expected = format!("`{folder}`, the name of its folder");
    Err(malformed(
        path,
        text,
        &format!("suite name `{name}`"),
        name,
        expected,
    ))
}

/// Refuses the name of a file that leads out of the folder of its suite.
fn check_file_name(path: &Path, text: &str, name: &str) -> Result<(), TaskError> {
    let plain = !name.is_empty() && !matches!(name, "." | "..") && !name.contains(['/', '\\', ':']);
    if plain {
        return Ok(());
    }
    let expected = "the name of a file beside suite.toml, without a folder".to_owned();
    Err(malformed(
        path,
        text,
        &format!("file `{name}`"),
        name,
        expected,
    ))
}

/// The error of a word of a file, with the first line that holds it in quotes.
fn malformed(path: &Path, text: &str, found: &str, word: &str, expected: String) -> TaskError {
    let line = text.lines().position(|line| {
        let value = line.split_once('=').map_or("", |(_, value)| value.trim());
        value.trim_matches(['"', '\'']) == word
    });
    TaskError::Malformed {
        path: path.to_owned(),
        line: line.unwrap_or(0) + 1,
        found: found.to_owned(),
        expected,
    }
}

impl Task {
    /// A task whose files are not read because it is not to be run: it has neither objects nor initial states.
    pub(crate) fn unread(id: usize, stem: &str, file: &Path) -> Task {
        Task {
            id,
            name: stem.to_owned(),
            instruction: instruction::of_file_name(stem),
            other_words: None,
            instruction_source: InstructionSource::FileName,
            problem: Problem::unread(&file.display().to_string()),
            init_states: Vec::new(),
        }
    }

    /// The words that the policy is given.
    pub fn words(&self) -> &str {
        self.other_words.as_deref().unwrap_or(&self.instruction)
    }

    /// The goal.
    pub fn goal(&self) -> &Goal {
        &self.problem.goal
    }

    /// Compiles the goal for the worlds of one scene of this task; the scenes of its initial states differ only in poses
    /// and joint positions.
    ///
    /// # Errors
    /// Fails if the goal names something that the scene does not have.
    pub fn compile_goal(&self, world: &World) -> Result<CompiledGoal, TaskError> {
        self.problem.compile_goal(world)
    }

    /// Describes the scene in a given initial state.
    ///
    /// # Errors
    /// Fails if a model is missing or the state has no pose for an instance.
    pub fn scene(&self, assets: &Assets, init: &InitState) -> Result<SceneDesc, TaskError> {
        scene::scene_desc(assets, &self.problem, init)
    }

    /// Builds the world in a given initial state, robot posture included.
    ///
    /// # Errors
    /// As [`Task::scene`], and when the physics engine refuses the scene.
    pub fn world(&self, assets: &Assets, init: &InitState) -> Result<World, TaskError> {
        self.world_of_scene(&self.scene(assets, init)?, init)
    }

    /// Builds the world of a scene of the task, which may have been changed, in a given initial state.
    ///
    /// # Errors
    /// When the physics engine refuses the scene.
    pub fn world_of_scene(&self, scene: &SceneDesc, init: &InitState) -> Result<World, TaskError> {
        scene::world_of_scene(scene, &self.problem, init)
    }
}
