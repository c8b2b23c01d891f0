//! The recorded actions of a run folder, executed again as a policy.

use crate::agent::{
    ActError, Agent, AgentFactory, AgentOutput, EpisodeStart, ErasedAgent, StepInput,
};
use crate::protocol::check_recorded_with;
use crate::{EvalError, RunFolder, open_run_folder, sha256_of_file};
use bitvla_tasks::{Assets, Suite};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Actions by task and initial state.
type Episodes = BTreeMap<(usize, usize), Arc<[[f64; 7]]>>;

/// Makes agents that replay a run folder.
pub(super) struct ReplayFactory {
    dir: PathBuf,
    assets: PathBuf,
    folder: RunFolder,
    episodes: Arc<Episodes>,
}

struct ReplayAgent {
    dir: PathBuf,
    episodes: Arc<Episodes>,
}

/// Place in a recorded episode.
#[derive(Clone)]
pub(super) struct ReplayPosition {
    actions: Arc<[[f64; 7]]>,
    next: usize,
}

impl ReplayFactory {
    /// Reads a run folder, whose suite is read from `assets`.
    ///
    /// # Errors
    /// As [`open_run_folder`].
    pub(super) fn open(dir: &Path, assets: &Path) -> Result<ReplayFactory, EvalError> {
        let folder = open_run_folder(dir)?;
        let episodes = folder
            .actions
            .iter()
            .map(|e| ((e.task, e.init), e.actions.clone().into()));
        Ok(ReplayFactory {
            dir: dir.to_owned(),
            assets: assets.to_owned(),
            episodes: Arc::new(episodes.collect()),
            folder,
        })
    }
}

impl AgentFactory for ReplayFactory {
    fn name(&self) -> &str {
        "replay"
    }

    fn file_hashes(&self) -> Result<BTreeMap<String, String>, EvalError> {
        let name = "actions.bin";
        let hash = sha256_of_file(&self.dir.join(name))?;
        Ok(BTreeMap::from([(name.to_owned(), hash)]))
    }

    fn check_suite(&self, suite: &Suite, tasks: &[usize]) -> Result<(), EvalError> {
        let recorded = &self.folder.manifest.protocol;
        if recorded.suite != suite.name {
            return Err(EvalError::Input(format!(
                "{} is a recording of suite `{}`, not of `{}`",
                self.dir.display(),
                recorded.suite,
                suite.name
            )));
        }
        for task in tasks {
            if !self.episodes.keys().any(|(recorded, _)| recorded == task) {
                return Err(EvalError::Input(format!(
                    "{} has no recorded actions of task {task}",
                    self.dir.display()
                )));
            }
        }
        let assets = Assets::open(&self.assets)?;
        check_recorded_with(&self.dir, recorded, (&assets, suite), None)
    }

    fn make(&self) -> Result<Box<dyn ErasedAgent>, EvalError> {
        Ok(Box::new(ReplayAgent {
            dir: self.dir.clone(),
            episodes: Arc::clone(&self.episodes),
        }))
    }
}

impl Agent for ReplayAgent {
    type State = ReplayPosition;

    fn start(&mut self, start: &EpisodeStart<'_>) -> Result<ReplayPosition, EvalError> {
        let key = (start.task.id, start.init);
        let actions = self.episodes.get(&key).cloned().ok_or_else(|| {
            EvalError::Input(format!(
                "{} has no recorded actions of task {}, initial state {}",
                self.dir.display(),
                key.0,
                key.1
            ))
        })?;
        Ok(ReplayPosition { actions, next: 0 })
    }

    fn act(
        &mut self,
        position: &mut ReplayPosition,
        _: &mut StepInput<'_>,
    ) -> Result<AgentOutput, ActError> {
        let action = position.actions.get(position.next).copied();
        let action = action.ok_or_else(|| {
            ActError::Action(format!(
                "the recording in {} ends after {} actions, and the goal does not hold",
                self.dir.display(),
                position.actions.len()
            ))
        })?;
        position.next += 1;
        Ok(AgentOutput::single(action))
    }
}
