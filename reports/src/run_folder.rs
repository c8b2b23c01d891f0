//! Contents of a run folder. Its files are compared with each other: they are of one run, and no episode is missing in one of them.

use crate::{EpisodeActions, EpisodeHashes, EpisodeRecord, QueryRecord, RunManifest};
use std::collections::{BTreeMap, BTreeSet};

/// Contents of a run folder, each list in order of task and initial state.
#[derive(Debug, Clone)]
pub struct RunFolder {
    /// Protocol, machine and memory.
    pub manifest: RunManifest,
    /// Rows, those of episodes that the harness could not finish included.
    pub episodes: Vec<EpisodeRecord>,
    /// Executed actions of finished episodes.
    pub actions: Vec<EpisodeActions>,
    /// Hashes of states and frames of finished episodes; empty for a run of a schema version before 4.
    pub hashes: Vec<EpisodeHashes>,
    /// Policy queries.
    pub queries: Vec<QueryRecord>,
}

impl RunFolder {
    /// A run without episodes.
    pub fn new(manifest: RunManifest) -> RunFolder {
        RunFolder {
            manifest,
            episodes: Vec::new(),
            actions: Vec::new(),
            hashes: Vec::new(),
            queries: Vec::new(),
        }
    }

    /// Compares the files with each other; an imported run has the manifest and the rows alone.
    ///
    /// # Errors
    /// File, field, found and expected value.
    pub fn check(&self) -> Result<(), String> {
        let RunManifest {
            protocol,
            tasks,
            episodes,
            ..
        } = &self.manifest;
        let mut actions = self.actions.iter();
        let mut queries: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for query in &self.queries {
            *queries.entry((query.task, query.init)).or_default() += 1;
        }
        let finished = self.episodes.iter().filter(|row| row.completed()).count();
        let imported = protocol.is_imported();
        if finished != self.actions.len() && !imported {
            return Err(format!(
                "episodes.csv has {finished} finished episodes, actions.bin has {}",
                self.actions.len()
            ));
        }
        for pair in self.episodes.windows(2) {
            if pair[0].key() >= pair[1].key() {
                let (task, init) = pair[1].key();
                return Err(format!(
                    "episodes.csv: task {task}, initial state {init} is out of order or there twice"
                ));
            }
        }
        for row in &self.episodes {
            let (task, init) = row.key();
            let differs = |field: &str,
                           found: &dyn std::fmt::Display,
                           expected: &dyn std::fmt::Display| {
                Err(format!(
                    "episodes.csv: task {task}, initial state {init}: {field} is {found}, expected {expected}"
                ))
            };
            if row.suite != protocol.suite {
                return differs("suite", &row.suite, &protocol.suite);
            }
            if row.policy != protocol.policy {
                return differs("policy", &row.policy, &protocol.policy);
            }
            if row.seed != protocol.seed {
                return differs("seed", &row.seed, &protocol.seed);
            }
            if row.steps > protocol.horizon {
                return differs(
                    "steps",
                    &row.steps,
                    &format!("at most {}", protocol.horizon),
                );
            }
            let asked = queries.remove(&row.key()).unwrap_or(0);
            if asked != row.queries && !imported {
                return differs(
                    "queries",
                    &row.queries,
                    &format!("{asked} as in latency.csv"),
                );
            }
            if !row.completed() {
                continue;
            }
            let Some(recorded) = actions.next() else {
                continue;
            };
            if (recorded.task, recorded.init) != row.key() {
                return Err(format!(
                    "actions.bin has task {}, initial state {} where episodes.csv has {task}, {init}",
                    recorded.task, recorded.init
                ));
            }
            if recorded.actions.len() != row.steps {
                return differs(
                    "steps",
                    &row.steps,
                    &format!("{} as in actions.bin", recorded.actions.len()),
                );
            }
            let hash = format!("{:016x}", recorded.state_hash);
            if hash != row.state_hash {
                return differs(
                    "state_hash",
                    &row.state_hash,
                    &format!("{hash} as in actions.bin"),
                );
            }
        }
        self.check_hashes()?;
        if let Some(((task, init), _)) = queries.first_key_value() {
            return Err(format!(
                "latency.csv has queries of task {task}, initial state {init}, episodes.csv has no such episode"
            ));
        }
        let found: BTreeSet<usize> = self.episodes.iter().map(|row| row.task).collect();
        let most = self
            .episodes
            .iter()
            .map(|row| row.init + 1)
            .max()
            .unwrap_or(0);
        if !found.iter().eq(tasks) || most != *episodes {
            return Err(format!(
                "run.json has tasks {tasks:?} with {episodes} initial states, episodes.csv has {found:?} with {most}"
            ));
        }
        Ok(())
    }

    /// Compares the hashes with the rows and the actions.
    fn check_hashes(&self) -> Result<(), String> {
        if self.manifest.schema_version < 4 || self.manifest.protocol.is_imported() {
            return Ok(());
        }
        let finished = self.episodes.iter().filter(|row| row.completed());
        let expected: Vec<_> = (finished.zip(&self.actions))
            .map(|(row, actions)| (row.key(), row.steps + 1, row.queries, actions.state_hash))
            .collect();
        if expected.len() != self.hashes.len() {
            return Err(format!(
                "episodes.csv has {} finished episodes, hashes.bin has {}",
                expected.len(),
                self.hashes.len()
            ));
        }
        for (hashes, (key, states, queries, state)) in self.hashes.iter().zip(expected) {
            let found = (hashes.task, hashes.init);
            if found != key {
                return Err(format!(
                    "hashes.bin has task {}, initial state {} where episodes.csv has {}, {}",
                    found.0, found.1, key.0, key.1
                ));
            }
            let lengths = (hashes.states.len(), hashes.frames.len());
            if lengths != (states, queries) || !hashes.ends_in(state) {
                return Err(format!(
                    "hashes.bin: task {}, initial state {}: found {} states and {} frames, expected {states} and {queries} \
                     that end in state {state:016x}",
                    key.0, key.1, lengths.0, lengths.1
                ));
            }
        }
        Ok(())
    }

    /// The hashes of an episode, if they were kept.
    pub fn hashes_of(&self, key: (usize, usize)) -> Option<&EpisodeHashes> {
        let at = (self.hashes).binary_search_by_key(&key, |h| (h.task, h.init));
        self.hashes.get(at.ok()?)
    }

    /// The actions of an episode, if it ran to its end.
    pub fn actions_of(&self, key: (usize, usize)) -> Option<&EpisodeActions> {
        let at = (self.actions).binary_search_by_key(&key, |a| (a.task, a.init));
        self.actions.get(at.ok()?)
    }

    /// The queries of an episode, in order.
    pub fn queries_of(&self, key: (usize, usize)) -> Vec<QueryRecord> {
        let of = |q: &&QueryRecord| (q.task, q.init) == key;
        self.queries.iter().filter(of).copied().collect()
    }
}
