//! What was replaced while reading, said once per file.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Collected sentences.
#[derive(Debug, Default)]
pub(crate) struct Notices(Mutex<BTreeSet<String>>);

impl Notices {
    /// A file that is not there, and what is done instead.
    pub fn missing(&self, path: &Path, instead: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(format!("{}: not there, {instead}", path.display()));
    }

    /// All of them so far, sorted.
    pub fn list(&self) -> Vec<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().cloned().collect()
    }
}
