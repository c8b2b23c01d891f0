//! Uniform random actions: motion in [-1, 1], gripper open or closed with equal chance, drawn anew in every control step.
//! The draws depend on the seed of the run, the suite, the task and the initial state alone. A sanity figure: it is expected
//! to succeed in 0 % of the episodes.

use crate::EvalError;
use crate::agent::{
    ActError, Agent, AgentFactory, AgentOutput, EpisodeStart, ErasedAgent, StepInput,
};
use bitvla_policies::testing::SplitMix64;
use sha2::{Digest, Sha256};

/// Makes agents that act at random.
pub(super) struct RandomFactory;

struct RandomAgent;

/// Generator of the draws of an episode.
fn generator(start: &EpisodeStart<'_>) -> SplitMix64 {
    let mut hash = Sha256::new();
    hash.update(start.seed.to_le_bytes());
    hash.update(start.suite.as_bytes());
    hash.update([0]);
    hash.update((start.task.id as u64).to_le_bytes());
    hash.update((start.init as u64).to_le_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    SplitMix64::new(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
}

/// Uniform in [-1, 1).
fn signed_unit(random: &mut SplitMix64) -> f64 {
    (random.next_u64() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

impl AgentFactory for RandomFactory {
    fn name(&self) -> &str {
        "random"
    }

    fn make(&self) -> Result<Box<dyn ErasedAgent>, EvalError> {
        Ok(Box::new(RandomAgent))
    }
}

impl Agent for RandomAgent {
    type State = SplitMix64;

    fn start(&mut self, start: &EpisodeStart<'_>) -> Result<SplitMix64, EvalError> {
        Ok(generator(start))
    }

    fn act(
        &mut self,
        random: &mut SplitMix64,
        _: &mut StepInput<'_>,
    ) -> Result<AgentOutput, ActError> {
        let mut action = [0.0; 7];
        action.fill_with(|| signed_unit(random));
        action[6] = if action[6] < 0.0 { -1.0 } else { 1.0 };
        Ok(AgentOutput::single(action))
    }
}
