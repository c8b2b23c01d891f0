//! Threads for independent items of work. The assignment of items to threads never changes a result.

use crate::PolicyError;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use std::sync::OnceLock;

/// One thread, or a pool of some.
#[derive(Debug, Default)]
pub struct Threads {
    pool: Option<rayon::ThreadPool>,
    /// Pool of one thread for [`Threads::install`], made when it is first needed.
    single: OnceLock<rayon::ThreadPool>,
}

impl Threads {
    /// The calling thread only.
    pub fn single() -> Threads {
        Threads::default()
    }

    /// A pool of `count` threads; the calling thread only for one.
    ///
    /// # Errors
    /// If the system gives no threads.
    pub fn new(count: usize) -> Result<Threads, PolicyError> {
        Ok(Threads {
            pool: match count {
                0 | 1 => None,
                _ => Some(build(count)?),
            },
            single: OnceLock::new(),
        })
    }

    /// Does `work` inside a rayon pool of these threads, so that what it calls of rayon takes no others. Unlike
    /// [`Threads::for_each`], a single thread is another one than the caller's.
    ///
    /// # Errors
    /// Fails if the system provides no threads.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> Result<R, PolicyError> {
        let pool = match (&self.pool, self.single.get()) {
            (Some(pool), _) | (None, Some(pool)) => pool,
            (None, None) => {
                let pool = build(1)?;
                self.single.get_or_init(|| pool)
            }
        };
        Ok(pool.install(work))
    }

    /// Number of threads.
    pub fn count(&self) -> usize {
        self.pool
            .as_ref()
            .map_or(1, rayon::ThreadPool::current_num_threads)
    }

    /// Calls `work` for every item.
    pub fn for_each<T: Send>(
        &self,
        items: impl Iterator<Item = T>,
        work: impl Fn(T) + Sync + Send,
    ) {
        match &self.pool {
            None => items.for_each(work),
            Some(pool) => {
                let items: Vec<T> = items.collect();
                pool.install(|| items.into_par_iter().with_max_len(1).for_each(work));
            }
        }
    }
}

fn build(count: usize) -> Result<rayon::ThreadPool, PolicyError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build();
    pool.map_err(|e| PolicyError::Query {
        policy: "threads".into(),
        what: format!("no pool of {count} threads: {e}"),
    })
}
