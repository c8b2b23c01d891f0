//! The one error of this crate.

use std::path::{Path, PathBuf};

/// What can go wrong between a record and a file.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: {what}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        what: String,
    },
    /// A plot could not be drawn.
    #[error("plot `{plot}`: {what}")]
    Plot {
        /// Name of the plot.
        plot: String,
        /// What went wrong.
        what: String,
    },
}

impl ReportError {
    /// Wraps an operating system error with the file it is about.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> ReportError + '_ {
        move |source| ReportError::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// A file whose content is not what it should be.
    pub(crate) fn format(path: &Path, what: impl std::fmt::Display) -> ReportError {
        ReportError::Format {
            path: path.to_owned(),
            what: what.to_string(),
        }
    }
}
