//! Warnings on standard error, each printed once per process however often its cause recurs.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

static PRINTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Prints `warning: message` on standard error, unless the same message was printed before. Returns true if it was
/// printed.
pub fn warn_once(message: &str) -> bool {
    let mut printed = PRINTED.lock().unwrap_or_else(PoisonError::into_inner);
    let new = printed.insert(message.to_owned());
    if new {
        eprintln!("warning: {message}");
    }
    new
}

#[cfg(test)]
mod tests {
    use super::warn_once;

    #[test]
    fn a_warning_is_printed_once() {
        assert!(warn_once("texture `a` is missing"));
        assert!(!warn_once("texture `a` is missing"));
        assert!(warn_once("texture `b` is missing"));
    }
}
