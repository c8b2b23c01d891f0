//! Worker threads of a run. They own what they need, so that the run can go on without a worker whose policy does not answer: its
//! episode becomes a harness error, and another worker takes its place.

use crate::agent::{AgentFactory, ErasedAgent};
use crate::asset_resolver::LoadedSuite;
use crate::episode::run_guarded;
use crate::preflight::late;
use crate::provenance::reference_time;
use crate::query_watch::{QueryWatch, WatchedAgent};
use crate::{EpisodeOutcome, EvalContext, EvalError};
use bitvla_reports::{MemoryReport, QueryOperations};
use bitvla_tasks::panic_message;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

/// Time between two looks at the workers and at a request to stop.
const POLL: Duration = Duration::from_millis(50);

/// Suite, seed and policy of a run, shared with its worker threads, which may outlive it.
#[derive(Clone)]
pub struct RunContext {
    /// The suite.
    pub loaded: Arc<LoadedSuite>,
    /// Seed of the run.
    pub seed: u64,
    /// The policy.
    pub factory: Arc<dyn AgentFactory>,
}

impl RunContext {
    /// Context of its episodes.
    pub fn episodes(&self) -> EvalContext<'_> {
        self.loaded.context(self.seed)
    }
}

/// What an agent takes.
#[derive(Debug, Clone)]
pub(crate) struct AgentCosts {
    pub(crate) memory: MemoryReport,
    pub(crate) operations: Option<QueryOperations>,
}

/// An episode that has ended, with the costs of its agent if it is the first of a worker.
type Finished = (EpisodeOutcome, Option<AgentCosts>);

/// What a worker says.
enum Message {
    Finished(Box<Finished>),
    /// Nothing can be run any more, or a stop was asked for.
    Failed(EvalError),
    /// This worker could not start.
    NotStarted(EvalError),
}

/// What all workers share.
struct Shared {
    context: RunContext,
    episodes: Vec<(usize, usize)>,
    /// Number of the next episode.
    next: AtomicUsize,
    /// No further episode is begun.
    closed: AtomicBool,
    /// Episodes in progress are dropped.
    stopped: AtomicBool,
}

impl Shared {
    fn take(&self) -> Option<(usize, usize)> {
        match self.closed.load(Ordering::Relaxed) {
            true => None,
            false => {
                let at = self.next.fetch_add(1, Ordering::Relaxed);
                self.episodes.get(at).copied()
            }
        }
    }

    /// True if an episode has not been begun.
    fn is_left(&self) -> bool {
        self.next.load(Ordering::Relaxed) < self.episodes.len()
    }
}

/// One worker with its agent.
struct Worker {
    shared: Arc<Shared>,
    watch: Arc<QueryWatch>,
    agent: Box<dyn ErasedAgent>,
    /// True if an episode has had a query, or none has been run.
    asks: bool,
    /// True once the costs of the agent were reported.
    costs_told: bool,
}

impl Worker {
    fn start(shared: &Arc<Shared>, watch: Arc<QueryWatch>) -> Result<Worker, EvalError> {
        Ok(Worker {
            agent: watched(&shared.context, &watch)?,
            shared: Arc::clone(shared),
            watch,
            asks: true,
            costs_told: false,
        })
    }

    /// Runs the next episode; `None` when there is none, or when this worker was left behind.
    fn next(&mut self) -> Option<Message> {
        let key = self.shared.take()?;
        self.watch.begin(key);
        let ended = self.run(key);
        if !self.watch.end() {
            return None;
        }
        Some(match ended {
            Ok(outcome) => {
                let first = !std::mem::replace(&mut self.costs_told, true);
                let costs = first.then(|| AgentCosts {
                    memory: self.agent.memory_report(),
                    operations: self.agent.query_operations(),
                });
                Message::Finished(Box::new((outcome, costs)))
            }
            Err(error) => Message::Failed(error),
        })
    }

    fn run(&mut self, key: (usize, usize)) -> Result<EpisodeOutcome, EvalError> {
        let context = &self.shared.context;
        let stop = || self.shared.stopped.load(Ordering::Relaxed);
        // Nothing is compared with it where the policy has no queries.
        let reference = self.asks.then(reference_time).flatten();
        let mut outcome = run_guarded(
            (context.episodes(), key),
            &*context.factory,
            &mut self.agent,
            &|| watched(context, &self.watch),
            &stop,
        )?;
        self.asks = !outcome.queries.is_empty();
        for query in &mut outcome.queries {
            query.reference_ms = reference.map(|time| 1e3 * time.as_secs_f64());
        }
        Ok(outcome)
    }
}

fn watched(
    context: &RunContext,
    watch: &Arc<QueryWatch>,
) -> Result<Box<dyn ErasedAgent>, EvalError> {
    Ok(Box::new(WatchedAgent {
        agent: context.factory.make()?,
        watch: Arc::clone(watch),
    }))
}

/// A worker on a thread of its own.
struct WorkerThread {
    thread: JoinHandle<()>,
    watch: Arc<QueryWatch>,
}

impl WorkerThread {
    /// `None` where the system gives no thread.
    fn spawn(shared: &Arc<Shared>, send: Sender<Message>) -> Option<WorkerThread> {
        let (shared, watch) = (Arc::clone(shared), Arc::new(QueryWatch::default()));
        let own_watch = Arc::clone(&watch);
        let work = move || match Worker::start(&shared, own_watch) {
            Err(error) => drop(send.send(Message::NotStarted(error))),
            Ok(mut worker) => {
                while let Some(message) = worker.next() {
                    if send.send(message).is_err() {
                        break;
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().spawn(work).ok()?;
        Some(WorkerThread { thread, watch })
    }
}

/// Runs episodes over `jobs` threads and hands each outcome to `done` as it arrives, until `stop` is true. A policy that has not answered
/// a query within `query_limit` costs its episode, which becomes a harness error. The memory of one agent after its first episode,
/// when its buffers have their sizes, and the operations of a query are put into `costs`.
///
/// # Errors
/// [`EvalError::Stopped`] if `stop` was true; the first error of `done`; an error of [`AgentFactory::make`] that kept episodes from
/// being run.
pub(crate) fn run_episodes(
    context: &RunContext,
    (episodes, jobs): (&[(usize, usize)], usize),
    query_limit: Duration,
    stop: &dyn Fn() -> bool,
    costs: &mut Option<AgentCosts>,
    mut done: impl FnMut(EpisodeOutcome) -> Result<(), EvalError>,
) -> Result<(), EvalError> {
    if episodes.is_empty() {
        return Ok(());
    }
    let mut pool = Pool {
        shared: Arc::new(Shared {
            context: context.clone(),
            episodes: episodes.to_vec(),
            next: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        }),
        workers: Vec::new(),
        costs: None,
        error: None,
        not_started: None,
    };
    let (send, receive) = mpsc::channel();
    for _ in 0..jobs.clamp(1, episodes.len()) {
        pool.workers
            .extend(WorkerThread::spawn(&pool.shared, send.clone()));
    }
    pool.receive((&send, &receive), query_limit, stop, &mut done);
    // What no thread has taken: all of it where the system gave none.
    if pool.error.is_none() && pool.shared.is_left() && pool.workers.is_empty() {
        match Worker::start(&pool.shared, Arc::default()) {
            Err(error) => pool.error = Some(error),
            Ok(mut worker) => {
                while let Some(message) = worker.next() {
                    pool.handle(message, &mut done);
                    if stop() {
                        pool.stop();
                    }
                }
            }
        }
    }
    *costs = pool.costs.take();
    match pool
        .error
        .or(pool.not_started.filter(|_| pool.shared.is_left()))
    {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// The main thread's side of a pool.
struct Pool {
    shared: Arc<Shared>,
    workers: Vec<WorkerThread>,
    costs: Option<AgentCosts>,
    error: Option<EvalError>,
    not_started: Option<EvalError>,
}

impl Pool {
    /// Handles messages until no worker is left.
    fn receive(
        &mut self,
        (send, receive): (&Sender<Message>, &Receiver<Message>),
        query_limit: Duration,
        stop: &dyn Fn() -> bool,
        done: &mut dyn FnMut(EpisodeOutcome) -> Result<(), EvalError>,
    ) {
        while !self.workers.is_empty() {
            match receive.recv_timeout(POLL) {
                Ok(message) => self.handle(message, done),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if stop() {
                self.stop();
            }
            self.replace_late(send, query_limit, done);
            self.join_finished();
        }
        while let Ok(message) = receive.try_recv() {
            self.handle(message, done);
        }
    }

    fn handle(
        &mut self,
        message: Message,
        done: &mut dyn FnMut(EpisodeOutcome) -> Result<(), EvalError>,
    ) {
        match message {
            Message::Finished(finished) => {
                let (outcome, costs) = *finished;
                self.costs = self.costs.take().or(costs);
                if self.error.is_none()
                    && let Err(error) = done(outcome)
                {
                    self.fail(error);
                }
            }
            Message::Failed(error) => self.fail(error),
            Message::NotStarted(error) => {
                self.not_started.get_or_insert(error);
            }
        }
    }

    fn fail(&mut self, error: EvalError) {
        self.error.get_or_insert(error);
        self.shared.closed.store(true, Ordering::Relaxed);
    }

    fn stop(&mut self) {
        self.fail(EvalError::Stopped);
        self.shared.stopped.store(true, Ordering::Relaxed);
    }

    /// Leaves workers behind whose policy does not answer, and starts others in their place. After a request to stop, nobody waits for
    /// a policy.
    fn replace_late(
        &mut self,
        send: &Sender<Message>,
        query_limit: Duration,
        done: &mut dyn FnMut(EpisodeOutcome) -> Result<(), EvalError>,
    ) {
        for at in (0..self.workers.len()).rev() {
            let Some(key) = self.workers[at].watch.abandon(query_limit) else {
                continue;
            };
            self.workers.remove(at);
            let context = &self.shared.context;
            let what = late(&*context.factory, query_limit);
            let outcome = EpisodeOutcome::failed(context.episodes(), key, &*context.factory, what);
            if self.error.is_none()
                && let Err(error) = done(outcome)
            {
                self.fail(error);
            }
            self.workers
                .extend(WorkerThread::spawn(&self.shared, send.clone()));
        }
    }

    /// Joins the workers that have ended.
    fn join_finished(&mut self) {
        for at in (0..self.workers.len()).rev() {
            if self.workers[at].thread.is_finished()
                && let Err(panic) = self.workers.remove(at).thread.join()
            {
                self.fail(EvalError::Worker(panic_message(&*panic)));
            }
        }
    }
}
