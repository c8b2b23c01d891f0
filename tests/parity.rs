//! Guarantees of `bitvla-eval parity`.
//!
//! On small recordings made here, with the models that ship: it ends with code 0 when every target is met, with code 1 and
//! the name of the quantity when one is missed or was measured over nothing, NaN misses its target, and 20 406 of 20 407 are
//! not 100 %.
//!
//! On the recorded MuJoCo runs and a LIBERO checkout's own models (needs ../shared): on a small part of the recordings the
//! metrics meet their targets (joint torques, responses but for the one sequence through a singular posture, settling over all
//! objects and per task, predicate definitions, inertia, contacts), the folder holds every promised file, and the same comparison gives the same bytes
//! whatever the number of threads.

use assert_cmd::Command;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The command with `DIR/checkout` as LIBERO's files and `DIR/data` as the recorded runs.
fn parity(checkout: &Path, data: &Path, out: &Path, more: &[&str]) -> Command {
    let mut c = Command::cargo_bin("bitvla-eval").expect("the program");
    c.arg("parity")
        .arg("--assets")
        .arg(repository().join("assets"))
        .arg("--libero")
        .arg(checkout)
        .arg("--reference")
        .arg(data)
        .arg("--out")
        .arg(out)
        .args(more);
    c
}

fn report(out: &Path) -> Value {
    let text = fs::read_to_string(out.join("parity.json")).expect("parity.json");
    serde_json::from_str(&text).expect("JSON")
}

fn metric<'a>(report: &'a Value, section: &str, name: &str) -> &'a Value {
    let metrics = report["figures"].as_array().expect("figures");
    let found = metrics
        .iter()
        .find(|f| f["section"] == section && f["name"] == name);
    found.unwrap_or_else(|| panic!("no metric {section} {name}"))
}

fn value(report: &Value, section: &str, name: &str) -> f64 {
    let value = &metric(report, section, name)["value"];
    value.as_f64().expect("a number")
}

/// Targets of a report that are not met, `section: name`.
fn unmet(report: &Value) -> Vec<String> {
    let is_met = |f: &Value| match f["value"].as_f64() {
        None => false,
        Some(v) => {
            let target = &f["target"];
            target["at_most"].as_f64().is_none_or(|t| v <= t)
                && target["at_least"].as_f64().is_none_or(|t| v >= t)
        }
    };
    let metrics = report["figures"].as_array().expect("figures");
    metrics
        .iter()
        .filter(|f| !f["target"].is_null() && !is_met(f))
        .map(|f| format!("{}: {}", f["section"], f["name"]).replace('"', ""))
        .collect()
}

/// Runs the command; its code is 1 exactly if a target is not met, and it names every such target.
fn run(mut command: Command, out: &Path) -> (Value, String) {
    let output = command.output().expect("runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let Output { status, stderr, .. } = &output;
    assert!(matches!(status.code(), Some(0 | 1)), "{}", text(stderr));
    let report = report(out);
    let unmet = unmet(&report);
    let failed = i32::from(!unmet.is_empty());
    assert_eq!(status.code(), Some(failed), "{}", text(stderr));
    for name in unmet {
        assert!(text(stderr).contains(&name), "{name}: {}", text(stderr));
    }
    let all = text(&output.stdout) + &text(stderr);
    (report, all)
}

/// A reference folder with one task of suite `spatial` and its first stored initial state.
struct SmallReference {
    dir: tempfile::TempDir,
}

const BOWL: &str = "akita_black_bowl_1";
const PLATE: &str = "plate_1";

impl SmallReference {
    fn new() -> SmallReference {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let bddl = dir
            .path()
            .join("checkout/libero/libero/bddl_files/libero_spatial");
        fs::create_dir_all(&bddl).expect("a folder");
        fs::create_dir_all(dir.path().join("data")).expect("a folder");
        let suite = repository().join("assets/suites/spatial");
        fs::copy(suite.join("02_table_center.bddl"), bddl.join("task.bddl")).expect("copied");
        let states = fs::read_to_string(suite.join("init/02.json")).expect("initial states");
        let states: Value = serde_json::from_str(&states).expect("JSON");
        let state = &states[0];
        let mut joints = Map::new();
        for (instance, of) in state["joints"].as_object().expect("joints") {
            for (joint, q) in of.as_object().expect("joints") {
                joints.insert(format!("{instance}_{joint}"), q.clone());
            }
        }
        let qpos = state["robot_qpos"].as_array().expect("nine numbers");
        let record = json!({
            "robot_qpos": qpos[..7],
            "gripper_qpos": qpos[7..],
            "objects": state["objects"],
            "fixtures": state["fixtures"],
            "joints": joints,
        });
        let reference = SmallReference { dir };
        let entry = json!({"suites": {"libero_spatial": [{"bddl_file": "task.bddl"}]}});
        reference.write("suites.json", &entry);
        let init = json!({"suites": {"libero_spatial": {"0": {"states": [record]}}}});
        reference.write("init_states.json", &init);
        reference
    }

    fn write(&self, name: &str, value: &Value) {
        let path = self.dir.path().join("data").join(name);
        fs::write(path, value.to_string()).expect("written");
    }

    /// Writes `predicates.json` and `grasp.json`: two states with the bowl in the air beside the plate, `recorded` truth
    /// values of the initial state, and an episode of one step.
    fn write_predicates(&self, recorded: &[bool]) {
        let air = json!({
            "goal": false,
            "obj_pos": [0.3, 0.0, 1.3],
            "obj_quat_wxyz": [1.0, 0.0, 0.0, 0.0],
            "target_pos": [0.05, 0.2, 0.9022749],
            "target_quat_wxyz": [1.0, 0.0, 0.0, 0.0],
            "contact": false,
        });
        let record = |samples: Vec<Value>| {
            json!({
                "suite": "libero_spatial",
                "task_id": 0,
                "predicate": ["on", BOWL, PLATE],
                "samples": samples,
            })
        };
        let initial = recorded.iter().map(|goal| json!({"goal": goal})).collect();
        let records = [record(vec![air.clone(), air]), record(initial)];
        self.write("predicates.json", &json!({"records": records}));
        let episode = json!({
            "init": 0,
            "action": [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0]],
            "eef_pos": [[0.0, 0.0, 1.0]],
            "goal": [[0]],
            "obj": {},
            "ok": true,
        });
        let task = json!({
            "suite": "libero_spatial",
            "task_id": 0,
            "variant": "plain",
            "episodes": [episode],
        });
        self.write("grasp.json", &json!({"tasks": [task]}));
    }

    /// Writes `osc_pointwise.json`.
    fn write_torques(&self, samples: &[Value]) {
        self.write("osc_pointwise.json", &json!({"samples": samples}));
    }

    fn run(&self, quantity: &str) -> (Value, String) {
        let path = |name: &str| self.dir.path().join(name);
        let out = path("out");
        let more = ["--models", "own", "--only", quantity, "--jobs", "1"];
        run(parity(&path("checkout"), &path("data"), &out, &more), &out)
    }

    fn table(&self) -> String {
        fs::read_to_string(self.dir.path().join("out/parity.txt")).expect("parity.txt")
    }
}

const HAND_MADE: &str = "hand-made states in our world";

/// The row of a metric in `parity.txt`.
fn row(table: &str, name: &str) -> String {
    let line = table.lines().find(|l| l.contains(name));
    line.unwrap_or_else(|| panic!("no row {name}: {table}"))
        .to_owned()
}

#[test]
fn every_target_met_is_code_0() {
    let reference = SmallReference::new();
    reference.write_predicates(&[false; 3]);
    let (report, text) = reference.run("predicates");
    assert!(unmet(&report).is_empty(), "{text}");
    assert_eq!(value(&report, "predicates", HAND_MADE), 100.0);
    let row = row(&reference.table(), HAND_MADE);
    assert!(row.contains("  100 %  ") && row.ends_with("  met"), "{row}");
}

#[test]
fn twenty_thousand_four_hundred_and_six_of_seven_is_not_100_percent() {
    let reference = SmallReference::new();
    let mut recorded = vec![false; 20_405];
    recorded[77] = true;
    reference.write_predicates(&recorded);
    let (report, text) = reference.run("predicates");
    assert!(text.contains("20407 truth values"), "{text}");
    assert_eq!(unmet(&report), [format!("predicates: {HAND_MADE}")]);
    let row = row(&reference.table(), HAND_MADE);
    assert!(
        row.contains("  99.995 %  ") && row.ends_with("  MISSED"),
        "{row}"
    );
    assert!(!row.contains("  100  "), "{row}");
    let svg = self::svg(&reference, "predicates");
    assert!(svg.contains("99.995 %"), "no 99.995 % in the plot");
}

fn svg(reference: &SmallReference, plot: &str) -> String {
    let path = reference.dir.path().join(format!("out/plots/{plot}.svg"));
    fs::read_to_string(path).expect("a plot")
}

#[test]
fn a_missed_quantity_is_code_1_by_name() {
    let reference = SmallReference::new();
    let sample = json!({
        "q": [0.0, -0.2, 0.0, -2.4, 0.0, 2.2, 0.8],
        "qd": vec![0.0; 7],
        "finger_q": [0.02, -0.02],
        "finger_qd": [0.0, 0.0],
        "goal_pos": [-0.2, 0.0, 1.1],
        "goal_ori": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        "ee_pos": [-0.2, 0.0, 1.1],
        "J": vec![0.0; 42],
        "M": vec![0.0; 49],
        "bias": vec![0.0; 7],
        "tau_unclipped": vec![1e3; 7],
    });
    reference.write_torques(&[sample]);
    let (report, text) = reference.run("torques");
    let name = "torques: joint torque, relative, worst";
    assert_eq!(unmet(&report), [name]);
    assert!(text.contains(&format!("missed: {name}")), "{text}");
}

#[test]
fn a_quantity_over_nothing_is_not_met() {
    let reference = SmallReference::new();
    reference.write_torques(&[]);
    let (report, text) = reference.run("torques");
    let name = "joint torque, relative, worst";
    assert!(metric(&report, "torques", name)["value"].is_null());
    assert!(
        text.contains(&format!("not measured: torques: {name}")),
        "{text}"
    );
    assert!(row(&reference.table(), name).contains("NOT MEASURED"));
}

/// Writes `osc_responses.json`: sequences of `steps` steps of rest.
fn write_responses(reference: &SmallReference, sequences: usize, quat_xyzw: [f64; 4]) {
    let steps = 12;
    let sequence = json!({
        "name": "rest",
        "actions": vec![[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0]; steps],
        "obs_eef_pos": vec![[-0.2, 0.0, 1.1]; steps],
        "obs_eef_quat_xyzw": vec![quat_xyzw; steps],
        "obs_gripper_qpos": vec![[0.04, -0.04]; steps],
        "ncon": vec![0; steps],
        "start": {"qpos9": [0.0, -0.16, 0.0, -2.44, 0.0, 2.22, 0.78, 0.02, -0.02]},
    });
    let sequences = vec![sequence; sequences];
    reference.write("osc_responses.json", &json!({"sequences": sequences}));
}

#[test]
fn a_quantity_over_nan_is_missed() {
    let reference = SmallReference::new();
    write_responses(&reference, 1, [0.0; 4]);
    let (report, text) = reference.run("osc");
    let name = "osc: free motion, angle, worst";
    assert!(unmet(&report).contains(&name.to_owned()), "{text}");
    assert!(
        text.contains(&format!("missed: {name}: NaN degree")),
        "{text}"
    );
    let line = row(&reference.table(), "free motion, angle, worst");
    assert!(line.contains("NaN") && line.contains("MISSED"), "{line}");
}

#[test]
fn responses_of_no_sequence_are_not_measured() {
    let reference = SmallReference::new();
    write_responses(&reference, 0, [0.0; 4]);
    let (report, text) = reference.run("osc");
    assert_eq!(unmet(&report).len(), 2, "{text}");
    assert_eq!(
        text.matches("not measured: osc: free motion").count(),
        2,
        "{text}"
    );
}

#[test]
fn records_that_are_left_out_are_said_and_those_cut_short_refused() {
    let reference = SmallReference::new();
    reference.write_predicates(&[false]);
    let path = reference.dir.path().join("data/predicates.json");
    let text = fs::read_to_string(&path).expect("predicates.json");
    fs::write(&path, text.replace("libero_spatial", "libero_lunar")).expect("written");
    let (_, text) = reference.run("predicates");
    assert!(
        text.contains("records of suite `libero_lunar` are left out"),
        "{text}"
    );

    reference.write_predicates(&[false]);
    let path = reference.dir.path().join("data/grasp.json");
    let text = fs::read_to_string(&path).expect("grasp.json");
    fs::write(&path, text.replace("\"goal\":[[0]]", "\"goal\":[[]]")).expect("written");
    let folder = |name: &str| reference.dir.path().join(name);
    let more = ["--models", "own", "--only", "predicates"];
    let mut c = parity(&folder("checkout"), &folder("data"), &folder("cut"), &more);
    let output = c.assert().code(2).get_output().stderr.clone();
    let text = String::from_utf8_lossy(&output).into_owned();
    assert!(
        text.contains("grasp.json") && text.contains("0 truth values"),
        "{text}"
    );
}

#[test]
fn a_missing_reference_is_refused_with_its_name() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let nowhere = dir.path().join("data");
    let more = ["--models", "own"];
    let mut c = parity(dir.path(), &nowhere, &dir.path().join("out"), &more);
    let output = c.assert().code(2).get_output().stderr.clone();
    let text = String::from_utf8_lossy(&output).into_owned();
    assert!(
        text.contains("suites.json") && text.contains("--reference"),
        "{text}"
    );
}

/// `../shared`; panics where the recorded runs or the checkout are not in it.
fn shared() -> PathBuf {
    let dir = repository().join("../shared");
    for needed in [
        "reference/libero/data/suites.json",
        "libero/libero/libero/assets",
    ] {
        let path = dir.join(needed);
        assert!(path.exists(), "{} is missing", path.display());
    }
    dir
}

fn recorded(shared: &Path, out: &Path, more: &[&str]) -> Value {
    let data = shared.join("reference/libero/data");
    run(parity(&shared.join("libero"), &data, out, more), out).0
}

#[test]
#[ignore = "needs ../shared: recorded MuJoCo runs and a LIBERO checkout"]
fn the_metrics_of_a_small_comparison_hold() {
    let shared = shared();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("small");
    let small = [
        "--suites",
        "libero_spatial,libero_goal",
        "--episodes",
        "1",
        "--only",
        "osc,torques,settle,predicates,replay,inertia,contacts",
    ];
    let r = recorded(&shared, &out, &small);
    assert!(unmet(&r).contains(&"osc: free motion, position, worst".to_owned()));
    assert!(value(&r, "torques", "joint torque, relative, worst") <= 1.0);
    assert!(value(&r, "osc", "free motion, position, median") <= 0.05);
    assert!(value(&r, "osc", "sequences inside both throughout") >= 41.0);
    let near = "after 100 steps within 5 mm and 3 degrees";
    assert!(value(&r, "settle", near) >= 95.0);
    assert!(value(&r, "settle", "after 10 steps, worst task") >= 80.0);
    let contacts = |name: &String| name.starts_with("contacts: ");
    assert!(!unmet(&r).iter().any(contacts), "{:?}", unmet(&r));
    assert!(value(&r, "contacts", "plate, way, median") <= 4.0);
    assert!(value(&r, "contacts", "top drawer, pushed") <= 0.5);
    let notes = r["notes"].as_array().expect("notes");
    let known = notes.iter().filter_map(Value::as_str);
    let known = known.filter(|n| n.starts_with("contacts: known difference: "));
    assert_eq!(known.count(), 4, "{notes:?}");
    let truth = "definitions, recorded contact and site";
    assert_eq!(value(&r, "predicates", truth), 100.0);
    // The recording says that the stove's `cook_region` has a half size of 0.075 m; the file of the checkout says 0.1 m, and nine
    // hand-made placements of the bowl lie between the two. No other placement differs.
    assert!(value(&r, "predicates", HAND_MADE) >= 99.0);
    let differing = fs::read_to_string(out.join("predicates_differing.csv")).expect("the table");
    let differing: Vec<&str> = differing.lines().skip(1).collect();
    assert!(differing.len() <= 9, "{differing:?}");
    let on_burner = |row: &&str| row.contains("on akita_black_bowl_1 flat_stove_1_cook_region");
    assert!(differing.iter().all(on_burner), "{differing:?}");
    assert!(value(&r, "replay", "replayed episodes that succeed") >= 80.0);
    assert!(value(&r, "inertia", "mass, relative, worst") <= 0.01);
    assert!(value(&r, "inertia", "centre of mass, worst") <= 0.01);
    assert!(value(&r, "inertia", "inertia, relative, worst") <= 0.01);
    for file in [
        "parity.txt",
        "osc_steps.csv",
        "torques.csv",
        "settle_objects.csv",
        "settle_tasks.csv",
        "predicates_differing.csv",
        "replay_episodes.csv",
        "replay_drift.csv",
        "inertia.csv",
        "contacts.csv",
        "contacts_readings.csv",
    ] {
        assert!(out.join(file).is_file(), "{file}");
    }
    for plot in [
        "osc_position",
        "torques",
        "settle",
        "predicates",
        "replay",
        "contacts",
    ] {
        for kind in ["svg", "png"] {
            let file = out.join("plots").join(format!("{plot}.{kind}"));
            assert!(file.is_file(), "{}", file.display());
        }
    }

    let again = dir.path().join("again");
    let one = [&small[..], &["--jobs", "1"]].concat();
    recorded(&shared, &again, &one);
    for file in [
        "parity.json",
        "parity.txt",
        "replay_drift.csv",
        "osc_steps.csv",
        "contacts_readings.csv",
    ] {
        let read = |dir: &Path| fs::read(dir.join(file)).expect(file);
        assert!(read(&out) == read(&again), "{file} depends on threads");
    }
}

#[test]
#[ignore = "needs ../shared: recorded MuJoCo runs and a LIBERO checkout"]
fn images_are_compared_and_what_lacks_its_files_can_be_left_out() {
    let shared = shared();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut seen = Vec::new();
    for (name, exclude) in [("all", None), ("some", Some("akita_black_bowl,plate"))] {
        let out = dir.path().join(name);
        let mut more = vec!["--suites", "libero_spatial", "--only", "images"];
        if let Some(categories) = exclude {
            more.extend(["--exclude", categories]);
        }
        let r = recorded(&shared, &out, &more);
        let whole = value(&r, "images", "agentview, whole image, mean");
        let masked = value(&r, "images", "agentview, similarity, mean");
        assert!(whole > 0.5 && whole < 1.0, "{whole}");
        seen.push((whole, masked));
    }
    assert_eq!(seen[0].0, seen[0].1, "nothing left out");
    assert_eq!(seen[0].0, seen[1].0, "the whole image is the same");
    assert!(seen[1].1 != seen[1].0, "what is left out does not count");
}
