//! LIBERO's suites from a checkout: tasks with their problems and initial states.

use super::catalog::{LiberoSuite, TaskOrder, instruction};
use super::fixtures::FixturePoses;
use super::init::InitFile;
use crate::assets::{Assets, CHECKOUT};
use crate::bddl::Problem;
use crate::error::TaskError;
use crate::settling::resolve_penetration;
use crate::suite::{Suite, Task};
use std::path::{Path, PathBuf};

/// Control steps with [`crate::SETTLE_ACTION`] before the policy acts (`docs/reference/libero.md`, section 9).
const SETTLE_STEPS: usize = 10;

/// The suites of a LIBERO checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiberoSuites {
    root: PathBuf,
}

impl LiberoSuites {
    /// Opens a checkout, or the folder in it that holds `bddl_files`.
    ///
    /// # Errors
    /// Fails if there is no such folder.
    pub fn open(dir: &Path) -> Result<LiberoSuites, TaskError> {
        let candidates = [
            dir.join("libero").join("libero"),
            dir.join("libero"),
            dir.to_owned(),
        ];
        let found = candidates
            .iter()
            .find(|root| root.join("bddl_files").is_dir());
        match found {
            Some(root) => Ok(LiberoSuites { root: root.clone() }),
            None => Err(TaskError::wrong_folder(
                dir,
                "libero/libero/bddl_files",
                CHECKOUT,
            )),
        }
    }

    /// The folder that holds `bddl_files`, `init_files` and `assets`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folder of the BDDL files of a suite.
    pub fn bddl_dir(&self, suite: &LiberoSuite) -> PathBuf {
        self.root.join("bddl_files").join(suite.folder)
    }

    /// Folder of the initial states of a suite.
    pub fn init_dir(&self, suite: &LiberoSuite) -> PathBuf {
        self.root.join("init_files").join(suite.folder)
    }

    /// Names of the files of a suite without extension, in order of its tasks.
    ///
    /// # Errors
    /// Where the order is that of the files: fails if the folder cannot be read or does not hold as many tasks as the suite
    /// has.
    pub fn files(&self, suite: &LiberoSuite) -> Result<Vec<String>, TaskError> {
        let dir = self.bddl_dir(suite);
        if let TaskOrder::Given(before, after, names) = suite.order {
            let file_stem = |name: &&str| format!("{before}{name}{after}");
            return Ok(names.iter().map(file_stem).collect());
        }
        let read = |source| TaskError::Read {
            path: dir.clone(),
            source,
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&dir).map_err(read)? {
            let name = entry.map_err(read)?.file_name();
            if let Some(stem) = name.to_string_lossy().strip_suffix(".bddl") {
                names.push(stem.to_owned());
            }
        }
        names.sort_unstable();
        if names.len() != suite.tasks {
            return Err(TaskError::Folder {
                path: dir,
                found: format!("{} BDDL files", names.len()),
                expected: format!("{}, as {} has tasks", suite.tasks, suite.name),
            });
        }
        Ok(names)
    }

    /// The suite without initial states: no model is needed for that.
    ///
    /// # Errors
    /// Fails if a BDDL file is missing or not understood.
    pub fn outline(&self, suite: &LiberoSuite) -> Result<Suite, TaskError> {
        let dir = self.bddl_dir(suite);
        let mut tasks = Vec::with_capacity(suite.tasks);
        for (id, name) in self.files(suite)?.into_iter().enumerate() {
            let path = dir.join(format!("{name}.bddl"));
            let text = std::fs::read_to_string(&path).map_err(|source| TaskError::Read {
                path: path.clone(),
                source,
            })?;
            let problem = Problem::parse(&path.display().to_string(), &text)?;
            tasks.push(Task {
                id,
                instruction: instruction(&name),
                name,
                problem,
                init_states: Vec::new(),
            });
        }
        Ok(Suite {
            name: suite.name.to_owned(),
            horizon: suite.horizon,
            settle_steps: SETTLE_STEPS,
            tasks,
        })
    }

    /// The suite with its initial states; models (for joints and placement) come from `assets`. Objects that are
    /// stored inside the table or floor are lifted onto it (`resolve_penetration`).
    ///
    /// # Errors
    /// Fails if a file is missing or not understood, a category has no model, or a fixture has no pose.
    pub fn load(
        &self,
        suite: &LiberoSuite,
        assets: &Assets,
        fixtures: &FixturePoses,
    ) -> Result<Suite, TaskError> {
        let mut out = self.outline(suite)?;
        for task in &mut out.tasks {
            let path = self
                .init_dir(suite)
                .join(format!("{}.pruned_init", task.name));
            let mut states = InitFile::read(&path)?.states(assets, &task.problem)?;
            fixtures.apply(assets, suite, task, &mut states)?;
            for state in &mut states {
                resolve_penetration(assets, &task.problem, state)?;
            }
            task.init_states = states;
        }
        Ok(out)
    }
}
