//! Worker threads over a list of independent items (episodes, scenes). Which worker takes which item, and the order in
//! which results arrive, depend on the clock; callers order results by the items.

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

/// Panic of a worker thread, with its message.
#[derive(Debug, thiserror::Error)]
#[error("a worker stopped: {0}")]
pub struct WorkerPanic(pub String);

/// Works on all items with up to `jobs` threads. Each thread calls `start` once for its own state and `work` once per item
/// it takes; `done` is called on this thread as results arrive. A thread that the system does not give, or that cannot start,
/// leaves its share to the others; without any, the calling thread works on all items.
///
/// # Errors
/// The first error of `work` or `done`, which stops everything after the items in progress, or a panic of a worker; an error
/// of `start` if it kept items from being worked on.
pub fn in_parallel<T: Sync, S, R: Send, E: From<WorkerPanic> + Send>(
    items: &[T],
    jobs: usize,
    start: impl Fn() -> Result<S, E> + Sync,
    work: impl Fn(&mut S, &T) -> Result<R, E> + Sync,
    mut done: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let not_started: Mutex<Option<E>> = Mutex::new(None);
    let take = || match stop.load(Ordering::Relaxed) {
        true => None,
        false => items.get(next.fetch_add(1, Ordering::Relaxed)),
    };
    let begin = || {
        let begun = start();
        begun.map_err(|error| {
            let mut slot = not_started.lock().unwrap_or_else(PoisonError::into_inner);
            slot.get_or_insert(error);
        })
    };
    let (send, receive) = mpsc::channel();
    let worker = |send: mpsc::Sender<R>| -> Result<(), E> {
        let Ok(mut own) = begin() else {
            return Ok(());
        };
        while let Some(item) = take() {
            let result =
                work(&mut own, item).inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
            if send.send(result).is_err() {
                break;
            }
        }
        Ok(())
    };
    let mut outcome = Ok(());
    std::thread::scope(|scope| {
        let worker = &worker;
        let workers: Vec<_> = (0..jobs.clamp(1, items.len().max(1)))
            .map_while(|_| {
                let send = send.clone();
                let thread = std::thread::Builder::new();
                thread.spawn_scoped(scope, move || worker(send)).ok()
            })
            .collect();
        drop(send);
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
            outcome = std::mem::replace(&mut outcome, Ok(())).and(ended);
        }
    });
    outcome?;
    // What no thread has taken: all of it where the system gave none.
    if next.load(Ordering::Relaxed) < items.len()
        && let Ok(mut own) = begin()
    {
        while let Some(item) = take() {
            done(work(&mut own, item)?)?;
        }
    }
    let not_started = not_started
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    match not_started {
        Some(error) if next.into_inner() < items.len() => Err(error),
        _ => Ok(()),
    }
}

/// Returns the message of a panic.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    //! Guarantee: a thread that cannot start costs no item as long as another can, and is the error where none can.
    use super::*;

    fn squares(
        jobs: usize,
        fail: impl Fn(usize) -> bool + Sync,
    ) -> Result<Vec<usize>, WorkerPanic> {
        let starts = AtomicUsize::new(0);
        let items: Vec<usize> = (0..20).collect();
        let mut found = Vec::new();
        in_parallel(
            &items,
            jobs,
            || match fail(starts.fetch_add(1, Ordering::Relaxed)) {
                true => Err(WorkerPanic("no thread".into())),
                false => Ok(()),
            },
            |(), i| Ok(i * i),
            |square| {
                found.push(square);
                Ok(())
            },
        )?;
        found.sort_unstable();
        Ok(found)
    }

    #[test]
    fn workers_that_cannot_start_cost_nothing() {
        let expected: Vec<usize> = (0..20).map(|i| i * i).collect();
        for jobs in [1, 4] {
            assert_eq!(squares(jobs, |_| false).expect("all"), expected);
        }
        assert_eq!(squares(4, |start| start > 0).expect("all"), expected);
        let error = squares(4, |_| true).expect_err("none");
        assert_eq!(error.0, "no thread");
    }
}
