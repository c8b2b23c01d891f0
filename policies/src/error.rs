//! The error enum of this crate.

use std::path::{Path, PathBuf};

/// Failure between a checkpoint on disk and an action.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A file could not be read or is not what it should be.
    #[error("{path}: {what}")]
    File {
        /// The file.
        path: PathBuf,
        /// Found and expected value.
        what: String,
    },
    /// A tensor of a checkpoint is missing, extra or misshapen.
    #[error("{path}: tensor `{tensor}`: {what}")]
    Tensor {
        /// The file.
        path: PathBuf,
        /// Tensor name.
        tensor: String,
        /// Found and expected value.
        what: String,
    },
    /// An observation or an action outside the contract.
    #[error("policy `{policy}`: {what}")]
    Query {
        /// Name of the policy.
        policy: String,
        /// Found and expected value.
        what: String,
    },
    /// A checkpoint without statistics for what is asked of it.
    #[error("{path}: no statistics for {wanted}; there are: {}", keys.join(", "))]
    Normaliser {
        /// The file of the statistics.
        path: PathBuf,
        /// Suite or key that was asked for.
        wanted: String,
        /// Keys that there are.
        keys: Vec<String>,
    },
    /// An instruction with words that the checkpoint was not trained on.
    #[error("{path}: `{instruction}`: not in the vocabulary: {}", words.join(", "))]
    Vocabulary {
        /// The tokenizer.
        path: PathBuf,
        /// The instruction.
        instruction: String,
        /// Its words that the tokenizer does not know.
        words: Vec<String>,
    },
}

/// Builds a [`PolicyError::File`].
pub(crate) fn file_error(path: &Path, what: impl ToString) -> PolicyError {
    PolicyError::File {
        path: path.into(),
        what: what.to_string(),
    }
}
