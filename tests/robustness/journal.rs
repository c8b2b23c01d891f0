//! A row of a journal is taken for what it says only if no bit of it has changed and it fits the header and the suite; a file
//! that is none of this program's stays as it is; two processes never write into one folder.

use super::support::{checkpoint, edit, read, refused, run};
use std::fs::{self, File};
use std::path::Path;

fn lines(out: &Path) -> Vec<String> {
    let text = read(&out.join("journal.jsonl"));
    text.lines().map(str::to_owned).collect()
}

fn write_lines(out: &Path, lines: &[String]) {
    fs::create_dir_all(out).expect("a folder");
    fs::write(out.join("journal.jsonl"), lines.join("\n") + "\n").expect("written");
}

#[test]
fn rows_of_another_suite_are_refused_by_line_and_field() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (spatial, object) = (dir.path().join("spatial"), dir.path().join("object"));
    run("expert", 2, &spatial).assert().success();
    let mut other = run("expert", 2, &object);
    other.args(["--suite", "object"]).assert().success();
    let mut mixed = lines(&spatial);
    mixed.truncate(1);
    mixed.extend(lines(&object).into_iter().skip(1));
    let out = dir.path().join("mixed");
    write_lines(&out, &mixed);
    refused(
        run("expert", 2, &out),
        &["journal.jsonl", "line 2", "suite", "object", "spatial"],
    );

    // The same row twice.
    let mut twice = lines(&spatial);
    twice.push(twice[1].clone());
    write_lines(&out, &twice);
    refused(
        run("expert", 2, &out),
        &["line 4", "finished already in line"],
    );
}

#[test]
fn a_file_that_is_no_journal_stays_as_it_is() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("run");
    let journal = out.join("journal.jsonl");
    fs::create_dir_all(&out).expect("a folder");
    for notes in [
        "my notes of the week",
        "my notes\nof the week\n",
        "{\"a\": 1}\n",
    ] {
        fs::write(&journal, notes).expect("written");
        refused(run("expert", 1, &out), &["journal.jsonl"]);
        assert_eq!(read(&journal), notes);
    }
    fs::remove_file(&journal).expect("removed");
    fs::write(out.join("episodes.csv"), "mine").expect("written");
    refused(run("expert", 1, &out), &["holds episodes.csv"]);
    assert_eq!(read(&out.join("episodes.csv")), "mine");
}

#[cfg(unix)]
#[test]
fn a_link_is_not_followed() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("run");
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir_all(&out).expect("a folder");
    fs::write(&elsewhere, "").expect("written");
    std::os::unix::fs::symlink(&elsewhere, out.join("journal.jsonl")).expect("a link");
    refused(run("expert", 1, &out), &["journal.jsonl", "link"]);
    assert_eq!(read(&elsewhere), "");
}

#[test]
fn a_header_without_rows_blocks_nothing() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("run");
    run("expert", 1, &out).assert().success();
    let header = lines(&out)[0].clone();
    let fresh = dir.path().join("fresh");
    write_lines(
        &fresh,
        &[header.replace("\"policy\":\"expert\"", "\"policy\":\"other\"")],
    );
    run("expert", 1, &fresh).assert().success();
    assert_eq!(lines(&fresh)[0], header);
    // A header that was cut short, too.
    fs::remove_dir_all(&fresh).expect("removed");
    fs::create_dir_all(&fresh).expect("a folder");
    fs::write(fresh.join("journal.jsonl"), &header[..9]).expect("written");
    run("expert", 1, &fresh).assert().success();
    assert_eq!(lines(&fresh)[0], header);
}

#[test]
fn a_refused_checkpoint_claims_no_folder_and_the_message_names_what_differs() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (out, checkpoint) = (dir.path().join("run"), checkpoint(dir.path()));
    let looks = || {
        let mut looks = run("ternary", 1, &out);
        looks.arg("--checkpoint").arg(&checkpoint);
        looks
    };
    let tokenizer = checkpoint.join("tokenizer.json");
    let whole = read(&tokenizer);
    fs::write(&tokenizer, "{").expect("written");
    refused(looks(), &["tokenizer.json"]);
    assert!(!out.exists(), "nothing was begun");
    fs::write(&tokenizer, whole).expect("written");
    looks().assert().success();

    edit(&tokenizer, "{", "{ ");
    let output = looks().output().expect("runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("weights_sha256.tokenizer.json"), "{text}");
    assert!(!text.contains("config.json") && text.len() < 400, "{text}");
}

#[test]
fn a_folder_that_is_in_use_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("run");
    run("expert", 1, &out).assert().success();
    let before = read(&out.join("journal.jsonl"));
    let journal = File::options()
        .append(true)
        .open(out.join("journal.jsonl"))
        .expect("a journal");
    journal.lock().expect("a lock");
    refused(run("expert", 2, &out), &["in use by another process"]);
    assert_eq!(read(&out.join("journal.jsonl")), before);
    drop(journal);
    run("expert", 2, &out).assert().success();
}
