//! Number of worker threads, and the threads that load weights.

use crate::EvalError;
use rayon::ThreadPoolBuilder;

/// Number of logical cores, 1 where the system does not say.
pub(super) fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Starts as many of the threads that load weights as the system gives.
///
/// # Errors
/// If it gives none.
pub(super) fn start_loading_threads() -> Result<(), EvalError> {
    // A global pool that cannot start panics where it is first used, so a pool of the same size is tried before.
    if ThreadPoolBuilder::new().build().is_ok() {
        return Ok(());
    }
    let mut count = all_cores();
    while count > 1 && ThreadPoolBuilder::new().num_threads(count).build().is_err() {
        count /= 2;
    }
    let pool = ThreadPoolBuilder::new().num_threads(count).build_global();
    pool.map_err(|e| EvalError::Input(format!("the system gives no thread to load weights: {e}")))
}
