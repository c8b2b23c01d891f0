//! Guarantee: for any bytes in any file of a run folder, its reader returns content or an error that names the file. Nothing
//! panics, allocates more than 1 GB or takes more than 10 s.
//!
//! `BITVLA_FUZZ_SECS=600 cargo test --release --test fuzz -- --nocapture` gives each reader 600 s.

#[path = "common/program.rs"]
mod program;

use bitvla_eval::{AssetArgs, AssetResolver, Journal, LoadedSuite};
use bitvla_fuzz::{Reader, fuzz};
use bitvla_reports::{
    EvalProtocol, ReportError, read_actions, read_episodes, read_hashes, read_latency,
    read_manifest,
};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Inputs of a normal test run.
const CASES: u32 = 1024;

/// JSON and CSV that mean something to one of the readers, and numbers at the ends of their ranges.
const WORDS: &[&[u8]] = &[
    b"null",
    b"-1",
    b"1e400",
    b"18446744073709551615",
    b"1000000000",
    b"\"",
    b"{}",
    b"[[[[[[[[",
    b"\\ud800",
    b"\xff",
    b",",
    b"\n",
    b"\"\n\"",
    b"\"schema_version\":1,",
    b"\"schema_version\":99,",
    b"\"task\":9,",
    b"\"steps\":4294967295,",
    b"NaN",
    b"ffffffffffffffff",
];

/// A run of two episodes with a policy that is asked.
struct RunFolder {
    dir: TempDir,
}

impl RunFolder {
    fn new() -> RunFolder {
        let dir = tempfile::tempdir().expect("a folder");
        let checkpoint = program::checkpoint(dir.path());
        let mut run = program::run("ternary", 2, &dir.path().join("run"));
        let run = run.arg("--checkpoint").arg(&checkpoint);
        run.assert().success();
        RunFolder { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("run").join(name)
    }

    /// Damages one file of the folder.
    fn fuzz(&self, name: &'static str, read: impl Fn(&Path) -> Result<(), String>) {
        let path = self.path(name);
        let place = self.dir.path().display().to_string();
        let good = std::fs::read(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
        fuzz(&Reader {
            name,
            corpus: &[good],
            words: WORDS,
            cases: CASES,
            read: &|bytes| {
                std::fs::write(&path, bytes).expect("written");
                read(&path)
            },
            // A journal of another protocol is refused with its folder.
            names_place: &|error| error.contains(&place),
        });
    }
}

fn nothing<T>(read: Result<T, ReportError>) -> Result<(), String> {
    read.map(|_| ()).map_err(|e| e.to_string())
}

#[test]
fn actions() {
    RunFolder::new().fuzz("actions.bin", |path| nothing(read_actions(path)));
}

#[test]
fn hashes() {
    RunFolder::new().fuzz("hashes.bin", |path| nothing(read_hashes(path)));
}

#[test]
fn episodes() {
    RunFolder::new().fuzz("episodes.csv", |path| nothing(read_episodes(path)));
}

#[test]
fn latency() {
    RunFolder::new().fuzz("latency.csv", |path| nothing(read_latency(path)));
}

#[test]
fn manifest() {
    RunFolder::new().fuzz("run.json", |path| nothing(read_manifest(path)));
}

fn suite() -> LoadedSuite {
    let resolver = AssetResolver::new(&AssetArgs::default()).expect("assets");
    resolver.open("spatial").expect("a suite")
}

fn open(dir: &Path, protocol: &EvalProtocol, loaded: &LoadedSuite) -> Result<(), String> {
    let journal = Journal::open(dir, protocol, loaded.context(7)).map_err(|e| e.to_string())?;
    // What was taken for true is used.
    for entry in journal.entries() {
        assert!(entry.actions().is_some(), "an accepted row has actions");
        assert!(entry.hashes().is_some(), "an accepted row has hashes");
    }
    Ok(())
}

#[test]
fn journal() {
    let (folder, loaded) = (RunFolder::new(), suite());
    let manifest = read_manifest(&folder.path("run.json")).expect("a manifest");
    let dir = folder.path("");
    for name in [
        "episodes.csv",
        "latency.csv",
        "actions.bin",
        "hashes.bin",
        "run.json",
    ] {
        std::fs::remove_file(dir.join(name)).expect("removed");
    }
    folder.fuzz("journal.jsonl", |path| {
        let dir = path.parent().expect("a folder");
        open(dir, &manifest.protocol, &loaded)
    });
}

/// A journal whose lines have the checksums of what they say, so that damage reaches what reads the content.
fn with_checksums(journal: &[u8]) -> Vec<u8> {
    const BEFORE: &[u8] = b",\"crc32\":\"";
    let mut out = Vec::new();
    for line in journal.split_inclusive(|b| *b == b'\n') {
        let body = line.windows(BEFORE.len()).rposition(|w| w == BEFORE);
        let Some(body) = body.map(|end| &line[..end]) else {
            out.extend(line);
            continue;
        };
        out.extend(body);
        out.extend(BEFORE);
        out.extend(format!("{:08x}\"}}\n", crc32fast::hash(body)).bytes());
    }
    out
}

#[test]
fn journal_with_checksums_of_the_damage() {
    let (folder, loaded) = (RunFolder::new(), suite());
    let manifest = read_manifest(&folder.path("run.json")).expect("a manifest");
    folder.fuzz("journal.jsonl", |path| {
        let damaged = std::fs::read(path).expect("written");
        std::fs::write(path, with_checksums(&damaged)).expect("written");
        let dir = path.parent().expect("a folder");
        open(dir, &manifest.protocol, &loaded)
    });
}
