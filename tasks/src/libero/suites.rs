//! The suites of a checkout by name ([`LiberoSuite`]).

use super::catalog::{LiberoSuite, TaskOrder};
use super::fixtures::FixturePoses;
use super::layout;
use super::task_files::{SuiteFiles, bddl_stems};
use crate::assets::Assets;
use crate::error::TaskError;
use crate::instruction::InstructionRule;
use crate::suite::Suite;
use std::path::{Path, PathBuf};

/// The suites of a LIBERO checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiberoSuites {
    root: PathBuf,
}

impl LiberoSuites {
    /// Opens a checkout, the folder in it that holds `bddl_files`, or a folder with packages of PyPI.
    ///
    /// # Errors
    /// Fails if there is no such folder.
    pub fn open(dir: &Path) -> Result<LiberoSuites, TaskError> {
        let root = layout::find_files(dir)?;
        Ok(LiberoSuites { root })
    }

    /// The folder that holds `bddl_files` and `init_files`.
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

    /// The files of a suite, in order of its tasks. They need not all be there: only those of the tasks that are loaded.
    ///
    /// # Errors
    /// Where the order is that of the files: fails if the folder cannot be read or has none.
    pub fn files(&self, suite: &LiberoSuite) -> Result<SuiteFiles, TaskError> {
        let dir = self.bddl_dir(suite);
        let stems = match suite.order {
            TaskOrder::Given(before, after, names) => (names.iter())
                .map(|name| format!("{before}{name}{after}"))
                .collect(),
            TaskOrder::ByName => bddl_stems(&dir)?,
        };
        Ok(SuiteFiles {
            name: suite.name.to_owned(),
            folder: suite.folder.to_owned(),
            horizon: suite.horizon,
            stems,
            bddl_dir: dir,
            init_dirs: vec![self.init_dir(suite)],
            init_file: None,
        })
    }

    /// The suite without initial states: no model is needed for that.
    ///
    /// # Errors
    /// As [`SuiteFiles::outline`].
    pub fn outline(&self, suite: &LiberoSuite) -> Result<Suite, TaskError> {
        self.files(suite)?.outline(&InstructionRule::Default)
    }

    /// The suite with all its initial states.
    ///
    /// # Errors
    /// As [`SuiteFiles::load`].
    pub fn load(
        &self,
        suite: &LiberoSuite,
        assets: &Assets,
        fixtures: &FixturePoses,
    ) -> Result<Suite, TaskError> {
        let files = self.files(suite)?;
        files.load(assets, fixtures, &InstructionRule::Default, None)
    }
}
