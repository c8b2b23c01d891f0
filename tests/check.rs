//! Guarantee: `check` ends with 0 for the same bits, 1 for a policy that lost, 3 for too few episodes, 2 for a baseline of another
//! simulator or a broken one; it writes JUnit XML, JSON, Markdown and what GitHub reads.

#[path = "common/program.rs"]
mod support;

use std::path::Path;
use support::{edit, program, read, refused, run};

#[test]
fn verdicts_become_exit_codes() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    run("expert", 6, &path("expert")).assert().success();
    run("zero", 6, &path("zero")).assert().success();
    run("zero", 2, &path("short")).assert().success();
    let check = |run: &str| {
        let mut check = program();
        check
            .env_remove("GITHUB_ACTIONS")
            .arg("check")
            .arg(path(run));
        check.arg("--baseline").arg(path("baseline.json"));
        check
    };
    refused(check("expert"), &["baseline.json"]);
    let mut without_reason = check("expert");
    without_reason.arg("--rebaseline").assert().code(2);
    let mut write = check("expert");
    write.args(["--rebaseline", "--reason", "the first"]);
    write.assert().success();
    assert!(read(&path("baseline.json")).contains("\"reason\": \"the first\""));

    let same = check("expert").assert().success();
    let text = String::from_utf8_lossy(&same.get_output().stdout).into_owned();
    assert!(text.contains("held: every episode"), "{text}");

    let files = ["junit", "json", "markdown"].map(|kind| (kind, path(kind)));
    let mut lost = check("zero");
    for (kind, file) in &files {
        lost.arg(format!("--{kind}")).arg(file);
    }
    lost.arg("--github")
        .env("GITHUB_STEP_SUMMARY", path("step"));
    let done = lost.assert().code(1);
    let text = String::from_utf8_lossy(&done.get_output().stdout).into_owned();
    for words in [
        "6 episodes are lost and 0 gained",
        "::error title=spatial%2C success%3A regressed::",
    ] {
        assert!(text.contains(words), "`{words}` is not in {text}");
    }
    assert!(read(&path("junit")).contains("<failure message="));
    assert!(read(&path("json")).contains("\"regressed\""));
    assert_eq!(read(&path("markdown")), read(&path("step")));

    let few = check("short").assert().code(3);
    let text = String::from_utf8_lossy(&few.get_output().stdout).into_owned();
    assert!(
        text.contains("4 episodes of the baseline are not in the run"),
        "{text}"
    );

    // The last digit of the final state of the first recorded episode.
    let json: serde_json::Value = serde_json::from_str(&read(&path("baseline.json"))).unwrap();
    let episode = json["suites"]["spatial"]["recorded"][0]["episode"]
        .as_str()
        .unwrap();
    let mut changed = episode.to_owned();
    let digit = if &episode[16..17] == "0" { "1" } else { "0" };
    changed.replace_range(16..17, digit);
    edit(&path("baseline.json"), episode, &changed);
    refused(
        check("expert"),
        &["the simulator has changed", "spatial", "baseline.json"],
    );
    edit(&path("baseline.json"), &changed, "7");
    refused(check("expert"), &["recorded episode 0", "baseline.json"]);
    refused_plan(&path("expert"));
}

#[test]
fn latency_is_compared_with_the_reference_of_the_same_run() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    run("ternary", 2, &path("run")).assert().success();
    let rows = bitvla_reports::read_latency(&path("run/latency.csv")).expect("rows");
    for row in &rows {
        let (processor, reference) = (row.processor_ms, row.reference_ms);
        assert!(processor.is_some_and(|ms| ms > 0.0), "{row:?}");
        assert!(reference.is_some_and(|ms| ms > 0.0), "{row:?}");
    }
    let check = |more: &[&str]| {
        let mut check = program();
        check.arg("check").arg(path("run")).arg("--baseline");
        check.arg(path("baseline.json")).args(more);
        check
    };
    check(&["--rebaseline", "--reason", "first"])
        .assert()
        .success();
    let text = |command: &mut assert_cmd::Command| {
        let done = command.assert().success();
        String::from_utf8_lossy(&done.get_output().stdout).into_owned()
    };
    // The same rows are the same ratios.
    let same = text(&mut check(&["--latency-margin", "0"]));
    assert!(
        same.contains("query, processor time") && same.contains("1.000"),
        "{same}"
    );
    // A frame that is drawn otherwise is found before outcomes are compared.
    let text = read(&path("baseline.json"));
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let hashes = json["suites"]["spatial"]["recorded"][0]["hashes"]
        .as_str()
        .unwrap();
    let mut changed = hashes.to_owned();
    let last = if hashes.ends_with('0') { "1" } else { "0" };
    changed.replace_range(hashes.len() - 1.., last);
    edit(&path("baseline.json"), hashes, &changed);
    refused(
        check(&[]),
        &[
            "spatial",
            "other frames in the same state",
            "the renderer has changed",
        ],
    );
    refused_option(&["--latency-margin", "-1"]);
    refused_option(&["--weights-margin", "nan"]);
}

fn refused_option(option: &[&str]) {
    let mut check = program();
    check
        .args(["check", "run", "--baseline", "b.json"])
        .args(option);
    check.assert().code(2);
}

fn refused_plan(run: &Path) {
    let mut both = program();
    both.arg("check").arg(run).args(["--plan", "--margin", "3"]);
    both.assert().code(2);
    let mut odd = program();
    odd.args(["check", "--plan", "--margin", "100"])
        .assert()
        .code(2);
}

#[test]
fn a_plan_says_how_many_episodes_a_margin_needs() {
    let mut plan = program();
    plan.args(["check", "--plan", "--margin", "5"]);
    let done = plan.assert().success();
    let text = String::from_utf8_lossy(&done.get_output().stdout).into_owned();
    assert!(
        text.contains("points at 5 %") && text.contains("drop of 10"),
        "{text}"
    );
}
