//! A LIBERO checkout (`--libero DIR`): models and arenas from LIBERO's own files in place of those of the asset folder
//! ([`super::Assets`]).

use super::{libero_arenas, libero_models, libero_robot};
use crate::error::TaskError;
use crate::libero::layout;
use crate::mjcf::Notices;
use bitvla_sim::{ArenaDesc, ModelDesc};
use std::path::{Path, PathBuf};

/// A LIBERO checkout, and optionally a robosuite beside it whose meshes the robot is drawn with. A missing picture or
/// drawn mesh is substituted and listed by `LiberoDir::notices`; a missing collision mesh is an error.
#[derive(Debug)]
pub struct LiberoDir {
    assets: PathBuf,
    robosuite: Option<PathBuf>,
    notices: Notices,
}

impl LiberoDir {
    /// Opens a checkout, or the packages of PyPI (`crate::libero::layout`).
    /// `robosuite` is a checkout or installed package with `models/assets/robots/panda`.
    ///
    /// # Errors
    /// Fails if either folder lacks these parts.
    pub fn open(dir: &Path, robosuite: Option<&Path>) -> Result<LiberoDir, TaskError> {
        let assets = layout::find_assets(dir)?;
        let robosuite = robosuite.map(libero_robot::find_assets).transpose()?;
        Ok(LiberoDir {
            assets,
            robosuite,
            notices: Notices::default(),
        })
    }

    /// The folder of the models.
    pub fn assets_dir(&self) -> &Path {
        &self.assets
    }

    /// The folder of robosuite's models, if one was given.
    pub fn robosuite_dir(&self) -> Option<&Path> {
        self.robosuite.as_deref()
    }

    /// Missing files and their substitutes so far: one sentence per file, sorted.
    pub(crate) fn notices(&self) -> Vec<String> {
        self.notices.list()
    }

    /// Names of the categories that have a model file, sorted.
    pub(crate) fn categories(&self) -> Vec<String> {
        libero_models::categories(&self.assets)
    }

    /// Reads an arena by name: `table`, `kitchen`, `living_room`, `study`, `floor` or `coffee_table`.
    pub(crate) fn arena(&self, name: &str) -> Result<ArenaDesc, TaskError> {
        libero_arenas::read(&self.assets, name, &self.notices)
    }

    /// Name of the arena that is a scene variant of another.
    pub(crate) fn scene_variant(&self, arena: &str, variant: &str) -> Result<String, String> {
        let scene = crate::libero::scene_variants::find(&self.assets, arena, variant)?;
        Ok(format!("{arena}/{scene}"))
    }

    /// Reads the model of a category; true if it is welded to the world.
    pub(crate) fn model(&self, category: &str) -> Result<(ModelDesc, bool), TaskError> {
        let (path, fixed) = self.file_of(category)?;
        let model = libero_models::read(&path, category, fixed, &self.notices)?;
        Ok((model, fixed))
    }

    /// The robot as it stands in an arena: physics of `ours`, drawn with robosuite's meshes if it was given.
    pub(crate) fn robot(&self, ours: &ModelDesc, arena: &str) -> Result<ModelDesc, TaskError> {
        libero_robot::robot(
            ours,
            self.robosuite.as_deref(),
            !libero_arenas::without_pedestal(arena),
            &self.notices,
        )
    }

    /// Returns true if a category is welded to the world.
    pub(crate) fn is_fixture(&self, category: &str) -> Result<bool, TaskError> {
        Ok(self.file_of(category)?.1)
    }

    fn file_of(&self, category: &str) -> Result<(PathBuf, bool), TaskError> {
        libero_models::find_file(&self.assets, category).ok_or_else(|| TaskError::Folder {
            path: self.assets.clone(),
            found: format!("no model of the object category `{category}`"),
            expected: libero_models::candidate_files(category),
        })
    }
}
