//! Episode worker: a thread that steps the world at a given pacing, carries out commands between control steps, and
//! reports every step.
//!
//! Without intervention an episode goes through the same calls as [`bitvla_eval::run_episode`].

use super::action_source::{ActionSource, ExecutorState, NextAction};
use super::goal_regions::goal_regions;
use super::messages::{Command, ControlSource, EpisodeRequest, Event, Pacing};
use super::step_state::{CONTROL_HZ, EpisodeInfo, StepState, Termination};
use crate::warnings::warn_once;
use bitvla_eval::{EvalContext, EvalError, SETTLE_ACTION};
use bitvla_sim::{BodyPoint, PointSpring, Snapshot, World};
use bitvla_tasks::Task;
use bitvla_tasks::predicates::CompiledGoal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Control steps between two snapshots.
const SNAPSHOT_STEPS: usize = 20;
/// Control steps executed after a release in an ended episode, so that the object comes to rest.
const COAST_STEPS: usize = 40;
/// Maximum delay that real-time pacing catches up with.
const MAX_LAG: Duration = Duration::from_millis(250);

/// Connection to an episode worker. The thread ends when it is dropped.
pub struct WorkerHandle {
    commands: Sender<Command>,
    events: Mutex<Receiver<Event>>,
    /// Number of commands sent.
    sent: AtomicUsize,
    /// Number of commands carried out.
    done: Arc<AtomicUsize>,
}

impl WorkerHandle {
    /// Starts a worker thread. `wake` is called from it after each event.
    ///
    /// # Errors
    /// If the system cannot create a thread.
    pub fn spawn(
        request: EpisodeRequest,
        wake: impl Fn() + Send + 'static,
    ) -> std::io::Result<WorkerHandle> {
        let (command_tx, command_rx) = channel();
        let (event_tx, event_rx) = channel();
        let done = Arc::new(AtomicUsize::new(0));
        let done_in_worker = done.clone();
        std::thread::Builder::new()
            .name(format!("episode {} {}", request.task, request.init))
            .spawn(move || {
                let emit = |event: Event| {
                    // The receiver is gone only when the episode is no longer displayed.
                    let _ = event_tx.send(event);
                    wake();
                };
                let run = || play(&request, &command_rx, &done_in_worker, &emit);
                match catch_unwind(AssertUnwindSafe(run)) {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => emit(Event::Failed(error.to_string())),
                    Err(_) => emit(Event::Failed(
                        "the simulation thread panicked; its message is on standard error".into(),
                    )),
                }
            })?;
        Ok(WorkerHandle {
            commands: command_tx,
            events: Mutex::new(event_rx),
            sent: AtomicUsize::new(0),
            done,
        })
    }

    /// Sends a command. A worker that has failed ignores it; it has emitted [`Event::Failed`].
    pub fn send(&self, command: Command) {
        self.sent.fetch_add(1, Ordering::AcqRel);
        let _ = self.commands.send(command);
    }

    /// Takes the next event; none if there is no new one.
    pub fn next_event(&self) -> Option<Event> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.try_recv().ok()
    }

    /// Waits for the next event; none after `timeout`, or if the worker has ended.
    pub fn wait_event(&self, timeout: Duration) -> Option<Event> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.recv_timeout(timeout).ok()
    }

    /// Number of commands sent.
    pub fn commands_sent(&self) -> usize {
        self.sent.load(Ordering::Acquire)
    }

    /// Number of commands carried out; the events they caused are available by then.
    pub fn commands_done(&self) -> usize {
        self.done.load(Ordering::Acquire)
    }
}

fn play(
    request: &EpisodeRequest,
    commands: &Receiver<Command>,
    done: &AtomicUsize,
    emit: &dyn Fn(Event),
) -> Result<(), EvalError> {
    let opened = request.suite_cache.open(&request.suite)?;
    // A suite of perturbed tasks has its own.
    let card = match request.perturbation.is_empty() {
        true => opened.perturbation.card(),
        false => request.perturbation.clone(),
    };
    let opened = opened.recorded(&card, &[request.task])?;
    let context = opened.context(request.seed);
    let task = context.task(request.task)?;
    let world = context.settled_world(request.task, request.init)?;
    for notice in opened.assets.notices() {
        warn_once(&notice);
    }
    let recorded = match &request.control_source {
        ControlSource::Recorded(recording) => Some(recording.termination.clone()),
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
        instruction: (context
            .start((request.task, request.init), &world)?
            .instruction)
            .into_owned(),
        predicates: task
            .goal()
            .predicates
            .iter()
            .map(ToString::to_string)
            .collect(),
        horizon: opened.suite.horizon,
        recorded,
    })));
    let action_source = ActionSource::new(
        &request.control_source,
        context,
        (request.task, request.init),
        &world,
    )?;
    let mut worker = EpisodeWorker {
        context,
        task,
        goal: task.compile_goal(&world)?,
        init: request.init,
        horizon: opened.suite.horizon,
        action_source,
        lookahead_world: None,
        snapshots: Vec::new(),
        actions: Vec::new(),
        agent_states: Vec::new(),
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
    worker.run(commands, done)
}

struct EpisodeWorker<'a> {
    context: EvalContext<'a>,
    task: &'a Task,
    goal: CompiledGoal,
    init: usize,
    /// Control steps after which the episode ends.
    horizon: usize,
    action_source: ActionSource,
    /// Second world, in which the path of an action chunk is computed.
    lookahead_world: Option<World>,
    /// Snapshots by control step.
    snapshots: Vec<(usize, Snapshot)>,
    /// Executed actions.
    actions: Vec<[f64; 7]>,
    /// State of the agent before each step; none for teleoperated and recorded steps.
    agent_states: Vec<Option<ExecutorState>>,
    grab: Option<BodyPoint>,
    teleop_action: Option<[f64; 7]>,
    /// First step that was influenced by a person.
    intervention_step: Option<usize>,
    finished: bool,
    /// Remaining steps after a release in an ended episode.
    coast_steps: usize,
    pacing: Pacing,
    next_step_at: Instant,
    world: World,
    emit: &'a dyn Fn(Event),
}

impl EpisodeWorker<'_> {
    fn run(&mut self, commands: &Receiver<Command>, done: &AtomicUsize) -> Result<(), EvalError> {
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
                Ok(command) => {
                    self.apply(command)?;
                    done.fetch_add(1, Ordering::AcqRel);
                }
                Err(TryRecvError::Disconnected) => return Ok(()),
                Err(TryRecvError::Empty) => self.advance()?,
            }
        }
    }

    /// Time until the next step; none while there is none to execute.
    fn wait(&self) -> Option<Duration> {
        let idle = self.finished
            && self.teleop_action.is_none()
            && self.grab.is_none()
            && self.coast_steps == 0;
        if idle {
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
                    // The policy continues from the present state, not with the rest of an old chunk.
                    self.action_source.reset(
                        self.context,
                        (self.task.id, self.init),
                        &self.world,
                    )?;
                }
                if action.is_some() {
                    self.mark_intervention();
                }
                self.teleop_action = action;
            }
            Command::Rewind(step) => self.rewind(step)?,
            Command::SetControlSource(control_source) => {
                self.action_source = ActionSource::new(
                    &control_source,
                    self.context,
                    (self.task.id, self.init),
                    &self.world,
                )?;
                self.agent_states.fill(None);
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

    /// Executes one control step.
    fn advance(&mut self) -> Result<(), EvalError> {
        let step = self.actions.len();
        let (action, agent_state) = match self.teleop_action {
            Some(action) => (action, None),
            // After its end the episode goes on while a body is pulled, and until a released one is at rest.
            None if self.finished => {
                self.coast_steps = self.coast_steps.saturating_sub(1);
                (SETTLE_ACTION, None)
            }
            None => {
                let before = self.action_source.state();
                let next = self
                    .action_source
                    .next(step, &self.world, self.task, self.init);
                match next {
                    Ok(NextAction { action, query }) => {
                        if let Some(mut query) = query {
                            if self.pacing != Pacing::Unlimited {
                                query.path = self.lookahead_path(&query.chunk)?;
                            }
                            (self.emit)(Event::Query(Arc::new(query)));
                        }
                        (action, before)
                    }
                    Err(termination) => {
                        self.end(termination);
                        return Ok(());
                    }
                }
            }
        };
        self.agent_states.push(agent_state);
        self.actions.push(action);
        self.world.step(&action)?;
        if (step + 1).is_multiple_of(SNAPSHOT_STEPS) || self.grab.is_some() {
            self.save_snapshot();
        }
        let step_state = self.step_state(Some(action))?;
        let success = self.goal.holds_given(&step_state.predicates);
        (self.emit)(Event::Step(Arc::new(step_state)));
        if !self.finished {
            self.check_termination(step + 1, success);
        }
        self.schedule_next_step();
        Ok(())
    }

    /// Ends the episode after `steps` control steps if it has succeeded, reached the horizon, or been replayed.
    fn check_termination(&mut self, steps: usize, success: bool) {
        let termination = match &self.action_source {
            ActionSource::Agent(_) if success => Some(Termination::Success),
            ActionSource::Agent(_) if steps == self.horizon && self.teleop_action.is_none() => {
                Some(Termination::Horizon)
            }
            ActionSource::Recording(recording) if steps == recording.actions.actions.len() => {
                Some(recording.termination.clone())
            }
            ActionSource::Agent(_) | ActionSource::Recording(_) => None,
        };
        if let Some(termination) = termination {
            self.end(termination);
        }
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

    fn save_snapshot(&mut self) {
        let snapshot = self.world.snapshot();
        self.snapshots.push((self.actions.len(), snapshot));
    }

    /// Returns to an earlier step: restores the snapshot before it and repeats the actions from there.
    fn rewind(&mut self, step: usize) -> Result<(), EvalError> {
        let step = step.min(self.actions.len());
        if self.grab.take().is_some() {
            (self.emit)(Event::Grabbed(None));
        }
        self.world.set_point_spring(None);
        // There is always one: the first snapshot is that of step 0.
        let Some(at) = self.snapshots.iter().rposition(|(kept, _)| *kept <= step) else {
            return Ok(());
        };
        let (kept, snapshot) = &self.snapshots[at];
        self.world.restore(snapshot);
        for action in &self.actions[*kept..step] {
            self.world.step(action)?;
        }
        self.snapshots.truncate(at + 1);
        let agent_state = self.agent_states.get(step).cloned().flatten();
        self.actions.truncate(step);
        self.agent_states.truncate(step);
        self.finished = false;
        // Before the first intervention the steps are results of the policy again.
        self.intervention_step = self.intervention_step.filter(|at| *at < step);
        match agent_state {
            Some(state) => self.action_source.restore(state),
            None => {
                self.action_source
                    .reset(self.context, (self.task.id, self.init), &self.world)?;
                if matches!(self.action_source, ActionSource::Agent(_)) {
                    self.mark_intervention();
                }
            }
        }
        (self.emit)(Event::Rewound(step));
        Ok(())
    }

    fn step_state(&self, action: Option<[f64; 7]>) -> Result<StepState, EvalError> {
        let robot = self.world.observation();
        Ok(StepState {
            step: self.actions.len(),
            visual: self.world.visual_state(),
            eef: robot.eef_pos,
            eef_quat_xyzw: robot.eef_quat_xyzw,
            gripper_width: robot.gripper_qpos[0] - robot.gripper_qpos[1],
            torque: self.world.last_torque(),
            action,
            contacts: self.world.contacts(),
            predicates: self.goal.truth(&self.world),
            hash: self.world.state_hash(),
            intervened: self.intervention_step.is_some(),
        })
    }

    /// End-effector positions (world frame, m) after each action of a chunk, computed in a second world so that the
    /// episode's own is not changed.
    fn lookahead_path(&mut self, chunk: &[[f64; 7]]) -> Result<Vec<[f64; 3]>, EvalError> {
        let lookahead = match &mut self.lookahead_world {
            Some(world) => world,
            none => none.insert(World::new(self.world.scene())?),
        };
        lookahead.restore(&self.world.snapshot());
        let mut path = Vec::with_capacity(chunk.len());
        for action in chunk {
            // An action that the world refuses ends the path here, and the episode when it is executed.
            if lookahead.step(action).is_err() {
                break;
            }
            path.push(lookahead.eef_pose().translation.vector.into());
        }
        Ok(path)
    }
}
