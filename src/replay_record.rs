//! Recorded episodes for the player of a report, which repeats them in the browser: what the module of `web/` has to be given.

use crate::asset_resolver::LoadedSuite;
use crate::plus_suite::PlusSuite;
use crate::replay_check::RecordedFrames;
use crate::{EvalContext, EvalError};
use bitvla_policies::CAMERA_SIZE;
use bitvla_reports::{Replay, ReplayEpisode, RunFolder};
use bitvla_tasks::suite::init_states_path;
use bitvla_tasks::{Assets, InitState, Suite, WORLD_VERSION};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The module, made by `web/build.sh`.
const MODULE: &[u8] = include_bytes!("../web/dist/bitvla_web.wasm.gz");
/// Folders of the assets that a world is made of.
const MODEL_FOLDERS: [&str; 4] = ["arenas", "fixtures", "objects", "robots"];

/// Collects episodes.
pub struct ReplayRecord {
    replay: Replay,
    /// Initial states by suite of the assets and task, in the order of their rows.
    states: BTreeMap<(String, usize), Vec<InitState>>,
}

impl ReplayRecord {
    /// No episode; the models are those of an asset folder.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn new(assets: &Assets) -> Result<ReplayRecord, EvalError> {
        let mut files = BTreeMap::new();
        for folder in MODEL_FOLDERS {
            add_folder(assets.dir(), Path::new(folder), &mut files)?;
        }
        Ok(ReplayRecord {
            replay: Replay {
                module: MODULE,
                world_version: WORLD_VERSION,
                files,
                episodes: Vec::new(),
            },
            states: BTreeMap::new(),
        })
    }

    /// Adds a suite of the assets with all its initial states.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn add_suite(&mut self, assets: &Assets, name: &str) -> Result<(), EvalError> {
        let folder = Path::new("suites").join(name);
        add_folder(assets.dir(), &folder, &mut self.replay.files)?;
        add_folder(assets.dir(), &folder.join("init"), &mut self.replay.files)
    }

    /// Adds an episode with its actions and hashes, whose suite has been added.
    pub fn add_episode(&mut self, episode: ReplayEpisode) {
        self.replay.episodes.push(episode);
    }

    /// Returns why the episodes of a suite cannot be repeated in a browser; none if they can.
    pub fn refusal(loaded: &LoadedSuite) -> Option<&'static str> {
        (loaded.files.is_some()).then_some("LIBERO's own models are no part of a report")
    }

    /// Adds a recorded episode of a run on a suite of the assets.
    ///
    /// # Errors
    /// If the suite lacks its task or state, or a file cannot be read.
    pub fn add(
        &mut self,
        (label, run): (&str, &RunFolder),
        loaded: &LoadedSuite,
        key: (usize, usize),
    ) -> Result<(), EvalError> {
        let protocol = &run.manifest.protocol;
        let missing = || {
            EvalError::Input(format!(
                "{label}, suite {}: no recorded episode of task {}, initial state {}",
                protocol.suite, key.0, key.1
            ))
        };
        let row = run.episodes.iter().find(|row| row.key() == key);
        let row = row.ok_or_else(missing)?;
        let actions = run.actions.iter().find(|a| (a.task, a.init) == key);
        let actions = actions.ok_or_else(missing)?;
        let hashes = run.hashes.iter().find(|h| (h.task, h.init) == key);
        let mut hashes = hashes.cloned().unwrap_or_default();
        let context = loaded.context(protocol.seed);
        let frames = RecordedFrames::of(protocol);
        if frames.is_none() {
            // The policy saw other images than its cameras'.
            hashes.frames.clear();
        }
        let (suite, task) = self.base_task(context, key.0)?;
        let state = context.init_state(key.0, key.1)?.clone();
        let rows = self.states.entry((suite.clone(), task)).or_default();
        rows.push(state);
        let perturbation = context.perturbation_of(key.0);
        self.replay.episodes.push(ReplayEpisode {
            label: label.to_owned(),
            suite: protocol.suite.clone(),
            instruction: row.instruction.clone(),
            outcome: match row.success {
                true => "succeeded",
                false => "failed",
            },
            spec: serde_json::json!({
                "suite": suite,
                "task": task,
                "row": rows.len() - 1,
                "key": [protocol.seed, key.0 as u64, key.1 as u64],
                "perturbation": perturbation.map(|p| p.words()).unwrap_or_default(),
            }),
            actions: actions.clone(),
            hashes,
            side: frames.map_or(CAMERA_SIZE, RecordedFrames::side),
            mirrored: frames.is_some_and(RecordedFrames::is_mirrored),
        });
        Ok(())
    }

    /// The record with the files of its suites.
    ///
    /// # Errors
    /// If the initial states cannot be written.
    pub fn finish(mut self) -> Result<Replay, EvalError> {
        for ((suite, task), states) in &self.states {
            let text = serde_json::to_string(states)
                .map_err(|error| EvalError::Input(format!("initial states: {error}")))?;
            let path = init_states_path(&Path::new("suites").join(suite), *task);
            self.replay.files.insert(in_slashes(&path), text);
        }
        Ok(self.replay)
    }

    /// Suite of the assets and task there that a task is made from; the files of the suite are added.
    fn base_task(
        &mut self,
        context: EvalContext<'_>,
        task: usize,
    ) -> Result<(String, usize), EvalError> {
        let name = &context.suite.name;
        let base = PlusSuite::named(name).map_or(name.as_str(), |plus| plus.base());
        let folder = Path::new("suites").join(base);
        if !self
            .replay
            .files
            .contains_key(&in_slashes(&folder.join("suite.toml")))
        {
            add_folder(context.assets.dir(), &folder, &mut self.replay.files)?;
        }
        if base == name {
            return Ok((base.to_owned(), task));
        }
        let problem = &context.task(task)?.problem;
        let suite = Suite::load(context.assets, base)?;
        let mut tasks = suite.tasks.iter();
        let found = tasks.position(|known| known.problem == *problem);
        let found = found.ok_or_else(|| {
            EvalError::Input(format!(
                "suite `{base}` lacks task {task} of suite `{name}`"
            ))
        })?;
        Ok((base.to_owned(), found))
    }
}

/// Adds the texts of the files directly in a folder.
fn add_folder(
    root: &Path,
    folder: &Path,
    files: &mut BTreeMap<String, String>,
) -> Result<(), EvalError> {
    let dir = root.join(folder);
    let entries = std::fs::read_dir(&dir).map_err(EvalError::io(&dir))?;
    for entry in entries {
        let entry = entry.map_err(EvalError::io(&dir))?;
        let path: PathBuf = entry.path();
        if path.is_file() {
            let text = std::fs::read_to_string(&path).map_err(EvalError::io(&path))?;
            files.insert(in_slashes(&folder.join(entry.file_name())), text);
        }
    }
    Ok(())
}

/// A path with `/` on every system.
fn in_slashes(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}
