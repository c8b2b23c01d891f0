//! Fuzzing of readers: good files are damaged by seeded edits, and a reader must answer each with a value or an error that
//! names the place, without a panic and within bounds of memory and time.
//!
//! A normal test run takes seconds and has the same inputs every time. `BITVLA_FUZZ_SECS=600` gives each reader that many
//! seconds. A new reader is one more [`Reader`] and its test. Linking this crate counts the allocations of the process.

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::cell::Cell;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that the reading of one input may allocate, all allocations added up.
const MAX_BYTES: usize = 1_000_000_000;
/// Time that the reading of one input may take.
const MAX_TIME: Duration = Duration::from_secs(10);

/// A reader of files.
pub struct Reader<'a> {
    /// Name in messages.
    pub name: &'static str,
    /// Good files; the first is read before the fuzzing begins.
    pub corpus: &'a [Vec<u8>],
    /// Parts of such files, which are inserted anywhere.
    pub words: &'a [&'a [u8]],
    /// Inputs of a normal test run.
    pub cases: u32,
    /// Reads a file; the error is the message that a user gets.
    pub read: &'a dyn Fn(&[u8]) -> Result<(), String>,
    /// Returns true if an error names its place.
    pub names_place: &'a dyn Fn(&str) -> bool,
}

/// One edit of a file.
#[derive(Debug, Clone)]
enum Edit {
    /// Overwrites, lengthening the file at its end.
    Write(Index, Vec<u8>),
    Insert(Index, Vec<u8>),
    Word(Index, Index),
    Remove(Index, Index),
    /// Repeats a part up to so many times.
    Repeat(Index, Index, u8),
    Flip(Index, u8),
    Cut(Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let bytes = proptest::collection::vec(any::<u8>(), 1..9);
    prop_oneof![
        (any::<Index>(), bytes.clone()).prop_map(|(at, b)| Edit::Write(at, b)),
        (any::<Index>(), bytes).prop_map(|(at, b)| Edit::Insert(at, b)),
        any::<(Index, Index)>().prop_map(|(at, w)| Edit::Word(at, w)),
        any::<(Index, Index)>().prop_map(|(a, b)| Edit::Remove(a, b)),
        any::<(Index, Index, u8)>().prop_map(|(a, b, n)| Edit::Repeat(a, b, n)),
        (any::<Index>(), 0u8..8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        any::<Index>().prop_map(Edit::Cut),
    ]
}

impl Edit {
    fn apply(&self, file: &mut Vec<u8>, words: &[&[u8]]) {
        let place = |at: &Index, len: usize| at.index(len + 1);
        let len = file.len();
        let part = |a: &Index, b: &Index| {
            let (a, b) = (place(a, len), place(b, len));
            // Mostly short parts.
            a.min(b)..a.max(b).min(a.min(b) + 1 + (a ^ b) % 64)
        };
        match self {
            Edit::Write(at, bytes) => {
                let at = place(at, len);
                let end = (at + bytes.len()).min(len);
                file.splice(at..end, bytes.iter().copied());
            }
            Edit::Insert(at, bytes) => {
                let at = place(at, len);
                file.splice(at..at, bytes.iter().copied());
            }
            Edit::Word(at, word) => {
                let at = place(at, len);
                file.splice(at..at, word.get(words).iter().copied());
            }
            Edit::Remove(a, b) => {
                file.drain(part(a, b));
            }
            Edit::Repeat(a, b, times) => {
                let part = part(a, b);
                let copies = file[part.clone()].repeat(usize::from(*times));
                file.splice(part.end..part.end, copies);
            }
            Edit::Flip(at, bit) => {
                if len > 0 {
                    file[at.index(len)] ^= 1 << bit;
                }
            }
            Edit::Cut(at) => file.truncate(place(at, len)),
        }
    }
}

/// Damages files and reads them.
///
/// # Panics
/// If the first file of the corpus is refused; if a reader panics, allocates more than 1 GB, takes more than 10 s, or refuses a
/// file without a place; if hardly any input was refused.
pub fn fuzz(reader: &Reader<'_>) {
    // One after the other: the counter of allocations is the process's.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let time = std::env::var("BITVLA_FUZZ_SECS").ok();
    let time = time.map(|secs| Duration::from_secs(secs.parse().expect("a number of seconds")));
    let (name, corpus) = (reader.name, reader.corpus);
    let good = (reader.read)(&corpus[0]);
    assert_eq!(good, Ok(()), "{name}: the corpus is good");
    let (refused, inputs) = (Cell::new(0u64), Cell::new(0u64));
    let (most, longest) = (Cell::new(0usize), Cell::new(Duration::ZERO));
    let strategy = (any::<Index>(), proptest::collection::vec(edit(), 1..6));
    let config = Config {
        cases: reader.cases,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(config.clone(), rng);
    let (start, mut batches) = (Instant::now(), 0);
    loop {
        let outcome = runner.run(&strategy, |(which, edits)| {
            let mut file = which.get(corpus).clone();
            for edit in &edits {
                edit.apply(&mut file, reader.words);
            }
            let (region, began) = (Region::new(ALLOCATOR), Instant::now());
            let answer = (reader.read)(&file);
            let (bytes, took) = (region.change().bytes_allocated, began.elapsed());
            inputs.set(inputs.get() + 1);
            most.set(most.get().max(bytes));
            longest.set(longest.get().max(took));
            prop_assert!(bytes <= MAX_BYTES, "{bytes} bytes allocated");
            prop_assert!(took <= MAX_TIME, "{took:?} for one input");
            if let Err(error) = answer {
                refused.set(refused.get() + 1);
                prop_assert!((reader.names_place)(&error), "no place in: {error}");
            }
            Ok(())
        });
        if let Err(error) = outcome {
            panic!("{name}: {error}");
        }
        batches += 1;
        if time.is_none_or(|time| start.elapsed() >= time) {
            break;
        }
        // A runner is done after one batch; the next goes on with its random numbers.
        runner = TestRunner::new_with_rng(config.clone(), runner.new_rng());
    }
    let (inputs, refused) = (inputs.get(), refused.get());
    println!(
        "{name}: {inputs} inputs, {refused} refused; the largest allocated {} bytes, the slowest took {:?}",
        most.get(),
        longest.get()
    );
    let whole = batches * u64::from(reader.cases);
    assert_eq!(inputs, whole, "{name}: batches are whole");
    assert!(refused > inputs / 20, "{name}: hardly anything was damaged");
}
