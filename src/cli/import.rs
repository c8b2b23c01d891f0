//! The subcommand `import`: tables of episodes in other simulators as run folders.

use super::output;
use super::report::file_name;
use crate::asset_resolver::AssetResolver;
use crate::{EvalError, import as read_table, import_summary};
use bitvla_reports::{
    FolderLock, RunFolder, read_manifest, write_episodes, write_manifest, write_text,
};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Writes a run folder per world, policy and suite of the tables, `OUT/WORLD/POLICY/SUITE`; one that was imported before is
/// replaced.
pub(super) fn import(
    resolver: &AssetResolver,
    tables: &[PathBuf],
    out: &Path,
) -> Result<ExitCode, EvalError> {
    let assets = resolver.builtin_assets()?;
    let mut folders: Vec<(PathBuf, RunFolder)> = Vec::new();
    for table in tables {
        for run in read_table(&assets, table)? {
            let protocol = &run.manifest.protocol;
            let parts = [&protocol.world, &protocol.policy, &protocol.suite];
            let folder = parts
                .iter()
                .fold(out.to_owned(), |dir, part| dir.join(file_name(part)));
            if folders.iter().any(|(other, _)| *other == folder) {
                return Err(EvalError::format(
                    table,
                    format!(
                        "found episodes of {} that another table has too",
                        folder.display()
                    ),
                ));
            }
            check_replaceable(&folder)?;
            folders.push((folder, run));
        }
    }
    for (folder, run) in &folders {
        std::fs::create_dir_all(folder).map_err(EvalError::io(folder))?;
        let _lock = FolderLock::acquire(folder)?;
        let summary = import_summary(run);
        write_episodes(&folder.join("episodes.csv"), &run.episodes)?;
        write_manifest(&folder.join("run.json"), &run.manifest)?;
        write_text(&folder.join("summary.txt"), &summary)?;
        output::print(&format!("{summary}\n{}\n", folder.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses a folder that holds anything but an imported run: what was measured here is not replaced.
fn check_replaceable(folder: &Path) -> Result<(), EvalError> {
    let card = folder.join("run.json");
    if card.is_file() && !read_manifest(&card)?.protocol.is_imported() {
        return Err(EvalError::Input(format!(
            "{}: found a run of this program, expected no run or an imported one",
            folder.display()
        )));
    }
    Ok(())
}
