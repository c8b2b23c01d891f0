//! What is on show: one or two episodes side by side, and the one clock that moves through them.
//!
//! Keys, panels and the timeline all go through [`Session`]'s methods. A live episode is made by its actor at
//! the pace of the clock; recorded and compared ones are made as fast as they can be and then looked at.

use crate::playback::{
    Command, ControlSource, EpisodeInfo, EpisodeRequest, Event, Pacing, PolicyQuery, StepState,
    Termination, Trajectory, spawn_worker,
};
use crate::suite_cache::SuiteCache;
use bevy::platform::cell::SyncCell;
use bevy::prelude::Resource;
use bitvla_eval::{PolicyKind, RunFolder};
use bitvla_reports::EpisodeRecord;
use bitvla_sim::SceneDesc;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

/// Control steps per second.
pub const CONTROL_HZ: f64 = 20.0;
/// Two bodies this far from each other are no longer in the same place, m.
const DIVERGED_METRES: f64 = 0.01;

/// What the panel chooses.
#[derive(Debug, Clone, PartialEq)]
pub struct EpisodeSelection {
    /// Name of the suite.
    pub suite: String,
    /// Index of the task.
    pub task: usize,
    /// Index of the initial state.
    pub init: usize,
    /// Who drives.
    pub policy: PolicyKind,
    /// Who drives beside it, where two are compared.
    pub versus: Option<PolicyKind>,
}

/// A run folder that was opened.
#[derive(Debug, Clone)]
pub struct LoadedRun {
    /// Where it is.
    pub dir: PathBuf,
    /// What is in it.
    pub folder: RunFolder,
}

/// What kind of thing is on show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionMode {
    /// One episode, made while one watches; can be touched.
    Live,
    /// One recorded episode.
    Recorded,
    /// Two episodes from the same initial state.
    Compare,
}

/// One episode on show.
pub struct EpisodePlayback {
    commands: Sender<Command>,
    events: SyncCell<Receiver<Event>>,
    /// Differs for every episode that was ever opened.
    pub id: u64,
    /// What is known of it, once it is open.
    pub info: Option<Arc<EpisodeInfo>>,
    /// What has happened.
    pub trajectory: Trajectory,
    /// Who drives.
    pub name: String,
    /// Why it cannot be shown.
    pub failed: Option<String>,
    /// Where the mouse holds something, m.
    pub grabbed: Option<[f64; 3]>,
}

impl EpisodePlayback {
    /// Tells the actor something.
    pub fn send(&self, command: Command) {
        // An actor that ended has said why.
        let _ = self.commands.send(command);
    }

    /// Its scene, once it is open.
    pub fn scene(&self) -> Option<&Arc<SceneDesc>> {
        self.info.as_ref().map(|info| &info.scene)
    }

    /// The moment at or before a position on the timeline, and the one after it with the share of the way.
    pub fn around(&self, at: f64) -> Option<(&Arc<StepState>, &Arc<StepState>, f64)> {
        let last = self.trajectory.last();
        let before = (at.max(0.0).floor() as usize).min(last);
        let after = (before + 1).min(last);
        let fraction = (at - before as f64).clamp(0.0, 1.0);
        Some((
            self.trajectory.get(before)?,
            self.trajectory.get(after)?,
            fraction,
        ))
    }

    /// The moment at a position on the timeline.
    pub fn now(&self, at: f64) -> Option<&Arc<StepState>> {
        Some(self.around(at)?.0)
    }

    /// The query whose chunk is being executed at a position, and where its chunk leads: one point per
    /// action, from the actor or from what happened next.
    pub fn chunk_at(&self, at: f64) -> Option<(&Arc<PolicyQuery>, Vec<[f64; 3]>)> {
        let step = self.now(at)?.step;
        let query = self.trajectory.query_at(step)?;
        if !query.path.is_empty() {
            return Some((query, query.path.clone()));
        }
        let end = (query.step + query.chunk.len()).min(self.trajectory.last());
        let path = (query.step + 1..=end)
            .filter_map(|s| self.trajectory.get(s).map(|m| m.eef))
            .collect();
        Some((query, path))
    }

    fn receive(&mut self) -> bool {
        let mut changed = false;
        for event in self.events.get().try_iter() {
            changed = true;
            match event {
                Event::Opened(info) => self.info = Some(info),
                Event::Step(step_state) => self.trajectory.push(step_state),
                Event::Query(query) => self.trajectory.push_query(query),
                Event::Ended(termination) => self.trajectory.set_termination(termination),
                Event::Rewound(step) => self.trajectory.truncate_after(step),
                Event::Grabbed(at) => self.grabbed = at,
                Event::ControlSourceChanged(name) => self.name = name,
                Event::Failed(why) => self.failed = Some(why),
            }
        }
        changed
    }
}

/// Where two compared episodes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Divergence {
    /// First step at which any bit of the physical state differs.
    pub state: Option<usize>,
    /// First step at which some body is more than 1 cm from where it is in the other.
    pub pose: Option<usize>,
}

/// Everything on show.
#[derive(Resource)]
pub struct Session {
    /// Where suites are.
    pub suite_cache: SuiteCache,
    /// What the panel has chosen; what is on show after [`Session::open`].
    pub selection: EpisodeSelection,
    /// A checkpoint that replaces the one that ships.
    pub checkpoint: Option<PathBuf>,
    /// Threads of a query.
    pub threads: usize,
    /// Opened run folders: none, one, or two to compare.
    pub runs: Vec<LoadedRun>,
    /// What kind of thing is on show.
    pub mode: SessionMode,
    /// One episode, or two.
    pub episodes: Vec<EpisodePlayback>,
    /// Position on the timeline, control steps.
    pub playhead: f64,
    /// Whether the clock runs.
    pub playing: bool,
    /// Multiple of real time.
    pub speed: f64,
    /// Whether keys drive the arm.
    pub teleoperating: bool,
    /// Where compared episodes part, as far as they are known.
    pub divergence: Divergence,
    /// Steps that `parting` has looked at.
    steps_compared: usize,
    /// Whether the live actor has been told to go.
    worker_running: bool,
    /// Whether the newest step is shown as soon as it is there, though the clock stands.
    follow_latest: bool,
    episodes_opened: u64,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Session {
    /// Nothing is on show yet. `wake` is called from other threads when there is news.
    pub fn new(
        suite_cache: SuiteCache,
        selection: EpisodeSelection,
        runs: Vec<LoadedRun>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Session {
        Session {
            suite_cache,
            selection,
            checkpoint: None,
            threads: 1,
            runs,
            mode: SessionMode::Live,
            episodes: Vec::new(),
            playhead: 0.0,
            playing: true,
            speed: 1.0,
            teleoperating: false,
            divergence: Divergence::default(),
            steps_compared: 0,
            worker_running: false,
            follow_latest: false,
            episodes_opened: 0,
            wake,
        }
    }

    /// Opens what the panel has chosen, live; two of them if another policy is to be compared.
    pub fn open(&mut self) {
        let mut kinds = vec![self.selection.policy];
        kinds.extend(self.selection.versus);
        self.mode = if kinds.len() == 1 {
            SessionMode::Live
        } else {
            SessionMode::Compare
        };
        let sources = kinds
            .into_iter()
            .map(|kind| self.control_source(kind))
            .collect();
        let selection = self.selection.clone();
        self.start_episodes(
            &selection.suite,
            (selection.task, selection.init),
            7,
            sources,
        );
    }

    /// Opens a recorded episode: from the first run folder, and from the second beside it if there is one.
    /// Episodes that the harness could not finish have no recording.
    pub fn open_recorded(&mut self, key: (usize, usize)) {
        let Some(first) = self.runs.first() else {
            return;
        };
        let protocol = first.folder.manifest.protocol.clone();
        let sources: Vec<ControlSource> = self
            .runs
            .iter()
            .filter_map(|run| recorded(run, key))
            .collect();
        if sources.is_empty() {
            return;
        }
        self.mode = if self.runs.len() == 2 {
            SessionMode::Compare
        } else {
            SessionMode::Recorded
        };
        self.selection.suite = protocol.suite.clone();
        (self.selection.task, self.selection.init) = key;
        self.start_episodes(&protocol.suite, key, protocol.seed, sources);
    }

    /// Plays the present episode again from its start.
    pub fn restart(&mut self) {
        if self.mode == SessionMode::Live || self.runs.is_empty() {
            self.open();
        } else {
            self.open_recorded((self.selection.task, self.selection.init));
        }
    }

    fn control_source(&self, kind: PolicyKind) -> ControlSource {
        ControlSource::Policy {
            kind,
            checkpoint: self.checkpoint.clone(),
            threads: self.threads,
        }
    }

    fn start_episodes(
        &mut self,
        suite: &str,
        (task, init): (usize, usize),
        seed: u64,
        sources: Vec<ControlSource>,
    ) {
        self.playhead = 0.0;
        self.divergence = Divergence::default();
        self.steps_compared = 0;
        self.teleoperating = false;
        self.follow_latest = false;
        self.worker_running = self.mode == SessionMode::Live && self.playing;
        let pacing = match self.mode {
            SessionMode::Live if self.playing => Pacing::RealTime(self.speed),
            SessionMode::Live => Pacing::Paused,
            SessionMode::Recorded | SessionMode::Compare => Pacing::Unlimited,
        };
        self.episodes.clear();
        for source in sources {
            self.episodes_opened += 1;
            let name = source.name();
            let request = EpisodeRequest {
                suite_cache: self.suite_cache.clone(),
                suite: suite.to_owned(),
                task,
                init,
                seed,
                control_source: source,
                pacing,
            };
            let wake = self.wake.clone();
            let (commands, events, failed) = match spawn_worker(request, move || wake()) {
                Ok((commands, events)) => (commands, events, None),
                Err(error) => {
                    let (commands, _) = std::sync::mpsc::channel();
                    let (_, events) = std::sync::mpsc::channel();
                    (commands, events, Some(format!("no thread: {error}")))
                }
            };
            self.episodes.push(EpisodePlayback {
                commands,
                events: SyncCell::new(events),
                id: self.episodes_opened,
                info: None,
                trajectory: Trajectory::default(),
                name,
                failed,
                grabbed: None,
            });
        }
    }

    /// Takes in what actors have reported and moves the clock by `secs` of real time. True if anything changed.
    pub fn advance(&mut self, secs: f64) -> bool {
        let mut changed = false;
        let newest = self.playhead >= self.last() as f64;
        for episode in &mut self.episodes {
            changed |= episode.receive();
        }
        if changed && newest && self.mode == SessionMode::Live && self.finished() {
            // What somebody let go of still falls.
            self.playhead = self.last() as f64;
        }
        if changed && self.mode == SessionMode::Compare {
            self.update_divergence();
        }
        let last = self.last() as f64;
        let before = self.playhead;
        if self.playing && self.episodes.iter().any(|p| !p.trajectory.is_empty()) {
            self.playhead += secs * CONTROL_HZ * self.speed;
            if self.mode == SessionMode::Live {
                // The picture follows the actor closely, half a step behind for smoothness.
                if self.worker_running {
                    self.playhead = self.playhead.max(last - 1.5);
                }
                if self.playhead >= last - 0.5 && !self.worker_running && !self.finished() {
                    self.run_workers();
                }
            }
            self.playhead = self.playhead.min(last);
            if self.playhead >= last && self.finished() {
                self.playing = self.teleoperating;
            }
        } else if self.follow_latest {
            self.playhead = last;
        } else {
            self.playhead = self.playhead.min(last);
        }
        changed || self.playhead != before
    }

    /// The last step that any episode on show has.
    pub fn last(&self) -> usize {
        self.episodes
            .iter()
            .map(|p| p.trajectory.last())
            .max()
            .unwrap_or(0)
    }

    /// Whether all episodes on show have ended.
    pub fn finished(&self) -> bool {
        self.episodes
            .iter()
            .all(|p| p.trajectory.termination().is_some() || p.failed.is_some())
    }

    /// Starts the clock; at the end of everything, from the start.
    pub fn play(&mut self) {
        if self.finished() && self.playhead >= self.last() as f64 && !self.teleoperating {
            self.playhead = 0.0;
        }
        self.playing = true;
        self.follow_latest = false;
        if self.mode == SessionMode::Live
            && self.playhead >= self.last() as f64 - 1.0
            && !self.finished()
        {
            self.run_workers();
        }
    }

    /// Stops the clock, and with it a live episode.
    pub fn pause(&mut self) {
        self.follow_latest = false;
        self.playing = false;
        self.playhead = self.playhead.round();
        self.pause_workers();
    }

    /// Something is held: time goes on, from the newest step.
    pub fn follow_grab(&mut self) {
        self.playhead = self.last() as f64;
        self.follow_latest = false;
        self.playing = true;
        if self.mode == SessionMode::Live {
            self.run_workers();
        }
    }

    /// Control steps forward or back; a live episode makes new ones at its end.
    pub fn step(&mut self, by: i64) {
        let at_end = self.playhead.round() >= self.last() as f64;
        self.pause();
        if by > 0 && at_end && self.mode == SessionMode::Live {
            self.send_all(Command::SetPacing(Pacing::Steps(by as usize)));
            self.follow_latest = true;
        } else {
            self.playhead = (self.playhead + by as f64).clamp(0.0, self.last() as f64);
        }
    }

    /// Goes to a step that has happened.
    pub fn seek(&mut self, step: f64) {
        self.follow_latest = false;
        self.pause_workers();
        self.playhead = step.clamp(0.0, self.last() as f64);
    }

    /// A new multiple of real time.
    pub fn set_speed(&mut self, speed: f64) {
        self.speed = speed.clamp(0.05, 20.0);
        if self.worker_running {
            self.run_workers();
        }
    }

    /// Goes on live from the step on show: a live episode forgets what came after; a recorded one is taken
    /// over by the chosen policy and becomes live.
    pub fn continue_live(&mut self) {
        if self.mode == SessionMode::Compare {
            return;
        }
        let step = self.playhead.floor() as usize;
        self.send_all(Command::Rewind(step));
        if self.mode == SessionMode::Recorded {
            let source = self.control_source(self.selection.policy);
            self.send_all(Command::SetControlSource(source));
            self.mode = SessionMode::Live;
        }
        for episode in &mut self.episodes {
            episode.trajectory.truncate_after(step);
        }
        self.playhead = step as f64;
        self.playing = true;
        self.run_workers();
    }

    /// Keys take the arm, or give it back to the policy.
    pub fn set_teleoperation(&mut self, on: bool) {
        if self.mode != SessionMode::Live || on == self.teleoperating {
            return;
        }
        self.teleoperating = on;
        if on {
            self.playhead = self.last() as f64;
            self.playing = true;
            self.run_workers();
        } else {
            self.send_all(Command::Teleoperate(None));
        }
    }

    /// Whether anybody interfered before the step on show.
    pub fn intervened(&self) -> bool {
        let intervened = |p: &EpisodePlayback| p.now(self.playhead).is_some_and(|m| m.intervened);
        self.episodes.iter().any(intervened)
    }

    /// Recorded rows of the episode list: those of the first run, with those of the second beside.
    pub fn rows(&self) -> Vec<(EpisodeRecord, Option<EpisodeRecord>)> {
        let Some(first) = self.runs.first() else {
            return Vec::new();
        };
        let second = self.runs.get(1);
        let beside = |row: &EpisodeRecord| {
            let rows = &second?.folder.episodes;
            rows.iter().find(|r| r.key() == row.key()).cloned()
        };
        first
            .folder
            .episodes
            .iter()
            .map(|row| (row.clone(), beside(row)))
            .collect()
    }

    fn send_all(&self, command: Command) {
        for episode in &self.episodes {
            episode.send(command.clone());
        }
    }

    fn run_workers(&mut self) {
        self.worker_running = true;
        self.send_all(Command::SetPacing(Pacing::RealTime(self.speed)));
    }

    fn pause_workers(&mut self) {
        if self.mode == SessionMode::Live && self.worker_running {
            self.worker_running = false;
            self.send_all(Command::SetPacing(Pacing::Paused));
        }
    }

    fn update_divergence(&mut self) {
        let [a, b] = self.episodes.as_slice() else {
            return;
        };
        let common = a.trajectory.steps().len().min(b.trajectory.steps().len());
        for step in self.steps_compared..common {
            let (Some(a), Some(b)) = (a.trajectory.get(step), b.trajectory.get(step)) else {
                continue;
            };
            if self.divergence.state.is_none() && a.hash != b.hash {
                self.divergence.state = Some(step);
            }
            let apart = |(x, y): (&nalgebra::Isometry3<f64>, &nalgebra::Isometry3<f64>)| {
                (x.translation.vector - y.translation.vector).norm() > DIVERGED_METRES
            };
            let diverged = a.visual.poses.iter().zip(&b.visual.poses).any(apart);
            if self.divergence.pose.is_none() && diverged {
                self.divergence.pose = Some(step);
            }
        }
        self.steps_compared = self.steps_compared.max(common);
    }
}

fn recorded(run: &LoadedRun, key: (usize, usize)) -> Option<ControlSource> {
    let row = run.folder.episodes.iter().find(|r| r.key() == key)?;
    Some(ControlSource::Recorded {
        name: row.policy.clone(),
        actions: run.folder.actions_of(key)?.clone(),
        queries: run.folder.queries_of(key),
        chunk_length: run.folder.manifest.protocol.chunk_length,
        termination: if row.success {
            Termination::Success
        } else {
            Termination::Horizon
        },
    })
}
