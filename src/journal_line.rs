//! One line of `journal.jsonl`: a JSON object whose last field is the CRC-32 of all bytes before it, and the comparison of a
//! row with the protocol and the suite that it claims to be of.

use crate::EpisodeOutcome;
use crate::EvalContext;
use bitvla_reports::{
    EpisodeActions, EpisodeHashes, EpisodeRecord, EvalProtocol, MeasurementSetup, QueryRecord,
    from_digits, to_hex,
};
use serde::{Deserialize, Serialize};
use std::fmt::{Debug, Display};

/// What stands between the content of a line and its checksum.
const BEFORE_CHECKSUM: &str = ",\"crc32\":\"";
/// Largest time of a phase that is believed, ms: eleven days.
const LONGEST_PHASE_MS: f64 = 1e9;

/// One finished episode as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JournalEntry {
    /// The deterministic row.
    pub record: EpisodeRecord,
    /// Times of the queries.
    pub queries: Vec<QueryRecord>,
    /// What the times depend on.
    pub setup: MeasurementSetup,
    /// Bytes of [`EpisodeActions`], hexadecimal.
    actions: String,
    /// Bytes of [`EpisodeHashes`], hexadecimal.
    hashes: String,
}

impl JournalEntry {
    /// Keeps an outcome that was measured in a setup.
    pub fn new(outcome: EpisodeOutcome, setup: MeasurementSetup) -> JournalEntry {
        JournalEntry {
            record: outcome.record,
            queries: outcome.queries,
            setup,
            actions: to_hex(&outcome.actions.to_bytes()),
            hashes: to_hex(&outcome.hashes.to_bytes()),
        }
    }

    /// The actions; `None` if the line was tampered with.
    pub fn actions(&self) -> Option<EpisodeActions> {
        from_digits(&self.actions, EpisodeActions::from_bytes)
    }

    /// The hashes; `None` if the line was tampered with.
    pub fn hashes(&self) -> Option<EpisodeHashes> {
        from_digits(&self.hashes, EpisodeHashes::from_bytes)
    }
}

/// A JSON object as a line with its checksum.
pub(crate) fn checked_line(json: &str) -> String {
    let body = json.strip_suffix('}').unwrap_or(json);
    format!(
        "{body}{BEFORE_CHECKSUM}{:08x}\"}}\n",
        crc32fast::hash(body.as_bytes())
    )
}

/// Compares a line with its checksum.
///
/// # Errors
/// In words, if it has none or was changed.
pub(crate) fn verify_checksum(line: &str) -> Result<(), String> {
    let parts = line.rsplit_once(BEFORE_CHECKSUM);
    let parts = parts.and_then(|(body, end)| Some((body, end.strip_suffix("\"}")?)));
    let (body, written) = parts.ok_or("found no checksum at its end, expected one")?;
    let computed = format!("{:08x}", crc32fast::hash(body.as_bytes()));
    if computed == written {
        return Ok(());
    }
    Err(format!(
        "found content with the checksum {computed}, expected {written}: the line was changed"
    ))
}

/// Compares a row with the header of its journal and with the suite as it is run.
///
/// # Errors
/// Field, found value and expected value.
pub(crate) fn check_entry(
    entry: &JournalEntry,
    protocol: &EvalProtocol,
    context: EvalContext<'_>,
) -> Result<(), String> {
    let suite = context.suite;
    let row = &entry.record;
    same("suite", &row.suite, &protocol.suite)?;
    same("policy", &row.policy, &protocol.policy)?;
    same("seed", &row.seed, &protocol.seed)?;
    same("arithmetic", &row.arithmetic, &protocol.arithmetic)?;
    let task = suite.tasks.get(row.task);
    let task = task.ok_or_else(|| outside("task", row.task, suite.tasks.len()))?;
    if row.init >= task.init_states.len() {
        return Err(outside("init", row.init, task.init_states.len()));
    }
    let context = EvalContext {
        seed: row.seed,
        ..context
    };
    let instruction = context.instruction(row.key()).map_err(|e| e.to_string())?;
    // An episode that could not begin has the words of its task.
    if row.completed() || row.instruction != task.instruction {
        same("instruction", &row.instruction, &instruction.into_owned())?;
    }
    if row.steps > protocol.horizon {
        return Err(outside("steps", row.steps, protocol.horizon + 1));
    }
    let actions = entry.actions().ok_or("actions: malformed")?;
    same("task of the actions", &actions.task, &row.task)?;
    same("init of the actions", &actions.init, &row.init)?;
    same("number of actions", &actions.actions.len(), &row.steps)?;
    if row.completed() {
        let hash = format!("{:016x}", actions.state_hash);
        same("state_hash of the actions", &hash, &row.state_hash)?;
    } else if row.success {
        return Err("success: found true, expected false beside a harness error".to_owned());
    }
    check_hashes(entry, &actions)?;
    same("number of queries", &entry.queries.len(), &row.queries)?;
    for (number, query) in entry.queries.iter().enumerate() {
        let found = (query.task, query.init, query.query);
        same("query", &found, &(row.task, row.init, number))?;
        let times = [
            query.render_ms,
            query.preprocessing_ms,
            query.vision_ms,
            query.language_ms,
            query.head_ms,
            query.server_ms,
            query.network_ms,
        ];
        if let Some(bad) = (times.iter())
            .chain(&query.processor_ms)
            .chain(&query.reference_ms)
            .find(|ms| !(0.0..=LONGEST_PHASE_MS).contains(*ms))
        {
            return Err(format!(
                "query {number}: found a time of {bad} ms, expected 0 to {LONGEST_PHASE_MS}"
            ));
        }
    }
    Ok(())
}

/// Compares the hashes of an episode with its row and its actions.
fn check_hashes(entry: &JournalEntry, actions: &EpisodeActions) -> Result<(), String> {
    let row = &entry.record;
    let hashes = entry.hashes().ok_or("hashes: malformed")?;
    same("task of the hashes", &hashes.task, &row.task)?;
    same("init of the hashes", &hashes.init, &row.init)?;
    same("number of frame hashes", &hashes.frames.len(), &row.queries)?;
    if row.completed() {
        let expected = row.steps + 1;
        same("number of state hashes", &hashes.states.len(), &expected)?;
        if !hashes.ends_in(actions.state_hash) {
            return Err("last state hash: found another than that of state_hash".to_owned());
        }
    }
    Ok(())
}

fn same<T: PartialEq + Debug>(field: &str, found: &T, expected: &T) -> Result<(), String> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{field}: found {found:?}, expected {expected:?}")),
    }
}

fn outside(field: &str, found: impl Display, below: usize) -> String {
    format!("{field}: found {found}, expected less than {below}")
}
