//! The thread that plays an episode: it steps the world at the pace it is told, takes orders between
//! steps, and reports every step.
//!
//! An episode that nobody interferes with goes through the same calls as [`bitvla_eval::run_episode`].

use super::{EpisodeInfo, PolicyQuery, StepState, Termination, goal_regions};
use crate::suite_cache::SuiteCache;
use bitvla_eval::{
    ActionChunkExecutor, Agent, CHUNK_LENGTH, CameraRig, Decision, EvalError, LoadedSuite,
    PolicyKind, PolicySpec, SETTLE_ACTION,
};
use bitvla_reports::{EpisodeActions, QueryRecord};
use bitvla_sim::{BodyPoint, PointSpring, Snapshot, World};
use bitvla_tasks::Task;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

/// Control steps between two snapshots.
const SNAPSHOT_STEPS: usize = 20;
/// Control steps per second.
const CONTROL_HZ: f64 = 20.0;
/// Control steps that the world goes on after its end when somebody lets go of something.
const COAST_STEPS: usize = 40;
/// A thread that fell further behind than this does not hurry after.
const MAX_LAG: Duration = Duration::from_millis(250);

/// What is to be played.
#[derive(Clone)]
pub struct EpisodeRequest {
    /// Where suites are.
    pub suite_cache: SuiteCache,
    /// Name of the suite.
    pub suite: String,
    /// Index of the task.
    pub task: usize,
    /// Index of the initial state.
    pub init: usize,
    /// Seed of the run.
    pub seed: u64,
    /// Who drives.
    pub control_source: ControlSource,
    /// The pace to begin with.
    pub pacing: Pacing,
}

/// Who drives.
#[derive(Debug, Clone)]
pub enum ControlSource {
    /// A policy or the expert.
    Policy {
        /// Kind.
        kind: PolicyKind,
        /// Its checkpoint, if not the one that ships.
        checkpoint: Option<PathBuf>,
        /// Threads of a query.
        threads: usize,
    },
    /// Recorded actions.
    Recorded {
        /// What the window calls it.
        name: String,
        /// The actions.
        actions: EpisodeActions,
        /// Measured queries, in order.
        queries: Vec<QueryRecord>,
        /// Actions executed between two queries.
        chunk_length: usize,
        /// How it ended.
        termination: Termination,
    },
}

/// How fast steps follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pacing {
    /// Not at all.
    Paused,
    /// This many, then not.
    Steps(usize),
    /// At this multiple of real time.
    RealTime(f64),
    /// One after the other without waiting.
    Unlimited,
}

/// What the thread can be told.
#[derive(Debug, Clone)]
pub enum Command {
    /// A new pace.
    SetPacing(Pacing),
    /// Take hold of what a ray hits first.
    Grab {
        /// Start of the ray, m.
        origin: [f64; 3],
        /// Its direction.
        direction: [f64; 3],
    },
    /// Pull what is held to a point, m.
    MoveGrab([f64; 3]),
    /// Let go.
    Release,
    /// Do these actions instead of the policy's; none gives the arm back.
    Teleoperate(Option<[f64; 7]>),
    /// Go back to a step and go on from there.
    Rewind(usize),
    /// Somebody else drives from here on.
    SetControlSource(ControlSource),
}

/// What the thread says.
#[derive(Debug, Clone)]
pub enum Event {
    /// The scene is ready.
    Opened(Arc<EpisodeInfo>),
    /// A step was made.
    Step(Arc<StepState>),
    /// The policy was asked.
    Query(Arc<PolicyQuery>),
    /// The episode is over.
    Ended(Termination),
    /// Everything after a step is forgotten.
    Rewound(usize),
    /// Something is held at a point, or nothing was hit or is held any more.
    Grabbed(Option<[f64; 3]>),
    /// Another drives.
    ControlSourceChanged(String),
    /// Nothing can be played.
    Failed(String),
}

/// Starts the thread. It ends when `Sender` is dropped. `wake` is called after each report.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn_worker(
    request: EpisodeRequest,
    wake: impl Fn() + Send + 'static,
) -> std::io::Result<(Sender<Command>, Receiver<Event>)> {
    let (command, commands) = channel();
    let (event, events) = channel();
    let said = event.clone();
    std::thread::Builder::new()
        .name(format!("actor {} {}", request.task, request.init))
        .spawn(move || {
            let emit = |what: Event| {
                // A window that closed no longer listens.
                let _ = event.send(what);
                wake();
            };
            let attempt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                run_worker(&request, &commands, &emit)
            }));
            match attempt {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let _ = said.send(Event::Failed(error.to_string()));
                }
                Err(_) => {
                    let _ = said.send(Event::Failed(
                        "the simulation thread panicked; its words are on standard error".into(),
                    ));
                }
            }
        })?;
    Ok((command, events))
}

fn run_worker(
    request: &EpisodeRequest,
    commands: &Receiver<Command>,
    emit: &dyn Fn(Event),
) -> Result<(), EvalError> {
    let opened = request.suite_cache.open(&request.suite)?;
    opened.preload_scenes(&[request.task])?;
    let stage = opened.context(request.seed);
    let task = stage.task(request.task)?;
    let world = stage.settled_world(request.task, request.init)?;
    let recorded = match &request.control_source {
        ControlSource::Recorded { termination, .. } => Some(termination.clone()),
        ControlSource::Policy { .. } => None,
    };
    let scene = Arc::new(world.scene().clone());
    emit(Event::Opened(Arc::new(EpisodeInfo {
        regions: goal_regions(&task.problem, &world),
        scene,
        suite: request.suite.clone(),
        task: request.task,
        init: request.init,
        inits: task.init_states.len(),
        instruction: task.instruction.clone(),
        predicates: task
            .goal()
            .facts
            .iter()
            .map(|f| format!("{:?}({})", f.predicate, f.args.join(", ")))
            .collect(),
        horizon: opened.suite.horizon,
        name: request.control_source.name(),
        recorded,
    })));
    let action_source = ActionSource::new(&request.control_source, &opened, &world, task)?;
    let mut worker = EpisodeWorker {
        opened: &opened,
        task,
        init: request.init,
        horizon: opened.suite.horizon,
        action_source,
        lookahead_world: None,
        snapshots: Vec::new(),
        actions: Vec::new(),
        executor_states: Vec::new(),
        grab: None,
        teleop_action: None,
        intervention_step: None,
        finished: false,
        coast_steps: 0,
        pacing: request.pacing,
        next_step_at: Instant::now(),
        world,
        emit,
    };
    worker.save_snapshot();
    emit(Event::Step(Arc::new(worker.step_state(None)?)));
    worker.run(commands)
}

impl ControlSource {
    /// What the window calls it.
    pub fn name(&self) -> String {
        match self {
            ControlSource::Policy { kind, .. } => kind.name().to_owned(),
            ControlSource::Recorded { name, .. } => name.clone(),
        }
    }
}

/// Whoever decides.
enum ActionSource {
    Agent(Box<AgentSource>),
    Recorded {
        actions: Vec<[f64; 7]>,
        queries: Vec<QueryRecord>,
        chunk_length: usize,
        termination: Termination,
    },
}

/// A policy or the expert at work.
struct AgentSource {
    agent: Agent,
    executor: ActionChunkExecutor,
    rig: Option<CameraRig>,
    /// Queries so far.
    queries_made: usize,
}

impl ActionSource {
    fn new(
        control_source: &ControlSource,
        opened: &LoadedSuite,
        world: &World,
        task: &Task,
    ) -> Result<ActionSource, EvalError> {
        match control_source {
            ControlSource::Policy {
                kind,
                checkpoint,
                threads,
            } => {
                let mut spec = PolicySpec::new(*kind, checkpoint.as_deref(), opened.assets.dir());
                spec.threads = *threads;
                spec.instructions = vec![task.instruction.clone()];
                spec.check()?;
                let agent = spec.load()?;
                Ok(ActionSource::Agent(Box::new(AgentSource {
                    executor: ActionChunkExecutor::new(&agent, world, task)?,
                    agent,
                    rig: None,
                    queries_made: 0,
                })))
            }
            ControlSource::Recorded {
                actions,
                queries,
                chunk_length,
                termination,
                ..
            } => Ok(ActionSource::Recorded {
                actions: actions.actions.clone(),
                queries: queries.clone(),
                chunk_length: *chunk_length,
                termination: termination.clone(),
            }),
        }
    }
}

struct EpisodeWorker<'a> {
    opened: &'a LoadedSuite,
    task: &'a Task,
    init: usize,
    horizon: usize,
    action_source: ActionSource,
    /// A second world in which chunks are tried out.
    lookahead_world: Option<World>,
    /// Snapshots by step.
    snapshots: Vec<(usize, Snapshot)>,
    /// Executed actions.
    actions: Vec<[f64; 7]>,
    /// The mind before each step; none where a person drove.
    executor_states: Vec<Option<ActionChunkExecutor>>,
    grab: Option<BodyPoint>,
    teleop_action: Option<[f64; 7]>,
    /// The first step that a person had a hand in.
    intervention_step: Option<usize>,
    finished: bool,
    /// Steps left to make after the end.
    coast_steps: usize,
    pacing: Pacing,
    next_step_at: Instant,
    world: World,
    emit: &'a dyn Fn(Event),
}

impl EpisodeWorker<'_> {
    fn run(&mut self, commands: &Receiver<Command>) -> Result<(), EvalError> {
        loop {
            let command = match self.wait() {
                None => commands.recv().map_err(|_| TryRecvError::Disconnected),
                Some(Duration::ZERO) => commands.try_recv(),
                Some(wait) => commands.recv_timeout(wait).map_err(|e| match e {
                    RecvTimeoutError::Timeout => TryRecvError::Empty,
                    RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
                }),
            };
            match command {
                Ok(command) => self.apply(command)?,
                Err(TryRecvError::Disconnected) => return Ok(()),
                Err(TryRecvError::Empty) => self.advance()?,
            }
        }
    }

    /// Time until the next step; none when there is none to make.
    fn wait(&self) -> Option<Duration> {
        if self.finished
            && self.teleop_action.is_none()
            && self.grab.is_none()
            && self.coast_steps == 0
        {
            return None;
        }
        match self.pacing {
            Pacing::Paused | Pacing::Steps(0) => None,
            Pacing::Steps(_) | Pacing::Unlimited => Some(Duration::ZERO),
            Pacing::RealTime(_) => {
                Some(self.next_step_at.saturating_duration_since(Instant::now()))
            }
        }
    }

    fn apply(&mut self, command: Command) -> Result<(), EvalError> {
        match command {
            Command::SetPacing(pacing) => {
                self.pacing = pacing;
                self.next_step_at = Instant::now();
            }
            Command::Grab { origin, direction } => {
                self.grab = self.world.pick_body_point(origin, direction);
                (self.emit)(Event::Grabbed(self.grab.map(|grab| grab.point)));
            }
            Command::MoveGrab(target) => {
                if let Some(grab) = self.grab {
                    self.world.set_point_spring(Some(PointSpring {
                        anchor: grab,
                        target,
                    }));
                    self.mark_intervention();
                }
            }
            Command::Release => {
                self.coast_steps = if self.finished && self.grab.is_some() {
                    COAST_STEPS
                } else {
                    0
                };
                self.grab = None;
                self.world.set_point_spring(None);
                (self.emit)(Event::Grabbed(None));
            }
            Command::Teleoperate(action) => {
                if self.teleop_action.is_some() && action.is_none() {
                    self.reset_executor()?;
                }
                if action.is_some() {
                    self.mark_intervention();
                }
                self.teleop_action = action;
            }
            Command::Rewind(step) => self.rewind(step)?,
            Command::SetControlSource(control_source) => {
                self.action_source =
                    ActionSource::new(&control_source, self.opened, &self.world, self.task)?;
                self.executor_states.fill(None);
                self.mark_intervention();
                self.finished = false;
                (self.emit)(Event::ControlSourceChanged(control_source.name()));
            }
        }
        Ok(())
    }

    fn mark_intervention(&mut self) {
        self.intervention_step.get_or_insert(self.actions.len());
    }

    /// After a person had the arm, the policy looks afresh.
    fn reset_executor(&mut self) -> Result<(), EvalError> {
        if let ActionSource::Agent(source) = &mut self.action_source {
            source.executor = ActionChunkExecutor::new(&source.agent, &self.world, self.task)?;
        }
        Ok(())
    }

    /// One control step.
    fn advance(&mut self) -> Result<(), EvalError> {
        let step = self.actions.len();
        let (action, executor) = match self.teleop_action {
            Some(action) => (action, None),
            // The world goes on while somebody pulls at it after the end, and until what was let go of lies.
            None if self.finished => {
                self.coast_steps = self.coast_steps.saturating_sub(1);
                (SETTLE_ACTION, None)
            }
            None => match self.decide(step) {
                Some(decided) => decided,
                None => return Ok(()),
            },
        };
        self.executor_states.push(executor);
        self.actions.push(action);
        self.world.step(&action)?;
        if (step + 1).is_multiple_of(SNAPSHOT_STEPS) || self.grab.is_some() {
            self.save_snapshot();
        }
        let step_state = self.step_state(Some(action))?;
        let success = step_state.predicates.iter().all(|predicate| *predicate);
        (self.emit)(Event::Step(Arc::new(step_state)));
        if !self.finished {
            match &self.action_source {
                ActionSource::Agent(_) if success => self.end(Termination::Success),
                ActionSource::Agent(_)
                    if step + 1 == self.horizon && self.teleop_action.is_none() =>
                {
                    self.end(Termination::Horizon);
                }
                ActionSource::Recorded {
                    actions,
                    termination,
                    ..
                } if step + 1 == actions.len() => {
                    let termination = termination.clone();
                    self.end(termination);
                }
                _ => {}
            }
        }
        self.schedule_next_step();
        Ok(())
    }

    fn schedule_next_step(&mut self) {
        match &mut self.pacing {
            Pacing::Steps(left) => *left = left.saturating_sub(1),
            Pacing::RealTime(speed) => {
                let step = Duration::from_secs_f64(1.0 / (CONTROL_HZ * speed.max(0.01)));
                let now = Instant::now();
                self.next_step_at += step;
                if self.next_step_at + MAX_LAG < now {
                    self.next_step_at = now;
                }
            }
            Pacing::Paused | Pacing::Unlimited => {}
        }
    }

    fn end(&mut self, termination: Termination) {
        self.finished = true;
        (self.emit)(Event::Ended(termination));
    }

    /// The action of this step and the mind before it; none when there is nothing more to do.
    fn decide(&mut self, step: usize) -> Option<([f64; 7], Option<ActionChunkExecutor>)> {
        let lookahead = self.pacing != Pacing::Unlimited;
        match &mut self.action_source {
            ActionSource::Agent(source) => {
                let before = source.executor.clone();
                let (agent, rig) = (&mut source.agent, &mut source.rig);
                match source.executor.decide(agent, rig, &self.world, self.task) {
                    Ok(Decision { action, query }) => {
                        if let Some(query) = query {
                            let key = (self.task.id, self.init);
                            let path = if lookahead {
                                lookahead_path(&mut self.lookahead_world, &self.world, &query.chunk)
                            } else {
                                Vec::new()
                            };
                            (self.emit)(Event::Query(Arc::new(PolicyQuery {
                                step,
                                times: query.record(key, source.queries_made),
                                path,
                                chunk: query.chunk,
                            })));
                            source.queries_made += 1;
                        }
                        Some((action, Some(before)))
                    }
                    Err(why) => {
                        self.end(Termination::Error(why.to_string()));
                        None
                    }
                }
            }
            ActionSource::Recorded {
                actions,
                queries,
                chunk_length,
                termination,
            } => {
                let Some(action) = actions.get(step).copied() else {
                    let termination = termination.clone();
                    self.end(termination);
                    return None;
                };
                let length = (*chunk_length).max(1);
                if step.is_multiple_of(length)
                    && let Some(times) = queries.get(step / length)
                {
                    (self.emit)(Event::Query(Arc::new(PolicyQuery {
                        step,
                        times: *times,
                        chunk: actions[step..(step + length).min(actions.len())].to_vec(),
                        path: Vec::new(),
                    })));
                }
                Some((action, None))
            }
        }
    }

    fn save_snapshot(&mut self) {
        self.snapshots
            .push((self.actions.len(), self.world.snapshot()));
    }

    /// Goes back: to the snapshot before, then forward by what was done.
    fn rewind(&mut self, step: usize) -> Result<(), EvalError> {
        let step = step.min(self.actions.len());
        self.grab = None;
        self.world.set_point_spring(None);
        let Some(at) = self.snapshots.iter().rposition(|(kept, _)| *kept <= step) else {
            return Ok(());
        };
        let (kept, snapshot) = &self.snapshots[at];
        self.world.restore(snapshot);
        for action in &self.actions[*kept..step] {
            self.world.step(action)?;
        }
        self.snapshots.truncate(at + 1);
        let executor = self.executor_states.get(step).cloned().flatten();
        self.actions.truncate(step);
        self.executor_states.truncate(step);
        self.finished = false;
        // Before anybody interfered it is the policy's own result again.
        self.intervention_step = self.intervention_step.filter(|at| *at < step);
        match (executor, &mut self.action_source) {
            (Some(was), ActionSource::Agent(source)) => {
                source.executor = was;
                source.queries_made = step.div_ceil(CHUNK_LENGTH);
            }
            _ => {
                self.reset_executor()?;
                if matches!(self.action_source, ActionSource::Agent(_)) {
                    self.mark_intervention();
                }
            }
        }
        (self.emit)(Event::Rewound(step));
        Ok(())
    }

    fn step_state(&self, action: Option<[f64; 7]>) -> Result<StepState, EvalError> {
        let observation = self.world.observation();
        Ok(StepState {
            step: self.actions.len(),
            visual: self.world.visual_state(),
            eef: observation.eef_pos,
            eef_quat_xyzw: observation.eef_quat_xyzw,
            gripper_width: observation.gripper_qpos[0] - observation.gripper_qpos[1],
            torque: self.world.last_torque(),
            action,
            contacts: self.world.contacts(),
            predicates: self.task.goal().truth(&self.world, self.task)?,
            hash: self.world.state_hash(),
            intervened: self.intervention_step.is_some(),
        })
    }
}

/// Where a chunk takes the hand, found in a second world so that the first knows nothing of it.
fn lookahead_path(
    lookahead_world: &mut Option<World>,
    world: &World,
    chunk: &[[f64; 7]],
) -> Vec<[f64; 3]> {
    if lookahead_world.is_none() {
        *lookahead_world = World::new(world.scene()).ok();
    }
    let Some(lookahead_world) = lookahead_world else {
        return Vec::new();
    };
    lookahead_world.restore(&world.snapshot());
    let mut path = Vec::with_capacity(chunk.len());
    for action in chunk {
        if lookahead_world.step(action).is_err() {
            break;
        }
        path.push(lookahead_world.eef_pose().translation.vector.into());
    }
    path
}
