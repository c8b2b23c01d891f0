//! Writes a page with the simulator inside it: choose suite, task and initial state, and drive the arm with the keyboard.
//!
//! `cargo run --release --example playground -- playground.html`

use bitvla_eval::ReplayRecord;
use bitvla_reports::REPLAY_WORKER;
use bitvla_tasks::suite::BUILTIN_SUITES;
use bitvla_tasks::{Assets, Suite};
use serde_json::json;
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let path = PathBuf::from(std::env::args().nth(1).unwrap_or("playground.html".into()));

    // The files of every suite, and what the page offers.
    let assets = Assets::open(&Assets::default_dir())?;
    let mut record = ReplayRecord::new(&assets)?;
    let mut suites = Vec::new();
    for name in BUILTIN_SUITES {
        record.add_suite(&assets, name)?;
        let suite = Suite::load(&assets, name)?;
        let tasks = suite.tasks.iter();
        let tasks = tasks.map(|task| json!([task.instruction, task.init_states.len()]));
        suites.push(json!({ "name": name, "tasks": tasks.collect::<Vec<_>>() }));
    }
    let replay = record.finish()?;

    let page = include_str!("page.html")
        .replace("{worker}", REPLAY_WORKER)
        .replace(
            "{suites}",
            &json!(suites).to_string().replace('<', "\\u003c"),
        )
        .replace("{record}", &replay.record()?)
        .replace("{module}", &replay.module_text());
    std::fs::write(&path, &page)?;
    println!("{}  {:.1} MB", path.display(), page.len() as f64 / 1e6);
    Ok(())
}
