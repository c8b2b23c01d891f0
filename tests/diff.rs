//! Guarantee: `diff` finds nothing between two runs of the same command, names the first step at which two runs part and every
//! field in which their protocols differ, and a state that a replay does not reach again is named by its step.

#[path = "common/program.rs"]
mod support;

use bitvla_reports::{EpisodeHashes, read_actions, read_hashes, write_hashes};
use std::path::Path;
use support::{program, read, refused, run};

fn diff(first: &Path, second: &Path) -> assert_cmd::Command {
    let mut diff = program();
    diff.arg("diff").args([first, second]);
    diff
}

fn printed(mut command: assert_cmd::Command, code: i32) -> String {
    let output = command.output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

/// Rewrites the hashes of a run folder.
fn change(dir: &Path, change: impl Fn(&mut EpisodeHashes)) {
    let path = dir.join("hashes.bin");
    let mut hashes = read_hashes(&path).expect("hashes");
    change(&mut hashes[0]);
    write_hashes(&path, &hashes).expect("written");
}

#[test]
fn the_same_command_gives_no_difference_and_another_policy_its_first_action() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    run("expert", 2, &path("a")).assert().success();
    run("expert", 2, &path("b"))
        .arg("--backwards")
        .assert()
        .success();
    run("zero", 3, &path("c")).assert().success();
    let same = printed(diff(&path("a"), &path("b")), 0);
    for words in [
        "protocols are the same",
        "2 episodes in both runs: 2 with the same bits, 0 that differ",
    ] {
        assert!(same.contains(words), "`{words}` is not in {same}");
    }
    let other = printed(diff(&path("a"), &path("c")), 1);
    for words in [
        "policy: \"expert\" against \"zero\"",
        "1 episode of the second run are not in the first, from task 0, initial state 2 on",
        "0 with the same bits, 2 that differ",
        "2 x action",
    ] {
        assert!(other.contains(words), "`{words}` is not in {other}");
    }
}

#[test]
fn frames_and_states_that_differ_are_named_by_their_step() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    for name in ["a", "b"] {
        run("ternary", 1, &path(name)).assert().success();
    }
    assert!(printed(diff(&path("a"), &path("b")), 0).contains("1 with the same bits"));
    let query = read_hashes(&path("a/hashes.bin")).expect("hashes")[0].frames[2];
    change(&path("b"), |hashes| hashes.frames[2].hash ^= 1);
    let frames = printed(diff(&path("a"), &path("b")), 1);
    assert!(frames.contains("frames of query 2"), "{frames}");
    assert!(frames.contains(&format!(" {}  ", query.step)), "{frames}");
    change(&path("b"), |hashes| hashes.states[4] ^= 1);
    let state = printed(diff(&path("a"), &path("b")), 1);
    assert!(
        state.contains("1 x state: the same action led to another state"),
        "{state}"
    );
    // A replay compares each state that was kept.
    let replay = |options: &[&str]| {
        let mut replay = program();
        replay.arg("replay").arg(path("b")).args(options);
        replay
    };
    let replayed = printed(replay(&[]), 1);
    assert!(replayed.contains("other from step 3 on"), "{replayed}");
    change(&path("b"), |hashes| hashes.states[4] ^= 1);
    printed(replay(&[]), 0);
    let frames = printed(replay(&["--frames"]), 1);
    let words = format!("other frames in query 2, step {}", query.step);
    assert!(frames.contains(&words), "{frames}");
}

#[test]
fn hashes_that_do_not_belong_to_the_rows_are_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("run");
    run("expert", 1, &out).assert().success();
    let steps = read_actions(&out.join("actions.bin")).expect("actions")[0]
        .actions
        .len();
    change(&out, |hashes| hashes.states.truncate(3));
    let expected = format!("expected {} and 0", steps + 1);
    refused(
        diff(&out, &out),
        &["hashes.bin", "found 3 states", &expected],
    );
    std::fs::remove_file(out.join("hashes.bin")).expect("removed");
    refused(diff(&out, &out), &["hashes.bin"]);
    // What was written before there were hashes is compared by actions and final states.
    let card = read(&out.join("run.json"));
    let older = card.replace("\"schema_version\": 5", "\"schema_version\": 3");
    std::fs::write(out.join("run.json"), older).expect("written");
    assert!(printed(diff(&out, &out), 0).contains("keeps no hashes"));
}
