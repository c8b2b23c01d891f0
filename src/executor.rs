//! Execution of action chunks within one episode: the agent is asked whenever the actions of its last answer are used up.
//! The runner, the trainer and the viewer go through the same executor.

use crate::agent::{ActError, AgentState, EpisodeStart, ErasedAgent, StepInput};
use crate::observation::{CameraImages, CameraRig, frame_hash};
use crate::{EvalError, QueryTrace};
use bitvla_perturbations::{ActionFilter, ImageFilter};
use bitvla_policies::PhaseTimes;
use bitvla_reports::{FrameHash, QueryRecord};
use bitvla_sim::World;
use bitvla_tasks::Task;
use std::collections::VecDeque;
use std::time::Duration;

/// Per-episode controller state; a copy continues as the original would.
#[derive(Clone)]
pub struct ActionChunkExecutor {
    state: AgentState,
    pending: VecDeque<[f64; 7]>,
    queries: usize,
    /// Control steps decided so far.
    steps: usize,
    /// Perturbation of the observations.
    observations: Option<ImageFilter>,
    /// Perturbation of the actions.
    actions: Option<ActionFilter>,
}

/// One query of a policy and its answer.
#[derive(Debug, Clone)]
pub struct PolicyQuery {
    /// Number of the query in its episode, from 0.
    pub number: usize,
    /// The images as the policy got them.
    pub images: CameraImages,
    /// All actions of the answer, those that are not executed included.
    pub chunk: Vec<[f64; 7]>,
    /// Time for rendering both cameras.
    pub render: Duration,
    /// Time of the phases of the policy.
    pub times: PhaseTimes,
    /// Processor time of the policy; `None` where it is not known.
    pub processor: Option<Duration>,
}

impl PolicyQuery {
    /// Latency row in an episode (task, initial state).
    pub fn record(&self, (task, init): (usize, usize)) -> QueryRecord {
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        QueryRecord {
            task,
            init,
            query: self.number,
            render_ms: ms(self.render),
            preprocessing_ms: ms(self.times.preprocessing),
            vision_ms: ms(self.times.vision),
            language_ms: ms(self.times.language),
            head_ms: ms(self.times.head),
            server_ms: ms(self.times.server),
            network_ms: ms(self.times.network),
            // Setups are numbered when the rows of a run are put together.
            setup: 0,
            processor_ms: self.processor.map(ms),
            // Measured by the worker, once per episode.
            reference_ms: None,
        }
    }

    /// Hash of the images; `step` is the control step that the query was made for.
    pub fn frame_hash(&self, step: usize) -> FrameHash {
        FrameHash {
            step: step as u32,
            hash: frame_hash(&self.images),
        }
    }
}

/// The action of a control step, and the query behind it if one was made for it.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Three translations, three rotations, gripper.
    pub action: [f64; 7],
    /// Present when a network was asked in this step.
    pub query: Option<PolicyQuery>,
}

impl ActionChunkExecutor {
    /// Begins an episode in a settled world.
    ///
    /// # Errors
    /// If the agent cannot do the task.
    pub fn start(
        agent: &mut dyn ErasedAgent,
        start: &EpisodeStart<'_>,
    ) -> Result<ActionChunkExecutor, EvalError> {
        Ok(ActionChunkExecutor {
            state: agent.start_episode(start)?,
            pending: VecDeque::new(),
            queries: 0,
            steps: 0,
            observations: (start.perturbation).and_then(|p| p.image_filter(start.key())),
            actions: (start.perturbation).and_then(|p| p.action_filter(start.key())),
        })
    }

    /// Ends the episode.
    pub fn end(&mut self, agent: &mut dyn ErasedAgent, success: bool) {
        agent.end_episode(&mut self.state, success);
    }

    /// The action of the next control step, as it arrives at the robot. `cameras` are prepared when they are first needed.
    ///
    /// # Errors
    /// If the agent refuses or answers with something that cannot be executed.
    pub fn decide(
        &mut self,
        agent: &mut dyn ErasedAgent,
        cameras: &mut Option<CameraRig>,
        world: &World,
        task: &Task,
    ) -> Result<Decision, ActError> {
        let (action, query) = match self.pending.pop_front() {
            Some(action) => (action, None),
            None => {
                let mut input = StepInput {
                    world,
                    task,
                    cameras,
                    filter: (self.observations.as_mut()).map(|filter| (filter, self.steps)),
                };
                let answer = agent.act_in(&mut self.state, &mut input)?;
                self.pending
                    .extend(answer.actions.iter().take(answer.executed));
                let action = self.pending.pop_front().ok_or_else(|| {
                    ActError::Action("answered a query with no action at all".to_owned())
                })?;
                let query = answer.query.map(|trace| {
                    let QueryTrace {
                        images,
                        render,
                        times,
                        processor,
                    } = trace;
                    let number = self.queries;
                    self.queries += 1;
                    PolicyQuery {
                        number,
                        images,
                        chunk: answer.actions,
                        render,
                        times,
                        processor,
                    }
                });
                (action, query)
            }
        };
        if let Some(number) = action.iter().find(|v| !v.is_finite()) {
            return Err(ActError::Action(format!(
                "action {action:?} contains {number}, which is not finite"
            )));
        }
        self.steps += 1;
        let action = match &mut self.actions {
            Some(filter) => filter.apply(&action),
            None => action,
        };
        Ok(Decision { action, query })
    }
}
