//! Default number of worker threads.

/// Number of logical cores, 1 where the system does not say.
pub(super) fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
