//! LIBERO's own files: a checkout is read as it is (`--libero DIR`), and answers the questions that
//! [`crate::Assets`] answers for the models of this project.
//!
//! Missing pictures and meshes are replaced visibly and listed by [`LiberoDir::notices`]; a missing
//! collision mesh or a file that is not understood is an error.

mod arenas;
mod asset;
pub mod fixtures;
mod geom;
pub mod init;
mod mesh;
mod mjcf;
mod models;
mod notice;
mod pickle;
mod pose;
pub mod raw;
pub mod resets;
mod robot;
pub mod suites;
mod visual;
mod xml;

pub use fixtures::{FixturePoses, PoseFile};
pub use init::InitFile;
pub use models::Turns;
pub use suites::{LiberoSuite, LiberoSuites};

use crate::error::TaskError;
use bitvla_sim::{ArenaDesc, ModelDesc};
use notice::Notices;
use std::path::{Path, PathBuf};

/// What `--libero` takes.
const CHECKOUT: &str = "a LIBERO checkout: the folder with libero/libero in it";

/// The error of a folder without `part`, or of no folder.
fn not_one(dir: &Path, part: &str, expected: &str) -> TaskError {
    TaskError::Folder {
        path: dir.to_owned(),
        found: if dir.is_dir() {
            format!("no {part} in it")
        } else {
            "no such folder".into()
        },
        expected: expected.into(),
    }
}

/// A LIBERO checkout, and a robosuite beside it for the looks of the robot.
#[derive(Debug)]
pub struct LiberoDir {
    root: PathBuf,
    assets: PathBuf,
    robosuite: Option<PathBuf>,
    notices: Notices,
}

impl LiberoDir {
    /// Opens a checkout: the folder that holds `libero/libero/assets`, or one of the two below it.
    /// `robosuite` is a checkout or installed package with `models/assets/robots/panda`.
    pub fn open(dir: &Path, robosuite: Option<&Path>) -> Result<LiberoDir, TaskError> {
        let inside = ["libero/libero", "libero", "."].map(|part| dir.join(part));
        let root = inside
            .iter()
            .find(|root| root.join("assets/scenes").is_dir())
            .ok_or_else(|| not_one(dir, "libero/libero/assets/scenes", CHECKOUT))?;
        let robosuite = robosuite.map(robot::find).transpose()?;
        Ok(LiberoDir {
            root: root.clone(),
            assets: root.join("assets"),
            robosuite,
            notices: Notices::default(),
        })
    }

    /// The folder with `assets`, `bddl_files` and `init_files`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What was missing and how it was replaced, so far: one sentence per file, sorted.
    pub fn notices(&self) -> Vec<String> {
        self.notices.list()
    }

    /// Names of the arenas.
    pub fn arenas(&self) -> Vec<String> {
        arenas::names()
    }

    /// Names of the categories that have a model file, sorted.
    pub fn categories(&self) -> Vec<String> {
        models::categories(&self.assets)
    }

    /// Reads an arena: `table`, `kitchen`, `living_room`, `study`, `floor` or `coffee_table`.
    pub fn arena(&self, name: &str) -> Result<ArenaDesc, TaskError> {
        arenas::read(&self.assets, name, &self.notices).unwrap_or_else(|| {
            Err(TaskError::Unknown {
                kind: "arena",
                name: name.to_owned(),
                known: arenas::names(),
            })
        })
    }

    /// Reads the model of a category, and tells whether it is welded to the world.
    pub fn model(&self, category: &str) -> Result<(ModelDesc, bool), TaskError> {
        let (path, fixed) = self.file_of(category)?;
        let model = models::read(&path, category, fixed, &self.notices)?;
        Ok((model, fixed))
    }

    /// How a freshly placed object of a category is turned: axes in order, with the range of the angle
    /// (rad). The quaternions are multiplied as x, y, z, w and read as w, x, y, z; see [`Self::placed`].
    pub fn turns(&self, category: &str) -> Result<Turns, TaskError> {
        let (path, _) = self.file_of(category)?;
        Ok(models::turns(category, &path))
    }

    /// Orientation `[w, x, y, z]` after turns by given angles (fact sheet section 7).
    pub fn placed(turns: &[(char, f64)]) -> [f64; 4] {
        models::placed(turns)
    }

    /// The robot as it stands in an arena: physics of `ours`, looks of robosuite if it was given.
    pub fn robot(&self, ours: &ModelDesc, arena: &str) -> Result<ModelDesc, TaskError> {
        robot::dress(
            ours,
            self.robosuite.as_deref(),
            !arenas::without_pedestal(arena),
            &self.notices,
        )
    }

    /// Whether a category is welded to the world.
    pub fn is_fixture(&self, category: &str) -> Result<bool, TaskError> {
        Ok(self.file_of(category)?.1)
    }

    fn file_of(&self, category: &str) -> Result<(PathBuf, bool), TaskError> {
        models::find(&self.assets, category).ok_or_else(|| TaskError::Folder {
            path: self.assets.clone(),
            found: format!("no model of the object category `{category}`"),
            expected: models::places(category),
        })
    }
}
