//! Guarantee: `bitvla-eval parity` compares our world with the recorded MuJoCo runs on a LIBERO
//! checkout's own models; on a small part of the recordings the figures that the report gives meet
//! their targets (joint torques, responses but for the one sequence through a singular posture,
//! settling, predicate definitions, inertia), the folder holds every promised file, and the same
//! comparison gives the same bytes whatever the number of threads. Skipped with a loud line where the
//! reference is absent.

use assert_cmd::Command;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn shared() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let there = dir.join("reference/libero/data/suites.json").is_file()
        && dir.join("libero/libero/libero/assets").is_dir();
    if !there {
        eprintln!("SKIPPED: no reference in {}", dir.display());
    }
    there.then_some(dir)
}

fn parity(shared: &Path, out: &Path, more: &[&str]) -> Command {
    let mut c = Command::cargo_bin("bitvla-eval").expect("the program");
    c.arg("parity")
        .arg("--assets")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets"))
        .arg("--libero")
        .arg(shared.join("libero"))
        .arg("--reference")
        .arg(shared.join("reference/libero/data"))
        .arg("--out")
        .arg(out)
        .args(more);
    c
}

fn report(out: &Path) -> Value {
    let text = fs::read_to_string(out.join("parity.json")).expect("parity.json");
    serde_json::from_str(&text).expect("JSON")
}

fn figure(report: &Value, section: &str, name: &str) -> f64 {
    let figures = report["figures"].as_array().expect("figures");
    let found = figures
        .iter()
        .find(|f| f["section"] == section && f["name"] == name);
    let found = found.unwrap_or_else(|| panic!("no figure {section} {name}"));
    found["value"].as_f64().expect("a number")
}

#[test]
fn the_figures_of_a_small_comparison_hold() {
    let Some(shared) = shared() else { return };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("small");
    let small = [
        "--suites",
        "libero_spatial,libero_goal",
        "--episodes",
        "1",
        "--only",
        "osc,torques,settle,predicates,replay,inertia",
    ];
    parity(&shared, &out, &small).assert().success();
    let r = report(&out);
    assert!(figure(&r, "torques", "joint torque, relative, worst") <= 1.0);
    assert!(figure(&r, "osc", "free motion, position, median") <= 0.05);
    assert!(figure(&r, "osc", "sequences inside both throughout") >= 41.0);
    let near = "after 100 steps within 5 mm and 3 degrees";
    assert!(figure(&r, "settle", near) >= 95.0);
    let truth = "definitions, recorded contact and site";
    assert_eq!(figure(&r, "predicates", truth), 100.0);
    assert!(figure(&r, "predicates", "hand-made states in our world") >= 99.9);
    assert!(figure(&r, "replay", "replayed episodes that succeed") >= 80.0);
    assert!(figure(&r, "inertia", "mass, relative, worst") <= 0.01);
    assert!(figure(&r, "inertia", "centre of mass, worst") <= 0.01);
    assert!(figure(&r, "inertia", "inertia, relative, worst") <= 0.01);
    for file in [
        "parity.txt",
        "osc_steps.csv",
        "torques.csv",
        "settle_objects.csv",
        "predicates_differing.csv",
        "replay_episodes.csv",
        "replay_drift.csv",
        "inertia.csv",
    ] {
        assert!(out.join(file).is_file(), "{file}");
    }
    for plot in ["osc_position", "torques", "settle", "predicates", "replay"] {
        for kind in ["svg", "png"] {
            let file = out.join("plots").join(format!("{plot}.{kind}"));
            assert!(file.is_file(), "{}", file.display());
        }
    }

    let again = dir.path().join("again");
    let one = [&small[..], &["--jobs", "1"]].concat();
    parity(&shared, &again, &one).assert().success();
    for file in [
        "parity.json",
        "parity.txt",
        "replay_drift.csv",
        "osc_steps.csv",
    ] {
        let read = |dir: &Path| fs::read(dir.join(file)).expect(file);
        assert!(read(&out) == read(&again), "{file} depends on threads");
    }
}

#[test]
fn images_are_compared_and_what_lacks_its_files_can_be_left_out() {
    let Some(shared) = shared() else { return };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut seen = Vec::new();
    for (name, exclude) in [("all", None), ("some", Some("akita_black_bowl,plate"))] {
        let out = dir.path().join(name);
        let mut more = vec!["--suites", "libero_spatial", "--only", "images"];
        if let Some(categories) = exclude {
            more.extend(["--exclude", categories]);
        }
        parity(&shared, &out, &more).assert().success();
        let r = report(&out);
        let whole = figure(&r, "images", "agentview, whole image, mean");
        let masked = figure(&r, "images", "agentview, similarity, mean");
        assert!(whole > 0.5 && whole < 1.0, "{whole}");
        seen.push((whole, masked));
    }
    assert_eq!(seen[0].0, seen[0].1, "nothing left out");
    assert_eq!(seen[0].0, seen[1].0, "the whole image is the same");
    assert!(seen[1].1 != seen[1].0, "what is left out does not count");
}

#[test]
fn a_missing_reference_is_refused_with_its_name() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut c = parity(dir.path(), &dir.path().join("out"), &["--models", "own"]);
    let output = c.assert().code(2).get_output().stderr.clone();
    let text = String::from_utf8_lossy(&output).into_owned();
    assert!(
        text.contains("suites.json") && text.contains("--reference"),
        "{text}"
    );
}
