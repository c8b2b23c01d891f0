//! Programs that this one starts and waits for.

use crate::EvalError;
use std::path::PathBuf;
use std::process::Command;

/// Runs a program to its end; returns its exit code, 1 where a signal ended it.
///
/// # Errors
/// If it cannot be started.
pub(super) fn run_to_end(command: &mut Command) -> Result<u8, EvalError> {
    let program = PathBuf::from(command.get_program());
    let status = command.status().map_err(EvalError::io(&program))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.unwrap_or(1))
}
