//! A replay of nothing is no success, and a run folder whose files do not fit together, or that was made with another suite, is
//! refused by file and field.

use super::support::{edit, program, read, refused, run};
use std::fs;
use std::path::Path;

fn replay(out: &Path) -> assert_cmd::Command {
    let mut replay = program();
    replay.arg("replay").arg(out);
    replay
}

#[test]
fn files_that_do_not_fit_together_are_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("run");
    run("expert", 2, &out).assert().success();
    replay(&out).assert().success();

    let actions = out.join("actions.bin");
    let bytes = fs::read(&actions).expect("actions");
    fs::write(&actions, &bytes[..8]).expect("written");
    refused(
        replay(&out),
        &["episodes.csv has 2 finished episodes", "actions.bin has 0"],
    );
    fs::write(&actions, &bytes).expect("written");

    let rows = out.join("episodes.csv");
    let text = read(&rows);
    let lines: Vec<&str> = text.lines().collect();
    fs::write(&rows, lines[..2].join("\n")).expect("written");
    refused(replay(&out), &["1 finished episodes", "actions.bin has 2"]);
    let hash = lines[1].rsplit(',').nth(1).expect("a hash");
    fs::write(&rows, text.replace(hash, "0123456789abcdef")).expect("written");
    refused(replay(&out), &["state_hash is 0123456789abcdef", hash]);
    fs::write(&rows, &text).expect("written");

    let card = out.join("run.json");
    let text = read(&card);
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let hash = json["protocol"]["assets_sha256"].as_str().expect("a hash");
    let other = "0".repeat(64);
    for (from, to, words) in [
        (
            "\"policy\": \"expert\"",
            "\"policy\": \"zero\"",
            "policy is expert, expected zero",
        ),
        (
            "\"settle_steps\": 10",
            "\"settle_steps\": 11",
            "settle_steps: 11 against 10",
        ),
        (
            "\"horizon\": 220",
            "\"horizon\": 221",
            "horizon: 221 against 220",
        ),
        (hash, &other, "assets_sha256: 000000000000 against"),
        ("\"episodes\": 2", "\"episodes\": 3", "3 initial states"),
    ] {
        edit(&card, from, to);
        refused(replay(&out), &[words]);
        fs::write(&card, &text).expect("written");
    }
    replay(&out).assert().success();
}

#[test]
fn a_recording_without_a_finished_episode_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("run");
    run("expert", 1, &out).assert().success();
    let rows = out.join("episodes.csv");
    let text = read(&rows);
    let cells: Vec<&str> = text.lines().nth(1).expect("a row").split(',').collect();
    let mut row: Vec<&str> = cells.clone();
    let n = row.len();
    (row[n - 5], row[n - 1]) = ("false", "an error");
    fs::write(&rows, text.replace(&cells.join(","), &row.join(","))).expect("written");
    for file in ["actions.bin", "hashes.bin"] {
        let bytes = fs::read(out.join(file)).expect("a file");
        fs::write(out.join(file), &bytes[..8]).expect("written");
    }
    refused(replay(&out), &["no finished episode"]);
}
