//! A journal that was cut at any byte, or of which any bit was flipped, never gives a row that was not written: what is damaged is said
//! by its line, put aside and run again, and the run ends with the bytes of an undisturbed one.

use super::support::{card, read, run};
use bitvla_eval::{AssetArgs, AssetResolver, EvalError, Journal, LoadedSuite};
use bitvla_policies::testing::SplitMix64;
use bitvla_reports::{EpisodeRecord, EvalProtocol, ReportError};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Rows and losses of a journal.
type Opened = (Vec<EpisodeRecord>, Vec<String>);

/// A run of two episodes, and its journal.
struct Damaged {
    dir: tempfile::TempDir,
    loaded: LoadedSuite,
    protocol: EvalProtocol,
    bytes: Vec<u8>,
    rows: Vec<EpisodeRecord>,
}

impl Damaged {
    fn new() -> Damaged {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let out = dir.path().join("run");
        // One worker, so that the rows stand in the journal in the order of the episodes.
        let mut expert = run("expert", 2, &out);
        expert.args(["--jobs", "1"]).assert().success();
        let resolver = AssetResolver::new(&AssetArgs::default()).expect("assets");
        let mut damaged = Damaged {
            loaded: resolver.open("spatial").expect("a suite"),
            protocol: serde_json::from_value(card(&out)["protocol"].clone()).expect("a protocol"),
            bytes: fs::read(out.join("journal.jsonl")).expect("a journal"),
            rows: Vec::new(),
            dir,
        };
        damaged.rows = damaged.open(&damaged.bytes).expect("undamaged").0;
        assert_eq!(damaged.rows.len(), 2);
        damaged
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    fn open(&self, bytes: &[u8]) -> Result<Opened, EvalError> {
        fs::write(self.out().join("journal.jsonl"), bytes).expect("written");
        let open = || Journal::open(&self.out(), &self.protocol, self.loaded.context(7));
        let mut journal = open();
        // A process that another test starts holds a copy of our last lock until it is the program that it runs.
        while matches!(journal, Err(EvalError::Report(ReportError::InUse { .. }))) {
            std::thread::sleep(Duration::from_millis(1));
            journal = open();
        }
        let journal = journal?;
        let rows = journal.entries().map(|entry| entry.record.clone());
        Ok((rows.collect(), journal.losses().to_vec()))
    }

    /// Byte at which each line ends.
    fn ends(&self) -> Vec<usize> {
        let breaks = self.bytes.iter().enumerate().filter(|(_, b)| **b == b'\n');
        breaks.map(|(at, _)| at + 1).collect()
    }
}

#[test]
fn a_journal_that_was_cut_at_any_byte_keeps_its_whole_rows() {
    let damaged = Damaged::new();
    let ends = damaged.ends();
    for length in 0..=damaged.bytes.len() {
        let (rows, losses) = damaged.open(&damaged.bytes[..length]).expect("opened");
        let whole = ends.iter().filter(|end| **end <= length).count();
        assert_eq!(
            rows,
            damaged.rows[..whole.saturating_sub(1)],
            "{length} bytes"
        );
        let torn = whole > 0 && !ends.contains(&length);
        assert_eq!(
            losses.len(),
            usize::from(torn),
            "{length} bytes: {losses:?}"
        );
        if torn {
            let words = format!("line {}: the row was cut short", whole + 1);
            assert!(losses[0].contains(&words), "{losses:?}");
        }
    }
}

#[test]
fn no_flipped_bit_makes_a_wrong_row() {
    let damaged = Damaged::new();
    let ends = damaged.ends();
    let mut random = SplitMix64::new(16);
    for _ in 0..1000 {
        let at = (random.next_u64() % damaged.bytes.len() as u64) as usize;
        let bit = random.next_u64() % 8;
        let mut bytes = damaged.bytes.clone();
        bytes[at] ^= 1 << bit;
        let place = format!("bit {bit} of byte {at}");
        let (rows, losses) = match damaged.open(&bytes) {
            // The header says what all rows are; without it none is believed.
            Err(error) => {
                assert!(at < ends[0], "{place}: {error}");
                assert!(error.to_string().contains("run"), "{place}: {error}");
                continue;
            }
            Ok(opened) => opened,
        };
        // The row that holds the byte is lost; with its line break, the one behind it too.
        let line = ends.iter().filter(|end| **end <= at).count();
        let lost = |row: usize| {
            row + 1 == line || (bytes[at] != b'\n' && at + 1 == ends[line] && row == line)
        };
        let kept: Vec<EpisodeRecord> = (damaged.rows.iter().enumerate())
            .filter(|(row, _)| !lost(*row))
            .map(|(_, row)| row.clone())
            .collect();
        assert_eq!(rows, kept, "{place}");
        assert!(!losses.is_empty(), "{place} was not said");
        assert!(
            losses[0].contains(&format!("line {}:", line + 1)),
            "{place}: {losses:?}"
        );
    }
}

#[test]
fn a_damaged_row_is_put_aside_and_its_episode_run_again() {
    let damaged = Damaged::new();
    let out = damaged.out();
    let file = |name: &str| fs::read(out.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let before = ["episodes.csv", "actions.bin", "hashes.bin"].map(file);
    let mut bytes = damaged.bytes.clone();
    let middle = (damaged.ends()[0] + damaged.ends()[1]) / 2;
    bytes[middle] ^= 1;
    fs::write(out.join("journal.jsonl"), &bytes).expect("written");
    let output = run("expert", 2, &out).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("journal.jsonl: line 2: found content"),
        "{text}"
    );
    assert_eq!(
        before,
        ["episodes.csv", "actions.bin", "hashes.bin"].map(file)
    );
    // Nothing is thrown away, and the journal is whole again.
    let aside = file("journal-damaged.jsonl");
    assert_eq!(aside, bytes[damaged.ends()[0]..damaged.ends()[1]]);
    let again = run("expert", 2, &out).output().expect("runs");
    let text = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(again.status.success() && !text.contains("line 2"), "{text}");
    assert_eq!(read(&out.join("journal.jsonl")).lines().count(), 3);
    assert!(Path::new(&out.join("run.json")).is_file());
}
