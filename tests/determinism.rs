//! Guarantee: the rows, actions and hashes of a run are the same bytes whatever the order of episodes, the number of workers, the
//! instruction set, the folder that the program is started in, the locale and the time zone are; also when the run was
//! interrupted and gone on with, and when it was made in shards that were merged.

#[path = "common/program.rs"]
mod support;

use assert_cmd::Command;
use std::fs;
use std::path::Path;
use support::{program, repository};

/// Files without times.
const FILES: [&str; 3] = ["episodes.csv", "actions.bin", "hashes.bin"];

/// Four episodes of the ternary policy into `out`.
fn evaluate(out: &Path) -> Command {
    let mut run = program();
    run.args(["--policy", "ternary", "--tasks", "1,7", "--episodes", "2"])
        .arg("--out")
        .arg(out);
    run
}

/// Fails unless both folders hold the same bytes; `contract` says what was varied.
fn same(contract: &str, expected: &Path, found: &Path) {
    for file in FILES {
        let read = |dir: &Path| fs::read(dir.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(read(expected) == read(found), "{contract}: {file} differs");
    }
}

#[test]
fn a_run_is_the_same_bytes_under_every_contract() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name.replace(' ', "-"));
    let base = path("base");
    evaluate(&base).assert().success();

    let options: [(&str, &[&str]); 4] = [
        ("last episode first", &["--backwards"]),
        ("1 worker", &["--jobs", "1"]),
        ("2 workers", &["--jobs", "2"]),
        ("7 workers", &["--jobs", "7"]),
    ];
    for (contract, options) in options {
        evaluate(&path(contract)).args(options).assert().success();
        same(contract, &base, &path(contract));
    }
    let environments = [
        ("scalar kernels", "BITVLA_ISA", "scalar"),
        ("AVX2 kernels", "BITVLA_ISA", "avx2"),
        ("AVX-VNNI kernels", "BITVLA_ISA", "avxvnni"),
        ("AVX-512 VNNI kernels", "BITVLA_ISA", "avx512vnni"),
        ("German locale", "LC_ALL", "de_DE.UTF-8"),
        ("Turkish locale", "LC_ALL", "tr_TR.UTF-8"),
        ("another time zone", "TZ", "Pacific/Kiritimati"),
    ];
    for (contract, variable, value) in environments {
        evaluate(&path(contract))
            .env(variable, value)
            .assert()
            .success();
        same(contract, &base, &path(contract));
    }

    let elsewhere = path("elsewhere");
    let mut run = evaluate(&elsewhere);
    run.current_dir(dir.path())
        .arg("--assets")
        .arg(repository().join("assets"));
    run.assert().success();
    same("another folder", &base, &elsewhere);

    let resumed = path("resumed");
    let mut first = program();
    first
        .args([
            "--policy",
            "ternary",
            "--tasks",
            "7",
            "--episodes",
            "1",
            "--out",
        ])
        .arg(&resumed);
    first.assert().success();
    evaluate(&resumed).assert().success();
    same("resumed", &base, &resumed);

    for shard in 0..3 {
        let mut part = evaluate(&path(&format!("shard {shard}")));
        part.arg("--shard")
            .arg(format!("{shard}/3"))
            .assert()
            .success();
    }
    let mut merge = program();
    merge
        .arg("merge")
        .args((0..3).map(|shard| path(&format!("shard {shard}"))));
    merge.arg("--out").arg(path("merged")).assert().success();
    same("shards merged", &base, &path("merged"));
}
