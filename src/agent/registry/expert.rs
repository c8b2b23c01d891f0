//! The scripted expert, which reads the true state of the world instead of images.

use crate::EvalError;
use crate::agent::{
    ActError, Agent, AgentFactory, AgentOutput, EpisodeStart, ErasedAgent, StepInput,
};
use bitvla_tasks::Expert;

/// Makes scripted experts.
pub(super) struct ExpertFactory;

struct ExpertAgent;

impl AgentFactory for ExpertFactory {
    fn name(&self) -> &str {
        "expert"
    }

    fn make(&self) -> Result<Box<dyn ErasedAgent>, EvalError> {
        Ok(Box::new(ExpertAgent))
    }
}

impl Agent for ExpertAgent {
    type State = Expert;

    fn start(&mut self, start: &EpisodeStart<'_>) -> Result<Expert, EvalError> {
        Ok(Expert::new(start.world, start.task)?)
    }

    fn act(
        &mut self,
        expert: &mut Expert,
        input: &mut StepInput<'_>,
    ) -> Result<AgentOutput, ActError> {
        Ok(AgentOutput::single(expert.act(input.world)))
    }
}
