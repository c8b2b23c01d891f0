//! What can go wrong between a file on disk and a scene, with the place where it did.

use std::path::PathBuf;

/// An error of this crate. Problems in data files name the file, the line, what was found there
/// and what was expected instead.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A file or folder could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A data file says something it must not.
    #[error("{}:{line}: found {found}, expected {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is there, with the place inside the model where the line alone does not tell.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// A folder is not the one that was meant.
    #[error("{}: found {found}, expected {expected}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is there, or is not.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// A binary file says something it must not.
    #[error("{}: byte {byte}: found {found}, expected {expected}", path.display())]
    Binary {
        /// The file.
        path: PathBuf,
        /// Position in the file, bytes from 0.
        byte: u64,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// A row of a table of numbers does not fit what it describes.
    #[error("{}: row {row}: found {found}, expected {expected}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Row, from 0.
        row: usize,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// A BDDL file is not understood.
    #[error(transparent)]
    Bddl(#[from] crate::bddl::BddlError),
    /// The world could not be built or stepped.
    #[error(transparent)]
    World(#[from] bitvla_sim::SimError),
    /// A name that nothing answers to.
    #[error("unknown {kind} `{name}`{}", known_list(known))]
    Unknown {
        /// What the name should denote, for example `object category`.
        kind: &'static str,
        /// The name.
        name: String,
        /// The names there are, sorted.
        known: Vec<String>,
    },
}

fn known_list(known: &[String]) -> String {
    if known.is_empty() {
        ", and there is none to choose from".to_string()
    } else {
        format!(", expected one of: {}", known.join(", "))
    }
}
