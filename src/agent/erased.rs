//! Agents behind one type, whatever the state of their episodes is.

use super::{ActError, Agent, AgentOutput, EpisodeStart, StepInput};
use crate::EvalError;
use bitvla_reports::{MemoryReport, QueryOperations};
use std::any::Any;

/// An [`Agent`] of any state type; implemented for all agents.
pub trait ErasedAgent: Send {
    /// Begins an episode, see [`Agent::start`].
    ///
    /// # Errors
    /// As [`Agent::start`].
    fn start_episode(&mut self, start: &EpisodeStart<'_>) -> Result<AgentState, EvalError>;

    /// Answers an observation, see [`Agent::act`].
    ///
    /// # Errors
    /// As [`Agent::act`], and when the state was made by another kind of agent.
    fn act_in(
        &mut self,
        state: &mut AgentState,
        input: &mut StepInput<'_>,
    ) -> Result<AgentOutput, ActError>;

    /// Ends an episode, see [`Agent::end`].
    fn end_episode(&mut self, state: &mut AgentState, success: bool);

    /// Memory of this instance, see [`Agent::memory`].
    fn memory_report(&self) -> MemoryReport;

    /// Operations of the last query, see [`Agent::operations`].
    fn query_operations(&self) -> Option<QueryOperations>;
}

impl<A: Agent> ErasedAgent for A {
    fn start_episode(&mut self, start: &EpisodeStart<'_>) -> Result<AgentState, EvalError> {
        Ok(AgentState(Box::new(self.start(start)?)))
    }

    fn act_in(
        &mut self,
        state: &mut AgentState,
        input: &mut StepInput<'_>,
    ) -> Result<AgentOutput, ActError> {
        let state = state.0.as_any().downcast_mut::<A::State>();
        let state = state.ok_or_else(|| {
            ActError::Action("the episode was begun by an agent of another kind".to_owned())
        })?;
        self.act(state, input)
    }

    fn end_episode(&mut self, state: &mut AgentState, success: bool) {
        if let Some(state) = state.0.as_any().downcast_mut::<A::State>() {
            self.end(state, success);
        }
    }

    fn memory_report(&self) -> MemoryReport {
        self.memory()
    }

    fn query_operations(&self) -> Option<QueryOperations> {
        self.operations()
    }
}

/// State of an episode of some agent; copies continue independently of each other.
pub struct AgentState(Box<dyn ErasedState>);

trait ErasedState: Send {
    fn duplicate(&self) -> Box<dyn ErasedState>;
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<T: Clone + Send + 'static> ErasedState for T {
    fn duplicate(&self) -> Box<dyn ErasedState> {
        Box::new(self.clone())
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

impl Clone for AgentState {
    fn clone(&self) -> AgentState {
        AgentState((*self.0).duplicate())
    }
}
