//! The card covers every file of a suite, by the path that it was read from; a name from a file is never a path; what a file
//! says reaches no terminal raw.

use super::support::{assets, card, checkpoint, edit, process, read, refused, run_with};
use std::fs;

#[test]
fn a_suite_is_named_as_its_folder() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let assets = assets(dir.path());
    let out = dir.path().join("x/y/out");
    let suite = assets.join("suites/object/suite.toml");
    for name in ["spatial", "../../evil", "/tmp/evil"] {
        let text = read(&suite);
        edit(&suite, "name = \"object\"", &format!("name = \"{name}\""));
        for asked in ["object", "all"] {
            let mut run = run_with(&assets, "expert", 1, &out);
            run.args(["--suite", asked]);
            refused(run, &["suite.toml:", &format!("`{name}`"), "`object`"]);
        }
        fs::write(&suite, text).expect("written");
    }
    assert!(!dir.path().join("x").exists(), "nothing was written");
}

#[test]
fn the_file_of_a_task_lies_in_its_suite() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let assets = assets(dir.path());
    let name = "00_between_plate_and_ramekin.bddl";
    let suite = assets.join("suites/spatial");
    let outside = dir.path().join("outside.bddl");
    fs::copy(suite.join(name), &outside).expect("copied");
    let text = read(&suite.join("suite.toml"));
    for file in [outside.display().to_string(), format!("../spatial/{name}")] {
        edit(&suite.join("suite.toml"), name, &file);
        let out = dir.path().join("run");
        refused(
            run_with(&assets, "expert", 1, &out),
            &["suite.toml:", &file, "without a folder"],
        );
        fs::write(suite.join("suite.toml"), &text).expect("written");
    }
}

#[test]
fn other_initial_states_are_another_card() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let assets = assets(dir.path());
    let mine = assets.join("suites/mine");
    fs::rename(assets.join("suites/object"), &mine).expect("renamed");
    edit(
        &mine.join("suite.toml"),
        "name = \"object\"",
        "name = \"mine\"",
    );
    let run = |out: &str, episodes: usize| {
        let mut run = run_with(&assets, "expert", episodes, &dir.path().join(out));
        run.args(["--suite", "mine"]);
        run
    };
    run("one", 1).assert().success();
    let path = mine.join("init/00.json");
    let mut states: Vec<serde_json::Value> = serde_json::from_str(&read(&path)).expect("JSON");
    states.reverse();
    let text = serde_json::to_string(&states).expect("JSON");
    fs::write(&path, text).expect("written");
    run("two", 1).assert().success();
    let hash = |out: &str| card(&dir.path().join(out))["protocol"]["assets_sha256"].clone();
    assert_ne!(hash("one"), hash("two"));
    refused(run("one", 2), &["another protocol", "assets_sha256"]);
}

#[test]
fn no_escape_sequence_of_a_file_reaches_the_terminal() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (assets, out) = (assets(dir.path()), dir.path().join("run"));
    let suite = assets.join("suites/spatial/suite.toml");
    edit(
        &suite,
        "instruction = \"pick",
        "instruction = \"\\u001b[2J\\u001b]0;title\\u0007pick",
    );
    let mut run = run_with(&assets, "expert", 1, &out);
    let mut list = super::support::program();
    list.arg("list").arg("--assets").arg(&assets);
    for mut command in [run.arg("--jobs").arg("1"), &mut list].map(|c| c.output().expect("runs")) {
        command.stdout.extend(command.stderr);
        let text = String::from_utf8_lossy(&command.stdout).into_owned();
        assert!(text.contains("\\u{1b}[2J"), "{text}");
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{7}'),
            "{text}"
        );
    }
    assert!(!read(&out.join("summary.txt")).contains('\u{1b}'));
}

#[test]
fn tables_fit_eighty_columns() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("run");
    super::support::run("expert", 1, &out).assert().success();
    let table = read(&out.join("summary.txt"));
    for line in table.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let words = table.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("1/1"), "{table}");
    for word in ["ramekin", "plate", "place"] {
        assert!(words.contains(word), "{table}");
    }
}

#[test]
fn files_that_change_while_a_run_reads_them_end_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (checkpoint, out) = (checkpoint(dir.path()), dir.path().join("run"));
    let mut command = process("ternary", 4, &out);
    command
        .args(["--jobs", "1", "--checkpoint"])
        .arg(&checkpoint)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped());
    let child = command.spawn().expect("runs");
    let journal = out.join("journal.jsonl");
    let rows = || {
        fs::read_to_string(&journal)
            .unwrap_or_default()
            .lines()
            .count()
    };
    while rows() < 2 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    edit(&checkpoint.join("config.json"), "{", "{ ");
    let output = child.wait_with_output().expect("ends");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    for words in [
        "changed while the run read them",
        "weights_sha256.config.json",
    ] {
        assert!(text.contains(words), "`{words}` is not in: {text}");
    }
}
