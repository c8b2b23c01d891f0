//! Guarantee: a table of episodes of another simulator becomes run folders that say where they come from, that can be compared with each other and
//! laid beside runs of this program, and that nothing takes for a run of this one; a bad row is refused with its line.

#[path = "common/program.rs"]
mod support;

use std::fmt::Write;
use std::path::Path;
use support::{card, program, read, refused};

/// Twelve episodes of two policies; `expert` fails in one state, `zero` in all.
fn table() -> String {
    let mut text = "world,policy,suite,task,init,success,steps,queries,seconds\n".to_owned();
    for state in 0..6 {
        let (task, init) = (state / 3, state % 3);
        let success = u8::from(state != 4);
        let steps = if success == 1 { 80 + state } else { 220 };
        writeln!(
            text,
            "mujoco 2.3.7,expert,spatial,{task},{init},{success},{steps},11,9.5"
        )
        .expect("text");
        writeln!(text, "mujoco 2.3.7,zero,spatial,{task},{init},0,220,0,9.5").expect("text");
    }
    text
}

fn import(table: &Path, out: &Path) -> assert_cmd::Command {
    let mut import = program();
    import.arg("import").arg(table).arg("--out").arg(out);
    import
}

#[test]
fn a_table_becomes_runs_that_say_where_they_come_from() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("m.csv"), table()).expect("written");
    let done = import(&path("m.csv"), &path("in")).assert().success();
    let text = String::from_utf8_lossy(&done.get_output().stdout).into_owned();
    assert!(
        text.contains("spatial, expert, imported from mujoco 2.3.7"),
        "{text}"
    );
    let (expert, zero) = (
        path("in/mujoco_2.3.7/expert/spatial"),
        path("in/mujoco_2.3.7/zero/spatial"),
    );
    let manifest = card(&expert);
    assert_eq!(manifest["protocol"]["world"], "mujoco 2.3.7");
    assert_eq!(manifest["protocol"]["robot_model"], "unknown");
    assert_eq!(
        manifest["protocol"]["weights_sha256"]["m.csv"]
            .as_str()
            .map(str::len),
        Some(64)
    );
    assert_eq!(
        (&manifest["tasks"], &manifest["episodes"]),
        (&serde_json::json!([0, 1]), &3.into())
    );
    assert_eq!(read(&expert.join("episodes.csv")).lines().count(), 7);

    // The same table again gives the same bytes.
    import(&path("m.csv"), &path("in")).assert().success();
    assert_eq!(card(&expert), manifest);

    // A name is the name of a folder inside, whatever it holds.
    std::fs::write(path("up.csv"), table().replace("mujoco 2.3.7", "..")).expect("written");
    import(&path("up.csv"), &path("in/deep")).assert().success();
    assert!(path("in/deep/_../expert/spatial/run.json").is_file());

    let mut compare = program();
    compare
        .arg("compare")
        .args([&expert, &zero])
        .arg("--out")
        .arg(path("compared"));
    compare.assert().success();
    assert!(read(&path("compared/summary.txt")).contains("5/6"));
    let mut report = program();
    report
        .arg("report")
        .args([&expert, &zero])
        .args(["--animations", "2", "--out"])
        .arg(path("r.html"));
    report.assert().success();
    assert!(read(&path("r.html")).contains("mujoco 2.3.7"));

    // Beside runs of this program: `truth` finds what it finds with the table, `compare` refuses.
    for policy in ["expert", "zero"] {
        let mut run = program();
        run.args([
            "--suite",
            "spatial",
            "--policy",
            policy,
            "--tasks",
            "0,1",
            "--episodes",
            "3",
            "--out",
        ]);
        run.arg(path(policy)).assert().success();
    }
    let truth = |others: &[&Path], out: &str| {
        let mut truth = program();
        truth
            .arg("truth")
            .args([path("expert"), path("zero")])
            .args(others);
        truth.arg("--out").arg(path(out)).assert().success();
        read(&path(out).join("summary.txt"))
    };
    let by_table = truth(&[&path("m.csv")], "by-table");
    assert_eq!(
        by_table,
        truth(&[&path("in/mujoco_2.3.7/expert"), &zero], "by-folders")
    );
    let mut mixed = program();
    mixed
        .arg("compare")
        .arg(path("expert"))
        .arg(format!("there={}", expert.display()));
    mixed.arg("--out").arg(path("mixed"));
    refused(
        mixed,
        &[
            "cannot be compared",
            "world: \"bitvla-eval\" against \"mujoco 2.3.7\"",
        ],
    );

    // What needs actions or states refuses an imported run.
    for words in [vec!["replay"], vec!["failures"], vec!["check"]] {
        let mut command = program();
        command.args(&words).arg(&expert);
        if words == ["check"] {
            command.args(["--baseline", "tests/baselines/spatial-ternary.json"]);
        }
        refused(command, &["imported from mujoco 2.3.7"]);
    }
    // A run of this program is not replaced by an imported one.
    std::fs::create_dir_all(path("other/mujoco_2.3.7/expert")).expect("a folder");
    std::fs::rename(path("expert"), path("other/mujoco_2.3.7/expert/spatial")).expect("moved");
    refused(
        import(&path("m.csv"), &path("other")),
        &["found a run of this program"],
    );
}

#[test]
fn a_bad_row_is_refused_with_its_line() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("m.csv");
    let good = table();
    for (from, to, words) in [
        (
            "1,2,1,85",
            "1,2,1,221",
            &["line 12", "steps: found 221, expected less than 221"][..],
        ),
        (
            "spatial,1,2,1",
            "spatial,10,2,1",
            &["line 12", "task: found 10, expected less than 10"],
        ),
        (
            "spatial,1,2,1",
            "spatial,1,50,1",
            &["line 12", "init: found 50, expected less than 50"],
        ),
        (
            "spatial,1,2,1",
            "spatial,1,0,1",
            &["task 1, initial state 0", "twice"],
        ),
        (
            "spatial,1,2,1",
            "sideways,1,2,1",
            &["line 12", "suite", "sideways"],
        ),
        (
            "mujoco 2.3.7,expert,spatial,1,2,1",
            "bitvla-eval,expert,spatial,1,2,1",
            &["line 12", "world", "another simulator"],
        ),
        (",steps,", ",control,", &["line 2", "no column `steps`"]),
        (",success,", ",done,", &["success"]),
    ] {
        assert!(good.contains(from), "{from}");
        std::fs::write(&file, good.replacen(from, to, 1)).expect("written");
        let mut words = words.to_vec();
        words.push("m.csv");
        refused(import(&file, &dir.path().join("out")), &words);
        assert!(!dir.path().join("out").exists(), "{to}");
    }
}
