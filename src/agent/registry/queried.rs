//! A query of a policy of this process.

use super::PolicyOptions;
use super::sanity::{ShownEpisode, ShownInputs};
use crate::action_noise::ActionNoise;
use crate::agent::{ActError, AgentOutput, QueryTrace, StepInput};
use crate::provenance::thread_time;
use bitvla_policies::{Observation, Policy, PolicyProtocol};

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

/// Shows a policy what it sees in this control step and takes its answer.
///
/// # Errors
/// If the cameras cannot be rendered, or the policy refuses the observation.
pub(super) fn query(
    policy: &mut impl Policy,
    settings: QuerySettings,
    shown: &ShownInputs,
    protocol: &PolicyProtocol,
    episode: &mut ShownEpisode,
    input: &mut StepInput<'_>,
) -> Result<AgentOutput, ActError> {
    let observed = shown.observe(input, protocol, episode)?;
    // The time of this thread is that of the query only if no other thread works on it.
    let before = thread_time().filter(|_| settings.threads == 1);
    let mut answer = policy.query(&Observation {
        agentview: &observed.images.agentview.rgb,
        wrist: &observed.images.wrist.rgb,
        proprio: observed.proprio,
        instruction: &episode.instruction,
    })?;
    let processor = before.and_then(|before| Some(thread_time()?.saturating_sub(before)));
    if let Some(noise) = settings.noise {
        noise.add(&mut answer.actions, &observed.proprio, &episode.instruction);
    }
    Ok(AgentOutput {
        actions: answer.actions,
        executed: protocol.executed_steps,
        query: Some(QueryTrace {
            images: observed.images,
            render: observed.render,
            times: answer.times,
            processor,
        }),
    })
}
