//! Loaded run folders: their episodes as rows of a list, and as recordings to be displayed.

use crate::playback::{Recording, Termination};
use bitvla_eval::RunFolder;
use bitvla_reports::EpisodeRecord;
use std::path::PathBuf;

/// A run folder of `bitvla-eval`.
#[derive(Debug, Clone)]
pub struct LoadedRun {
    /// Path of the folder.
    pub dir: PathBuf,
    /// Contents of the folder.
    pub folder: RunFolder,
}

impl LoadedRun {
    /// Recording of the episode `key` (task, initial state); none if the run does not have it or could not finish it.
    pub fn recording(&self, key: (usize, usize)) -> Option<Recording> {
        let row = self.folder.episodes.iter().find(|r| r.key() == key)?;
        let protocol = &self.folder.manifest.protocol;
        Some(Recording {
            name: row.policy.clone(),
            actions: self.folder.actions_of(key)?.clone(),
            queries: self.folder.queries_of(key),
            // Run folders of the first schema do not state it and executed whole chunks.
            executed_steps: match protocol.executed_steps {
                0 => protocol.chunk_length,
                steps => steps,
            },
            termination: if row.success {
                Termination::Success
            } else {
                Termination::Horizon
            },
        })
    }
}

/// Records of the first run's episodes, each with the second run's record of the same episode if there is one.
pub fn paired_records(runs: &[LoadedRun]) -> Vec<(EpisodeRecord, Option<EpisodeRecord>)> {
    let Some((first, others)) = runs.split_first() else {
        return Vec::new();
    };
    let partner = |record: &EpisodeRecord| {
        let records = &others.first()?.folder.episodes;
        records.iter().find(|r| r.key() == record.key()).cloned()
    };
    first
        .folder
        .episodes
        .iter()
        .map(|record| (record.clone(), partner(record)))
        .collect()
}
