//! The files of an asset folder: on the disk, or in memory.

use crate::error::TaskError;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Texts by path relative to a root, read from the disk or held in memory.
#[derive(Debug)]
pub(crate) enum AssetFiles {
    /// A folder.
    Folder(PathBuf),
    /// Texts by path; their root is the empty path.
    Memory(BTreeMap<PathBuf, String>),
}

impl AssetFiles {
    /// The folder; empty for files in memory.
    pub(crate) fn root(&self) -> &Path {
        match self {
            AssetFiles::Folder(dir) => dir,
            AssetFiles::Memory(_) => Path::new(""),
        }
    }

    /// The text of a file.
    ///
    /// # Errors
    /// If it is absent or cannot be read.
    pub(crate) fn read_text(&self, path: &Path) -> Result<String, TaskError> {
        let text = match self {
            AssetFiles::Folder(_) => std::fs::read_to_string(path),
            AssetFiles::Memory(files) => files
                .get(path)
                .cloned()
                .ok_or_else(|| std::io::ErrorKind::NotFound.into()),
        };
        text.map_err(|source| TaskError::Read {
            path: path.to_owned(),
            source,
        })
    }

    /// True for a file.
    pub(crate) fn is_file(&self, path: &Path) -> bool {
        match self {
            AssetFiles::Folder(_) => path.is_file(),
            AssetFiles::Memory(files) => files.contains_key(path),
        }
    }

    /// Files and folders directly in a folder, in any order; none if there is no such folder.
    pub(crate) fn entries(&self, folder: &Path) -> Vec<PathBuf> {
        match self {
            AssetFiles::Folder(_) => std::fs::read_dir(folder)
                .into_iter()
                .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
                .collect(),
            AssetFiles::Memory(files) => {
                let first = |path: &PathBuf| {
                    let inside = path.strip_prefix(folder).ok()?;
                    Some(folder.join(inside.iter().next()?))
                };
                let found: BTreeSet<PathBuf> = files.keys().filter_map(first).collect();
                found.into_iter().collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: files in memory are found, listed and missed like those of a folder.
    use super::*;

    #[test]
    fn memory_is_like_a_folder() {
        let file = |path: &str| (PathBuf::from(path), path.to_owned());
        let files = [
            "arenas/a.toml",
            "suites/s/suite.toml",
            "suites/s/init/00.json",
        ];
        let files = AssetFiles::Memory(files.into_iter().map(file).collect());
        let suites = [PathBuf::from("suites/s")];
        assert_eq!(files.entries(Path::new("suites")), suites);
        assert_eq!(files.entries(Path::new("suites/s")).len(), 2);
        assert!(files.entries(Path::new("robots")).is_empty());
        assert!(files.is_file(Path::new("arenas/a.toml")) && !files.is_file(Path::new("arenas")));
        let error = files.read_text(Path::new("arenas/b.toml")).unwrap_err();
        assert!(error.to_string().contains("arenas/b.toml"), "{error}");
    }
}
