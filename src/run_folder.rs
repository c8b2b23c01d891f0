//! Reading the folder of a finished run.

use crate::{EvalError, check_world};
use bitvla_reports::{
    RunFolder, printable, read_actions, read_episodes, read_hashes, read_latency, read_manifest,
};
use std::path::Path;

/// Reads the folder of a run of this program's world.
///
/// # Errors
/// As [`open_any_run_folder`], and [`EvalError::Input`] for an imported run, which has no actions and no states.
pub fn open_run_folder(dir: &Path) -> Result<RunFolder, EvalError> {
    let folder = open_any_run_folder(dir)?;
    let world = &folder.manifest.protocol.world;
    match folder.manifest.protocol.is_imported() {
        false => Ok(folder),
        true => Err(EvalError::Input(format!(
            "{}: found a run that was imported from {}, expected one of this program: its actions and states are not known",
            dir.display(),
            printable(world)
        ))),
    }
}

/// Reads a run folder, also one that was imported from another simulator ([`import`](crate::import)).
///
/// # Errors
/// [`EvalError::Input`] when it is none or its files do not fit together, [`EvalError::World`] when it was made in a world
/// of another version, else when one of its files is missing or malformed.
pub fn open_any_run_folder(dir: &Path) -> Result<RunFolder, EvalError> {
    let manifest_path = dir.join("run.json");
    if !manifest_path.is_file() {
        return Err(EvalError::Input(format!(
            "{} is missing: not the folder of a finished run",
            manifest_path.display()
        )));
    }
    let mut folder = RunFolder::new(read_manifest(&manifest_path)?);
    folder.episodes = read_episodes(&dir.join("episodes.csv"))?;
    if !folder.manifest.protocol.is_imported() {
        check_world(dir, &folder.manifest.protocol)?;
        folder.actions = read_actions(&dir.join("actions.bin"))?;
        folder.queries = read_latency(&dir.join("latency.csv"))?;
        if folder.manifest.schema_version >= 4 {
            folder.hashes = read_hashes(&dir.join("hashes.bin"))?;
        }
    }
    folder.check().map_err(|what| {
        EvalError::Input(format!(
            "{}: {what}; the same command as before writes the folder anew",
            dir.display()
        ))
    })?;
    Ok(folder)
}
