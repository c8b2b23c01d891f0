//! An option that would change nothing but a label is refused; a file that is written replaces no device, link or foreign file.

use super::support::{checkpoint, program, refused, run};
use std::fs;

#[test]
fn the_seed_seeds_what_is_random_and_is_refused_elsewhere() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let actions = |seed: &str| {
        let out = dir.path().join(seed);
        let mut random = run("random", 1, &out);
        random.args(["--seed", seed]).assert().success();
        fs::read(out.join("actions.bin")).expect("actions.bin")
    };
    assert_ne!(actions("7"), actions("8"));
    for policy in ["expert", "zero", "ternary"] {
        let mut fixed = run(policy, 1, &dir.path().join("fixed"));
        fixed.args(["--seed", "8"]);
        refused(fixed, &["--seed", policy, "nothing is random"]);
    }
    let help = program().arg("--help").output().expect("runs").stdout;
    let help = String::from_utf8_lossy(&help).into_owned();
    assert!(
        help.contains("refused for a policy that draws nothing"),
        "{help}"
    );
}

#[test]
fn options_of_a_checkpoint_are_refused_without_one() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (option, value) in [
        ("--checkpoint", "/nonexistent"),
        ("--normaliser-key", "spatial"),
    ] {
        let mut fixed = run("expert", 1, &dir.path().join("run"));
        fixed.args([option, value]);
        refused(fixed, &[option, "expert"]);
    }
    let checkpoint = checkpoint(dir.path());
    for (option, value) in [
        ("--seed", "8"),
        ("--dtype", "f32"),
        ("--model", "bitvla-3b"),
    ] {
        let mut bench = program();
        bench
            .args(["bench", option, value, "--checkpoint"])
            .arg(&checkpoint);
        bench.arg("--out").arg(dir.path().join("bench"));
        refused(bench, &[option, "synthetic"]);
    }
}

#[test]
fn a_packed_file_replaces_nothing_but_a_regular_file() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let checkpoint = checkpoint(dir.path());
    let pack = |out: &std::path::Path| {
        let mut pack = program();
        pack.arg("pack").arg(&checkpoint).arg(out);
        pack
    };
    // Somebody's file beside the one that is written.
    let unfinished = dir.path().join("policy.unfinished");
    fs::write(&unfinished, "mine").expect("written");
    let out = dir.path().join("policy.packed");
    pack(&out).assert().success();
    pack(&out).assert().success();
    assert_eq!(
        fs::read_to_string(&unfinished).expect("still there"),
        "mine"
    );
    let names = fs::read_dir(dir.path()).expect("a folder").count();
    assert_eq!(names, 3, "nothing is left beside the file");

    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo").success());
        refused(pack(&pipe), &["pipe", "expected a regular file"]);
        assert!(fs::metadata(&pipe).expect("there").file_type().is_fifo());
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&unfinished, &link).expect("a link");
        refused(pack(&link), &["link", "not followed"]);
        assert_eq!(
            fs::read_to_string(&unfinished).expect("still there"),
            "mine"
        );
    }
}
