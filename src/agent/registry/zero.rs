//! Holds still: zero motion, gripper open. A sanity figure: it is expected to succeed in 0 % of the episodes, since no goal
//! holds in an initial state; anything else means that a goal is true from the start or that the world moves by itself.

use crate::agent::{
    ActError, Agent, AgentFactory, AgentOutput, EpisodeStart, ErasedAgent, StepInput,
};
use crate::{EvalError, SETTLE_ACTION};

/// Makes agents that hold still.
pub(super) struct ZeroFactory;

struct ZeroAgent;

impl AgentFactory for ZeroFactory {
    fn name(&self) -> &str {
        "zero"
    }

    fn make(&self) -> Result<Box<dyn ErasedAgent>, EvalError> {
        Ok(Box::new(ZeroAgent))
    }
}

impl Agent for ZeroAgent {
    type State = ();

    fn start(&mut self, _: &EpisodeStart<'_>) -> Result<(), EvalError> {
        Ok(())
    }

    fn act(&mut self, (): &mut (), _: &mut StepInput<'_>) -> Result<AgentOutput, ActError> {
        Ok(AgentOutput::single(SETTLE_ACTION))
    }
}
