//! The one error of this crate.

use bitvla_parity::ParityError;
use bitvla_policies::PolicyError;
use bitvla_reports::ReportError;
use bitvla_sim::SimError;
use bitvla_tasks::{TaskError, WorkerPanic};
use std::path::{Path, PathBuf};

/// What can go wrong between a command line and a run folder.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// What was asked for does not exist or does not fit together; ends the program with code 2.
    #[error("{0}")]
    Input(String),
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of a run folder is not what it should be.
    #[error("{path}: {what}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        what: String,
    },
    /// Results of another version of the world, which are not mixed or compared with those of this one.
    #[error(
        "{path}: made in world version {theirs}, this program has world version {ours}; results of different world \
         versions are not comparable"
    )]
    World {
        /// The run folder or file.
        path: PathBuf,
        /// World version of what was found.
        theirs: u32,
        /// World version of this program.
        ours: u32,
    },
    /// A policy answered with something the robot cannot do.
    #[error("policy `{policy}`, task {task}, initial state {init}, step {step}: {what}")]
    Action {
        /// Name of the policy.
        policy: String,
        /// Index of the task.
        task: usize,
        /// Index of the initial state.
        init: usize,
        /// Control step after settling.
        step: usize,
        /// What was found and what was expected.
        what: String,
    },
    /// A worker stopped unexpectedly.
    #[error("a worker stopped: {0}")]
    Worker(String),
    /// From the simulator.
    #[error(transparent)]
    Sim(#[from] SimError),
    /// From the tasks.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// From a policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// From the comparison with MuJoCo.
    #[error(transparent)]
    Parity(#[from] ParityError),
    /// From the reports.
    #[error(transparent)]
    Report(#[from] ReportError),
}

impl EvalError {
    /// Wraps an operating system error with the file it is about.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> EvalError + '_ {
        move |source| EvalError::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// Exit code of the program: 2 for bad input (options, files, a full disk), 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            EvalError::Action { .. }
            | EvalError::Worker(_)
            | EvalError::Sim(_)
            | EvalError::Parity(ParityError::Worker(_) | ParityError::Sim(_))
            | EvalError::Policy(PolicyError::Query { .. }) => 1,
            _ => 2,
        }
    }
}

impl From<WorkerPanic> for EvalError {
    fn from(panic: WorkerPanic) -> EvalError {
        EvalError::Worker(panic.0)
    }
}
