//! Record of missing files and their substitutes, and of what in a file has no effect.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Collected sentences, each said once.
#[derive(Debug, Default)]
pub(crate) struct Notices(Mutex<BTreeSet<String>>);

impl Notices {
    /// Records a missing file; `consequence` says how the import goes on without it.
    pub fn missing(&self, path: &Path, consequence: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(format!("{}: not there, {consequence}", path.display()));
    }

    /// Records something else about a file; `place` is its path, with a line where there is one.
    pub fn say(&self, place: &str, sentence: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(format!("{place}: {sentence}"));
    }

    /// All sentences so far, sorted.
    pub fn list(&self) -> Vec<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().cloned().collect()
    }
}
