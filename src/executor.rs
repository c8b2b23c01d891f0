//! Who decides during one episode: the expert, or a policy that is asked whenever its last chunk of
//! actions is used up. The runner and the viewer go through the same one.

use crate::observation::{CameraImages, CameraRig, proprio};
use crate::{Agent, EvalError};
use bitvla_policies::{Observation, PhaseTimes, PolicyError};
use bitvla_reports::QueryRecord;
use bitvla_sim::World;
use bitvla_tasks::{Expert, Task};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The state of deciding within one episode. A copy continues as the original would.
#[derive(Clone)]
pub struct ActionChunkExecutor(State);

#[derive(Clone)]
enum State {
    Expert(Box<Expert>),
    Model { chunk: VecDeque<[f64; 7]> },
}

/// What a policy was asked and what it answered.
#[derive(Debug, Clone)]
pub struct PolicyQuery {
    /// The images as the policy got them.
    pub view: CameraImages,
    /// All actions of the answer.
    pub chunk: Vec<[f64; 7]>,
    /// Time for rendering both cameras.
    pub render: Duration,
    /// Time of the phases of the policy.
    pub times: PhaseTimes,
}

impl PolicyQuery {
    /// The row of the `number`th query of an episode (task, initial state).
    pub fn record(&self, (task, init): (usize, usize), number: usize) -> QueryRecord {
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        QueryRecord {
            task,
            init,
            query: number,
            render_ms: ms(self.render),
            preprocessing_ms: ms(self.times.preprocessing),
            vision_ms: ms(self.times.vision),
            language_ms: ms(self.times.language),
            head_ms: ms(self.times.head),
        }
    }
}

/// The action of a control step, and the query behind it if one was made for it.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Three translations, three rotations, gripper.
    pub action: [f64; 7],
    /// Present when the policy was asked in this step.
    pub query: Option<PolicyQuery>,
}

/// Why there is no decision.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The cameras could not be drawn.
    #[error(transparent)]
    CameraRig(#[from] EvalError),
    /// The policy refused.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The answer cannot be executed.
    #[error("{0}")]
    Action(String),
}

impl ActionChunkExecutor {
    /// Begins to decide in a settled world.
    ///
    /// # Errors
    /// When the expert cannot do what the goal asks for.
    pub fn new(
        agent: &Agent,
        world: &World,
        task: &Task,
    ) -> Result<ActionChunkExecutor, EvalError> {
        Ok(ActionChunkExecutor(match agent {
            Agent::Expert => State::Expert(Box::new(Expert::new(world, task)?)),
            Agent::Model(_) => State::Model {
                chunk: VecDeque::new(),
            },
        }))
    }

    /// The action of the next control step. `cameras` are made the first time they are needed.
    ///
    /// # Errors
    /// When the policy refuses or answers with something that cannot be executed.
    pub fn decide(
        &mut self,
        agent: &mut Agent,
        cameras: &mut Option<CameraRig>,
        world: &World,
        task: &Task,
    ) -> Result<Decision, ActError> {
        let (action, query) = match (&mut self.0, agent) {
            (State::Expert(expert), _) => (expert.act(world), None),
            (State::Model { chunk }, Agent::Model(policy)) => match chunk.pop_front() {
                Some(action) => (action, None),
                None => {
                    let cameras = match cameras {
                        Some(cameras) => cameras,
                        none => none.insert(CameraRig::new(world.scene())?),
                    };
                    let start = Instant::now();
                    let view = cameras.render(world)?.for_policy();
                    let render = start.elapsed();
                    let answer = policy.query(&Observation {
                        agentview: &view.agentview.rgb,
                        wrist: &view.wrist.rgb,
                        proprio: proprio(&world.observation()),
                        instruction: &task.instruction,
                    })?;
                    chunk.extend(&answer.actions);
                    let action = chunk.pop_front().ok_or_else(|| {
                        ActError::Action("answered a query with no action at all".to_owned())
                    })?;
                    let query = PolicyQuery {
                        view,
                        chunk: answer.actions,
                        render,
                        times: answer.times,
                    };
                    (action, Some(query))
                }
            },
            (State::Model { .. }, Agent::Expert) => {
                return Err(ActError::Action(
                    "the expert cannot go on in the middle of a policy's chunk".to_owned(),
                ));
            }
        };
        match action.iter().find(|v| !v.is_finite()) {
            None => Ok(Decision { action, query }),
            Some(number) => Err(ActError::Action(format!(
                "action {action:?} contains {number}, which is not finite"
            ))),
        }
    }
}
