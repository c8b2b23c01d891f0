//! Error type of this crate.

use bitvla_reports::ReportError;
use bitvla_sim::SimError;
use bitvla_tasks::{TaskError, WorkerPanic};

/// Failure to compare the world with the reference.
#[derive(Debug, thiserror::Error)]
pub enum ParityError {
    /// A folder, suite, task or initial state of the configuration that does not exist.
    #[error("{0}")]
    Input(String),
    /// A worker thread panicked.
    #[error(transparent)]
    Worker(#[from] WorkerPanic),
    /// Error of the simulator.
    #[error(transparent)]
    Sim(#[from] SimError),
    /// Error of scenes, models or predicates.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// Error of a file that is read or written, or of a plot.
    #[error(transparent)]
    Report(#[from] ReportError),
}
