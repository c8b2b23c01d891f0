//! Guarantees: with a simulated latency the arm holds before the first answer, the run is named and recorded as such, and no latency is
//! a run without one; `sweep` writes a table and a plot with a row per policy and latency.

#[path = "common/program.rs"]
mod support;

use std::path::Path;
use support::{card, program, read, refused};

/// One episode of a tiny random network; returns the executed actions.
fn run(checkpoint: &Path, latency: Option<&str>, out: &Path) -> Vec<[f64; 7]> {
    let mut run = program();
    run.args(["--policy", "ternary", "--tasks", "1", "--episodes", "1"]);
    run.arg("--checkpoint")
        .arg(checkpoint)
        .arg("--out")
        .arg(out);
    run.args(latency.map(|ms| format!("--latency={ms}")));
    run.assert().success();
    let episodes = bitvla_reports::read_actions(&out.join("actions.bin")).expect("actions");
    episodes[0].actions.clone()
}

#[test]
fn the_arm_holds_while_the_policy_thinks() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    let checkpoint = path("checkpoint");
    bitvla_policies::testing::write_tiny_checkpoint(&checkpoint).expect("a checkpoint");
    let plain = run(&checkpoint, None, &path("plain"));
    let zero = run(&checkpoint, Some("0"), &path("zero"));
    assert_eq!(plain, zero);
    // 149 ms are three control steps.
    let late = run(&checkpoint, Some("149"), &path("late"));
    assert_eq!(late[..3], [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0]; 3]);
    assert_eq!(late[3], plain[0]);
    let protocol = &card(&path("late"))["protocol"];
    assert_eq!(protocol["policy"], "ternary-latency-149");
    assert_eq!(protocol["latency_ms"], serde_json::json!([149.0]));
    // A file has one number per query: the second is late.
    std::fs::write(path("times.txt"), "20\n50\n").expect("a file");
    let times = path("times.txt").display().to_string();
    let listed = run(&checkpoint, Some(&times), &path("listed"));
    assert_eq!(listed[..8], plain[..8]);
    assert_eq!(listed[8], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, plain[7][6]]);
    // How long a query takes here is not known, but it is a number of whole control steps.
    run(&checkpoint, Some("measured"), &path("measured"));
    let measured = card(&path("measured"))["protocol"]["latency_ms"].clone();
    let ms = measured[0].as_f64().expect("a number");
    assert_eq!(ms % 50.0, 0.0, "{measured}");

    let mut script = program();
    script.args(["--policy", "expert", "--latency", "10"]);
    refused(script, &["--latency 10", "expert", "no network"]);
    let mut negative = program();
    negative.args(["--latency=-1"]).assert().code(2);
}

#[test]
fn a_sweep_has_a_row_per_policy_and_latency() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("sweep");
    let mut sweep = program();
    sweep.args([
        "sweep",
        "--latency",
        "400,0",
        "--policy",
        "ternary,full",
        "--tasks",
        "0",
    ]);
    sweep
        .args(["--episodes", "1", "--mark", "3B=2000", "--out"])
        .arg(&out);
    sweep.assert().success();
    let csv = read(&out.join("sweep.csv"));
    let starts: Vec<&str> = csv.lines().skip(1).collect();
    assert_eq!(starts.len(), 4, "{csv}");
    assert!(
        starts[0].starts_with("ternary,0,") && starts[3].starts_with("full,400,"),
        "{csv}"
    );
    assert!(out.join("plots/sweep.svg").is_file() && out.join("plots/sweep.png").is_file());
    assert!(out.join("full-latency-400/run.json").is_file());
    let mut odd = program();
    odd.args(["sweep", "--latency", "0", "--mark", "3B"])
        .assert()
        .code(2);
    let mut script = program();
    script.args(["sweep", "--latency", "0", "--policy", "expert"]);
    refused(script, &["expert", "no network"]);
}
