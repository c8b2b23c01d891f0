//! Worker threads over a list of independent items. Which worker takes which item and when it finishes
//! is left to the clock; callers order what they get by what the items are.

use crate::EvalError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

/// Works on all items with up to `jobs` threads. Each thread calls `start` once for what it needs of its
/// own, `work` once per item it takes; `done` is called on this thread as results arrive. The first error
/// stops everything after the items in progress.
pub fn in_parallel<T: Sync, S, R: Send>(
    items: &[T],
    jobs: usize,
    start: impl Fn() -> Result<S, EvalError> + Sync,
    work: impl Fn(&mut S, &T) -> Result<R, EvalError> + Sync,
    mut done: impl FnMut(R) -> Result<(), EvalError>,
) -> Result<(), EvalError> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.clamp(1, items.len().max(1)))
            .map(|_| {
                let send = send.clone();
                let (next, stop, start, work) = (&next, &stop, &start, &work);
                scope.spawn(move || -> Result<(), EvalError> {
                    let mut own = start().inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
                    while !stop.load(Ordering::Relaxed) {
                        let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) else {
                            break;
                        };
                        let result = work(&mut own, item)
                            .inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
                        if send.send(result).is_err() {
                            break;
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        drop(send);
        let mut outcome = Ok(());
        for result in receive {
            if outcome.is_ok() {
                outcome = done(result);
                if outcome.is_err() {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
        for worker in workers {
            let ended = worker
                .join()
                .unwrap_or_else(|panic| Err(EvalError::Worker(panic_message(&*panic))));
            outcome = outcome.and(ended);
        }
        outcome
    })
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without words".to_owned())
}
