//! The small files of a checkpoint: in a folder, or in a packed file.

use crate::PolicyError;
use crate::error::file_error;
use serde::de::DeserializeOwned;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Files that a policy reads beside its weights; any of them may be absent.
pub const AUXILIARY_FILES: [&str; 7] = [
    "config.json",
    "dataset_statistics.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "chat_template.json",
];

/// Access to the small files of a checkpoint.
pub trait CheckpointFiles {
    /// Contents of a file; `None` if it does not exist.
    ///
    /// # Errors
    /// Names the file when it is there and cannot be read.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, PolicyError>;

    /// Path of a file in errors.
    fn display_path(&self, name: &str) -> PathBuf;

    /// Reader of a file that is read later, perhaps more than once.
    fn lazy_file(&self, name: &str) -> LazyFile;
}

/// Deferred read of a file, see [`CheckpointFiles::lazy_file`].
pub type LazyFile = Box<dyn Fn() -> Result<Option<Vec<u8>>, PolicyError> + Send + Sync>;

/// A folder on disk.
#[derive(Debug, Clone, Copy)]
pub struct CheckpointDir<'a>(pub &'a Path);

impl CheckpointFiles for CheckpointDir<'_> {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, PolicyError> {
        let path = self.0.join(name);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(file_error(&path, e)),
        }
    }

    fn display_path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn lazy_file(&self, name: &str) -> LazyFile {
        let (dir, name) = (self.0.to_path_buf(), name.to_string());
        Box::new(move || CheckpointDir(&dir).read(&name))
    }
}

/// Parses a JSON file; `None` if it does not exist.
///
/// # Errors
/// Names the file when it cannot be read or has another shape.
pub fn parse_json<T: DeserializeOwned>(
    files: &dyn CheckpointFiles,
    name: &str,
) -> Result<Option<T>, PolicyError> {
    let parse = |bytes: Vec<u8>| {
        serde_json::from_slice(&bytes).map_err(|e| file_error(&files.display_path(name), e))
    };
    files.read(name)?.map(parse).transpose()
}
