//! The program, its run folders and copies of the asset folder.

#![allow(dead_code)] // every test uses a part of it

use assert_cmd::Command;
use std::fs;
use std::path::{Path, PathBuf};

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn binary() -> PathBuf {
    assert_cmd::cargo::cargo_bin("bitvla-eval")
}

pub fn program() -> Command {
    let mut command = Command::cargo_bin("bitvla-eval").expect("the program is built");
    command.current_dir(repository());
    command
}

/// Episodes of task 0 of suite `spatial` into `out`.
pub fn run(policy: &str, episodes: usize, out: &Path) -> Command {
    let mut command = program();
    command.args(["--policy", policy, "--tasks", "0", "--episodes"]);
    command.arg(episodes.to_string()).arg("--out").arg(out);
    command
}

/// The same as a process whose streams and lifetime the test decides.
pub fn process(policy: &str, episodes: usize, out: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(binary());
    command.current_dir(repository());
    command.args(run(policy, episodes, out).get_args());
    command
}

/// The same with other assets.
pub fn run_with(assets: &Path, policy: &str, episodes: usize, out: &Path) -> Command {
    let mut command = run(policy, episodes, out);
    command.arg("--assets").arg(assets);
    command
}

/// Fails unless the command ends with code 2 and one line on standard error that contains the words.
pub fn refused(mut command: Command, words: &[&str]) {
    let output = command.output().expect("runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub fn card(out: &Path) -> serde_json::Value {
    serde_json::from_str(&read(&out.join("run.json"))).expect("JSON")
}

/// A copy of the asset folder without checkpoints that a test may change.
pub fn assets(dir: &Path) -> PathBuf {
    let to = dir.join("assets");
    for folder in ["arenas", "fixtures", "objects", "robots", "suites"] {
        copy(&repository().join("assets").join(folder), &to.join(folder));
    }
    to
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("copied")),
        }
    }
}

/// Replaces words of a file, which must stand there.
pub fn edit(path: &Path, from: &str, to: &str) {
    let text = read(path);
    assert!(text.contains(from), "`{from}` is not in {}", path.display());
    fs::write(path, text.replace(from, to)).expect("written");
}

/// A tiny checkpoint.
pub fn checkpoint(dir: &Path) -> PathBuf {
    let path = dir.join("checkpoint");
    bitvla_policies::testing::write_tiny_checkpoint(&path).expect("a checkpoint");
    path
}
