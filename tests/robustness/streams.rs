//! A stream that is closed or full is no panic and stops no run: a reader that has seen enough is no error, a standard output
//! that is full is one, after everything else is done.

use super::support::{binary, process, read, repository, run};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

fn expert(out: &Path, more: &[&str]) -> Command {
    let mut command = process("expert", 2, out);
    command.args(more);
    command
}

/// The end of a pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    File::options()
        .write(true)
        .open("/dev/full")
        .expect("/dev/full")
        .into()
}

#[test]
fn a_closed_stream_stops_no_run() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("run");
    let mut command = expert(&out, &["--video", "1"]);
    let output = command.stdout(closed()).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    assert!(out.join("video/task00_init00.gif").is_file());

    // Both, as behind `2>&1 | head -1`.
    let out = dir.path().join("both");
    let status = expert(&out, &[]).stdout(closed()).stderr(closed()).status();
    assert_eq!(status.expect("runs").code(), Some(0));
    assert_eq!(read(&out.join("episodes.csv")).lines().count(), 3);
    let status = expert(&out, &[]).stdout(full()).stderr(full()).status();
    assert_eq!(status.expect("runs").code(), Some(2));
}

#[test]
fn a_full_standard_output_is_an_error_after_the_work_is_done() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("run");
    let refused = |command: &mut Command| {
        let output = command.stdout(full()).output().expect("runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(
            text.contains("error: standard output: No space left"),
            "{text}"
        );
        assert!(!text.contains("panicked"), "{text}");
    };
    refused(&mut expert(&out, &["--video", "1"]));
    assert!(out.join("video/task00_init00.gif").is_file());
    run("expert", 2, &out).assert().success();
    for words in [&["list"][..], &["render", "--out"], &["replay"]] {
        let mut command = Command::new(binary());
        command.current_dir(repository()).args(words);
        if words.len() > 1 || words[0] == "replay" {
            command.arg(&out);
        }
        refused(&mut command);
    }
}
