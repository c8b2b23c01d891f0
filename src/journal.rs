//! `journal.jsonl`: finished episodes, one line each, appended the moment they end, so that a run that
//! was interrupted at any instant goes on where it stopped. The first line is the schema version and the protocol; a folder
//! never mixes two. A last line that was cut short is dropped.

use crate::{EpisodeOutcome, EvalError, check_world};
use bitvla_reports::{
    EpisodeActions, EpisodeRecord, EvalProtocol, QueryRecord, SCHEMA_VERSION, from_hex,
    schema_version_of, to_hex,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// One finished episode as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JournalEntry {
    /// The deterministic row.
    pub record: EpisodeRecord,
    /// Times of the queries.
    pub queries: Vec<QueryRecord>,
    /// Bytes of [`EpisodeActions`], hexadecimal.
    actions: String,
}

impl JournalEntry {
    /// Keeps an outcome.
    pub fn new(outcome: EpisodeOutcome) -> JournalEntry {
        JournalEntry {
            record: outcome.record,
            queries: outcome.queries,
            actions: to_hex(&outcome.actions.to_bytes()),
        }
    }

    /// The actions; `None` if the line was tampered with.
    pub fn actions(&self) -> Option<EpisodeActions> {
        let bytes = from_hex(&self.actions)?;
        EpisodeActions::from_bytes(&mut bytes.as_slice())
    }
}

/// First line of a journal.
#[derive(Serialize)]
struct JournalHeader<'a> {
    schema_version: u32,
    #[serde(flatten)]
    protocol: &'a EvalProtocol,
}

/// The open journal of a run folder.
pub struct Journal {
    path: PathBuf,
    file: File,
    entries: BTreeMap<(usize, usize), JournalEntry>,
}

impl Journal {
    /// Opens the journal of a folder, or begins one.
    ///
    /// # Errors
    /// [`EvalError::World`] when the folder holds episodes of another world version, [`EvalError::Input`] when they are of
    /// another protocol, with the differences, or of another schema version.
    pub fn open(dir: &Path, protocol: &EvalProtocol) -> Result<Journal, EvalError> {
        fs::create_dir_all(dir).map_err(EvalError::io(dir))?;
        let path = dir.join("journal.jsonl");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(EvalError::io(&path)(e)),
        };
        // Only lines that were finished count; what follows the last line break was cut short.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut lines = text[..whole].lines();
        let mut entries = BTreeMap::new();
        let format = |line: usize, e: serde_json::Error| {
            EvalError::format(&path, format!("line {line}: {e}"))
        };
        let header = lines.next();
        if let Some(header) = header {
            let version = schema_version_of(header).map_err(|e| EvalError::format(&path, e))?;
            let theirs: EvalProtocol = serde_json::from_str(header).map_err(|e| format(1, e))?;
            check_world(dir, &theirs)?;
            if version < SCHEMA_VERSION {
                return Err(EvalError::Input(format!(
                    "{}: schema version {version}, this program goes on with version {SCHEMA_VERSION} only; choose another \
                     --out or remove it",
                    path.display()
                )));
            }
            let differences = theirs.differences(protocol);
            if !differences.is_empty() {
                return Err(EvalError::Input(format!(
                    "{} holds episodes of another protocol ({}); choose another --out or remove it",
                    dir.display(),
                    differences.join("; ")
                )));
            }
        }
        for (i, line) in lines.enumerate() {
            let entry: JournalEntry = serde_json::from_str(line).map_err(|e| format(i + 2, e))?;
            entries.insert(entry.record.key(), entry);
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(EvalError::io(&path))?;
        file.set_len(whole as u64).map_err(EvalError::io(&path))?;
        if header.is_none() {
            let header = JournalHeader {
                schema_version: SCHEMA_VERSION,
                protocol,
            };
            append(&mut file, &path, &header)?;
        }
        Ok(Journal {
            path,
            file,
            entries,
        })
    }

    /// Adds a finished episode; it is on disk when this returns.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn push(&mut self, entry: JournalEntry) -> Result<(), EvalError> {
        append(&mut self.file, &self.path, &entry)?;
        self.entries.insert(entry.record.key(), entry);
        Ok(())
    }

    /// Returns true if an episode ran to its end before; harness errors are tried again.
    pub fn has(&self, key: (usize, usize)) -> bool {
        self.entries
            .get(&key)
            .is_some_and(|entry| entry.record.completed())
    }

    /// All episodes in order of task and initial state.
    pub fn entries(&self) -> impl Iterator<Item = &JournalEntry> {
        self.entries.values()
    }
}

fn append<T: Serialize>(file: &mut File, path: &Path, value: &T) -> Result<(), EvalError> {
    let mut line = serde_json::to_vec(value).map_err(|e| EvalError::format(path, e))?;
    line.push(b'\n');
    file.write_all(&line).map_err(EvalError::io(path))
}
