//! Guarantee: `report` writes the same bytes for the same runs in every format, names of a run folder never become markup, failed
//! episodes are animated from the recorded actions or repeated by the simulator inside the page, the commands repeat the run, and bad input ends with one line.

#[path = "common/program.rs"]
mod support;

use assert_cmd::Command;
use bitvla_reports::read_actions;
use std::fs;
use std::path::{Path, PathBuf};
use support::{edit, program, read, refused, run};

/// `report` about run folders with options.
fn report(folders: &[&Path], options: &[&str], out: &Path) -> Command {
    let mut report = program();
    report.arg("report").args(folders).args(options);
    report.arg("--out").arg(out);
    report
}

/// Runs it and returns the file.
fn written(folders: &[&Path], options: &[&str], out: &Path) -> String {
    report(folders, options, out).assert().success();
    read(out)
}

/// Folders with two episodes of task 0 of suite `spatial` for the expert and the policy that stands still.
fn two_runs(dir: &Path) -> (PathBuf, PathBuf) {
    let (expert, zero) = (dir.join("expert"), dir.join("zero"));
    run("expert", 2, &expert).assert().success();
    run("zero", 2, &zero).assert().success();
    (expert, zero)
}

#[test]
fn every_format_gives_the_same_bytes_again() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    let (expert, zero) = two_runs(dir.path());
    let both = [expert.as_path(), zero.as_path()];
    for (name, options) in [
        ("html", &["--animations", "1"][..]),
        ("replay.html", &["--replay", "1"]),
        ("md", &["--format", "markdown"]),
    ] {
        let first = written(&both, options, &path(&format!("first.{name}")));
        let second = written(&both, options, &path(&format!("second.{name}")));
        assert_eq!(first, second, "{name}");
    }
    let html = read(&path("first.html"));
    for words in [
        "<h1>expert, zero: spatial</h1>",
        "2 discordant",
        "lost, actions differ from step 0",
        "src=\"data:image/png;base64,",
        "bitvla-eval --suite spatial --policy zero --tasks 0 --episodes 2",
        "bitvla-eval replay ",
    ] {
        assert!(html.contains(words), "`{words}` is not in the page");
    }
    assert_eq!(html.matches("<details class=\"animation\">").count(), 1);
    assert!(
        !html.contains("wasm"),
        "a page without replay may run no module"
    );
    // The first failed episode in the list, its recorded bits, and the chosen episode of both policies.
    let html = read(&path("first.replay.html"));
    let bits = &read_actions(&zero.join("actions.bin")).expect("actions")[0];
    let last = format!("\"final\":\"{:016x}\"", bits.state_hash);
    for words in [
        "<option>zero, spatial 0, state 0: failed</option>",
        "'wasm-unsafe-eval'; worker-src blob:",
        &last,
    ] {
        assert!(html.contains(words), "`{words}` is not in the page");
    }
    assert_eq!(html.matches("<option>zero").count(), 1);
    let chosen = written(&both, &["--replay", "0:1"], &path("chosen.html"));
    assert!(chosen.contains("<option>expert, spatial 0, state 1: succeeded</option>"));
    assert!(chosen.contains("<option>zero, spatial 0, state 1: failed</option>"));
    let none = report(&[&expert], &["--replay", "3"], &path("none.html")).assert();
    let none = String::from_utf8_lossy(&none.success().get_output().stderr.clone()).into_owned();
    assert!(none.contains("there is no episode to replay"), "{none}");
    let markdown = read(&path("first.md"));
    for words in [
        "| spatial | zero | 0/2 |",
        "<summary>2 of 2 episodes of zero in spatial failed",
    ] {
        assert!(markdown.contains(words), "`{words}` is not in {markdown}");
    }

    // One policy, and its results for the other harness.
    let one = written(&[&zero], &[], &path("one.html"));
    assert!(one.contains("<h1>zero: spatial</h1>") && !one.contains("difference"));
    let results = written(&[&zero], &["--format", "vla-eval"], &path("results.json"));
    let results: serde_json::Value = serde_json::from_str(&results).expect("JSON");
    assert_eq!(results["mean_success"], 0.0);
    assert_eq!(results["tasks"][0]["num_episodes"], 2);
    let options = ["--format", "vla-eval"];
    report(&both, &options, &path("each.json"))
        .assert()
        .success();
    for policy in ["expert", "zero"] {
        assert!(path(&format!("each-{policy}-spatial.json")).is_file());
    }
}

#[test]
fn the_command_of_a_report_repeats_the_run() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    let mut seeded = run("random", 1, &path("random"));
    seeded.args(["--seed", "11"]).assert().success();
    let markdown = written(&[&path("random")], &["--format", "markdown"], &path("a.md"));
    let line = markdown
        .lines()
        .find(|line| line.starts_with("bitvla-eval --suite"));
    let words: Vec<&str> = line.expect("a command").split(' ').skip(1).collect();
    let mut again = program();
    again.args(words).arg("--out").arg(path("again"));
    again.assert().success();
    let rows = |name: &str| read(&path(name).join("episodes.csv"));
    assert_eq!(rows("random"), rows("again"));
}

#[test]
fn a_verdict_is_that_of_check() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    let (expert, zero) = two_runs(dir.path());
    let baseline = path("baseline.json");
    let file = baseline.display().to_string();
    let mut check = program();
    check.arg("check").arg(&expert).args(["--baseline", &file]);
    check.args(["--rebaseline", "--reason", "a <b>reason</b>"]);
    check.assert().success();
    let both = [expert.as_path(), zero.as_path()];
    let html = written(&both, &["--baseline", &file], &path("a.html"));
    assert!(html.contains("expert: <strong>held</strong>"));
    assert!(html.contains("zero: <strong>suspect</strong>"));
    assert!(html.contains("a &lt;b&gt;reason"), "the reason is escaped");
    let options = ["--baseline", &file, "--format", "markdown"];
    let markdown = written(&both, &options, &path("a.md"));
    assert!(markdown.contains("**held**: every episode"), "{markdown}");
}

#[test]
fn hostile_names_are_escaped() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    let zero = path("zero");
    run("zero", 1, &zero).assert().success();
    let hostile = "<script>alert(1)</script><img src=x onerror=alert(2)>";
    edit(
        &zero.join("episodes.csv"),
        "pick up the black bowl",
        hostile,
    );
    edit(
        &zero.join("run.json"),
        "\"crop\": \"none\"",
        &format!("\"crop\": \"{hostile}\""),
    );
    // The label ends at the first equals sign.
    let labelled = format!("<script>alert(3)</script>={}", zero.display());
    let html = written(&[Path::new(&labelled)], &[], &path("a.html"));
    assert!(html.contains("alert(1)"));
    assert!(!html.contains("<script>alert") && !html.contains("<img src=x"));
    let markdown = written(
        &[Path::new(&labelled)],
        &["--format", "markdown"],
        &path("a.md"),
    );
    assert!(!markdown.contains("<script>") && !markdown.contains("<img"));
}

#[test]
fn bad_input_ends_with_one_line() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    let zero = path("zero");
    run("zero", 1, &zero).assert().success();
    let out = path("a.html");
    refused(report(&[&path("none")], &[], &out), &["none", "run.json"]);
    refused(report(&[&zero, &zero], &[], &out), &["zero", "LABEL=DIR"]);
    let options = ["--animations", "2", "--format", "markdown"];
    refused(report(&[&zero], &options, &out), &["--animations", "html"]);
    let options = ["--replay", "2", "--format", "markdown"];
    refused(report(&[&zero], &options, &out), &["--replay", "html"]);
    let words = "no recorded episode of task 0, initial state 7";
    refused(report(&[&zero], &["--replay", "0:7"], &out), &[words]);
    let options = ["--baseline", "x.json", "--format", "vla-eval"];
    refused(report(&[&zero], &options, &out), &["--baseline", "html"]);
    let options = ["--baseline", "no-such-file.json"];
    refused(report(&[&zero], &options, &out), &["no-such-file.json"]);
    fs::create_dir(path("folder.html")).expect("a folder");
    refused(
        report(&[&zero], &[], &path("folder.html")),
        &["folder.html", "found a folder"],
    );
    // Animations are of the assets that the run was made with, as `replay` wants them.
    let changed = "\"assets_sha256\": \"0123";
    edit(&zero.join("run.json"), "\"assets_sha256\": \"", changed);
    refused(
        report(&[&zero], &["--animations", "1"], &out),
        &["zero", "assets_sha256"],
    );
    assert!(!out.exists());
}
