//! Reading the folder of a finished run.

use crate::{EvalError, check_world};
use bitvla_reports::{
    RunFolder, read_actions, read_episodes, read_hashes, read_latency, read_manifest,
};
use std::path::Path;

/// Reads a run folder.
///
/// # Errors
/// [`EvalError::Input`] when it is none or its files do not fit together, [`EvalError::World`] when it was made in a world
/// of another version, else when one of its files is missing or malformed.
pub fn open_run_folder(dir: &Path) -> Result<RunFolder, EvalError> {
    let manifest_path = dir.join("run.json");
    if !manifest_path.is_file() {
        return Err(EvalError::Input(format!(
            "{} is missing: not the folder of a finished run",
            manifest_path.display()
        )));
    }
    let manifest = read_manifest(&manifest_path)?;
    check_world(dir, &manifest.protocol)?;
    let hashes = match manifest.schema_version {
        ..4 => Vec::new(),
        _ => read_hashes(&dir.join("hashes.bin"))?,
    };
    let folder = RunFolder {
        manifest,
        hashes,
        episodes: read_episodes(&dir.join("episodes.csv"))?,
        actions: read_actions(&dir.join("actions.bin"))?,
        queries: read_latency(&dir.join("latency.csv"))?,
    };
    folder.check().map_err(|what| {
        EvalError::Input(format!(
            "{}: {what}; the same command as before writes the folder anew from its journal",
            dir.display()
        ))
    })?;
    Ok(folder)
}
