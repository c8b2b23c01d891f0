//! Guarantees: a sanity check replaces what it names and nothing else, stands in the protocol of the run and in the name of the
//! policy, and is refused for a policy that has no network.

#[path = "common/program.rs"]
mod support;

use assert_cmd::Command;
use std::fs;
use std::path::Path;
use support::{program, refused};

/// Runs one episode of a tiny random network; returns its protocol and the bytes of its actions.
fn run(checkpoint: &Path, out: &Path, sanity: Option<&str>) -> (serde_json::Value, Vec<u8>) {
    let mut run: Command = program();
    run.args(["--policy", "ternary", "--tasks", "1", "--episodes", "1"])
        .arg("--checkpoint")
        .arg(checkpoint)
        .arg("--out")
        .arg(out);
    if let Some(sanity) = sanity {
        run.args(["--sanity", sanity]);
    }
    let done = run.output().expect("the program ran");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let card = fs::read(out.join("run.json")).expect("run.json");
    let card: serde_json::Value = serde_json::from_slice(&card).expect("JSON");
    let actions = fs::read(out.join("actions.bin")).expect("actions");
    (card["protocol"].clone(), actions)
}

#[test]
fn every_check_changes_the_actions_and_is_named() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let checkpoint = dir.path().join("checkpoint");
    bitvla_policies::testing::write_tiny_checkpoint(&checkpoint).expect("a checkpoint");
    let (plain, actions) = run(&checkpoint, &dir.path().join("plain"), None);
    assert_eq!(
        (&plain["policy"], &plain["sanity"]),
        (&"ternary".into(), &"none".into())
    );
    let mut seen = vec![actions];
    for sanity in ["blackout", "freeze", "instruction"] {
        let (card, actions) = run(&checkpoint, &dir.path().join(sanity), Some(sanity));
        assert_eq!(card["policy"], format!("ternary-{sanity}"));
        assert_ne!(card["sanity"], "none");
        assert!(!seen.contains(&actions), "{sanity} changes nothing");
        seen.push(actions);
    }
}

#[test]
fn a_check_that_cannot_be_made_is_refused() {
    let mut unknown = program();
    unknown.args(["--policy", "ternary", "--sanity", "deaf"]);
    let refusal = unknown.assert().code(2);
    let words = String::from_utf8_lossy(&refusal.get_output().stderr).into_owned();
    assert!(
        words.contains("deaf") && words.contains("blackout, freeze, instruction"),
        "{words}"
    );
    let mut script = program();
    script.args(["--policy", "expert", "--sanity", "freeze"]);
    refused(script, &["--sanity freeze", "expert", "no network"]);
}
