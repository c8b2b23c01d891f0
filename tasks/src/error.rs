//! Errors between a file on disk and a scene, with the location in the file.

use std::path::{Path, PathBuf};

/// An error of this crate. Problems in data files name the file, the line, what was found there
/// and what was expected instead.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A file or folder could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Reason given by the operating system.
        source: std::io::Error,
    },
    /// A data file has invalid contents.
    #[error("{}:{line}: found {found}, expected {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Text found, with the part of the model where the line alone does not identify it.
        found: String,
        /// Contents expected.
        expected: String,
    },
    /// A folder lacks the contents that identify it.
    #[error("{}: found {found}, expected {expected}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Contents found, or missing.
        found: String,
        /// Contents expected.
        expected: String,
    },
    /// A binary file has invalid contents.
    #[error("{}: byte {byte}: found {found}, expected {expected}", path.display())]
    Binary {
        /// The file.
        path: PathBuf,
        /// Position in the file, bytes from 0.
        byte: u64,
        /// Contents found.
        found: String,
        /// Contents expected.
        expected: String,
    },
    /// A row of a table of numbers does not fit what it describes.
    #[error("{}: row {row}: found {found}, expected {expected}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Row, from 0.
        row: usize,
        /// Contents found.
        found: String,
        /// Contents expected.
        expected: String,
    },
    /// A BDDL file is not understood.
    #[error(transparent)]
    Bddl(#[from] crate::bddl::BddlError),
    /// The world could not be built or stepped.
    #[error(transparent)]
    World(#[from] bitvla_sim::SimError),
    /// A name that does not exist.
    #[error("unknown {kind} `{name}`{}", known_list(known))]
    Unknown {
        /// Kind of thing that the name should denote, for example `object category`.
        kind: &'static str,
        /// The name.
        name: String,
        /// Existing names, sorted.
        known: Vec<String>,
    },
}

impl TaskError {
    /// The error of a folder that lacks `part`, or of no folder at all.
    pub(crate) fn wrong_folder(dir: &Path, part: &str, expected: &str) -> TaskError {
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
}

fn known_list(known: &[String]) -> String {
    if known.is_empty() {
        ", and there is none to choose from".to_string()
    } else {
        format!(", expected one of: {}", known.join(", "))
    }
}
