//! Reading the folder of a finished run.

use crate::{EvalError, check_world};
use bitvla_reports::{
    EpisodeActions, EpisodeRecord, QueryRecord, RunManifest, read_actions, read_episodes,
    read_latency, read_manifest,
};
use std::path::Path;

/// Contents of a run folder, each list in order of task and initial state.
#[derive(Debug, Clone)]
pub struct RunFolder {
    /// Protocol, machine and memory.
    pub manifest: RunManifest,
    /// Rows, those of episodes that the harness could not finish included.
    pub episodes: Vec<EpisodeRecord>,
    /// Executed actions of finished episodes.
    pub actions: Vec<EpisodeActions>,
    /// Policy queries.
    pub queries: Vec<QueryRecord>,
}

impl RunFolder {
    /// Reads a run folder.
    ///
    /// # Errors
    /// [`EvalError::Input`] when it is none, [`EvalError::World`] when it was made in a world of another version, else
    /// when one of its files is missing or malformed.
    pub fn open(dir: &Path) -> Result<RunFolder, EvalError> {
        let manifest_path = dir.join("run.json");
        if !manifest_path.is_file() {
            return Err(EvalError::Input(format!(
                "{} is missing: not the folder of a finished run",
                manifest_path.display()
            )));
        }
        let manifest = read_manifest(&manifest_path)?;
        check_world(dir, &manifest.protocol)?;
        Ok(RunFolder {
            manifest,
            episodes: read_episodes(&dir.join("episodes.csv"))?,
            actions: read_actions(&dir.join("actions.bin"))?,
            queries: read_latency(&dir.join("latency.csv"))?,
        })
    }

    /// The actions of an episode, if it ran to its end.
    pub fn actions_of(&self, key: (usize, usize)) -> Option<&EpisodeActions> {
        self.actions.iter().find(|a| (a.task, a.init) == key)
    }

    /// The queries of an episode, in order.
    pub fn queries_of(&self, key: (usize, usize)) -> Vec<QueryRecord> {
        let of = |q: &&QueryRecord| (q.task, q.init) == key;
        self.queries.iter().filter(of).copied().collect()
    }
}
