//! Guarantee: `failures` counts the failed episodes of a run by the phase in which they ended, from the recorded actions
//! alone, and says so if there are none.

#[path = "common/program.rs"]
mod support;

use std::path::Path;
use support::{program, refused};

/// Runs a policy and returns what `failures` prints about it.
fn failures(suite: &str, policy: &str, tasks: &str, out: &Path) -> String {
    let mut run = program();
    run.args(["--suite", suite, "--policy", policy, "--tasks", tasks])
        .args(["--episodes", "1", "--out"])
        .arg(out);
    run.assert().success();
    let mut failures = program();
    failures.arg("failures").arg(out);
    let done = failures.assert().success();
    String::from_utf8_lossy(&done.get_output().stdout).into_owned()
}

#[test]
fn failed_episodes_are_counted_by_phase() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let words = failures("goal", "zero", "0,8", &dir.path().join("zero"));
    assert!(words.starts_with("2 of 2 episodes failed"), "{words}");
    assert_eq!(words.matches("not moved").count(), 3, "{words}");
    // A drawer is followed by its joint, an object by its pose.
    assert!(words.contains("Open ") && words.contains("On "), "{words}");

    let words = failures("spatial", "expert", "0", &dir.path().join("expert"));
    assert!(words.starts_with("0 of 1 episodes failed"), "{words}");

    let mut nothing = program();
    nothing.arg("failures").arg(dir.path().join("nothing"));
    refused(nothing, &["nothing", "run.json"]);
}
