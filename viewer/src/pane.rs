//! What is on show: one or two episodes side by side, and the one clock that moves through them.
//!
//! Keys, panels and the timeline all go through [`Show`]'s methods. A live episode is made by its actor at
//! the pace of the clock; recorded and compared ones are made as fast as they can be and then looked at.

use crate::library::Library;
use crate::theatre::{
    Asked, Cast, Ending, Moment, Opening, Order, Pace, Play, Report, Track, start,
};
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
const PARTED_METRES: f64 = 0.01;

/// What the panel chooses.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
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
pub struct Run {
    /// Where it is.
    pub dir: PathBuf,
    /// What is in it.
    pub folder: RunFolder,
}

/// What kind of thing is on show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One episode, made while one watches; can be touched.
    Live,
    /// One recorded episode.
    Recorded,
    /// Two episodes from the same initial state.
    Compare,
}

/// One episode on show.
pub struct Pane {
    orders: Sender<Order>,
    reports: SyncCell<Receiver<Report>>,
    /// Differs for every episode that was ever opened.
    pub id: u64,
    /// What is known of it, once it is open.
    pub opening: Option<Arc<Opening>>,
    /// What has happened.
    pub track: Track,
    /// Who drives.
    pub who: String,
    /// Why it cannot be shown.
    pub failed: Option<String>,
    /// Where the mouse holds something, m.
    pub grabbed: Option<[f64; 3]>,
}

impl Pane {
    /// Tells the actor something.
    pub fn order(&self, order: Order) {
        // An actor that ended has said why.
        let _ = self.orders.send(order);
    }

    /// Its scene, once it is open.
    pub fn scene(&self) -> Option<&Arc<SceneDesc>> {
        self.opening.as_ref().map(|opening| &opening.scene)
    }

    /// The moment at or before a position on the timeline, and the one after it with the share of the way.
    pub fn around(&self, at: f64) -> Option<(&Arc<Moment>, &Arc<Moment>, f64)> {
        let last = self.track.last();
        let before = (at.max(0.0).floor() as usize).min(last);
        let after = (before + 1).min(last);
        let share = (at - before as f64).clamp(0.0, 1.0);
        Some((self.track.at(before)?, self.track.at(after)?, share))
    }

    /// The moment at a position on the timeline.
    pub fn now(&self, at: f64) -> Option<&Arc<Moment>> {
        Some(self.around(at)?.0)
    }

    /// The query whose chunk is being executed at a position, and where its chunk leads: one point per
    /// action, from the actor or from what happened next.
    pub fn chunk_at(&self, at: f64) -> Option<(&Arc<Asked>, Vec<[f64; 3]>)> {
        let step = self.now(at)?.step;
        let asked = self.track.query_at(step)?;
        if !asked.path.is_empty() {
            return Some((asked, asked.path.clone()));
        }
        let end = (asked.step + asked.chunk.len()).min(self.track.last());
        let path = (asked.step + 1..=end)
            .filter_map(|s| self.track.at(s).map(|m| m.eef))
            .collect();
        Some((asked, path))
    }

    fn receive(&mut self) -> bool {
        let mut changed = false;
        for report in self.reports.get().try_iter() {
            changed = true;
            match report {
                Report::Opened(opening) => self.opening = Some(opening),
                Report::Moment(moment) => self.track.push(moment),
                Report::Asked(asked) => self.track.ask(asked),
                Report::Ended(ending) => self.track.end(ending),
                Report::Rewound(step) => self.track.cut_after(step),
                Report::Grabbed(at) => self.grabbed = at,
                Report::Recast(who) => self.who = who,
                Report::Failed(why) => self.failed = Some(why),
            }
        }
        changed
    }
}

/// Where two compared episodes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parting {
    /// First step at which any bit of the physical state differs.
    pub bits: Option<usize>,
    /// First step at which some body is more than 1 cm from where it is in the other.
    pub places: Option<usize>,
}

/// Everything on show.
#[derive(Resource)]
pub struct Show {
    /// Where suites are.
    pub library: Library,
    /// What the panel has chosen; what is on show after [`Show::open`].
    pub choice: Choice,
    /// A checkpoint that replaces the one that ships.
    pub checkpoint: Option<PathBuf>,
    /// Threads of a query.
    pub threads: usize,
    /// Opened run folders: none, one, or two to compare.
    pub runs: Vec<Run>,
    /// What kind of thing is on show.
    pub mode: Mode,
    /// One episode, or two.
    pub panes: Vec<Pane>,
    /// Position on the timeline, control steps.
    pub at: f64,
    /// Whether the clock runs.
    pub playing: bool,
    /// Multiple of real time.
    pub speed: f64,
    /// Whether keys drive the arm.
    pub driving: bool,
    /// Where compared episodes part, as far as they are known.
    pub parting: Parting,
    /// Steps that `parting` has looked at.
    compared: usize,
    /// Whether the live actor has been told to go.
    going: bool,
    /// Whether the newest step is shown as soon as it is there, though the clock stands.
    following: bool,
    opened: u64,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Show {
    /// Nothing is on show yet. `wake` is called from other threads when there is news.
    pub fn new(
        library: Library,
        choice: Choice,
        runs: Vec<Run>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Show {
        Show {
            library,
            choice,
            checkpoint: None,
            threads: 1,
            runs,
            mode: Mode::Live,
            panes: Vec::new(),
            at: 0.0,
            playing: true,
            speed: 1.0,
            driving: false,
            parting: Parting::default(),
            compared: 0,
            going: false,
            following: false,
            opened: 0,
            wake,
        }
    }

    /// Opens what the panel has chosen, live; two of them if another policy is to be compared.
    pub fn open(&mut self) {
        let mut kinds = vec![self.choice.policy];
        kinds.extend(self.choice.versus);
        self.mode = if kinds.len() == 1 {
            Mode::Live
        } else {
            Mode::Compare
        };
        let casts = kinds.into_iter().map(|kind| self.cast(kind)).collect();
        let choice = self.choice.clone();
        self.stage(&choice.suite, (choice.task, choice.init), 7, casts);
    }

    /// Opens a recorded episode: from the first run folder, and from the second beside it if there is one.
    /// Episodes that the harness could not finish have no recording.
    pub fn open_recorded(&mut self, key: (usize, usize)) {
        let Some(first) = self.runs.first() else {
            return;
        };
        let protocol = first.folder.card.protocol.clone();
        let casts: Vec<Cast> = self
            .runs
            .iter()
            .filter_map(|run| recorded(run, key))
            .collect();
        if casts.is_empty() {
            return;
        }
        self.mode = if self.runs.len() == 2 {
            Mode::Compare
        } else {
            Mode::Recorded
        };
        self.choice.suite = protocol.suite.clone();
        (self.choice.task, self.choice.init) = key;
        self.stage(&protocol.suite, key, protocol.seed, casts);
    }

    /// Plays the present episode again from its start.
    pub fn restart(&mut self) {
        if self.mode == Mode::Live || self.runs.is_empty() {
            self.open();
        } else {
            self.open_recorded((self.choice.task, self.choice.init));
        }
    }

    fn cast(&self, kind: PolicyKind) -> Cast {
        Cast::Policy {
            kind,
            checkpoint: self.checkpoint.clone(),
            threads: self.threads,
        }
    }

    fn stage(&mut self, suite: &str, (task, init): (usize, usize), seed: u64, casts: Vec<Cast>) {
        self.at = 0.0;
        self.parting = Parting::default();
        self.compared = 0;
        self.driving = false;
        self.following = false;
        self.going = self.mode == Mode::Live && self.playing;
        let pace = match self.mode {
            Mode::Live if self.playing => Pace::Times(self.speed),
            Mode::Live => Pace::Stopped,
            Mode::Recorded | Mode::Compare => Pace::Flat,
        };
        self.panes.clear();
        for cast in casts {
            self.opened += 1;
            let who = cast.name();
            let play = Play {
                library: self.library.clone(),
                suite: suite.to_owned(),
                task,
                init,
                seed,
                cast,
                pace,
            };
            let wake = self.wake.clone();
            let (orders, reports, failed) = match start(play, move || wake()) {
                Ok((orders, reports)) => (orders, reports, None),
                Err(error) => {
                    let (orders, _) = std::sync::mpsc::channel();
                    let (_, reports) = std::sync::mpsc::channel();
                    (orders, reports, Some(format!("no thread: {error}")))
                }
            };
            self.panes.push(Pane {
                orders,
                reports: SyncCell::new(reports),
                id: self.opened,
                opening: None,
                track: Track::default(),
                who,
                failed,
                grabbed: None,
            });
        }
    }

    /// Takes in what actors have reported and moves the clock by `secs` of real time. True if anything changed.
    pub fn advance(&mut self, secs: f64) -> bool {
        let mut changed = false;
        let newest = self.at >= self.last() as f64;
        for pane in &mut self.panes {
            changed |= pane.receive();
        }
        if changed && newest && self.mode == Mode::Live && self.over() {
            // What somebody let go of still falls.
            self.at = self.last() as f64;
        }
        if changed && self.mode == Mode::Compare {
            self.compare();
        }
        let last = self.last() as f64;
        let before = self.at;
        if self.playing && self.panes.iter().any(|p| !p.track.is_empty()) {
            self.at += secs * CONTROL_HZ * self.speed;
            if self.mode == Mode::Live {
                // The picture follows the actor closely, half a step behind for smoothness.
                if self.going {
                    self.at = self.at.max(last - 1.5);
                }
                if self.at >= last - 0.5 && !self.going && !self.over() {
                    self.go();
                }
            }
            self.at = self.at.min(last);
            if self.at >= last && self.over() {
                self.playing = self.driving;
            }
        } else if self.following {
            self.at = last;
        } else {
            self.at = self.at.min(last);
        }
        changed || self.at != before
    }

    /// The last step that any episode on show has.
    pub fn last(&self) -> usize {
        self.panes.iter().map(|p| p.track.last()).max().unwrap_or(0)
    }

    /// Whether all episodes on show have ended.
    pub fn over(&self) -> bool {
        self.panes
            .iter()
            .all(|p| p.track.ending().is_some() || p.failed.is_some())
    }

    /// Starts the clock; at the end of everything, from the start.
    pub fn play(&mut self) {
        if self.over() && self.at >= self.last() as f64 && !self.driving {
            self.at = 0.0;
        }
        self.playing = true;
        self.following = false;
        if self.mode == Mode::Live && self.at >= self.last() as f64 - 1.0 && !self.over() {
            self.go();
        }
    }

    /// Stops the clock, and with it a live episode.
    pub fn pause(&mut self) {
        self.following = false;
        self.playing = false;
        self.at = self.at.round();
        self.halt();
    }

    /// Something is held: time goes on, from the newest step.
    pub fn attend(&mut self) {
        self.at = self.last() as f64;
        self.following = false;
        self.playing = true;
        if self.mode == Mode::Live {
            self.go();
        }
    }

    /// Control steps forward or back; a live episode makes new ones at its end.
    pub fn step(&mut self, by: i64) {
        let at_end = self.at.round() >= self.last() as f64;
        self.pause();
        if by > 0 && at_end && self.mode == Mode::Live {
            self.tell(Order::Pace(Pace::Steps(by as usize)));
            self.following = true;
        } else {
            self.at = (self.at + by as f64).clamp(0.0, self.last() as f64);
        }
    }

    /// Goes to a step that has happened.
    pub fn seek(&mut self, step: f64) {
        self.following = false;
        self.halt();
        self.at = step.clamp(0.0, self.last() as f64);
    }

    /// A new multiple of real time.
    pub fn set_speed(&mut self, speed: f64) {
        self.speed = speed.clamp(0.05, 20.0);
        if self.going {
            self.go();
        }
    }

    /// Goes on live from the step on show: a live episode forgets what came after; a recorded one is taken
    /// over by the chosen policy and becomes live.
    pub fn resume_here(&mut self) {
        if self.mode == Mode::Compare {
            return;
        }
        let step = self.at.floor() as usize;
        self.tell(Order::Rewind(step));
        if self.mode == Mode::Recorded {
            let cast = self.cast(self.choice.policy);
            self.tell(Order::Recast(cast));
            self.mode = Mode::Live;
        }
        for pane in &mut self.panes {
            pane.track.cut_after(step);
        }
        self.at = step as f64;
        self.playing = true;
        self.go();
    }

    /// Keys take the arm, or give it back to the policy.
    pub fn drive(&mut self, on: bool) {
        if self.mode != Mode::Live || on == self.driving {
            return;
        }
        self.driving = on;
        if on {
            self.at = self.last() as f64;
            self.playing = true;
            self.go();
        } else {
            self.tell(Order::Drive(None));
        }
    }

    /// Whether anybody interfered before the step on show.
    pub fn touched(&self) -> bool {
        let touched = |p: &Pane| p.now(self.at).is_some_and(|m| m.touched);
        self.panes.iter().any(touched)
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

    fn tell(&self, order: Order) {
        for pane in &self.panes {
            pane.order(order.clone());
        }
    }

    fn go(&mut self) {
        self.going = true;
        self.tell(Order::Pace(Pace::Times(self.speed)));
    }

    fn halt(&mut self) {
        if self.mode == Mode::Live && self.going {
            self.going = false;
            self.tell(Order::Pace(Pace::Stopped));
        }
    }

    fn compare(&mut self) {
        let [a, b] = self.panes.as_slice() else {
            return;
        };
        let common = a.track.moments().len().min(b.track.moments().len());
        for step in self.compared..common {
            let (Some(a), Some(b)) = (a.track.at(step), b.track.at(step)) else {
                continue;
            };
            if self.parting.bits.is_none() && a.hash != b.hash {
                self.parting.bits = Some(step);
            }
            let apart = |(x, y): (&nalgebra::Isometry3<f64>, &nalgebra::Isometry3<f64>)| {
                (x.translation.vector - y.translation.vector).norm() > PARTED_METRES
            };
            let parted = a.state.poses.iter().zip(&b.state.poses).any(apart);
            if self.parting.places.is_none() && parted {
                self.parting.places = Some(step);
            }
        }
        self.compared = self.compared.max(common);
    }
}

fn recorded(run: &Run, key: (usize, usize)) -> Option<Cast> {
    let row = run.folder.episodes.iter().find(|r| r.key() == key)?;
    Some(Cast::Recorded {
        name: row.policy.clone(),
        actions: run.folder.actions_of(key)?.clone(),
        queries: run.folder.queries_of(key),
        chunk_length: run.folder.card.protocol.chunk_length,
        ending: if row.success {
            Ending::Success
        } else {
            Ending::Horizon
        },
    })
}
