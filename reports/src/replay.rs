//! Recorded episodes that a report repeats in the browser: the simulator as a WebAssembly module, the files that it reads, and
//! actions and hashes of the episodes.

use crate::html::base64;
use crate::{EpisodeActions, EpisodeHashes, ReportError};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// What a report needs to repeat episodes.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The module, compressed with gzip.
    pub module: &'static [u8],
    /// Version of the simulated world that the episodes were recorded in.
    pub world_version: u32,
    /// Texts of the files of the assets by path.
    pub files: BTreeMap<String, String>,
    /// Episodes, in the order of the list.
    pub episodes: Vec<ReplayEpisode>,
}

impl Replay {
    /// What the player reads, as JSON that can stand in an element of a page: version of the world, files, episodes.
    ///
    /// # Errors
    /// If the files cannot be compressed.
    pub fn record(&self) -> Result<String, ReportError> {
        let files = json!(self.files).to_string();
        let compressed = || -> std::io::Result<Vec<u8>> {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(files.as_bytes())?;
            encoder.finish()
        };
        let files =
            compressed().map_err(|error| ReportError::format(Path::new("replay"), error))?;
        let episodes = self.episodes.iter().map(ReplayEpisode::record);
        let record = json!({
            "world_version": self.world_version,
            "files": base64(&files),
            "episodes": episodes.collect::<Vec<_>>(),
        });
        // Text of other people cannot end the element that holds it.
        Ok(record.to_string().replace('<', "\\u003c"))
    }

    /// The compressed module in base64.
    pub fn module_text(&self) -> String {
        base64(self.module)
    }
}

/// A recorded episode.
#[derive(Debug, Clone)]
pub struct ReplayEpisode {
    /// Label of the policy.
    pub label: String,
    /// Suite.
    pub suite: String,
    /// Instruction of the task.
    pub instruction: String,
    /// Outcome in a word.
    pub outcome: &'static str,
    /// What the module opens: suite, task, row, key, perturbation.
    pub spec: Value,
    /// Executed actions.
    pub actions: EpisodeActions,
    /// Hashes of its states and of the frames of its queries; without frames where the policy got other images than its cameras'.
    pub hashes: EpisodeHashes,
    /// Side of the policy's images, pixels.
    pub side: usize,
    /// True if the policy gets its images mirrored.
    pub mirrored: bool,
}

impl ReplayEpisode {
    /// Name in the list.
    pub(crate) fn name(&self) -> String {
        let EpisodeActions { task, init, .. } = self.actions;
        format!(
            "{}, {} {task}, state {init}: {}",
            self.label, self.suite, self.outcome
        )
    }

    /// The episode as the player reads it; binary parts are little-endian in base64.
    fn record(&self) -> Value {
        let actions = self.actions.actions.iter().flatten();
        let actions: Vec<u8> = actions.flat_map(|value| value.to_le_bytes()).collect();
        let words = |words: &mut dyn Iterator<Item = u32>| -> Vec<u8> {
            words.flat_map(u32::to_le_bytes).collect()
        };
        let states = words(&mut self.hashes.states.iter().copied());
        let frames = self.hashes.frames.iter();
        let frames = words(&mut frames.flat_map(|frame| [frame.step, frame.hash]));
        json!({
            "spec": self.spec,
            "instruction": self.instruction,
            "actions": base64(&actions),
            "states": base64(&states),
            "frames": base64(&frames),
            "final": format!("{:016x}", self.actions.state_hash),
            "side": self.side,
            "mirrored": self.mirrored,
        })
    }
}
