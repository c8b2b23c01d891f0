//! The one error of this crate.

use bitvla_datasets::DatasetError;
use bitvla_parity::ParityError;
use bitvla_perturbations::PerturbationError;
use bitvla_policies::PolicyError;
use bitvla_remote::RemoteError;
use bitvla_reports::ReportError;
use bitvla_sim::SimError;
use bitvla_tasks::{TaskError, WorkerPanic};
use std::path::{Path, PathBuf};

/// Failures between a command line and a run folder.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// Input that does not exist or does not fit together; ends the program with code 2.
    #[error("{0}")]
    Input(String),
    /// A perturbation that is none, or does not fit a task; ends the program with code 2.
    #[error(transparent)]
    Perturbation(#[from] PerturbationError),
    /// A checkpoint without statistics for a suite, or whose vocabulary lacks words of its instructions.
    #[error(
        "policy `{policy}` does not know suite `{suite}`: {source}; --normaliser-key KEY uses the statistics of another \
         suite all the same"
    )]
    UnknownSuite {
        /// Name of the policy.
        policy: String,
        /// Name of the suite.
        suite: String,
        /// Missing statistics or words.
        source: Box<PolicyError>,
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
        /// Found and expected content.
        what: String,
    },
    /// A control step that the world refused, such as one that left a state that is not finite: an error of the harness, not
    /// of the policy.
    #[error("task {task}, initial state {init}, {moment}: {source}")]
    Step {
        /// Index of the task.
        task: usize,
        /// Index of the initial state.
        init: usize,
        /// Place in the episode.
        moment: String,
        /// What the world says.
        source: SimError,
    },
    /// Whatever makes every episode of a task fail, found before the first one.
    #[error("task {task} cannot be run: {source}")]
    Preflight {
        /// Index of the task.
        task: usize,
        /// Reason in its first initial state.
        source: Box<EvalError>,
    },
    /// The run was asked to stop in the middle of an episode, which is dropped.
    #[error("stopped on request")]
    Stopped,
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
    /// From a policy behind a network.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// From a data set that is written.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// From the reports: a file that cannot be read or written, or is malformed.
    #[error(transparent)]
    Report(#[from] ReportError),
}

impl EvalError {
    /// Wraps an operating system error with the file it is about.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> EvalError + '_ {
        move |source| ReportError::io(path)(source).into()
    }

    /// A file whose content is not what it should be.
    pub(crate) fn format(path: &Path, what: impl std::fmt::Display) -> EvalError {
        ReportError::format(path, what).into()
    }

    /// Refuses the first option, by its name, that was given although it cannot have an effect; `reason` follows the name.
    ///
    /// # Errors
    /// [`EvalError::Input`] if one was given.
    pub fn refuse_options(options: &[(&str, bool)], reason: &str) -> Result<(), EvalError> {
        match options.iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(EvalError::Input(format!("--{option}{reason}"))),
            None => Ok(()),
        }
    }

    /// Exit code of the program: 2 for bad input (options, files, a full disk), 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            EvalError::Action { .. }
            | EvalError::Step { .. }
            | EvalError::Stopped
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
