//! The subcommand `compare`: several runs on the same initial states.

use super::output;
use crate::{EvalError, open_any_run_folder};
use bitvla_reports::{ComparedPolicy, Comparison, FolderLock, write_comparison_plots, write_text};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The subcommand: run folders, each with a label before it or not.
pub(super) fn compare(runs: &[String], out: &Path) -> Result<ExitCode, EvalError> {
    let runs: Vec<LabelledRun> = runs.iter().map(|run| labelled(run)).collect();
    compare_runs(&runs, out)?;
    Ok(ExitCode::SUCCESS)
}

/// Label, if another than the policy's name is wanted, and folder.
pub(super) type LabelledRun = (Option<String>, PathBuf);

/// Compares the policies of run folders with that of the first one; prints the tables and writes them with plots into `out`.
pub(super) fn compare_runs(runs: &[LabelledRun], out: &Path) -> Result<(), EvalError> {
    let (policies, _) = open_policies(runs)?;
    let comparison = Comparison::new(policies).map_err(EvalError::Input)?;
    let _lock = FolderLock::acquire(out)?;
    let summary = comparison.summary();
    write_text(&out.join("summary.txt"), &summary)?;
    comparison.write_csv(out)?;
    let title = format!("suites {}", comparison.suites().join(", "));
    write_comparison_plots(&out.join("plots"), &title, &comparison)?;
    output::print(&summary);
    output::print_line(&format!("\n{}", out.display()));
    Ok(())
}

/// Folders of runs by label and suite.
pub(super) type RunOrigins = BTreeMap<(String, String), PathBuf>;

/// Reads run folders, or folders of them, as policies in the order in which their labels are met.
///
/// # Errors
/// If a folder is none of a run, or two are of the same label and suite.
pub(super) fn open_policies(
    runs: &[LabelledRun],
) -> Result<(Vec<ComparedPolicy>, RunOrigins), EvalError> {
    let mut policies: Vec<ComparedPolicy> = Vec::new();
    let mut origins = RunOrigins::new();
    for (label, dir) in runs {
        for folder in run_folders(dir)? {
            let run = open_any_run_folder(&folder)?;
            let protocol = &run.manifest.protocol;
            let label = label.clone().unwrap_or_else(|| protocol.policy.clone());
            let suite = protocol.suite.clone();
            let origin = (label.clone(), suite.clone());
            if let Some(first) = origins.insert(origin, folder.clone()) {
                return Err(EvalError::Input(format!(
                    "{} and {} are both runs of policy `{label}` in suite {suite}; LABEL=DIR gives a run another label",
                    first.display(),
                    folder.display()
                )));
            }
            let at = policies.iter().position(|p| p.label == label);
            let at = at.unwrap_or_else(|| {
                let runs = BTreeMap::new();
                policies.push(ComparedPolicy { label, runs });
                policies.len() - 1
            });
            policies[at].runs.insert(suite, run);
        }
    }
    Ok((policies, origins))
}

/// Splits `LABEL=DIR`; a folder whose name has an equals sign is a folder.
pub(super) fn labelled(argument: &str) -> LabelledRun {
    match argument.split_once('=') {
        Some((label, dir)) if !label.is_empty() && !Path::new(argument).exists() => {
            (Some(label.to_owned()), PathBuf::from(dir))
        }
        _ => (None, PathBuf::from(argument)),
    }
}

/// The folder itself, or, where it holds no run, the run folders in it (those of `--suite all`) by name.
pub(super) fn run_folders(dir: &Path) -> Result<Vec<PathBuf>, EvalError> {
    let is_run = |folder: &Path| folder.join("run.json").is_file();
    if is_run(dir) || !dir.is_dir() {
        return Ok(vec![dir.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in dir.read_dir().map_err(EvalError::io(dir))? {
        let folder = entry.map_err(EvalError::io(dir))?.path();
        if is_run(&folder) {
            found.push(folder);
        }
    }
    found.sort();
    if found.is_empty() {
        // Opening it says what is missing.
        found.push(dir.to_owned());
    }
    Ok(found)
}
