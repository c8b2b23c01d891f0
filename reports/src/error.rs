//! Error type of this crate.

use std::path::{Path, PathBuf};

/// Failure to read, write or draw a file.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// An operating system error.
    #[error("{path}: {source}")]
    Io {
        /// File that it is about.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// A file with unexpected content.
    #[error("{path}: {what}")]
    Format {
        /// File that it is about.
        path: PathBuf,
        /// Content that was found and content that was expected.
        what: String,
    },
    /// A folder that another process writes into.
    #[error("{path}: in use by another process; wait for its end or choose another folder")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A plot could not be drawn.
    #[error("plot `{plot}`: {what}")]
    Plot {
        /// Name of the plot.
        plot: String,
        /// Error of the drawing backend.
        what: String,
    },
}

impl ReportError {
    /// Returns a function that adds the file to an operating system error, for `map_err`.
    pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> ReportError + '_ {
        move |source| ReportError::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// Builds the error of a file with unexpected content.
    pub fn format(path: &Path, what: impl std::fmt::Display) -> ReportError {
        ReportError::Format {
            path: path.to_owned(),
            what: what.to_string(),
        }
    }
}
