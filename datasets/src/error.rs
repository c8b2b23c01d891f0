//! The error enum of this crate.

use std::path::{Path, PathBuf};

/// Failure to write a data set.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// An operating system error.
    #[error("{path}: {source}")]
    Io {
        /// File that it is about.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// A file that cannot be written as it should be.
    #[error("{path}: {what}")]
    File {
        /// File that it is about.
        path: PathBuf,
        /// What was found and what was expected.
        what: String,
    },
    /// An episode or an image that does not fit the data set.
    #[error("{0}")]
    Episode(String),
}

impl DatasetError {
    /// Returns a function that adds the file to an operating system error, for `map_err`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> DatasetError + '_ {
        move |source| DatasetError::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// Returns a function that adds the file to another error, for `map_err`.
    pub(crate) fn file<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> DatasetError + '_ {
        move |what| DatasetError::File {
            path: path.to_owned(),
            what: what.to_string(),
        }
    }
}
