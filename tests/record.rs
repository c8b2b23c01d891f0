//! Guarantees: `record` writes data sets whose bytes do not depend on the number of workers, with the frames and actions of the episodes; a folder
//! that holds one already, and a policy that never succeeds, are refused. That the packages of others read them is shown by tests/datasets.py.

#[path = "common/program.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use support::{program, read, refused};

fn record(format: &str, policy: &str, jobs: &str, out: &Path) -> assert_cmd::Command {
    let mut record = program();
    record.args([
        "record", "--suite", "spatial", "--policy", policy, "--format", format,
    ]);
    record.args([
        "--tasks",
        "1,4",
        "--episodes",
        "2",
        "--size",
        "64",
        "--jobs",
        jobs,
        "--out",
    ]);
    record.arg(out);
    record
}

/// Contents of all files of a folder by their path in it.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path
                .strip_prefix(dir)
                .expect("inside")
                .display()
                .to_string();
            found.insert(name, std::fs::read(&path).expect("a file"));
        }
    }
    found
}

#[test]
fn the_same_bytes_for_any_number_of_workers() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    for format in ["lerobot", "hdf5"] {
        let (one, two) = (path(&format!("{format}1")), path(&format!("{format}2")));
        let done = record(format, "expert", "1", &one).assert().success();
        let text = String::from_utf8_lossy(&done.get_output().stdout).into_owned();
        assert!(
            text.contains("4 of 4 episodes") && text.contains("64 x 64"),
            "{text}"
        );
        record(format, "expert", "3", &two).assert().success();
        assert!(files(&one) == files(&two), "{format}");
        refused(record(format, "expert", "1", &one), &["exists already"]);
    }
    let info: serde_json::Value =
        serde_json::from_str(&read(&path("lerobot1/meta/info.json"))).expect("JSON");
    assert_eq!(info["codebase_version"], "v3.0");
    assert_eq!(
        (&info["total_episodes"], &info["total_tasks"], &info["fps"]),
        (&4.into(), &2.into(), &20.into())
    );
    assert_eq!(
        info["features"]["observation.images.image"]["shape"],
        serde_json::json!([64, 64, 3])
    );
    let names: Vec<String> = files(&path("hdf51")).into_keys().collect();
    assert!(
        names.len() == 2 && names.iter().all(|name| name.ends_with("_demo.hdf5")),
        "{names:?}"
    );
}

#[test]
fn what_cannot_be_recorded_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let failed = record("lerobot", "zero", "2", &dir.path().join("a"))
        .assert()
        .code(2);
    let text = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
    let last = text.lines().last().unwrap_or_default();
    assert!(last.contains("none of 4 episodes of `zero`"), "{text}");
    let mut tasks = program();
    tasks
        .args(["record", "--tasks", "12", "--out"])
        .arg(dir.path().join("b"));
    refused(tasks, &["12"]);
}
