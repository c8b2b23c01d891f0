//! Guarantee: `truth` lays episodes of another simulator beside runs of this program, state by state, says how success goes together and which states
//! flip, with other worlds as yardsticks; what is no such table is refused with one line. Noise in actions makes another policy, the same one in
//! every process.

#[path = "common/program.rs"]
mod support;

use std::fmt::Write;
use std::path::Path;
use support::{card, program, read, refused};

fn run(policy: &str, more: &[&str], out: &Path) {
    let mut run = program();
    run.args(["--suite", "spatial", "--policy", policy, "--tasks", "0,1"]);
    run.args(["--episodes", "2"])
        .args(more)
        .arg("--out")
        .arg(out);
    run.assert().success();
}

/// A table of a world in which the expert fails in one of four states.
fn table(worlds: &[(&str, usize)]) -> String {
    let mut text = "world,policy,suite,task,init,success,seconds\n".to_owned();
    for (world, failed) in worlds {
        for state in 0..4 {
            let (task, init) = (state / 2, state % 2);
            let success = u8::from(state != *failed);
            writeln!(text, "{world},expert,spatial,{task},{init},{success},9.5").expect("text");
            writeln!(text, "{world},zero,spatial,{task},{init},0,9.5").expect("text");
        }
    }
    text
}

#[test]
fn worlds_are_compared_state_by_state() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    run("expert", &[], &path("expert"));
    run("zero", &[], &path("zero"));
    std::fs::write(
        path("m.csv"),
        table(&[("mujoco 2.3.7", 3), ("mujoco moved", 1)]),
    )
    .expect("written");
    let truth = |runs: &[&str]| {
        let mut truth = program();
        truth.arg("truth").args(runs.iter().map(|name| path(name)));
        truth.arg("--out").arg(path("out"));
        truth
    };
    let done = truth(&["expert", "zero", "m.csv"]).assert().success();
    let text = String::from_utf8_lossy(&done.get_output().stdout).into_owned();
    assert_eq!(
        text.trim_end().lines().count(),
        read(&path("out/summary.txt")).lines().count() + 2
    );
    for words in [
        "100.0 (51.0 to 100.0)",
        "75.0 (30.1 to 95.4)",
        "+25.0",
        "+12.5",
        "1.000",
        "mujoco moved against mujoco 2.3.7",
    ] {
        assert!(text.contains(words), "`{words}` is not in {text}");
    }
    // Of eight shared states one flips here; the yardstick's two worlds differ in two.
    let flips = read(&path("out/flips.csv"));
    assert!(
        flips.contains("bitvla-eval,mujoco 2.3.7,8,3,1,0,4,12.5,"),
        "{flips}"
    );
    assert!(
        flips.contains("mujoco moved,mujoco 2.3.7,8,2,1,1,4,25.0,"),
        "{flips}"
    );
    assert_eq!(read(&path("out/tasks.csv")).lines().count(), 5);
    for name in [
        "success.csv",
        "correlation.csv",
        "plots/agreement.png",
        "plots/agreement.svg",
    ] {
        assert!(path("out").join(name).is_file(), "{name}");
    }

    refused(
        truth(&["expert", "zero"]),
        &["no table", "world, policy, suite"],
    );
    refused(
        truth(&["expert", "expert", "m.csv"]),
        &["expert", "LABEL=DIR"],
    );
    std::fs::write(
        path("m.csv"),
        table(&[("m", 0)]).replace("zero,spatial,0,1,0", "zero,spatial,0,1,maybe"),
    )
    .expect("written");
    refused(
        truth(&["expert", "m.csv"]),
        &["m.csv", "maybe", "expected 0, 1"],
    );
    std::fs::write(path("m.csv"), table(&[("m", 0)]).replace("spatial", "goal")).expect("written");
    refused(truth(&["expert", "m.csv"]), &["share no initial state"]);
}

#[test]
fn noise_in_actions_makes_another_policy() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    let noisy = ["--action-noise", "0.3"];
    run("ternary", &noisy, &path("one"));
    run("ternary", &noisy, &path("two"));
    run("ternary", &[], &path("plain"));
    let actions = |name: &str| std::fs::read(path(name).join("actions.bin")).expect("actions");
    assert_eq!(actions("one"), actions("two"));
    assert_ne!(actions("one"), actions("plain"));
    let protocol = &card(&path("one"))["protocol"];
    assert_eq!(
        (&protocol["policy"], &protocol["action_noise"]),
        (&"ternary-noise-0.3".into(), &0.3.into())
    );
    assert_eq!(card(&path("plain"))["protocol"]["action_noise"], 0.0);
    let mut expert = program();
    expert.args(["--policy", "expert"]).args(noisy);
    refused(expert, &["--action-noise 0.3", "expert"]);
}
