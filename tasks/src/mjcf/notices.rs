//! Record of missing files and of their substitutes.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Collected sentences, one per missing file.
#[derive(Debug, Default)]
pub(crate) struct Notices(Mutex<BTreeSet<String>>);

impl Notices {
    /// Records a missing file; `consequence` says how the import goes on without it.
    pub fn missing(&self, path: &Path, consequence: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(format!("{}: not there, {consequence}", path.display()));
    }

    /// All sentences so far, sorted.
    pub fn list(&self) -> Vec<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().cloned().collect()
    }
}
