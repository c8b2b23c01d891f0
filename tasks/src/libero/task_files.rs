//! Tasks of LIBERO's form from their files: a suite of LIBERO, any folder of BDDL files, or one BDDL file.
//!
//! Initial states lie beside the BDDL files or in `init_files/FOLDER` where those are in `bddl_files/FOLDER`, under the
//! name of the task with one of [`INIT_ENDINGS`]. Files of LIBERO-plus take the states of the task that they vary, or, where
//! objects were added or moved, their own in `init_files/libero_newobj/FOLDER`.

use super::fixtures::FixturePoses;
use super::init::InitFile;
use crate::assets::Assets;
use crate::bddl::Problem;
use crate::error::TaskError;
use crate::instruction::{self, InstructionRule};
use crate::settling::resolve_penetration;
use crate::suite::{Suite, Task};
use std::path::{Path, PathBuf};

/// Control steps with [`crate::SETTLE_ACTION`] before the policy acts (`docs/reference/libero.md`, section 9).
pub const SETTLE_STEPS: usize = 10;
/// Endings of files of initial states, in order of preference: LIBERO's, LIBERO-PRO's, unpruned and other ones.
const INIT_ENDINGS: [&str; 6] = [
    ".pruned_init",
    ".pruned_init.npz",
    ".init",
    ".init.npz",
    ".npz",
    ".npy",
];
/// Horizons by the words that the name of a folder begins with, control steps, and that of other folders.
const HORIZONS: [([&str; 2], usize); 5] = [
    (["libero", "spatial"], 220),
    (["libero", "object"], 280),
    (["libero", "goal"], 300),
    (["libero", "10"], 520),
    (["libero", "90"], 400),
];
const OTHER_HORIZON: usize = 520;
/// Most reasons that a refusal of a folder lists.
const MAX_REASONS: usize = 5;

/// The files of a suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuiteFiles {
    /// Name of the suite.
    pub name: String,
    /// Name of the folder of its BDDL files.
    pub folder: String,
    /// Control steps that a policy has after settling.
    pub horizon: usize,
    /// Names of the BDDL files without extension, in order of the tasks.
    pub stems: Vec<String>,
    /// Folder of the BDDL files.
    pub bddl_dir: PathBuf,
    /// Folders in which initial states are looked for, in this order.
    pub init_dirs: Vec<PathBuf>,
    /// File of the initial states, if it was named; there is one task then.
    pub init_file: Option<PathBuf>,
}

/// Names of the BDDL files of a folder without extension, sorted.
///
/// # Errors
/// Fails if the folder cannot be read or has none.
pub(super) fn bddl_stems(dir: &Path) -> Result<Vec<String>, TaskError> {
    let read = |source| TaskError::Read {
        path: dir.to_owned(),
        source,
    };
    let mut stems = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(read)? {
        let name = entry.map_err(read)?.file_name();
        if let Some(stem) = name.to_string_lossy().strip_suffix(".bddl") {
            stems.push(stem.to_owned());
        }
    }
    stems.sort_unstable();
    match stems.is_empty() {
        true => Err(TaskError::wrong_folder(
            dir,
            "*.bddl",
            "BDDL files of LIBERO's form",
        )),
        false => Ok(stems),
    }
}

impl SuiteFiles {
    /// All BDDL files of a folder, in order of their names; the name of the suite is the path as given.
    ///
    /// # Errors
    /// Fails if the folder cannot be read or has no BDDL file.
    pub fn of_folder(dir: &Path) -> Result<SuiteFiles, TaskError> {
        let stems = bddl_stems(dir)?;
        Ok(SuiteFiles::new(dir.display().to_string(), dir, stems))
    }

    /// One BDDL file, with a file of initial states unless they are to be looked for; the name of the suite is the path as
    /// given.
    ///
    /// # Errors
    /// Fails if the name does not end in `.bddl`.
    pub fn of_file(bddl: &Path, init: Option<&Path>) -> Result<SuiteFiles, TaskError> {
        let name = bddl.file_name().unwrap_or_default().to_string_lossy();
        let Some(stem) = name.strip_suffix(".bddl") else {
            return Err(TaskError::wrong_folder(
                bddl,
                "name that ends in .bddl",
                "a BDDL file",
            ));
        };
        let dir = match bddl.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        let mut files = SuiteFiles::new(bddl.display().to_string(), dir, vec![stem.to_owned()]);
        files.init_file = init.map(Path::to_owned);
        Ok(files)
    }

    fn new(name: String, dir: &Path, stems: Vec<String>) -> SuiteFiles {
        // The folder's own name, also for `.` and paths that end in `..`.
        let whole = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        let folder = whole
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut init_dirs = vec![dir.to_owned()];
        let parent = whole
            .parent()
            .filter(|parent| parent.ends_with("bddl_files"));
        if let Some(root) = parent.and_then(Path::parent) {
            init_dirs.push(root.join("init_files").join(&folder));
            init_dirs.push(root.join("init_files/libero_newobj").join(&folder));
        }
        init_dirs.retain(|dir| dir.is_dir());
        SuiteFiles {
            name,
            horizon: horizon(&folder),
            folder,
            stems,
            bddl_dir: dir.to_owned(),
            init_dirs,
            init_file: None,
        }
    }

    /// The BDDL file of a task.
    pub fn bddl_file(&self, stem: &str) -> PathBuf {
        self.bddl_dir.join(format!("{stem}.bddl"))
    }

    /// The file of initial states of a task.
    ///
    /// # Errors
    /// Fails if there is none, with the names and folders that were tried.
    pub fn init_file(&self, stem: &str) -> Result<PathBuf, TaskError> {
        if let Some(file) = &self.init_file {
            return Ok(file.clone());
        }
        let base = instruction::base_of(stem);
        let names = if base == stem {
            vec![stem]
        } else {
            vec![stem, base]
        };
        let candidates = names.iter().flat_map(|name| {
            (self.init_dirs.iter())
                .flat_map(move |dir| INIT_ENDINGS.map(|end| dir.join(format!("{name}{end}"))))
        });
        candidates
            .into_iter()
            .find(|path| path.is_file())
            .ok_or_else(|| {
                let dirs: Vec<String> = (self.init_dirs.iter())
                    .map(|dir| dir.display().to_string())
                    .collect();
                TaskError::Folder {
                    path: self.bddl_file(stem),
                    found: "no initial states of the task".into(),
                    expected: format!(
                        "{stem} with one of {} in {}",
                        INIT_ENDINGS.join(", "),
                        dirs.join(", ")
                    ),
                }
            })
    }

    /// The suite without initial states: no model is needed for that.
    ///
    /// # Errors
    /// Fails if a BDDL file is missing or not understood.
    pub fn outline(&self, rule: &InstructionRule) -> Result<Suite, TaskError> {
        let task = |(id, stem): (usize, &String)| self.task(id, stem, rule);
        let tasks = self
            .stems
            .iter()
            .enumerate()
            .map(task)
            .collect::<Result<_, _>>()?;
        Ok(self.suite(tasks))
    }

    /// The suite with the initial states of its tasks, or of `only` those; of the others not even the BDDL file is read.
    /// Models (for joints and placement) come from `assets`. Objects that are stored inside the table or floor are lifted
    /// onto it (`resolve_penetration`).
    ///
    /// # Errors
    /// Fails if a file is missing or not understood, a category has no model, or a fixture has no pose. Of several tasks
    /// that fail the first reasons are listed.
    pub fn load(
        &self,
        assets: &Assets,
        fixtures: &FixturePoses,
        rule: &InstructionRule,
        only: Option<&[usize]>,
    ) -> Result<Suite, TaskError> {
        let mut tasks = Vec::with_capacity(self.stems.len());
        let mut failures = Vec::new();
        for (id, stem) in self.stems.iter().enumerate() {
            let is_meant = only.is_none_or(|only| only.contains(&id));
            let task = match is_meant {
                true => self.load_task(id, assets, fixtures, (rule, usize::MAX)),
                false => Ok(Task::unread(id, stem, &self.bddl_file(stem))),
            };
            match task {
                Ok(task) => tasks.push(task),
                Err(error) => failures.push((id, error)),
            }
        }
        match failures.len() {
            0 => Ok(self.suite(tasks)),
            1 => Err(failures.remove(0).1),
            count => Err(self.refusal(count, &failures)),
        }
    }

    /// One task, with its first initial states, `states` of them at most.
    ///
    /// # Errors
    /// As [`SuiteFiles::load`].
    ///
    /// # Panics
    /// If there is no stem of that index.
    pub fn load_task(
        &self,
        id: usize,
        assets: &Assets,
        fixtures: &FixturePoses,
        (rule, states): (&InstructionRule, usize),
    ) -> Result<Task, TaskError> {
        let mut task = self.task(id, &self.stems[id], rule)?;
        self.add_states(&mut task, assets, fixtures, states)?;
        Ok(task)
    }

    fn refusal(&self, count: usize, failures: &[(usize, TaskError)]) -> TaskError {
        let mut reasons: Vec<String> = (failures.iter().take(MAX_REASONS))
            .map(|(id, error)| format!("task {id}: {error}"))
            .collect();
        if count > MAX_REASONS {
            reasons.push(format!("and {} more", count - MAX_REASONS));
        }
        TaskError::Folder {
            path: self.bddl_dir.clone(),
            found: format!(
                "{count} of {} tasks that cannot be run ({})",
                self.stems.len(),
                reasons.join("; ")
            ),
            expected: "files and models of all tasks, or --tasks with those to run".into(),
        }
    }

    fn task(&self, id: usize, stem: &str, rule: &InstructionRule) -> Result<Task, TaskError> {
        let path = self.bddl_file(stem);
        let text = std::fs::read_to_string(&path).map_err(|source| TaskError::Read {
            path: path.clone(),
            source,
        })?;
        let problem = Problem::parse(&path.display().to_string(), &text)?;
        let chosen = instruction::choose(rule, &self.folder, stem, &problem);
        let (instruction, instruction_source) = chosen.map_err(|what| problem.error(what))?;
        Ok(Task {
            id,
            instruction,
            other_words: None,
            instruction_source,
            name: stem.to_owned(),
            problem,
            init_states: Vec::new(),
        })
    }

    fn add_states(
        &self,
        task: &mut Task,
        assets: &Assets,
        fixtures: &FixturePoses,
        most: usize,
    ) -> Result<(), TaskError> {
        let file = InitFile::read(&self.init_file(&task.name)?)?;
        let mut states = file.states(assets, &task.problem)?;
        fixtures.apply(assets, &self.folder, task, &mut states)?;
        states.truncate(most);
        for state in &mut states {
            resolve_penetration(assets, &task.problem, state)?;
        }
        task.init_states = states;
        Ok(())
    }

    fn suite(&self, tasks: Vec<Task>) -> Suite {
        Suite {
            name: self.name.clone(),
            horizon: self.horizon,
            settle_steps: SETTLE_STEPS,
            tasks,
        }
    }
}

/// Control steps of a suite by the first words of the name of its folder: those of the suite of LIBERO that it varies.
fn horizon(folder: &str) -> usize {
    let mut words = folder.split('_');
    let first = [
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    ];
    (HORIZONS.iter())
        .find(|(known, _)| *known == first)
        .map_or(OTHER_HORIZON, |(_, horizon)| *horizon)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn horizons_are_those_of_the_varied_suite() {
        for (folder, steps) in [
            ("libero_spatial", 220),
            ("libero_goal_swap", 300),
            ("libero_10_with_mug", 520),
            ("libero_100", 520),
            ("mine", 520),
        ] {
            assert_eq!(horizon(folder), steps, "{folder}");
        }
    }

    #[test]
    fn initial_states_are_found_beside_in_init_files_and_as_libero_plus_keeps_them() {
        let root = std::env::temp_dir().join(format!("bitvla-task-files-{}", std::process::id()));
        let touch = |path: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        for stem in ["a", "b", "b_light_3", "b_add_2", "c"] {
            touch(&format!("bddl_files/libero_goal/{stem}.bddl"));
        }
        touch("bddl_files/libero_goal/a.npy");
        touch("init_files/libero_goal/b.pruned_init");
        touch("init_files/libero_goal/b.pruned_init.npz");
        touch("init_files/libero_newobj/libero_goal/b_add_2.pruned_init");
        let files = SuiteFiles::of_folder(&root.join("bddl_files/libero_goal")).unwrap();
        assert_eq!(files.stems, ["a", "b", "b_add_2", "b_light_3", "c"]);
        assert_eq!((files.folder.as_str(), files.horizon), ("libero_goal", 300));
        let found = |stem: &str| {
            let path = files.init_file(stem).unwrap().canonicalize().unwrap();
            let root = root.canonicalize().unwrap();
            path.strip_prefix(root).unwrap().display().to_string()
        };
        assert_eq!(found("a"), "bddl_files/libero_goal/a.npy");
        assert_eq!(found("b"), "init_files/libero_goal/b.pruned_init");
        assert_eq!(found("b_light_3"), "init_files/libero_goal/b.pruned_init");
        let own = "init_files/libero_newobj/libero_goal/b_add_2.pruned_init";
        assert_eq!(found("b_add_2"), own);
        let error = files.init_file("c").unwrap_err().to_string();
        assert!(
            error.contains("no initial states") && error.contains(".pruned_init.npz"),
            "{error}"
        );
        fs::remove_dir_all(&root).unwrap();
    }
}
