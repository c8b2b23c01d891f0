//! Reads BDDL files of LIBERO's form and builds their scenes, and counts how many run and why others are refused:
//!
//! `cargo run --release -p bitvla-tasks --example check_bddl -- [--sample N] LIBERO FOLDER...`
//!
//! LIBERO is what `--libero` names: a checkout, or packages of PyPI. Every `.bddl` file under the folders is parsed; with
//! its initial states the fixtures are placed,
//! the world of the first state is built and settled, and the goal is compiled. The refusals are written to standard error, the table
//! to standard output. With `--sample` only N files at equal distances in the order of their paths are read.

use bitvla_sim::World;
use bitvla_tasks::libero::{FixturePoses, LiberoDir, SuiteFiles};
use bitvla_tasks::{Assets, InstructionRule, SETTLE_ACTION, TaskError};
use nalgebra::Vector3;
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

/// Control steps after which a world has to be at rest, and the largest motion of an object in the last of them, m.
const STEPS: usize = 60;
const STILL: f64 = 0.001;
/// Control steps for which an object that is not at rest by then is watched.
const WATCHED_STEPS: usize = 300;
/// Motion sideways or up in the first control step by which an overlap with another object shows, m.
const PUSHED_APART: f64 = 0.004;
/// Height below the start at which an object has fallen from what it was put on, m.
const FALLEN: f64 = 0.1;

/// Positions of all instances.
fn places(world: &World) -> Vec<Vector3<f64>> {
    let instances = 0..world.scene().instances.len();
    instances
        .map(|i| world.instance_pose(i).translation.vector)
        .collect()
}

/// Lets a world settle; an object that does not come to rest or falls below the floor, with what happens to it.
fn settle(world: &mut World) -> Result<Option<String>, TaskError> {
    let start = places(world);
    let mut first = start.clone();
    let mut last = start.clone();
    let mut watched = None;
    let mut rest = None;
    for step in 1..=WATCHED_STEPS {
        world.step(&SETTLE_ACTION)?;
        let now = places(world);
        let still = |i: usize| (now[i] - last[i]).norm() <= STILL;
        if step == 1 {
            first = now.clone();
        }
        if step == STEPS {
            watched = (0..now.len()).find(|i| !still(*i) || now[*i].z < -0.1);
            if watched.is_none() {
                return Ok(None);
            }
        }
        if rest.is_none() && watched.is_some_and(still) {
            rest = Some(step);
        }
        last = now;
    }
    Ok(watched.map(|i| {
        let mut words = world.scene().instances[i].name.clone();
        let motion = first[i] - start[i];
        let pushed = motion.xy().norm().max(motion.z);
        if pushed > PUSHED_APART {
            words += &format!(
                ", which overlaps something in the initial state ({:.0} mm sideways or up in the first step),",
                1000.0 * pushed
            );
        }
        let fall = start[i].z - last[i].z;
        let way = (last[i] - start[i]).xy().norm();
        words += &match rest {
            _ if fall > FALLEN => format!(" falls by {fall:.2} m, {way:.2} m aside"),
            Some(step) => format!(" moves {way:.2} m and is at rest after {step} steps"),
            None => format!(" has moved {way:.2} m after {WATCHED_STEPS} steps and still moves"),
        };
        words
    }))
}

/// Reads one file, builds the world of its first initial state, compiles its goal and lets it settle; what happens to an object that does not come to rest.
fn check(assets: &Assets, path: &Path) -> Result<Option<String>, TaskError> {
    let files = SuiteFiles::of_file(path, None)?;
    let rule = InstructionRule::Default;
    let suite = files.load(assets, &FixturePoses::Drawn, &rule, None)?;
    for task in &suite.tasks {
        if let Some(init) = task.init_states.first() {
            let mut world = task.world(assets, init)?;
            task.compile_goal(&world)?;
            if let Some(restless) = settle(&mut world)? {
                return Ok(Some(restless));
            }
        }
    }
    Ok(None)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from).peekable();
    let usage = "usage: check_bddl [--sample N] LIBERO FOLDER...";
    let mut sample = usize::MAX;
    if args.next_if(|arg| arg.as_os_str() == "--sample").is_some() {
        let count = args.next().and_then(|count| count.to_str()?.parse().ok());
        sample = count.filter(|count| *count > 0).ok_or(usage)?;
    }
    let libero = LiberoDir::open(&args.next().ok_or(usage)?, None)?;
    let assets = Assets::libero(&Assets::default_dir(), libero)?;
    for folder in args {
        let mut paths = Vec::new();
        collect(&folder, &mut paths)?;
        let (all, count) = (paths.len(), sample.min(paths.len()));
        let paths: Vec<PathBuf> = (0..count).map(|i| paths[i * all / count].clone()).collect();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for path in &paths {
            let row = match check(&assets, path) {
                Ok(None) => "runs and comes to rest".to_owned(),
                Ok(Some(restless)) => {
                    eprintln!("{}: {restless}", path.display());
                    "runs, but an object does not come to rest".to_owned()
                }
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
