//! The thread that plays an episode: it steps the world at the pace it is told, takes orders between
//! steps, and reports every step.
//!
//! An episode that nobody interferes with goes through the same calls as [`bitvla_eval::run_episode`].

use super::{Asked, Ending, Moment, Opening, goal_regions};
use crate::library::Library;
use bitvla_eval::{
    CHUNK_LENGTH, Decision, Driver, EvalError, Eyes, Mind, Opened, PolicyKind, PolicySpec,
    SETTLE_ACTION,
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
const LATE: Duration = Duration::from_millis(250);

/// What is to be played.
#[derive(Clone)]
pub struct Play {
    /// Where suites are.
    pub library: Library,
    /// Name of the suite.
    pub suite: String,
    /// Index of the task.
    pub task: usize,
    /// Index of the initial state.
    pub init: usize,
    /// Seed of the run.
    pub seed: u64,
    /// Who drives.
    pub cast: Cast,
    /// The pace to begin with.
    pub pace: Pace,
}

/// Who drives.
#[derive(Debug, Clone)]
pub enum Cast {
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
        ending: Ending,
    },
}

/// How fast steps follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Not at all.
    Stopped,
    /// This many, then not.
    Steps(usize),
    /// At this multiple of real time.
    Times(f64),
    /// One after the other without waiting.
    Flat,
}

/// What the thread can be told.
#[derive(Debug, Clone)]
pub enum Order {
    /// A new pace.
    Pace(Pace),
    /// Take hold of what a ray hits first.
    Grab {
        /// Start of the ray, m.
        origin: [f64; 3],
        /// Its direction.
        direction: [f64; 3],
    },
    /// Pull what is held to a point, m.
    Drag([f64; 3]),
    /// Let go.
    LetGo,
    /// Do these actions instead of the policy's; none gives the arm back.
    Drive(Option<[f64; 7]>),
    /// Go back to a step and go on from there.
    Rewind(usize),
    /// Somebody else drives from here on.
    Recast(Cast),
}

/// What the thread says.
#[derive(Debug, Clone)]
pub enum Report {
    /// The scene is ready.
    Opened(Arc<Opening>),
    /// A step was made.
    Moment(Arc<Moment>),
    /// The policy was asked.
    Asked(Arc<Asked>),
    /// The episode is over.
    Ended(Ending),
    /// Everything after a step is forgotten.
    Rewound(usize),
    /// Something is held at a point, or nothing was hit or is held any more.
    Grabbed(Option<[f64; 3]>),
    /// Another drives.
    Recast(String),
    /// Nothing can be played.
    Failed(String),
}

/// Starts the thread. It ends when `Sender` is dropped. `wake` is called after each report.
///
/// # Errors
/// When the system gives no thread.
pub fn start(
    play: Play,
    wake: impl Fn() + Send + 'static,
) -> std::io::Result<(Sender<Order>, Receiver<Report>)> {
    let (order, orders) = channel();
    let (report, reports) = channel();
    let said = report.clone();
    std::thread::Builder::new()
        .name(format!("actor {} {}", play.task, play.init))
        .spawn(move || {
            let say = |what: Report| {
                // A window that closed no longer listens.
                let _ = report.send(what);
                wake();
            };
            let attempt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                perform(&play, &orders, &say)
            }));
            match attempt {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let _ = said.send(Report::Failed(error.to_string()));
                }
                Err(_) => {
                    let _ = said.send(Report::Failed(
                        "the simulation thread panicked; its words are on standard error".into(),
                    ));
                }
            }
        })?;
    Ok((order, reports))
}

fn perform(play: &Play, orders: &Receiver<Order>, say: &dyn Fn(Report)) -> Result<(), EvalError> {
    let opened = play.library.open(&play.suite)?;
    opened.rehearse(&[play.task])?;
    let stage = opened.stage(play.seed);
    let task = stage.task(play.task)?;
    let world = stage.settled_world(play.task, play.init)?;
    let recorded = match &play.cast {
        Cast::Recorded { ending, .. } => Some(ending.clone()),
        Cast::Policy { .. } => None,
    };
    let scene = Arc::new(world.scene().clone());
    say(Report::Opened(Arc::new(Opening {
        regions: goal_regions(&task.problem, &world),
        scene,
        suite: play.suite.clone(),
        task: play.task,
        init: play.init,
        inits: task.init_states.len(),
        instruction: task.instruction.clone(),
        facts: task
            .goal()
            .facts
            .iter()
            .map(|f| format!("{:?}({})", f.predicate, f.args.join(", ")))
            .collect(),
        horizon: opened.suite.horizon,
        who: play.cast.name(),
        recorded,
    })));
    let brain = Brain::new(&play.cast, &opened, &world, task)?;
    let mut actor = Actor {
        opened: &opened,
        task,
        init: play.init,
        horizon: opened.suite.horizon,
        brain,
        ghost: None,
        shelf: Vec::new(),
        actions: Vec::new(),
        minds: Vec::new(),
        hand: None,
        drive: None,
        touched_at: None,
        over: false,
        coast: 0,
        pace: play.pace,
        due: Instant::now(),
        world,
        say,
    };
    actor.keep();
    say(Report::Moment(Arc::new(actor.moment(None)?)));
    actor.run(orders)
}

impl Cast {
    /// What the window calls it.
    pub fn name(&self) -> String {
        match self {
            Cast::Policy { kind, .. } => kind.name().to_owned(),
            Cast::Recorded { name, .. } => name.clone(),
        }
    }
}

/// Whoever decides.
enum Brain {
    Live(Box<Live>),
    Recorded {
        actions: Vec<[f64; 7]>,
        queries: Vec<QueryRecord>,
        chunk_length: usize,
        ending: Ending,
    },
}

/// A policy or the expert at work.
struct Live {
    driver: Driver,
    mind: Mind,
    eyes: Option<Eyes>,
    /// Queries so far.
    asked: usize,
}

impl Brain {
    fn new(cast: &Cast, opened: &Opened, world: &World, task: &Task) -> Result<Brain, EvalError> {
        match cast {
            Cast::Policy {
                kind,
                checkpoint,
                threads,
            } => {
                let mut spec = PolicySpec::new(*kind, checkpoint.as_deref(), opened.assets.dir());
                spec.threads = *threads;
                spec.instructions = vec![task.instruction.clone()];
                spec.check()?;
                let driver = spec.load()?;
                Ok(Brain::Live(Box::new(Live {
                    mind: Mind::new(&driver, world, task)?,
                    driver,
                    eyes: None,
                    asked: 0,
                })))
            }
            Cast::Recorded {
                actions,
                queries,
                chunk_length,
                ending,
                ..
            } => Ok(Brain::Recorded {
                actions: actions.actions.clone(),
                queries: queries.clone(),
                chunk_length: *chunk_length,
                ending: ending.clone(),
            }),
        }
    }
}

struct Actor<'a> {
    opened: &'a Opened,
    task: &'a Task,
    init: usize,
    horizon: usize,
    brain: Brain,
    /// A second world in which chunks are tried out.
    ghost: Option<World>,
    /// Snapshots by step.
    shelf: Vec<(usize, Snapshot)>,
    /// Executed actions.
    actions: Vec<[f64; 7]>,
    /// The mind before each step; none where a person drove.
    minds: Vec<Option<Mind>>,
    hand: Option<BodyPoint>,
    drive: Option<[f64; 7]>,
    /// The first step that a person had a hand in.
    touched_at: Option<usize>,
    over: bool,
    /// Steps left to make after the end.
    coast: usize,
    pace: Pace,
    due: Instant,
    world: World,
    say: &'a dyn Fn(Report),
}

impl Actor<'_> {
    fn run(&mut self, orders: &Receiver<Order>) -> Result<(), EvalError> {
        loop {
            let order = match self.wait() {
                None => orders.recv().map_err(|_| TryRecvError::Disconnected),
                Some(Duration::ZERO) => orders.try_recv(),
                Some(wait) => orders.recv_timeout(wait).map_err(|e| match e {
                    RecvTimeoutError::Timeout => TryRecvError::Empty,
                    RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
                }),
            };
            match order {
                Ok(order) => self.obey(order)?,
                Err(TryRecvError::Disconnected) => return Ok(()),
                Err(TryRecvError::Empty) => self.advance()?,
            }
        }
    }

    /// Time until the next step; none when there is none to make.
    fn wait(&self) -> Option<Duration> {
        if self.over && self.drive.is_none() && self.hand.is_none() && self.coast == 0 {
            return None;
        }
        match self.pace {
            Pace::Stopped | Pace::Steps(0) => None,
            Pace::Steps(_) | Pace::Flat => Some(Duration::ZERO),
            Pace::Times(_) => Some(self.due.saturating_duration_since(Instant::now())),
        }
    }

    fn obey(&mut self, order: Order) -> Result<(), EvalError> {
        match order {
            Order::Pace(pace) => {
                self.pace = pace;
                self.due = Instant::now();
            }
            Order::Grab { origin, direction } => {
                self.hand = self.world.pick_body_point(origin, direction);
                (self.say)(Report::Grabbed(self.hand.map(|grab| grab.point)));
            }
            Order::Drag(target) => {
                if let Some(grab) = self.hand {
                    self.world.set_point_spring(Some(PointSpring {
                        anchor: grab,
                        target,
                    }));
                    self.touch();
                }
            }
            Order::LetGo => {
                self.coast = if self.over && self.hand.is_some() {
                    COAST_STEPS
                } else {
                    0
                };
                self.hand = None;
                self.world.set_point_spring(None);
                (self.say)(Report::Grabbed(None));
            }
            Order::Drive(action) => {
                if self.drive.is_some() && action.is_none() {
                    self.think_anew()?;
                }
                if action.is_some() {
                    self.touch();
                }
                self.drive = action;
            }
            Order::Rewind(step) => self.rewind(step)?,
            Order::Recast(cast) => {
                self.brain = Brain::new(&cast, self.opened, &self.world, self.task)?;
                self.minds.fill(None);
                self.touch();
                self.over = false;
                (self.say)(Report::Recast(cast.name()));
            }
        }
        Ok(())
    }

    fn touch(&mut self) {
        self.touched_at.get_or_insert(self.actions.len());
    }

    /// After a person had the arm, the policy looks afresh.
    fn think_anew(&mut self) -> Result<(), EvalError> {
        if let Brain::Live(live) = &mut self.brain {
            live.mind = Mind::new(&live.driver, &self.world, self.task)?;
        }
        Ok(())
    }

    /// One control step.
    fn advance(&mut self) -> Result<(), EvalError> {
        let step = self.actions.len();
        let (action, mind) = match self.drive {
            Some(action) => (action, None),
            // The world goes on while somebody pulls at it after the end, and until what was let go of lies.
            None if self.over => {
                self.coast = self.coast.saturating_sub(1);
                (SETTLE_ACTION, None)
            }
            None => match self.decide(step) {
                Some(decided) => decided,
                None => return Ok(()),
            },
        };
        self.minds.push(mind);
        self.actions.push(action);
        self.world.step(&action)?;
        if (step + 1).is_multiple_of(SNAPSHOT_STEPS) || self.hand.is_some() {
            self.keep();
        }
        let moment = self.moment(Some(action))?;
        let success = moment.facts.iter().all(|fact| *fact);
        (self.say)(Report::Moment(Arc::new(moment)));
        if !self.over {
            match &self.brain {
                Brain::Live(_) if success => self.end(Ending::Success),
                Brain::Live(_) if step + 1 == self.horizon && self.drive.is_none() => {
                    self.end(Ending::Horizon);
                }
                Brain::Recorded {
                    actions, ending, ..
                } if step + 1 == actions.len() => {
                    let ending = ending.clone();
                    self.end(ending);
                }
                _ => {}
            }
        }
        self.tick();
        Ok(())
    }

    fn tick(&mut self) {
        match &mut self.pace {
            Pace::Steps(left) => *left = left.saturating_sub(1),
            Pace::Times(speed) => {
                let step = Duration::from_secs_f64(1.0 / (CONTROL_HZ * speed.max(0.01)));
                let now = Instant::now();
                self.due += step;
                if self.due + LATE < now {
                    self.due = now;
                }
            }
            Pace::Stopped | Pace::Flat => {}
        }
    }

    fn end(&mut self, ending: Ending) {
        self.over = true;
        (self.say)(Report::Ended(ending));
    }

    /// The action of this step and the mind before it; none when there is nothing more to do.
    fn decide(&mut self, step: usize) -> Option<([f64; 7], Option<Mind>)> {
        let paced = self.pace != Pace::Flat;
        match &mut self.brain {
            Brain::Live(live) => {
                let before = live.mind.clone();
                let (driver, eyes) = (&mut live.driver, &mut live.eyes);
                match live.mind.decide(driver, eyes, &self.world, self.task) {
                    Ok(Decision { action, query }) => {
                        if let Some(query) = query {
                            let key = (self.task.id, self.init);
                            let path = if paced {
                                try_out(&mut self.ghost, &self.world, &query.chunk)
                            } else {
                                Vec::new()
                            };
                            (self.say)(Report::Asked(Arc::new(Asked {
                                step,
                                times: query.record(key, live.asked),
                                path,
                                chunk: query.chunk,
                            })));
                            live.asked += 1;
                        }
                        Some((action, Some(before)))
                    }
                    Err(why) => {
                        self.end(Ending::Broken(why.to_string()));
                        None
                    }
                }
            }
            Brain::Recorded {
                actions,
                queries,
                chunk_length,
                ending,
            } => {
                let Some(action) = actions.get(step).copied() else {
                    let ending = ending.clone();
                    self.end(ending);
                    return None;
                };
                let length = (*chunk_length).max(1);
                if step.is_multiple_of(length)
                    && let Some(times) = queries.get(step / length)
                {
                    (self.say)(Report::Asked(Arc::new(Asked {
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

    fn keep(&mut self) {
        self.shelf.push((self.actions.len(), self.world.snapshot()));
    }

    /// Goes back: to the snapshot before, then forward by what was done.
    fn rewind(&mut self, step: usize) -> Result<(), EvalError> {
        let step = step.min(self.actions.len());
        self.hand = None;
        self.world.set_point_spring(None);
        let Some(at) = self.shelf.iter().rposition(|(kept, _)| *kept <= step) else {
            return Ok(());
        };
        let (kept, snapshot) = &self.shelf[at];
        self.world.restore(snapshot);
        for action in &self.actions[*kept..step] {
            self.world.step(action)?;
        }
        self.shelf.truncate(at + 1);
        let mind = self.minds.get(step).cloned().flatten();
        self.actions.truncate(step);
        self.minds.truncate(step);
        self.over = false;
        // Before anybody interfered it is the policy's own result again.
        self.touched_at = self.touched_at.filter(|at| *at < step);
        match (mind, &mut self.brain) {
            (Some(was), Brain::Live(live)) => {
                live.mind = was;
                live.asked = step.div_ceil(CHUNK_LENGTH);
            }
            _ => {
                self.think_anew()?;
                if matches!(self.brain, Brain::Live(_)) {
                    self.touch();
                }
            }
        }
        (self.say)(Report::Rewound(step));
        Ok(())
    }

    fn moment(&self, action: Option<[f64; 7]>) -> Result<Moment, EvalError> {
        let seen = self.world.observation();
        Ok(Moment {
            step: self.actions.len(),
            state: self.world.visual_state(),
            eef: seen.eef_pos,
            eef_quat_xyzw: seen.eef_quat_xyzw,
            gripper_width: seen.gripper_qpos[0] - seen.gripper_qpos[1],
            torque: self.world.last_torque(),
            action,
            contacts: self.world.contacts(),
            facts: self.task.goal().truth(&self.world, self.task)?,
            hash: self.world.state_hash(),
            touched: self.touched_at.is_some(),
        })
    }
}

/// Where a chunk takes the hand, found in a second world so that the first knows nothing of it.
fn try_out(ghost: &mut Option<World>, world: &World, chunk: &[[f64; 7]]) -> Vec<[f64; 3]> {
    if ghost.is_none() {
        *ghost = World::new(world.scene()).ok();
    }
    let Some(ghost) = ghost else {
        return Vec::new();
    };
    ghost.restore(&world.snapshot());
    let mut path = Vec::with_capacity(chunk.len());
    for action in chunk {
        if ghost.step(action).is_err() {
            break;
        }
        path.push(ghost.eef_pose().translation.vector.into());
    }
    path
}
