//! Policies behind a network, by the protocols of openpi and vla-evaluation-harness. One connection per worker; a server that
//! collects the observations of several connections into a batch gets those of the parallel episodes.

use super::sanity::{ShownEpisode, ShownInputs};
use super::{PolicyOptions, SanityCheck};
use crate::EvalError;
use crate::agent::{
    ActError, Agent, AgentFactory, AgentOutput, EpisodeStart, ErasedAgent, QueryTrace, StepInput,
};
use crate::policy_interface::{CHUNK_LENGTH, EXECUTED_STEPS, IMAGE_SIZE, client_interface};
use bitvla_policies::{CAMERAS, PhaseTimes, PolicyProtocol};
use bitvla_remote::{ClientOptions, Interface, Observation, Protocol, RemoteClient, RgbImage};
use bitvla_tasks::Suite;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Side of the images where the server does not declare one, pixels: that of the LIBERO clients of both protocols.
const CLIENT_IMAGE_SIZE: usize = 224;
/// Actions of an answer of openpi that are executed where the server does not declare it: those of its LIBERO client. A server of
/// vla-evaluation-harness is asked in every control step.
const OPENPI_EXECUTED: usize = 5;
/// Longest wait for a server that is still starting.
const CONNECT: Duration = Duration::from_secs(20);
/// Environment variable with the key that is sent to a server, and that a server of this program asks for.
pub(crate) const API_KEY: &str = "BITVLA_API_KEY";

/// Makes agents that ask a server.
pub(super) struct RemoteFactory {
    name: String,
    protocol: Protocol,
    url: String,
    client: ClientOptions,
    executed_steps: Option<usize>,
    sanity: Option<SanityCheck>,
    shown: ShownInputs,
    /// What the server declares, once it was asked.
    declared: Mutex<Option<Interface>>,
}

struct RemoteAgent {
    client: RemoteClient,
    protocol: PolicyProtocol,
    shown: ShownInputs,
}

impl RemoteFactory {
    pub(super) fn new(
        protocol: Protocol,
        url: &str,
        options: &PolicyOptions,
        instructions: &[String],
    ) -> Result<RemoteFactory, EvalError> {
        let client = ClientOptions {
            connect: CONNECT,
            answer: options.remote_timeout.0,
            api_key: std::env::var(API_KEY).ok(),
            interface: client_interface(&PolicyProtocol::default()),
        };
        // An address that is none is refused here.
        RemoteClient::new(protocol, url, client.clone())?;
        Ok(RemoteFactory {
            name: options.policy_name(protocol.name()),
            protocol,
            url: url.to_owned(),
            client,
            executed_steps: options.executed_steps,
            sanity: options.sanity,
            shown: ShownInputs::new(options.sanity, instructions),
            declared: Mutex::new(None),
        })
    }

    fn client(&self) -> Result<RemoteClient, EvalError> {
        let client = RemoteClient::new(self.protocol, &self.url, self.client.clone());
        Ok(client?)
    }

    /// What the server declares; asked once.
    fn declared(&self) -> Result<Interface, EvalError> {
        let mut slot = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(declared) = &*slot {
            return Ok(declared.clone());
        }
        let mut client = self.client()?;
        let declared = client.declared()?.clone();
        Ok(slot.insert(declared).clone())
    }

    /// A whole number among the declared facts, from 1 to `most`.
    fn number(
        &self,
        declared: &Interface,
        name: &str,
        most: usize,
    ) -> Result<Option<usize>, EvalError> {
        let Some(words) = declared.facts.get(name) else {
            return Ok(None);
        };
        let number = words.parse().ok().filter(|n| (1..=most).contains(n));
        number.map(Some).ok_or_else(|| {
            EvalError::Input(format!(
                "{}: {name}: found `{words}`, expected a whole number from 1 to {most}",
                self.url
            ))
        })
    }
}

impl AgentFactory for RemoteFactory {
    fn name(&self) -> &str {
        &self.name
    }

    fn engine(&self) -> &str {
        &self.url
    }

    fn sanity(&self) -> &str {
        self.sanity.map_or("none", SanityCheck::description)
    }

    fn protocol(&self) -> Result<PolicyProtocol, EvalError> {
        let declared = self.declared()?;
        let size = self.number(&declared, IMAGE_SIZE, RgbImage::MAX_SIDE)?;
        let chunk = self.number(&declared, CHUNK_LENGTH, 1000)?;
        let executed = match (self.executed_steps, self.protocol) {
            (Some(steps), _) => steps,
            // The server executes its chunks itself.
            (None, Protocol::VlaEval) => 1,
            (None, Protocol::OpenPi) => self
                .number(&declared, EXECUTED_STEPS, 1000)?
                .unwrap_or(OPENPI_EXECUTED),
        };
        Ok(PolicyProtocol {
            cameras: CAMERAS.map(str::to_owned).to_vec(),
            camera_size: size.unwrap_or(CLIENT_IMAGE_SIZE),
            crop: "by the server".into(),
            resize_filter: "by the server".into(),
            normaliser_key: "by the server".into(),
            chunk_length: chunk.unwrap_or(executed),
            executed_steps: executed,
            ..PolicyProtocol::default()
        })
    }

    fn check_suite(&self, _: &Suite, _: &[usize]) -> Result<(), EvalError> {
        self.declared().map(|_| ())
    }

    fn make(&self) -> Result<Box<dyn ErasedAgent>, EvalError> {
        Ok(Box::new(RemoteAgent {
            client: self.client()?,
            protocol: self.protocol()?,
            shown: self.shown.clone(),
        }))
    }
}

impl Agent for RemoteAgent {
    type State = ShownEpisode;

    /// Everything else of an episode is with the server.
    fn start(&mut self, start: &EpisodeStart<'_>) -> Result<ShownEpisode, EvalError> {
        let episode = self.shown.begin(start)?;
        self.client.begin_episode(&start.task.problem.name)?;
        Ok(episode)
    }

    fn act(
        &mut self,
        episode: &mut ShownEpisode,
        input: &mut StepInput<'_>,
    ) -> Result<AgentOutput, ActError> {
        let observed = self.shown.observe(input, &self.protocol, episode)?;
        let image = |image: &bitvla_sim::render::CameraImage| {
            RgbImage::new(image.height, image.width, image.rgb.clone()).map_err(ActError::Action)
        };
        let answer = self.client.query(&Observation {
            agentview: image(&observed.images.agentview)?,
            wrist: Some(image(&observed.images.wrist)?),
            state: Some(observed.proprio),
            instruction: episode.instruction.to_string(),
        });
        let answer = answer.map_err(EvalError::from)?;
        let server = answer.server.unwrap_or_default().min(answer.total);
        Ok(AgentOutput {
            executed: self.protocol.executed_steps.min(answer.actions.len()),
            actions: answer.actions,
            query: Some(QueryTrace {
                images: observed.images,
                render: observed.render,
                times: PhaseTimes {
                    server,
                    network: answer.total - server,
                    ..PhaseTimes::default()
                },
                processor: None,
            }),
        })
    }

    fn end(&mut self, _: &mut ShownEpisode, success: bool) {
        self.client.end_episode(success);
    }
}
