//! Errors of perturbations.

use bitvla_tasks::TaskError;
use std::path::PathBuf;

/// What is wrong with a perturbation, or with its use in a task.
#[derive(Debug, thiserror::Error)]
pub enum PerturbationError {
    /// Words of the command line that are none.
    #[error("perturbation `{words}`: {what}")]
    Words {
        /// The words.
        words: String,
        /// What was found and what was expected.
        what: String,
    },
    /// A file that is none.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Place, what was found and what was expected.
        what: String,
    },
    /// A perturbation that does not fit a task.
    #[error("task {task}: {what}")]
    Task {
        /// Index of the task.
        task: usize,
        /// What was found and what was expected.
        what: String,
    },
    /// A model that cannot be read.
    #[error(transparent)]
    Tasks(#[from] TaskError),
}
