//! Guarantee: merged shards give the bytes of a single run; what is missing is named; runs of other protocols are refused.

#[path = "common/program.rs"]
mod support;

use std::path::Path;
use support::{program, read, refused};

/// Three states of two tasks, or a shard of them.
fn run(shard: Option<&str>, out: &Path) -> assert_cmd::Command {
    let mut run = program();
    run.args(["--policy", "expert", "--tasks", "0,1", "--episodes", "3"]);
    run.args(shard.map(|shard| format!("--shard={shard}")))
        .arg("--out")
        .arg(out);
    run
}

#[test]
fn merged_shards_are_a_single_run() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    run(None, &path("whole")).assert().success();
    for shard in ["0/4", "1/4", "2/4", "3/4"] {
        run(Some(shard), &path(&shard[..1])).assert().success();
    }
    let merge = |runs: &[&str]| {
        let mut merge = program();
        merge.arg("merge").args(runs.iter().map(|run| path(run)));
        merge.arg("--out").arg(path("merged"));
        merge
    };
    let done = merge(&["0", "1", "3"]).assert().code(1);
    let text = String::from_utf8_lossy(&done.get_output().stderr).into_owned();
    assert!(
        text.contains("1 of 6 episodes are missing: task 0 state 2"),
        "{text}"
    );
    // The rest is added to what is there; a shard that is named again changes nothing.
    merge(&["2", "1"]).assert().success();
    for file in ["episodes.csv", "actions.bin", "hashes.bin"] {
        let bytes = |run: &str| std::fs::read(path(run).join(file)).expect("a file");
        assert_eq!(bytes("whole"), bytes("merged"), "{file}");
    }
    let mut replay = program();
    replay.arg("replay").arg(path("merged")).assert().success();

    let mut other = program();
    other.args(["--policy", "zero", "--tasks", "0", "--episodes", "1"]);
    other.arg("--out").arg(path("zero")).assert().success();
    refused(merge(&["0", "zero"]), &["policy", "zero", "expert"]);
    refused(merge(&["0", "nothing"]), &["nothing", "journal.jsonl"]);
    let empty = run(Some("7/8"), &path("empty"));
    refused(empty, &["shard 7/8 of 6 episodes has none"]);
    run(Some("8/8"), &path("bad")).assert().code(2);
    assert!(read(&path("merged/summary.txt")).contains("6/6"));
}
