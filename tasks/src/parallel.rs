//! Worker threads over a list of independent items (episodes, scenes). Which worker takes which item, and the order in
//! which results arrive, depend on the clock; callers order results by the items.

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

/// Panic of a worker thread, with its message.
#[derive(Debug, thiserror::Error)]
#[error("a worker stopped: {0}")]
pub struct WorkerPanic(pub String);

/// Works on all items with up to `jobs` threads. Each thread calls `start` once for its own state and `work` once per item
/// it takes; `done` is called on this thread as results arrive.
///
/// # Errors
/// The first error of `start`, `work` or `done`, which stops everything after the items in progress, or a panic of a worker.
pub fn in_parallel<T: Sync, S, R: Send, E: From<WorkerPanic> + Send>(
    items: &[T],
    jobs: usize,
    start: impl Fn() -> Result<S, E> + Sync,
    work: impl Fn(&mut S, &T) -> Result<R, E> + Sync,
    mut done: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.clamp(1, items.len().max(1)))
            .map(|_| {
                let send = send.clone();
                let (next, stop, start, work) = (&next, &stop, &start, &work);
                scope.spawn(move || -> Result<(), E> {
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
                .unwrap_or_else(|panic| Err(WorkerPanic(panic_message(&*panic)).into()));
            outcome = outcome.and(ended);
        }
        outcome
    })
}

/// Returns the message of a panic.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a message".to_owned())
}
