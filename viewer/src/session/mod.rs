//! Session: one or two displayed episodes and the playhead that moves through them.
//!
//! Keys, panels and the timeline change it only through [`Session`]'s methods. The worker of a live episode runs at the
//! pace of the playhead; recorded and compared episodes are computed as fast as possible and then replayed.

mod divergence;
mod episode_playback;
mod runs;

pub use divergence::Divergence;
pub use episode_playback::EpisodePlayback;
pub use runs::{LoadedRun, paired_records};

use crate::playback::{CONTROL_HZ, Command, ControlSource, EpisodeRequest, Pacing};
use crate::suite_cache::SuiteCache;
use bevy::prelude::Resource;
use bitvla_eval::{PolicyName, PolicyOptions};
use std::sync::Arc;

/// Seed of live episodes unless another is given; that of `bitvla-eval`.
pub const DEFAULT_SEED: u64 = 7;

/// Selection of a live episode.
#[derive(Debug, Clone, PartialEq)]
pub struct EpisodeSelection {
    /// Name of the suite.
    pub suite: String,
    /// Index of the task.
    pub task: usize,
    /// Index of the initial state.
    pub init: usize,
    /// Policy.
    pub policy: PolicyName,
    /// Policy of the second episode, where two are compared.
    pub versus: Option<PolicyName>,
    /// Change of the episode, as on a protocol card.
    pub perturbation: Vec<String>,
}

/// Kind of the displayed episodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionMode {
    /// One episode that is simulated while it is displayed; a person can intervene.
    Live,
    /// One recorded episode.
    Recorded,
    /// Two episodes from the same initial state.
    Compare,
}

impl SessionMode {
    /// Lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            SessionMode::Live => "live",
            SessionMode::Recorded => "recorded",
            SessionMode::Compare => "compare",
        }
    }
}

/// Displayed episodes, and the playhead that they share.
#[derive(Resource)]
pub struct Session {
    /// Loaded suites.
    pub suite_cache: SuiteCache,
    /// Selected episode; it is displayed after [`Session::open`].
    pub selection: EpisodeSelection,
    /// How the policies of live episodes are loaded and computed.
    pub policy_options: PolicyOptions,
    /// Seed of live episodes; recorded ones have that of their run.
    pub seed: u64,
    /// Loaded run folders: none, one, or two to compare.
    pub runs: Vec<LoadedRun>,
    /// Kind of the displayed episodes.
    pub mode: SessionMode,
    /// One displayed episode, or two.
    pub episodes: Vec<EpisodePlayback>,
    /// Position on the timeline, control steps.
    pub playhead: f64,
    /// True while the playhead moves.
    pub playing: bool,
    /// Playback speed, multiple of real time.
    pub speed: f64,
    /// True while keys move the arm.
    pub teleoperating: bool,
    /// First differences of compared episodes, among the steps that both have.
    pub divergence: Divergence,
    /// True while the workers of live episodes run.
    worker_running: bool,
    /// True while the playhead follows the last step although playback is paused.
    follow_latest: bool,
    episodes_opened: u64,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Session {
    /// Creates a session without episodes. `wake` is called from worker threads after each event.
    pub fn new(
        suite_cache: SuiteCache,
        selection: EpisodeSelection,
        runs: Vec<LoadedRun>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Session {
        Session {
            suite_cache,
            selection,
            policy_options: PolicyOptions::default(),
            seed: DEFAULT_SEED,
            runs,
            mode: SessionMode::Live,
            episodes: Vec::new(),
            playhead: 0.0,
            playing: true,
            speed: 1.0,
            teleoperating: false,
            divergence: Divergence::default(),
            worker_running: false,
            follow_latest: false,
            episodes_opened: 0,
            wake,
        }
    }

    /// Starts the selected episode live; two of them if another policy is to be compared.
    pub fn open(&mut self) {
        let mut names = vec![self.selection.policy.clone()];
        names.extend(self.selection.versus.clone());
        self.mode = if names.len() == 1 {
            SessionMode::Live
        } else {
            SessionMode::Compare
        };
        let sources = names
            .into_iter()
            .map(|name| self.control_source(name))
            .collect();
        let selection = self.selection.clone();
        self.start_episodes(
            &selection.suite,
            (selection.task, selection.init),
            (self.seed, selection.perturbation.clone()),
            sources,
        );
    }

    /// Starts the replay of episode `key` (task, initial state) of every loaded run. Does nothing if no run has a recording
    /// of it: episodes that the harness could not finish have none.
    pub fn open_recorded(&mut self, key: (usize, usize)) {
        let Some(first) = self.runs.first() else {
            return;
        };
        let protocol = first.folder.manifest.protocol.clone();
        let sources: Vec<ControlSource> = self
            .runs
            .iter()
            .filter_map(|run| run.recording(key))
            .map(ControlSource::Recorded)
            .collect();
        if sources.is_empty() {
            return;
        }
        self.mode = if sources.len() == 2 {
            SessionMode::Compare
        } else {
            SessionMode::Recorded
        };
        self.selection.suite = protocol.suite.clone();
        (self.selection.task, self.selection.init) = key;
        let perturbation = protocol.perturbation.clone();
        self.selection.perturbation.clone_from(&perturbation);
        self.start_episodes(&protocol.suite, key, (protocol.seed, perturbation), sources);
    }

    /// Starts the displayed episode again.
    pub fn restart(&mut self) {
        if self.mode == SessionMode::Live || self.runs.is_empty() {
            self.open();
        } else {
            self.open_recorded((self.selection.task, self.selection.init));
        }
    }

    fn control_source(&self, name: PolicyName) -> ControlSource {
        ControlSource::Policy {
            name,
            options: self.policy_options.clone(),
        }
    }

    fn start_episodes(
        &mut self,
        suite: &str,
        (task, init): (usize, usize),
        (seed, perturbation): (u64, Vec<String>),
        sources: Vec<ControlSource>,
    ) {
        self.playhead = 0.0;
        self.divergence = Divergence::default();
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
            let request = EpisodeRequest {
                suite_cache: self.suite_cache.clone(),
                suite: suite.to_owned(),
                task,
                init,
                seed,
                perturbation: perturbation.clone(),
                control_source: source,
                pacing,
            };
            let wake = self.wake.clone();
            let episode = EpisodePlayback::start(self.episodes_opened, request, move || wake());
            self.episodes.push(episode);
        }
    }

    /// Takes in events of the workers and moves the playhead by `secs` seconds of real time. Returns true if anything
    /// changed.
    pub fn advance(&mut self, secs: f64) -> bool {
        let mut changed = false;
        let newest = self.playhead >= self.last() as f64;
        for episode in &mut self.episodes {
            changed |= episode.receive();
        }
        if changed && newest && self.mode == SessionMode::Live && self.finished() {
            // After the end only a released object moves; the playhead stays with it.
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
                // The playhead stays at most 1.5 steps behind the worker, so that poses can be interpolated.
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

    /// Last control step of the longer episode.
    pub fn last(&self) -> usize {
        self.episodes
            .iter()
            .map(|p| p.trajectory.last())
            .max()
            .unwrap_or(0)
    }

    /// Returns true when all episodes have ended or failed.
    pub fn finished(&self) -> bool {
        self.episodes
            .iter()
            .all(|p| p.trajectory.termination().is_some() || p.failed.is_some())
    }

    /// Starts playback; from the start if the playhead is at the end of ended episodes.
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

    /// Pauses playback, and the worker of a live episode.
    pub fn pause(&mut self) {
        self.follow_latest = false;
        self.playing = false;
        self.playhead = self.playhead.round();
        self.pause_workers();
    }

    /// Continues at the last step while an object is pulled, because a pull needs simulated time.
    pub fn follow_grab(&mut self) {
        self.playhead = self.last() as f64;
        self.follow_latest = false;
        self.playing = true;
        if self.mode == SessionMode::Live {
            self.run_workers();
        }
    }

    /// Moves the playhead by control steps; at the end of a live episode new ones are executed.
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

    /// Moves the playhead to an existing step.
    pub fn seek(&mut self, step: f64) {
        self.follow_latest = false;
        self.pause_workers();
        self.playhead = step.clamp(0.0, self.last() as f64);
    }

    /// Sets the playback speed, a multiple of real time, clamped to 0.05..20.
    pub fn set_speed(&mut self, speed: f64) {
        self.speed = speed.clamp(0.05, 20.0);
        if self.worker_running {
            self.run_workers();
        }
    }

    /// Continues live from the playhead: later steps are discarded; a recording becomes a live episode of the selected
    /// policy. Does nothing when two episodes are compared.
    pub fn continue_live(&mut self) {
        if self.mode == SessionMode::Compare {
            return;
        }
        let step = self.playhead.floor() as usize;
        self.send_all(Command::Rewind(step));
        if self.mode == SessionMode::Recorded {
            let source = self.control_source(self.selection.policy.clone());
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

    /// Starts teleoperation, or returns control to the policy. Only for live episodes.
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

    /// Returns true if a person intervened before the step at the playhead.
    pub fn intervened(&self) -> bool {
        let intervened =
            |p: &EpisodePlayback| p.state_at(self.playhead).is_some_and(|m| m.intervened);
        self.episodes.iter().any(intervened)
    }

    /// Returns true if nothing changes without further input: playback is paused, recordings are complete, and the workers
    /// have carried out every command.
    pub fn is_settled(&self) -> bool {
        let complete = self.mode == SessionMode::Live || self.finished();
        let caught_up =
            |e: &EpisodePlayback| e.failed.is_some() || (e.info.is_some() && e.is_caught_up());
        !self.playing && complete && self.episodes.iter().all(caught_up)
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
        if let [a, b] = self.episodes.as_slice() {
            self.divergence.update(&a.trajectory, &b.trajectory);
        }
    }
}
