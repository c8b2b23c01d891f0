//! A signal or a limit of the system ends a run with its folder written and a sentence that says how to go on; no finished
//! episode is lost.

use super::support::{binary, process, read, repository, run};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn finished_rows(out: &Path) -> usize {
    let text = std::fs::read_to_string(out.join("journal.jsonl")).unwrap_or_default();
    text.lines().count().saturating_sub(1)
}

#[test]
fn a_stopped_run_writes_its_folder_and_goes_on() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let out = dir.path().join(signal);
        let mut command = process("expert", 50, &out);
        command
            .args(["--jobs", "1"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let child = command.spawn().expect("runs");
        let start = Instant::now();
        while finished_rows(&out) < 2 {
            assert!(start.elapsed() < Duration::from_secs(120), "no episode");
            std::thread::sleep(Duration::from_millis(5));
        }
        let id = child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(sent.expect("kill").success());
        let output = child.wait_with_output().expect("ends");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        let kept = finished_rows(&out);
        let words = format!("{kept} of 50 episodes are kept; the same command goes on");
        assert!(text.contains(&words), "{text}");
        let rows = read(&out.join("episodes.csv"));
        assert_eq!(rows.lines().count(), kept + 1);
        assert!(out.join("run.json").is_file() && out.join("summary.txt").is_file());

        let more = kept + 1;
        run("expert", more, &out).assert().success();
        assert!(read(&out.join("episodes.csv")).starts_with(&rows));
        assert!(read(&out.join("run.json")).contains(&format!("\"resumed_episodes\": {kept}")));
    }
}

/// Runs a shell command line in which `$BIN` is the program and `$OUT` a folder.
fn shell(script: &str, out: &Path) -> (Option<i32>, String) {
    let mut command = Command::new("bash");
    command
        .current_dir(repository())
        .args(["-c", script])
        .env("BIN", binary())
        .env("OUT", out);
    let output = command.output().expect("bash");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), text)
}

#[test]
fn a_file_that_grows_too_large_is_an_error_by_name() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("run");
    let expert = "exec \"$BIN\" --policy expert --tasks 0 --jobs 1 --out \"$OUT\"";
    let (code, text) = shell(&format!("ulimit -f 9; {expert} --episodes 2"), &out);
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("journal.jsonl") && text.contains("too large"),
        "{text}"
    );

    // Room for everything but the film.
    let out = dir.path().join("film");
    let (code, text) = shell(
        &format!("ulimit -f 1000; {expert} --episodes 1 --video 1"),
        &out,
    );
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("task00_init00.gif"), "{text}");
    let films = std::fs::read_dir(out.join("video"))
        .expect("a folder")
        .count();
    assert_eq!(films, 0, "nothing under the name and nothing beside it");
    assert!(out.join("episodes.csv").is_file());
}
