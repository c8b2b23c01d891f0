//! Where the time of the thread that asks goes, by kind of work. Never reaches a result.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Kinds of work.
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

/// Counts from its making until it is dropped.
pub(crate) struct Span(WorkKind, Instant);

/// Begins to count.
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

/// What was counted on this thread since it was last asked: linear layers, attention, staging.
pub fn take() -> [Duration; 3] {
    SPENT.with(Cell::take)
}
