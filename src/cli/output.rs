//! What the program writes to its terminal. A stream that is closed or full never stops a run: a reader that has seen enough
//! of standard output is no error, a standard output that cannot be written is reported at the end, and standard error has
//! nobody to be reported to. Control characters of files are written out, see [`printable`].

use bitvla_reports::printable;
use std::io::{Error, ErrorKind, Write, stderr, stdout};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// First reason why standard output could not be written.
static FAILED: Mutex<Option<Error>> = Mutex::new(None);

/// Writes a text to standard output.
pub(super) fn print(text: &str) {
    let mut out = stdout().lock();
    let written = out
        .write_all(printable(text).as_bytes())
        .and_then(|()| out.flush());
    if let Err(error) = written {
        let mut slot = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert(error);
    }
}

/// Writes a line to standard output.
pub(super) fn print_line(text: &str) {
    print(&format!("{text}\n"));
}

/// Writes a line to standard error.
pub(super) fn note(text: &str) {
    let line = format!("{}\n", printable(text));
    // There is no other place that a failure could be reported to.
    let _ = stderr().lock().write_all(line.as_bytes());
}

/// Writes an error to standard error, in one line.
pub(super) fn error(text: &str) {
    note(&format!("error: {}", text.trim_end().replace('\n', "; ")));
}

/// Exit code of the program: 2 instead of success if standard output could not be written, but for a reader that closed it.
pub(super) fn finish(code: ExitCode) -> ExitCode {
    let failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner).take();
    match failed {
        Some(reason) if reason.kind() != ErrorKind::BrokenPipe => {
            error(&format!("standard output: {reason}"));
            match code == ExitCode::SUCCESS {
                true => ExitCode::from(2),
                false => code,
            }
        }
        _ => code,
    }
}
