//! A tiny checkpoint that is changed and asked.

use bitvla_policies::testing::write_tiny_checkpoint;
use bitvla_policies::{Observation, Policy, PolicyError, VlaPolicy, WeightFormat};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

/// A checkpoint of random weights.
pub fn tiny() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_checkpoint(dir.path()).unwrap();
    dir
}

/// Actions of one query with ternary weights.
pub fn act(dir: &Path) -> Result<Vec<[f64; 7]>, PolicyError> {
    let frame: Vec<u8> = (0..256 * 256 * 3).map(|i| (i * i / 97) as u8).collect();
    let observation = Observation {
        agentview: &frame,
        wrist: &frame,
        proprio: [0.0, 0.1, 1.0, 3.0, 0.0, 0.0, 0.02, -0.02],
        instruction: "pick up the plate",
    };
    Ok(VlaPolicy::open(dir, WeightFormat::Ternary)?
        .query(&observation)?
        .actions)
}

/// Asserts that a checkpoint is refused with a message of these parts.
#[track_caller]
pub fn refused(dir: &Path, by: &[&str]) {
    let text = act(dir).unwrap_err().to_string();
    for part in by {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

/// Changes a JSON file.
pub fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}
