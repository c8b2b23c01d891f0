//! `journal.jsonl`: finished episodes, one line each, on the disk the moment they end, so that a run that was interrupted at
//! any instant goes on where it stopped. The first line is the schema version and the protocol; a folder never mixes two.
//! Every line carries a checksum, and every row is compared with the protocol and the suite. A row that was damaged or cut short is
//! said and never counted: its bytes are put aside in `journal-damaged.jsonl`, and its episode is run again. The open journal is
//! locked: one process at a time writes into a run folder.

use crate::journal_line::{JournalEntry, check_entry, checked_line, verify_checksum};
use crate::{EvalContext, EvalError, check_world};
use bitvla_reports::{
    EvalProtocol, ReportError, SCHEMA_VERSION, StagedFile, check_regular, lock_for,
    schema_version_of,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

const JOURNAL: &str = "journal.jsonl";
/// Bytes of the journal that are no rows any more.
const DAMAGED: &str = "journal-damaged.jsonl";
/// Files of a run folder, which is recognised by its journal.
const RESULTS: [&str; 6] = [
    "episodes.csv",
    "latency.csv",
    "actions.bin",
    "hashes.bin",
    "run.json",
    "summary.txt",
];
/// Beginning of every journal.
const MARK: &str = "{\"schema_version\":";

/// First line of a journal.
#[derive(Serialize)]
struct JournalHeader<'a> {
    schema_version: u32,
    #[serde(flatten)]
    protocol: &'a EvalProtocol,
}

/// The journal of a run folder.
pub struct Journal {
    dir: PathBuf,
    path: PathBuf,
    /// None until the first call of [`Journal::begin`] in a folder without a journal.
    file: Option<File>,
    /// Lines that are kept when it is begun, the header first.
    kept: Vec<u8>,
    /// What is put aside then: damaged rows, and the end of a file that was cut short.
    damaged: Vec<u8>,
    /// One sentence about each loss.
    losses: Vec<String>,
    entries: BTreeMap<(usize, usize), JournalEntry>,
}

impl Journal {
    /// Reads and locks the journal of a folder, if it has one. Nothing is written yet.
    ///
    /// # Errors
    /// [`ReportError::InUse`] while another process writes into the folder; [`EvalError::World`] when the folder holds episodes
    /// of another world version, [`EvalError::Input`] when they are of another protocol, with the differences, or of another
    /// schema version; else if the journal is none of this program's or a row of it was changed.
    pub fn open(
        dir: &Path,
        protocol: &EvalProtocol,
        context: EvalContext<'_>,
    ) -> Result<Journal, EvalError> {
        let path = dir.join(JOURNAL);
        if dir.exists() && !dir.is_dir() {
            return Err(EvalError::Input(format!(
                "{}: found a file, expected a run folder or a new name",
                dir.display()
            )));
        }
        check_regular(&path)?;
        let mut journal = Journal {
            dir: dir.to_owned(),
            path: path.clone(),
            file: None,
            kept: Vec::new(),
            damaged: Vec::new(),
            losses: Vec::new(),
            entries: BTreeMap::new(),
        };
        let mut file = match OpenOptions::new().read(true).append(true).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                refuse_foreign_results(dir)?;
                return Ok(journal);
            }
            Err(e) => return Err(EvalError::io(&path)(e)),
        };
        lock_for(&file, dir)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(EvalError::io(&path))?;
        journal.file = Some(file);
        let header = bytes.split_inclusive(|b| *b == b'\n').next();
        match header.filter(|line| line.ends_with(b"\n")) {
            None => refuse_foreign_beginning(&path, &bytes)?,
            Some(header) => journal.read(&bytes, header.len(), (protocol, context))?,
        }
        Ok(journal)
    }

    /// Reads the protocol of the journal of a folder.
    ///
    /// # Errors
    /// [`EvalError::Input`] if the folder has no journal, [`EvalError::World`] if it is of another world version; else if its first
    /// line is none of this program's.
    pub fn protocol_of(dir: &Path) -> Result<EvalProtocol, EvalError> {
        let path = dir.join(JOURNAL);
        if !path.is_file() {
            return Err(EvalError::Input(format!(
                "{} is missing: not a run folder",
                path.display()
            )));
        }
        check_regular(&path)?;
        let file = File::open(&path).map_err(EvalError::io(&path))?;
        let mut header = String::new();
        let read = BufReader::new(file).read_line(&mut header);
        read.map_err(|e| EvalError::format(&path, format!("line 1: {e}")))?;
        let header = header.trim_end_matches('\n');
        let at = |what: String| EvalError::format(&path, format!("line 1: {what}"));
        let (_, protocol) = parse_header(&path, header)?;
        verify_checksum(header).map_err(at)?;
        check_world(dir, &protocol)?;
        Ok(protocol)
    }

    fn read(
        &mut self,
        bytes: &[u8],
        header_length: usize,
        (protocol, context): (&EvalProtocol, EvalContext<'_>),
    ) -> Result<(), EvalError> {
        let path = self.path.clone();
        let at =
            |line: usize, what: String| EvalError::format(&path, format!("line {line}: {what}"));
        let (header, rows) = bytes.split_at(header_length);
        let text = std::str::from_utf8(header).map_err(|e| at(1, format!("no text: {e}")))?;
        let text = text.trim_end_matches('\n');
        let (version, theirs) = parse_header(&path, text)?;
        // A header without rows holds nothing that could be lost or mixed; it is written anew.
        if rows.is_empty() {
            return Ok(());
        }
        check_world(&self.dir, &theirs)?;
        if version < SCHEMA_VERSION {
            return Err(EvalError::Input(format!(
                "{}: schema version {version}, this program goes on with version {SCHEMA_VERSION} only; choose another \
                 --out or remove it",
                path.display()
            )));
        }
        verify_checksum(text).map_err(|what| at(1, what))?;
        let differences = theirs.differences(protocol);
        if !differences.is_empty() {
            return Err(EvalError::Input(format!(
                "{} holds episodes of another protocol ({}); choose another --out or remove it",
                self.dir.display(),
                differences.join("; ")
            )));
        }
        self.kept.extend_from_slice(header);
        let mut line_of = BTreeMap::new();
        for (line, row) in (2..).zip(rows.split_inclusive(|b| *b == b'\n')) {
            let text = match whole_row(row) {
                Ok(text) => text,
                Err(what) => {
                    self.losses.push(format!(
                        "{}: line {line}: {what}; it does not count",
                        path.display()
                    ));
                    self.damaged.extend_from_slice(row);
                    continue;
                }
            };
            let entry: JournalEntry =
                serde_json::from_str(text).map_err(|e| at(line, e.to_string()))?;
            check_entry(&entry, protocol, context).map_err(|what| at(line, what))?;
            let key = entry.record.key();
            if self.has(key) {
                let first = line_of.get(&key).copied().unwrap_or(0);
                let what = format!(
                    "task {}, initial state {}: finished already in line {first}",
                    key.0, key.1
                );
                return Err(at(line, what));
            }
            line_of.insert(key, line);
            self.kept.extend_from_slice(row);
            self.entries.insert(key, entry);
        }
        Ok(())
    }

    /// Rows that were damaged or cut short, one sentence each; none of them counts.
    pub fn losses(&self) -> &[String] {
        &self.losses
    }

    /// Claims the folder: makes it and its journal if there is none, writes the header, puts damaged lines aside.
    ///
    /// # Errors
    /// If another process has begun a run in the folder since, or the file cannot be written.
    pub fn begin(&mut self, protocol: &EvalProtocol) -> Result<(), EvalError> {
        let path = &self.path;
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                fs::create_dir_all(&self.dir).map_err(EvalError::io(&self.dir))?;
                let file = OpenOptions::new().create_new(true).append(true).open(path);
                let file = file.map_err(|e| match e.kind() {
                    ErrorKind::AlreadyExists => ReportError::InUse {
                        path: self.dir.clone(),
                    }
                    .into(),
                    _ => EvalError::io(path)(e),
                })?;
                lock_for(&file, &self.dir)?;
                file
            }
        };
        let file = match self.damaged.is_empty() {
            true => file,
            false => self.repaired()?,
        };
        let path = &self.path;
        let file = self.file.insert(file);
        file.set_len(self.kept.len() as u64)
            .map_err(EvalError::io(path))?;
        if self.kept.is_empty() {
            let header = JournalHeader {
                schema_version: SCHEMA_VERSION,
                protocol,
            };
            append(file, path, &header)?;
        }
        Ok(())
    }

    /// Puts what is no row aside, and a journal of the kept lines in the place of the damaged one, locked before it has its name.
    fn repaired(&self) -> Result<File, EvalError> {
        let aside = self.dir.join(DAMAGED);
        check_regular(&aside)?;
        let file = OpenOptions::new().create(true).append(true).open(&aside);
        let mut damaged = self.damaged.clone();
        if !damaged.ends_with(b"\n") {
            damaged.push(b'\n');
        }
        file.and_then(|mut file| {
            file.write_all(&damaged)?;
            file.sync_data()
        })
        .map_err(EvalError::io(&aside))?;
        let staged = StagedFile::beside(&self.path)?;
        let file = OpenOptions::new().append(true).open(staged.path());
        let mut file = file.map_err(EvalError::io(&self.path))?;
        lock_for(&file, &self.dir)?;
        file.write_all(&self.kept)
            .map_err(EvalError::io(&self.path))?;
        staged.commit()?;
        Ok(file)
    }

    /// Adds a finished episode; it is on the disk when this returns.
    ///
    /// # Errors
    /// If the folder was not claimed, or the file cannot be written.
    pub fn push(&mut self, entry: JournalEntry) -> Result<(), EvalError> {
        let file = self.file.as_mut().ok_or_else(|| {
            EvalError::Input(format!(
                "{}: the folder was not claimed",
                self.dir.display()
            ))
        })?;
        append(file, &self.path, &entry)?;
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

/// Text of a row that is as it was written.
///
/// # Errors
/// In words, if it was cut short or changed.
fn whole_row(row: &[u8]) -> Result<&str, String> {
    let whole = row.strip_suffix(b"\n").ok_or("the row was cut short")?;
    let text = std::str::from_utf8(whole).map_err(|e| format!("no text: {e}"))?;
    verify_checksum(text)?;
    Ok(text)
}

/// Schema version and protocol of the first line of a journal.
fn parse_header(path: &Path, header: &str) -> Result<(u32, EvalProtocol), EvalError> {
    let version = schema_version_of(header).map_err(|e| EvalError::format(path, e))?;
    let protocol = serde_json::from_str(header);
    let protocol = protocol.map_err(|e| EvalError::format(path, format!("line 1: {e}")))?;
    Ok((version, protocol))
}

/// Refuses a folder with files that a run would replace, but without the journal of a run.
fn refuse_foreign_results(dir: &Path) -> Result<(), EvalError> {
    let found = RESULTS.into_iter().find(|name| dir.join(name).exists());
    match found {
        None => Ok(()),
        Some(name) => Err(EvalError::Input(format!(
            "{} holds {name}, but no {JOURNAL}: not a run folder that could be gone on with; choose another --out",
            dir.display()
        ))),
    }
}

/// Refuses a file without a finished line, unless it is the beginning of a header of this program.
fn refuse_foreign_beginning(path: &Path, bytes: &[u8]) -> Result<(), EvalError> {
    let length = bytes.len().min(MARK.len());
    if bytes[..length] == MARK.as_bytes()[..length] {
        return Ok(());
    }
    let what = format!("found other text, expected {MARK}, as a journal of this program begins");
    Err(EvalError::format(path, what))
}

fn append<T: Serialize>(file: &mut File, path: &Path, value: &T) -> Result<(), EvalError> {
    let json = serde_json::to_string(value).map_err(|e| EvalError::format(path, e))?;
    let line = checked_line(&json);
    file.write_all(line.as_bytes())
        .and_then(|()| file.sync_data())
        .map_err(EvalError::io(path))
}
