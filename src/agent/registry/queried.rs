//! Policies of this process as agents.

use super::PolicyOptions;
use super::checkpoint::memory_of;
use super::sanity::{ShownEpisode, ShownInputs};
use crate::EvalError;
use crate::action_noise::ActionNoise;
use crate::agent::{ActError, Agent, AgentOutput, EpisodeStart, QueryTrace, StepInput};
use bitvla_policies::system::thread_time;
use bitvla_policies::{Observation, Policy, PolicyProtocol};
use bitvla_reports::{MemoryReport, QueryOperations};

/// How a policy of this process is queried.
#[derive(Debug, Clone, Copy)]
pub(super) struct QuerySettings {
    /// Threads of a query.
    pub(super) threads: usize,
    /// Noise in the actions of its answers.
    pub(super) noise: Option<ActionNoise>,
}

impl From<&PolicyOptions> for QuerySettings {
    fn from(options: &PolicyOptions) -> QuerySettings {
        QuerySettings {
            threads: options.threads,
            noise: options.action_noise,
        }
    }
}

/// An agent that queries a policy of this process.
pub(super) struct PolicyAgent<P> {
    pub(super) policy: P,
    pub(super) protocol: PolicyProtocol,
    pub(super) settings: QuerySettings,
    pub(super) shown: ShownInputs,
    /// Resident set of the process before the weights were loaded, bytes.
    pub(super) program_bytes: u64,
    /// Operations of the last query, given the memory of the policy.
    pub(super) operations: fn(&P, &MemoryReport) -> Option<QueryOperations>,
}

impl<P: Policy> Agent for PolicyAgent<P> {
    type State = ShownEpisode;

    fn start(&mut self, start: &EpisodeStart<'_>) -> Result<ShownEpisode, EvalError> {
        self.shown.begin(start)
    }

    fn act(
        &mut self,
        episode: &mut ShownEpisode,
        input: &mut StepInput<'_>,
    ) -> Result<AgentOutput, ActError> {
        let observed = self.shown.observe(input, &self.protocol, episode)?;
        // The time of this thread is that of the query only if no other thread works on it.
        let before = thread_time().filter(|_| self.settings.threads == 1);
        let mut answer = self.policy.query(&Observation {
            agentview: &observed.images.agentview.rgb,
            wrist: &observed.images.wrist.rgb,
            proprio: observed.proprio,
            instruction: &episode.instruction,
        })?;
        let processor = before.and_then(|before| Some(thread_time()?.saturating_sub(before)));
        if let Some(noise) = self.settings.noise {
            noise.add(&mut answer.actions, &observed.proprio, &episode.instruction);
        }
        Ok(AgentOutput {
            actions: answer.actions,
            executed: self.protocol.executed_steps,
            query: Some(QueryTrace {
                images: observed.images,
                render: observed.render,
                times: answer.times,
                processor,
            }),
        })
    }

    fn memory(&self) -> MemoryReport {
        MemoryReport {
            program_bytes: self.program_bytes,
            ..memory_of(self.policy.memory())
        }
    }

    fn operations(&self) -> Option<QueryOperations> {
        (self.operations)(&self.policy, &self.memory())
    }
}
