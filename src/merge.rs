//! Putting run folders together: shards of one run, or parts of it that were made on several machines.

use crate::journal_line::JournalEntry;
use crate::runner::write_folder;
use crate::{EvalContext, EvalError, Journal, RunResult, machine};
use bitvla_reports::{EnergyReport, EvalProtocol, RunManifest, SCHEMA_VERSION, read_manifest};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A merged run.
#[derive(Debug, Clone)]
pub struct MergedRun {
    /// Contents of its folder.
    pub result: RunResult,
    /// Task and initial state of the episodes that none of the runs has, of those tasks and up to the last state that are there.
    pub missing: Vec<(usize, usize)>,
}

/// Puts the episodes of run folders together in `out`, which may hold some of them already. Rows, actions and journal are in order of
/// task and initial state, so that the files are those of a single run. An episode that several folders have must be the same in
/// all of them, to the bit; one that ended in a harness error gives way to a finished one.
///
/// # Errors
/// [`EvalError::Input`] if the protocols differ, with the differences, or two folders have different results of an episode; else as
/// [`Journal::open`], or if a file cannot be written.
pub fn merge(
    context: EvalContext<'_>,
    protocol: &EvalProtocol,
    runs: &[PathBuf],
    out: &Path,
) -> Result<MergedRun, EvalError> {
    let mut journal = Journal::open(out, protocol, context)?;
    let mut entries: BTreeMap<(usize, usize), (JournalEntry, &Path)> = BTreeMap::new();
    for entry in journal.entries() {
        entries.insert(entry.record.key(), (entry.clone(), out));
    }
    let mut manifests = Vec::new();
    let mut losses = Vec::new();
    for dir in runs {
        let theirs = Journal::protocol_of(dir)?;
        let differences = protocol.differences(&theirs);
        if !differences.is_empty() {
            return Err(EvalError::Input(format!(
                "{}: protocol differs from that of {}: {}",
                dir.display(),
                runs[0].display(),
                differences.join("; ")
            )));
        }
        manifests.extend(read_manifest(&dir.join("run.json")).ok());
        let shard = Journal::open(dir, protocol, context)?;
        losses.extend_from_slice(shard.losses());
        for entry in shard.entries() {
            let key = entry.record.key();
            match entries.get(&key) {
                Some((known, first)) if known.record.completed() => {
                    if entry.record.completed() {
                        check_equal((known, first), (entry, dir))?;
                    }
                }
                Some(_) if !entry.record.completed() => {}
                _ => {
                    entries.insert(key, (entry.clone(), dir));
                }
            }
        }
    }
    journal.begin(protocol)?;
    for (key, (entry, _)) in entries {
        if !journal.has(key) {
            journal.push(entry)?;
        }
    }
    let tasks: BTreeSet<usize> = journal.entries().map(|e| e.record.task).collect();
    let states = journal
        .entries()
        .map(|e| e.record.init + 1)
        .max()
        .unwrap_or(0);
    let keys: BTreeSet<(usize, usize)> = journal.entries().map(|e| e.record.key()).collect();
    let planned = tasks
        .iter()
        .flat_map(|task| (0..states).map(|init| (*task, init)));
    let missing = planned.filter(|key| !keys.contains(key)).collect();
    let most = |of: fn(&RunManifest) -> usize| manifests.iter().map(of).max().unwrap_or(0);
    let largest = manifests
        .iter()
        .max_by_key(|m| m.memory.peak_resident_bytes);
    let manifest = RunManifest {
        schema_version: SCHEMA_VERSION,
        protocol: protocol.clone(),
        tasks: tasks.into_iter().collect(),
        episodes: states,
        jobs: most(|m| m.jobs),
        elapsed_secs: manifests.iter().map(|m| m.elapsed_secs).fold(0.0, f64::max),
        resumed_episodes: 0,
        machine: match largest {
            Some(manifest) => manifest.machine.clone(),
            None => machine()?,
        },
        setups: Vec::new(),
        memory: largest.map(|m| m.memory.clone()).unwrap_or_default(),
        energy: EnergyReport {
            operations: largest.and_then(|m| m.energy.operations),
            // Machines differ; their sum is of no machine.
            measured: None,
        },
    };
    let mut result = write_folder(&journal, manifest, out)?;
    result.losses.extend(losses);
    Ok(MergedRun { result, missing })
}

/// Refuses two results of an episode that are not the same.
fn check_equal(
    (first, a): (&JournalEntry, &Path),
    (second, b): (&JournalEntry, &Path),
) -> Result<(), EvalError> {
    if first.record == second.record
        && first.actions() == second.actions()
        && first.hashes() == second.hashes()
    {
        return Ok(());
    }
    let (task, init) = first.record.key();
    Err(EvalError::Input(format!(
        "task {task}, initial state {init}: {} ends in state {} after {} steps, {} in {} after {}",
        a.display(),
        first.record.state_hash,
        first.record.steps,
        b.display(),
        second.record.state_hash,
        second.record.steps
    )))
}
