//! The subcommand `truth`: success in this program's world beside success in another one on the same initial states.

use super::compare::{LabelledRun, RunOrigins, labelled, open_policies, run_folders};
use super::output;
use crate::{EvalError, open_any_run_folder};
use bitvla_policies::normaliser::suite_keys;
use bitvla_reports::{
    FolderLock, WorldAgreement, WorldOutcomes, read_outcomes, write_agreement_plot,
};
use std::path::Path;
use std::process::ExitCode;

/// Name of this program's world in tables.
const HERE: &str = "bitvla-eval";

/// Compares run folders of this program with episodes in other worlds, in tables or imported run folders. The first other world, tables
/// before folders, is the one whose scores are to be predicted; further ones are compared with it too, as yardsticks.
pub(super) fn truth(paths: &[String], out: &Path) -> Result<ExitCode, EvalError> {
    let (tables, runs): (Vec<_>, Vec<_>) = (paths.iter().map(|path| labelled(path)))
        .partition(|(label, path)| label.is_none() && path.is_file());
    let mut worlds = Vec::new();
    for (_, table) in &tables {
        read_outcomes(table, &mut worlds)?;
    }
    let mut own = Vec::new();
    let mut imported: Vec<(String, Vec<LabelledRun>)> = Vec::new();
    for (label, dir) in runs {
        for folder in run_folders(&dir)? {
            let protocol = open_any_run_folder(&folder)?.manifest.protocol;
            let run = (label.clone(), folder);
            let known = imported
                .iter()
                .position(|(world, _)| *world == protocol.world);
            match known {
                _ if !protocol.is_imported() => own.push(run),
                Some(at) => imported[at].1.push(run),
                None => imported.push((protocol.world, vec![run])),
            }
        }
    }
    for (world, runs) in &imported {
        let known = worlds
            .iter()
            .position(|known: &WorldOutcomes| known.world == *world);
        let at = known.unwrap_or_else(|| {
            worlds.push(WorldOutcomes::new(world));
            worlds.len() - 1
        });
        add_outcomes(&mut worlds[at], runs)?;
    }
    let [reference, others @ ..] = worlds.as_slice() else {
        return Err(EvalError::Input(
            "found no table of another world, expected an imported run or a CSV file with the columns world, policy, suite, task, init, success".into(),
        ));
    };
    let mut here = WorldOutcomes::new(HERE);
    add_outcomes(&mut here, &own)?;
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

/// Adds the outcomes of run folders; a suite of LIBERO's files stands for the suite of the same tasks.
fn add_outcomes(world: &mut WorldOutcomes, runs: &[LabelledRun]) -> Result<(), EvalError> {
    let (policies, origins): (_, RunOrigins) = open_policies(runs)?;
    for policy in &policies {
        for (name, run) in &policy.runs {
            let suite = suite_keys(name).first().copied().unwrap_or(name);
            let rows = run.episodes.iter().filter(|row| row.completed());
            for row in rows {
                world
                    .add((suite, &policy.label), row.key(), row.success)
                    .map_err(|what| {
                        let folder = origins.get(&(policy.label.clone(), name.clone()));
                        let folder =
                            folder.map_or_else(String::new, |dir| format!("{}: ", dir.display()));
                        EvalError::Input(format!("{folder}{what}"))
                    })?;
            }
        }
    }
    Ok(())
}
