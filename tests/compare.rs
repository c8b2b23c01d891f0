//! Guarantee: `compare` pairs the episodes of run folders, writes tables and plots, and refuses runs that do not belong
//! together with one line.

#[path = "common/program.rs"]
mod support;

use std::path::Path;
use support::{program, read, refused};

fn run(suite: &str, policy: &str, episodes: &str, out: &Path) {
    let mut run = program();
    run.args(["--suite", suite, "--policy", policy, "--tasks", "0,1"])
        .args(["--episodes", episodes, "--out"])
        .arg(out);
    run.assert().success();
}

#[test]
fn two_policies_are_compared_on_the_states_that_both_ran() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    // One folder for two suites, as `--suite all` makes it.
    run("spatial", "expert", "3", &path("expert/spatial"));
    run("object", "expert", "1", &path("expert/object"));
    run("spatial", "zero", "2", &path("zero"));
    let compare = |runs: &[String]| {
        let mut compare = program();
        compare
            .arg("compare")
            .args(runs)
            .arg("--out")
            .arg(path("out"));
        compare
    };
    let folder = |name: &str| path(name).display().to_string();
    let done = compare(&[folder("expert"), folder("zero")])
        .assert()
        .success();
    let text = String::from_utf8_lossy(&done.get_output().stdout).into_owned();
    for words in ["6/6", "0/4", "-100.0", "4 lost against expert"] {
        assert!(text.contains(words), "`{words}` is not in {text}");
    }
    // The suite that only one of them ran is left out, and said.
    assert!(
        text.contains("suite object of `expert` is left out"),
        "{text}"
    );
    assert!(!text.contains("all suites"), "{text}");
    let csv = read(&path("out/comparison.csv"));
    assert!(csv.contains("spatial,zero,0,4,0,0.000000"), "{csv}");
    assert_eq!(read(&path("out/discordant.csv")).lines().count(), 5);
    for plot in ["success-by-suite", "success-by-task", "steps-to-success"] {
        assert!(path("out/plots").join(format!("{plot}.png")).is_file());
    }

    refused(
        compare(&[folder("expert"), folder("expert")]),
        &["expert", "LABEL=DIR"],
    );
    refused(
        compare(&[folder("expert"), folder("nothing")]),
        &["nothing", "run.json"],
    );
    let labelled = format!("again={}", folder("expert"));
    compare(&[folder("expert"), labelled]).assert().success();
    support::edit(
        &path("zero/run.json"),
        "\"horizon\": 220",
        "\"horizon\": 221",
    );
    refused(
        compare(&[folder("expert"), folder("zero")]),
        &["horizon: 220 against 221"],
    );
}

#[test]
fn several_policies_are_run_and_compared_by_one_command() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let all = |policies: &str| {
        let mut run = program();
        run.args([
            "--policy",
            policies,
            "--tasks",
            "0",
            "--episodes",
            "1",
            "--out",
        ])
        .arg(dir.path());
        run
    };
    let done = all("zero,expert").assert().success();
    let text = String::from_utf8_lossy(&done.get_output().stdout).into_owned();
    assert!(
        text.contains("1 episodes gained and 0 lost against zero"),
        "{text}"
    );
    for file in ["zero/run.json", "expert/run.json", "compare/summary.txt"] {
        assert!(dir.path().join(file).is_file(), "{file}");
    }
    // The second time both runs are there already.
    all("zero,expert").assert().success();
    all("zero,ternary,zero").assert().code(2);
}
