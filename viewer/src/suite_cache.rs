//! Cache of loaded suites: each is read once, shared by episodes, task lists and threads.

use bitvla_eval::{AssetResolver, EvalError, LoadedSuite};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Loaded suites by name. Clones share their contents.
#[derive(Clone)]
pub struct SuiteCache {
    /// Folders that suites and models are read from.
    pub sources: AssetResolver,
    opened: Arc<Mutex<BTreeMap<String, Arc<LoadedSuite>>>>,
}

impl SuiteCache {
    /// Creates an empty cache.
    pub fn new(sources: AssetResolver) -> SuiteCache {
        SuiteCache {
            sources,
            opened: Arc::default(),
        }
    }

    /// Returns a suite by name and reads it at the first call; concurrent calls wait for that.
    ///
    /// # Errors
    /// As [`AssetResolver::open`].
    pub fn open(&self, suite: &str) -> Result<Arc<LoadedSuite>, EvalError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = opened.get(suite) {
            return Ok(known.clone());
        }
        let new = Arc::new(self.sources.open(suite)?);
        opened.insert(suite.to_owned(), new.clone());
        Ok(new)
    }
}
