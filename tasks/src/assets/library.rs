//! The asset folder: one TOML file per arena, robot, object and fixture, read into the description
//! types of `bitvla-sim` and validated before a world is built from them.
//!
//! Layout: `arenas/NAME.toml`, `robots/panda.toml`, `objects/CATEGORY.toml` (free bodies) and
//! `fixtures/CATEGORY.toml` (welded to the world). Adding a model is adding a file.

use super::files::AssetFiles;
use super::libero_dir::LiberoDir;
use super::toml_file::parse_toml;
use super::validation::{validate_arena, validate_model};
use crate::error::TaskError;
use bitvla_sim::{ArenaDesc, ModelDesc};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// An asset folder, or a LIBERO checkout in its place; every file is read once and shared.
#[derive(Debug)]
pub struct Assets {
    files: AssetFiles,
    libero: Option<LiberoDir>,
    models: Cache<ModelDesc>,
    arenas: Cache<ArenaDesc>,
}

impl Assets {
    /// Opens an asset folder. Its files are read when they are first used.
    ///
    /// # Errors
    /// Fails if the folder cannot be read.
    pub fn open(dir: &Path) -> Result<Assets, TaskError> {
        std::fs::read_dir(dir).map_err(|source| TaskError::Read {
            path: dir.to_path_buf(),
            source,
        })?;
        Ok(Assets::of_files(AssetFiles::Folder(dir.to_path_buf())))
    }

    /// An asset folder in memory: the texts of its files by path (`arenas/table.toml`). Nothing is read from the disk.
    pub fn in_memory(files: impl IntoIterator<Item = (PathBuf, String)>) -> Assets {
        Assets::of_files(AssetFiles::Memory(files.into_iter().collect()))
    }

    fn of_files(files: AssetFiles) -> Assets {
        Assets {
            files,
            libero: None,
            models: Mutex::new(BTreeMap::new()),
            arenas: Mutex::new(BTreeMap::new()),
        }
    }

    /// Reads from a LIBERO checkout; the robot's physics, and its drawn meshes unless the checkout came with a
    /// robosuite, are those of the asset folder `dir`.
    ///
    /// # Errors
    /// As [`Assets::open`].
    pub fn libero(dir: &Path, libero: LiberoDir) -> Result<Assets, TaskError> {
        let mut assets = Assets::open(dir)?;
        assets.libero = Some(libero);
        Ok(assets)
    }

    /// Missing files of a LIBERO checkout and their substitutes, one sentence per file, sorted.
    pub fn notices(&self) -> Vec<String> {
        self.libero.as_ref().map_or(Vec::new(), LiberoDir::notices)
    }

    /// Default folder: `$BITVLA_ASSETS`, else `./assets`, else `assets` of the sources this was built from.
    pub fn default_dir() -> PathBuf {
        if let Some(dir) = std::env::var_os("BITVLA_ASSETS") {
            return PathBuf::from(dir);
        }
        let here = PathBuf::from("assets");
        if here.join("objects").is_dir() {
            return here;
        }
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .unwrap_or(Path::new("."))
            .join("assets")
    }

    /// The folder; the empty path for files in memory.
    pub fn dir(&self) -> &Path {
        self.files.root()
    }

    /// The files.
    pub(crate) fn files(&self) -> &AssetFiles {
        &self.files
    }

    /// The arena of a name, for example `table`.
    ///
    /// # Errors
    /// Fails if there is no such arena, or its file cannot be read or is malformed.
    pub fn arena(&self, name: &str) -> Result<Arc<ArenaDesc>, TaskError> {
        if let Some(libero) = &self.libero {
            return cached(&self.arenas, &format!("arena/{name}"), || {
                libero.arena(name)
            });
        }
        let Some(path) = self.find("arenas", name) else {
            return Err(self.unknown("arena", name, &["arenas"]));
        };
        self.cached_file(&self.arenas, path, |path, text| {
            let arena: ArenaDesc = parse_toml(path, text)?;
            validate_arena(path, text, &arena)?;
            Ok(arena)
        })
    }

    /// Name for [`Assets::arena`] of a scene variant of an arena.
    ///
    /// # Errors
    /// Says, as the end of a sentence, what is missing.
    pub(crate) fn scene_variant(&self, arena: &str, variant: &str) -> Result<String, String> {
        let Some(libero) = &self.libero else {
            return Err("; scene variants come from LIBERO-plus's own files (--libero DIR)".into());
        };
        libero.scene_variant(arena, variant)
    }

    /// The robot, on its pedestal.
    ///
    /// # Errors
    /// Fails if its file is missing or malformed.
    pub fn robot(&self) -> Result<Arc<ModelDesc>, TaskError> {
        let Some(path) = self.find("robots", "panda") else {
            return Err(self.unknown("robot", "panda", &["robots"]));
        };
        self.read_model(path)
    }

    /// The robot as it stands in the arena of a name: without its pedestal where that has none (on the
    /// floor and on low tables).
    ///
    /// # Errors
    /// As [`Assets::robot`] and [`Assets::arena`].
    pub fn robot_in(&self, arena: &str) -> Result<Arc<ModelDesc>, TaskError> {
        let own = self.robot()?;
        if let Some(libero) = &self.libero {
            return cached(&self.models, &format!("robot/{arena}"), || {
                libero.robot(&own, arena)
            });
        }
        Ok(if self.arena(arena)?.robot_mount {
            own
        } else {
            Arc::new(own.without_subtree("mount"))
        })
    }

    /// The model of a category; true if it is a fixture (welded to the world).
    ///
    /// # Errors
    /// Fails if there is no such category, or its file cannot be read or is malformed.
    pub fn model(&self, category: &str) -> Result<(Arc<ModelDesc>, bool), TaskError> {
        if let Some(libero) = &self.libero {
            let fixed = libero.is_fixture(category)?;
            let model = cached(&self.models, &format!("model/{category}"), || {
                libero.model(category).map(|(model, _)| model)
            })?;
            return Ok((model, fixed));
        }
        if let Some(path) = self.find("objects", category) {
            return Ok((self.read_model(path)?, false));
        }
        if let Some(path) = self.find("fixtures", category) {
            return Ok((self.read_model(path)?, true));
        }
        Err(self.unknown("object category", category, &["objects", "fixtures"]))
    }

    /// Names of all object and fixture categories, sorted.
    pub fn categories(&self) -> Vec<String> {
        match &self.libero {
            Some(libero) => libero.categories(),
            None => self.names(&["objects", "fixtures"]),
        }
    }

    fn read_model(&self, path: PathBuf) -> Result<Arc<ModelDesc>, TaskError> {
        self.cached_file(&self.models, path, |path, text| {
            let model: ModelDesc = parse_toml(path, text)?;
            validate_model(path, text, &model)?;
            Ok(model)
        })
    }

    /// Path of `FOLDER/NAME.toml` if there is such a file. Names with path separators find nothing.
    fn find(&self, folder: &str, name: &str) -> Option<PathBuf> {
        if name.is_empty() || name.contains(['/', '\\', '.']) {
            return None;
        }
        let path = self.dir().join(folder).join(format!("{name}.toml"));
        self.files.is_file(&path).then_some(path)
    }

    /// Names of the files in some folders, sorted. A folder may be missing: an asset folder need not have all.
    fn names(&self, folders: &[&str]) -> Vec<String> {
        let mut names: Vec<String> = folders
            .iter()
            .flat_map(|folder| self.files.entries(&self.dir().join(folder)))
            .filter(|path| path.extension().is_some_and(|e| e == "toml"))
            .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
            .collect();
        names.sort();
        names
    }

    fn unknown(&self, kind: &'static str, name: &str, folders: &[&str]) -> TaskError {
        TaskError::Unknown {
            kind,
            name: name.to_string(),
            known: self.names(folders),
        }
    }

    /// Returns what `parse` makes of a file, made once.
    fn cached_file<T>(
        &self,
        cache: &Cache<T>,
        path: PathBuf,
        parse: impl FnOnce(&Path, &str) -> Result<T, TaskError>,
    ) -> Result<Arc<T>, TaskError> {
        let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = cache.get(&path) {
            return Ok(known.clone());
        }
        let value = Arc::new(parse(&path, &self.files.read_text(&path)?)?);
        cache.insert(path, value.clone());
        Ok(value)
    }
}

/// Parsed files and imported models by path, or by a key that no file has.
type Cache<T> = Mutex<BTreeMap<PathBuf, Arc<T>>>;

/// Returns the value of a key, made once. Failures are not kept.
fn cached<T>(
    cache: &Cache<T>,
    key: &str,
    make: impl FnOnce() -> Result<T, TaskError>,
) -> Result<Arc<T>, TaskError> {
    let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
    let key = PathBuf::from(key);
    if let Some(known) = cache.get(&key) {
        return Ok(known.clone());
    }
    let value = Arc::new(make()?);
    cache.insert(key, value.clone());
    Ok(value)
}
