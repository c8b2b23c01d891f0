//! Time of the querying thread by kind of work, for benches. It never changes a result.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkKind {
    /// Products of linear layers, with bias, activation and residual.
    Linear,
    /// Scores, softmax, mixing and the packing of keys and values.
    Attention,
    /// Norms and the quantisation of activations.
    Preparation,
}

thread_local! {
    static SPENT: Cell<[Duration; 3]> = const { Cell::new([Duration::ZERO; 3]) };
}

/// Timer that adds to its kind of work from its construction until it is dropped.
pub(crate) struct Span(WorkKind, Instant);

/// Starts a timer.
pub(crate) fn start(work: WorkKind) -> Span {
    Span(work, Instant::now())
}

impl Drop for Span {
    fn drop(&mut self) {
        SPENT.with(|spent| {
            let mut all = spent.get();
            all[self.0 as usize] += self.1.elapsed();
            spent.set(all);
        });
    }
}

/// Returns and resets the time of this thread: linear layers, attention, preparation of activations.
pub fn take() -> [Duration; 3] {
    SPENT.with(Cell::take)
}
