//! Reads BDDL files of LIBERO's form and builds their scenes, and counts how many run and why others are refused:
//!
//! `cargo run --release -p bitvla-tasks --example check_bddl -- LIBERO FOLDER...`
//!
//! LIBERO is what `--libero` names: a checkout, or packages of PyPI. Every `.bddl` file under the folders is parsed; with
//! its initial states the fixtures are placed,
//! the world of the first state is built and the goal is compiled. The refusals are written to standard error, the table
//! to standard output.

use bitvla_tasks::libero::{FixturePoses, LiberoDir, SuiteFiles};
use bitvla_tasks::{Assets, InstructionRule, TaskError};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

/// Kinds of refusals: words of the message, and the row of the table.
const REASONS: [(&str, &str); 9] = [
    (
        "as a scene of LIBERO-plus",
        "scene variant that is not in the asset folder",
    ),
    ("unknown problem", "unknown problem name"),
    (
        "no model of the object category",
        "no model of an object category",
    ),
    ("no initial states", "no initial states"),
    ("an array of 0 rows", "file of no initial states"),
    ("numbers, expected", "initial states of another scene"),
    ("no site", "no site of a region in the model"),
    ("joint", "no joint or threshold in the model"),
    ("unknown object or region", "unknown object or region"),
];

fn collect(dir: &Path, out: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        entries.push(entry?.path());
    }
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, out)?;
        } else if path.extension().is_some_and(|e| e == "bddl") {
            out.push(path);
        }
    }
    Ok(())
}

/// Reads one file, builds the world of its first initial state and compiles its goal.
fn check(assets: &Assets, path: &Path) -> Result<(), TaskError> {
    let files = SuiteFiles::of_file(path, None)?;
    let rule = InstructionRule::Default;
    let suite = files.load(assets, &FixturePoses::Drawn, &rule, None)?;
    for task in &suite.tasks {
        if let Some(init) = task.init_states.first() {
            let world = task.world(assets, init)?;
            task.compile_goal(&world)?;
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let usage = "usage: check_bddl LIBERO FOLDER...";
    let libero = LiberoDir::open(&args.next().ok_or(usage)?, None)?;
    let assets = Assets::libero(&Assets::default_dir(), libero)?;
    for folder in args {
        let mut paths = Vec::new();
        collect(&folder, &mut paths)?;
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for path in &paths {
            let row = match check(&assets, path) {
                Ok(()) => "runs".to_owned(),
                Err(error) => {
                    let message = error.to_string();
                    eprintln!("{message}");
                    let known = REASONS.iter().find(|(words, _)| message.contains(words));
                    known.map_or_else(|| format!("other: {message}"), |(_, row)| (*row).to_owned())
                }
            };
            *counts.entry(row).or_default() += 1;
        }
        println!("{}: {} files", folder.display(), paths.len());
        for (row, count) in counts {
            println!("{count:8}  {row}");
        }
    }
    Ok(())
}
