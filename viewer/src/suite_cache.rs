//! Suites that were opened: each is read once, however many episodes, lists and threads ask for it.

use bitvla_eval::{AssetResolver, EvalError, LoadedSuite};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Opened suites by name.
#[derive(Clone)]
pub struct SuiteCache {
    /// Where they come from.
    pub sources: AssetResolver,
    opened: Arc<Mutex<BTreeMap<String, Arc<LoadedSuite>>>>,
}

impl SuiteCache {
    /// Nothing is open yet.
    pub fn new(sources: AssetResolver) -> SuiteCache {
        SuiteCache {
            sources,
            opened: Arc::default(),
        }
    }

    /// A suite by name. Whoever asks while another thread reads it waits for that.
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
