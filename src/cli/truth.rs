//! The subcommand `truth`: success in this program's world beside success in another one on the same initial states.

use super::compare::{RunOrigins, labelled, open_policies};
use super::output;
use crate::EvalError;
use bitvla_policies::normaliser::suite_keys;
use bitvla_reports::{
    FolderLock, WorldAgreement, WorldOutcomes, read_outcomes, write_agreement_plot,
};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Name of this program's world in tables.
const HERE: &str = "bitvla-eval";

/// Compares run folders of this program with tables of episodes in other worlds. The first world of the tables is the one whose scores are to be
/// predicted; further ones are compared with it too, as yardsticks.
pub(super) fn truth(paths: &[String], out: &Path) -> Result<ExitCode, EvalError> {
    let (tables, runs): (Vec<_>, Vec<_>) = (paths.iter().map(|path| labelled(path)))
        .partition(|(label, path)| label.is_none() && path.is_file());
    let mut worlds = Vec::new();
    for (_, table) in &tables {
        read_outcomes(table, &mut worlds)?;
    }
    let [reference, others @ ..] = worlds.as_slice() else {
        return Err(EvalError::Input(
            "found no table of another world, expected a CSV file with the columns world, policy, suite, task, init, success".into(),
        ));
    };
    let here = own_outcomes(&runs)?;
    let agreement = WorldAgreement::new(&here, reference).map_err(EvalError::Input)?;
    let yardsticks = others
        .iter()
        .map(|other| WorldAgreement::new(other, reference));
    let yardsticks = yardsticks
        .collect::<Result<Vec<_>, _>>()
        .map_err(EvalError::Input)?;
    let _lock = FolderLock::acquire(out)?;
    agreement.write(&yardsticks, out)?;
    write_agreement_plot(&out.join("plots"), &agreement)?;
    output::print(&agreement.summary(&yardsticks));
    output::print_line(&format!("\n{}", out.display()));
    Ok(ExitCode::SUCCESS)
}

/// Outcomes of run folders; a suite of LIBERO's files stands for the suite of the same tasks.
fn own_outcomes(runs: &[(Option<String>, PathBuf)]) -> Result<WorldOutcomes, EvalError> {
    let (policies, origins): (_, RunOrigins) = open_policies(runs)?;
    let mut here = WorldOutcomes::new(HERE);
    for policy in &policies {
        for (name, run) in &policy.runs {
            let suite = suite_keys(name).first().copied().unwrap_or(name);
            let rows = run.episodes.iter().filter(|row| row.completed());
            for row in rows {
                here.add((suite, &policy.label), row.key(), row.success)
                    .map_err(|what| {
                        let folder = origins.get(&(policy.label.clone(), name.clone()));
                        let folder =
                            folder.map_or_else(String::new, |dir| format!("{}: ", dir.display()));
                        EvalError::Input(format!("{folder}{what}"))
                    })?;
            }
        }
    }
    Ok(here)
}
