//! Time limit of policy queries. A thread that does not come back from a policy cannot be stopped from outside; it is left behind,
//! its episode becomes a harness error, and whatever it answers later is dropped.

use crate::agent::{ActError, AgentState, EpisodeStart, ErasedAgent, StepInput};
use crate::{AgentOutput, EvalError};
use bitvla_reports::{MemoryReport, QueryOperations};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What one worker is doing, as the main thread sees it.
#[derive(Debug, Default)]
pub(crate) struct QueryWatch(Mutex<WatchState>);

#[derive(Debug, Default)]
struct WatchState {
    /// Episode in progress.
    episode: Option<(usize, usize)>,
    /// Beginning of the query in progress.
    since: Option<Instant>,
    /// True once the worker is left behind.
    abandoned: bool,
}

impl QueryWatch {
    fn state(&self) -> MutexGuard<'_, WatchState> {
        // Every change of the state is complete in itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that an episode begins.
    pub(crate) fn begin(&self, episode: (usize, usize)) {
        self.state().episode = Some(episode);
    }

    /// Notes that the episode has ended; false if the worker was left behind, and the result must be dropped.
    pub(crate) fn end(&self) -> bool {
        let mut state = self.state();
        state.episode = None;
        state.since = None;
        !state.abandoned
    }

    /// Leaves the worker behind if its policy has not answered a query within `limit`; returns its episode then, once.
    pub(crate) fn abandon(&self, limit: Duration) -> Option<(usize, usize)> {
        let mut state = self.state();
        let late = state.since.is_some_and(|since| since.elapsed() > limit);
        if !late || state.abandoned {
            return None;
        }
        state.abandoned = true;
        state.episode
    }

    /// Does a query, whose beginning is noted.
    pub(crate) fn during<T>(&self, query: impl FnOnce() -> T) -> T {
        self.state().since = Some(Instant::now());
        let answer = query();
        self.state().since = None;
        answer
    }
}

/// An agent whose queries are watched.
pub(crate) struct WatchedAgent {
    pub(crate) agent: Box<dyn ErasedAgent>,
    pub(crate) watch: Arc<QueryWatch>,
}

impl ErasedAgent for WatchedAgent {
    fn start_episode(&mut self, start: &EpisodeStart<'_>) -> Result<AgentState, EvalError> {
        let agent = &mut self.agent;
        self.watch.during(|| agent.start_episode(start))
    }

    fn act_in(
        &mut self,
        state: &mut AgentState,
        input: &mut StepInput<'_>,
    ) -> Result<AgentOutput, ActError> {
        let agent = &mut self.agent;
        self.watch.during(|| agent.act_in(state, input))
    }

    fn end_episode(&mut self, state: &mut AgentState, success: bool) {
        let agent = &mut self.agent;
        self.watch.during(|| agent.end_episode(state, success));
    }

    fn memory_report(&self) -> MemoryReport {
        self.agent.memory_report()
    }

    fn query_operations(&self) -> Option<QueryOperations> {
        self.agent.query_operations()
    }
}
