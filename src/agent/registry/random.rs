//! Uniform random actions: motion in [-1, 1], gripper open or closed with equal chance, drawn anew in every control step.
//! The draws depend on the seed of the run, the suite, the task and the initial state alone. A sanity figure: it is expected
//! to succeed in 0 % of the episodes.

use crate::EvalError;
use crate::agent::{
    ActError, Agent, AgentFactory, AgentOutput, EpisodeStart, ErasedAgent, StepInput,
};
use sha2::{Digest, Sha256};

/// Makes agents that act at random.
pub(super) struct RandomFactory;

struct RandomAgent;

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub(super) struct SplitMix64(u64);

impl SplitMix64 {
    fn of_episode(start: &EpisodeStart<'_>) -> SplitMix64 {
        let mut hash = Sha256::new();
        hash.update(start.seed.to_le_bytes());
        hash.update(start.suite.as_bytes());
        hash.update([0]);
        hash.update((start.task.id as u64).to_le_bytes());
        hash.update((start.init as u64).to_le_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let [a, b, c, d, e, f, g, h, ..] = digest;
        SplitMix64(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [-1, 1).
    fn signed_unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
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
        Ok(SplitMix64::of_episode(start))
    }

    fn act(
        &mut self,
        random: &mut SplitMix64,
        _: &mut StepInput<'_>,
    ) -> Result<AgentOutput, ActError> {
        let mut action = [0.0; 7];
        action.fill_with(|| random.signed_unit());
        action[6] = if action[6] < 0.0 { -1.0 } else { 1.0 };
        Ok(AgentOutput::single(action))
    }
}
