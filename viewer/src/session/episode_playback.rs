//! One displayed episode: the connection to its worker, and everything the worker has reported.

use crate::playback::{
    Command, EpisodeInfo, EpisodeRequest, Event, StepState, TracedQuery, Trajectory, WorkerHandle,
};
use bitvla_sim::SceneDesc;
use std::sync::Arc;

/// An episode that is displayed.
pub struct EpisodePlayback {
    /// None if the thread could not be started.
    worker: Option<WorkerHandle>,
    /// Unique among all episodes of the process.
    pub id: u64,
    /// Description; none until the scene is loaded.
    pub info: Option<Arc<EpisodeInfo>>,
    /// States, queries and markers so far.
    pub trajectory: Trajectory,
    /// Display name of the source of actions.
    pub name: String,
    /// Error message, if the episode cannot be displayed.
    pub failed: Option<String>,
    /// Point that is attached to the pull spring, world frame, m.
    pub grabbed: Option<[f64; 3]>,
    /// Number of commands that were carried out and whose events are taken in.
    commands_done: usize,
}

impl EpisodePlayback {
    /// Starts a worker on an episode. `wake` is called from its thread after each event.
    pub(super) fn start(
        id: u64,
        request: EpisodeRequest,
        wake: impl Fn() + Send + 'static,
    ) -> EpisodePlayback {
        let name = request.control_source.name();
        let (worker, failed) = match WorkerHandle::spawn(request, wake) {
            Ok(worker) => (Some(worker), None),
            Err(error) => (None, Some(format!("no thread: {error}"))),
        };
        EpisodePlayback {
            worker,
            id,
            info: None,
            trajectory: Trajectory::default(),
            name,
            failed,
            grabbed: None,
            commands_done: 0,
        }
    }

    /// Sends a command to the worker.
    pub fn send(&self, command: Command) {
        if let Some(worker) = &self.worker {
            worker.send(command);
        }
    }

    /// Returns true if the worker has carried out all commands and the events they caused are taken in, or if it failed.
    pub fn is_caught_up(&self) -> bool {
        let sent = self.worker.as_ref().map_or(0, WorkerHandle::commands_sent);
        self.failed.is_some() || self.commands_done == sent
    }

    /// Scene; none until it is loaded.
    pub fn scene(&self) -> Option<&Arc<SceneDesc>> {
        self.info.as_ref().map(|info| &info.scene)
    }

    /// States before and after a position on the timeline (control steps), and the fraction between them.
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

    /// State at or before a position on the timeline (control steps).
    pub fn state_at(&self, at: f64) -> Option<&Arc<StepState>> {
        Some(self.around(at)?.0)
    }

    /// Query whose chunk is executed at a position, and its path (world frame, m, one point per action): as predicted
    /// by the worker, else as executed.
    pub fn chunk_at(&self, at: f64) -> Option<(&Arc<TracedQuery>, Vec<[f64; 3]>)> {
        let step = self.state_at(at)?.step;
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

    /// Takes in the events of the worker; returns true if there were any.
    pub(super) fn receive(&mut self) -> bool {
        let Some(worker) = &self.worker else {
            return false;
        };
        // Read before the events: those of a command are emitted before it counts as carried out.
        self.commands_done = worker.commands_done();
        let mut changed = false;
        while let Some(event) = worker.next_event() {
            changed = true;
            match event {
                Event::Opened(info) => self.info = Some(info),
                Event::Step(step_state) => self.trajectory.push(step_state),
                Event::Query(query) => self.trajectory.push_query(query),
                Event::Ended(termination) => self.trajectory.set_termination(termination),
                Event::Rewound(step) => self.trajectory.truncate_after(step),
                Event::Grabbed(at) => self.grabbed = at,
                Event::ControlSourceChanged(name) => self.name = name,
                Event::Failed(reason) => self.failed = Some(reason),
            }
        }
        changed
    }
}
