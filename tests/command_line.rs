//! Guarantees: the program lists what it has; bad input ends with code 2 and one line that names it;
//! the rows of `episodes.csv` depend neither on the order of episodes nor on the number of workers;
//! an interrupted run goes on and keeps what it had; a run folder of another world version is neither continued nor
//! replayed; a replay repeats every bit; neither pictures nor
//! actions depend on the instruction set; a packed file acts as the folder it was made of, with any number of
//! threads, and the run says how the weights are multiplied and where the memory went; `all` is four runs and one table; a
//! suite of LIBERO runs from its own files, whose hashes are on the card; sanity policies and recordings run as policies; a
//! policy that does not know a suite is refused before the first episode; files of other schema versions are refused by name;
//! `bench` measures the checkpoint that is named, with the instruction sets that are named.

#[path = "common/program.rs"]
mod support;

use assert_cmd::Command;
use bitvla_policies::kernels::Isa;
use std::fs;
use std::path::{Path, PathBuf};
use support::{program, refused};

fn expert(out: &Path, more: &[&str]) -> Command {
    let mut command = program();
    command.args(["--suite", "spatial", "--policy", "expert", "--tasks", "0,3"]);
    command
        .args(["--episodes", "2", "--out"])
        .arg(out)
        .args(more);
    command
}

fn rows(out: &Path) -> String {
    fs::read_to_string(out.join("episodes.csv")).expect("episodes.csv")
}

#[test]
fn list_names_tasks_and_policies() {
    let output = program().arg("list").output().expect("runs");
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for words in [
        "world version ",
        "suite spatial",
        "pick up the black bowl",
        "ternary",
        "expert",
        "zero",
        "random",
        "replay:RUN_DIR",
    ] {
        assert!(text.contains(words), "`{words}` is not in: {text}");
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_seen_enough_of_the_list_is_no_error() {
    let mut list = std::process::Command::new(assert_cmd::cargo::cargo_bin("bitvla-eval"));
    list.current_dir(env!("CARGO_MANIFEST_DIR")).arg("list");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = list.stdout(writer).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && text.is_empty(), "{text}");
}

#[test]
fn bad_input_is_refused_in_one_line() {
    let mut unknown = program();
    unknown.args(["--suite", "lunar", "--policy", "expert"]);
    refused(unknown, &["lunar", "spatial"]);

    let mut nowhere = program();
    nowhere.args(["--suite", "libero:spatial", "--policy", "expert"]);
    refused(nowhere, &["libero:spatial", "--libero DIR"]);
    let mut poses = program();
    poses.args(["--policy", "expert", "--fixtures", "poses.json"]);
    refused(poses, &["--fixtures", "--libero DIR"]);
    let mut empty = program();
    empty.args([
        "--suite",
        "libero:goal",
        "--policy",
        "expert",
        "--libero",
        "no/such",
    ]);
    refused(empty, &["no/such", "no such folder", "a LIBERO checkout"]);

    let mut before = program();
    before.args(["--tasks", "1", "render"]);
    let output = before.output().expect("runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("`--tasks` before `render`"), "{text}");

    let out = tempfile::tempdir().expect("a temporary folder");
    let mut task = program();
    task.args(["--policy", "expert", "--tasks", "99", "--out"])
        .arg(out.path());
    refused(task, &["99"]);

    let mut checkpoint = program();
    checkpoint.args(["--policy", "ternary", "--checkpoint", "no/such/folder"]);
    refused(
        checkpoint,
        &["no/such/folder", "config.json", "bitvla-train"],
    );

    let mut replay = program();
    replay.args(["replay", "no/such/run"]);
    refused(replay, &["no/such/run", "run.json"]);
}

/// The asset folder with four suites that are all the spatial one.
fn four_suites(dir: &Path) {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    for folder in ["arenas", "fixtures", "objects", "robots"] {
        copy(&assets.join(folder), &dir.join(folder));
    }
    for name in ["spatial", "object", "goal", "long"] {
        let suite = dir.join("suites").join(name);
        copy(&assets.join("suites/spatial"), &suite);
        let path = suite.join("suite.toml");
        let text = fs::read_to_string(&path).expect("suite.toml");
        let text = text.replace("\"spatial\"", &format!("\"{name}\""));
        fs::write(path, text).expect("written");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

#[test]
fn all_suites_run_one_after_the_other() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (assets, out) = (dir.path().join("assets"), dir.path().join("run"));
    four_suites(&assets);
    let mut all = program();
    all.args(["--suite", "all", "--policy", "expert", "--tasks", "0"])
        .args(["--episodes", "1", "--assets"])
        .arg(&assets)
        .arg("--out")
        .arg(&out);
    let output = all.output().expect("runs");
    assert!(output.status.success(), "{output:?}");
    let table = fs::read_to_string(out.join("summary.txt")).expect("summary.txt");
    assert!(String::from_utf8_lossy(&output.stdout).contains(&table));
    for name in ["spatial", "object", "goal", "long"] {
        assert!(out.join(name).join("run.json").is_file(), "{name}");
        let rows = rows(&out.join(name));
        assert!(rows.contains(&format!("\n{name},0,")), "{rows}");
        let row = table.lines().find(|line| line.starts_with(name));
        assert!(row.is_some_and(|row| row.contains("1/1")), "{table}");
    }
    assert!(
        table
            .lines()
            .any(|line| line.starts_with("all suites") && line.contains("4/4"))
    );

    fs::remove_dir_all(assets.join("suites/goal")).expect("removed");
    let mut three = program();
    three
        .args(["--suite", "all", "--policy", "expert", "--assets"])
        .arg(&assets)
        .arg("--out")
        .arg(dir.path().join("three"));
    refused(three, &["no suite `goal`", "spatial, object, long"]);
    assert!(!dir.path().join("three").exists(), "nothing was started");
}

/// A checkout of links to LIBERO's files, without some of them; `bad` is a file of its own, cut short.
fn broken_checkout(from: &Path, to: &Path, gone: &[&str], cut: Option<&str>) {
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        fs::create_dir_all(to.join(&folder)).expect("a folder");
        for entry in fs::read_dir(from.join(&folder)).expect("a folder") {
            let inside = folder.join(entry.expect("an entry").file_name());
            let (source, target) = (from.join(&inside), to.join(&inside));
            let name = inside.to_string_lossy().into_owned();
            if source.is_dir() {
                folders.push(inside);
            } else if cut.is_some_and(|end| name.ends_with(end)) {
                let bytes = fs::read(&source).expect("readable");
                fs::write(target, &bytes[..bytes.len() / 2]).expect("written");
            } else if !gone.iter().any(|end| name.ends_with(end)) {
                #[cfg(unix)]
                std::os::unix::fs::symlink(source.canonicalize().expect("a path"), target)
                    .expect("a link");
                #[cfg(not(unix))]
                fs::copy(source, target).map(drop).expect("a copy");
            }
        }
    }
}

#[test]
#[ignore = "needs ../shared: LIBERO's files"]
fn a_checkout_with_missing_or_cut_files_is_refused_by_the_file_or_replaced_visibly() {
    let shared = libero();
    let from = shared.join("libero/libero/libero");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let state = "libero_goal/turn_on_the_stove.pruned_init";
    let problem = "libero_goal/turn_on_the_stove.bddl";
    let stove = "articulated_objects/flat_stove.xml";
    let scene = "scenes/libero_tabletop_base_style.xml";
    let cases = [
        (
            &[state][..],
            None,
            &[
                "init_files/libero_goal",
                "turn_on_the_stove with one of .pruned_init",
            ][..],
        ),
        (&[], Some(state), &[state, "byte", "no readable archive"]),
        (&[problem], None, &[problem, "No such file"]),
        (&[], Some(problem), &[problem, "is never closed"]),
        (&[stove], None, &["no model of", stove]),
        (&[], Some(stove), &["flat_stove.xml:", "well-formed XML"]),
        (&[scene], None, &[scene, "No such file"]),
    ];
    for (k, (gone, cut, words)) in cases.into_iter().enumerate() {
        let checkout = dir.path().join(k.to_string());
        broken_checkout(&from, &checkout, gone, cut);
        let mut render = program();
        render.arg("--libero").arg(&checkout);
        render.args(["render", "--suite", "libero:goal", "--task", "7", "--out"]);
        render.arg(dir.path());
        refused(render, words);
    }
    // Pictures, and meshes that are only drawn, are replaced; each is said once, although two textures name one.
    let checkout = dir.path().join("pictures");
    let missing = ["flat_stove/metal.png", "stove_burner/burnerplate.stl"];
    broken_checkout(&from, &checkout, &missing, None);
    let mut render = program();
    render.args(["render", "--suite", "libero:goal", "--task", "7", "--out"]);
    render.arg(dir.path()).arg("--libero").arg(&checkout);
    let output = render.output().expect("runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    for file in missing {
        let said: Vec<&str> = text.lines().filter(|line| line.contains(file)).collect();
        assert_eq!(said.len(), 1, "{file}: {text}");
        assert!(said[0].starts_with("warning: ") && said[0].contains("not there, "));
    }
    let picture = dir.path().join("libero-goal_task07_init00_agentview.png");
    assert!(picture.is_file());
}

/// The folder that LIBERO's files lie in, beside the repository.
fn libero() -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let files = dir.join("libero");
    assert!(
        files.is_dir(),
        "{} is absent: this test needs LIBERO's files",
        files.display()
    );
    dir
}

#[test]
#[ignore = "needs ../shared: LIBERO's files"]
fn a_suite_of_libero_runs_and_its_files_are_on_the_card() {
    let shared = libero();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let checkout = shared.join("libero");
    let with = |command: &mut Command| {
        command.arg("--libero").arg(&checkout);
    };
    let mut list = program();
    list.arg("list");
    with(&mut list);
    let output = list.output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for words in [
        "suite libero:10, horizon 520",
        "9  put the wine bottle on the rack\n",
        "89  pick up the book on the right and place it under the cabinet shelf",
    ] {
        assert!(text.contains(words), "`{words}` is not in: {text}");
    }

    let poses = shared.join("reference/libero/data/init_states.json");
    let mut cards = Vec::new();
    for (name, file) in [("drawn", None), ("given", Some(&poses))] {
        let out = dir.path().join(name);
        let mut run = program();
        run.args(["--suite", "libero:spatial", "--policy", "expert"])
            .args(["--tasks", "4", "--episodes", "1", "--out"])
            .arg(&out);
        with(&mut run);
        if let Some(file) = file {
            run.arg("--fixtures").arg(file);
        }
        run.assert().success();
        let card = fs::read_to_string(out.join("run.json")).expect("run.json");
        let card: serde_json::Value = serde_json::from_str(&card).expect("JSON");
        cards.push(card["protocol"]["libero_sha256"].clone());
    }
    for kind in ["assets", "bddl", "init"] {
        assert_eq!(cards[0][kind].as_str().map(str::len), Some(64), "{kind}");
        assert_eq!(cards[0][kind], cards[1][kind], "{kind}");
    }
    assert!(cards[0]["fixtures"].is_null(), "{}", cards[0]);
    assert_eq!(cards[1]["fixtures"].as_str().map(str::len), Some(64));

    let mut replay = program();
    replay.arg("replay").arg(dir.path().join("drawn"));
    with(&mut replay);
    replay.assert().success();
    let mut own = program();
    own.args(["--policy", "expert", "--suite", "spatial"]);
    with(&mut own);
    refused(own, &["suite `spatial`", "libero:spatial"]);
}

#[test]
fn a_truncated_checkpoint_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    bitvla_policies::testing::write_tiny_checkpoint(dir.path()).expect("a checkpoint");
    let weights = dir.path().join("model.safetensors");
    let bytes = fs::read(&weights).expect("weights");
    fs::write(&weights, &bytes[..bytes.len() / 2]).expect("write");
    let mut cut = program();
    cut.args(["--policy", "ternary", "--checkpoint"])
        .arg(dir.path())
        .arg("--out")
        .arg(dir.path().join("run"));
    refused(cut, &["model.safetensors"]);
}

#[test]
fn rows_do_not_depend_on_order_or_workers() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let runs = [
        ("forwards", &["--jobs", "1"][..]),
        ("backwards", &["--jobs", "1", "--backwards"][..]),
        ("together", &["--jobs", "2"][..]),
    ];
    let mut all = Vec::new();
    for (name, more) in runs {
        let out = dir.path().join(name);
        expert(&out, more).assert().success();
        let actions = fs::read(out.join("actions.bin")).expect("actions.bin");
        all.push((rows(&out), actions));
    }
    assert_eq!(all[0].0.lines().count(), 5, "{}", all[0].0);
    assert!(all[0] == all[1], "backwards differs");
    assert!(all[0] == all[2], "two workers differ");
    for file in [
        "run.json",
        "latency.csv",
        "summary.txt",
        "plots/success.svg",
        "plots/success.png",
    ] {
        assert!(dir.path().join("together").join(file).is_file(), "{file}");
    }

    let together = dir.path().join("together");
    program().arg("replay").arg(together).assert().success();
}

#[test]
fn an_interrupted_run_keeps_what_it_had() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("run");
    expert(&out, &[]).assert().success();
    let whole = rows(&out);

    // As if the power had gone while the last line was being written.
    let journal = out.join("journal.jsonl");
    let text = fs::read_to_string(&journal).expect("journal");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5, "a header and four episodes");
    let torn = format!(
        "{}\n{}\n{}\n{}",
        lines[0],
        lines[1],
        lines[2],
        &lines[3][..40]
    );
    fs::write(&journal, torn).expect("write");
    fs::remove_file(out.join("episodes.csv")).expect("remove");

    expert(&out, &[]).assert().success();
    assert_eq!(rows(&out), whole);
    let card = fs::read_to_string(out.join("run.json")).expect("run.json");
    assert!(card.contains("\"resumed_episodes\": 2"), "{card}");

    let mut other = program();
    other.args(["--policy", "zero", "--episodes", "1", "--out"]);
    other.arg(&out);
    let words = "policy: \"expert\" against \"zero\"";
    refused(other, &["another protocol", words]);
}

#[test]
fn results_of_two_worlds_are_never_mixed() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("run");
    let run = || {
        let mut run = program();
        run.args(["--policy", "expert", "--tasks", "2", "--episodes", "1"])
            .arg("--out")
            .arg(&out);
        run
    };
    let replay = || {
        let mut replay = program();
        replay.arg("replay").arg(&out);
        replay
    };
    run().assert().success();
    replay().assert().success();
    let ours = bitvla_eval::WORLD_VERSION;
    let summary = fs::read_to_string(out.join("summary.txt")).expect("summary.txt");
    let title = format!("spatial, expert, world version {ours}\n");
    assert!(summary.starts_with(&title), "{summary}");

    // As a program of another world would have left it, and one from before the version was written.
    for (file, space) in [("run.json", " "), ("journal.jsonl", "")] {
        let path = out.join(file);
        let text = fs::read_to_string(&path).expect("a file of the run");
        let field = format!("\"world_version\":{space}{ours},");
        assert_eq!(text.matches(&field).count(), 1, "{file}: {text}");
        let again = format!("world version {ours}");
        for (other, theirs) in [
            (format!("\"world_version\":{space}77,"), "world version 77"),
            (String::new(), "world version 1,"),
        ] {
            fs::write(&path, text.replace(&field, &other)).expect("written");
            let command = if file == "run.json" { replay() } else { run() };
            refused(command, &["run: made in", theirs, &again]);
        }
        fs::write(&path, text).expect("written");
    }
}

#[test]
fn the_instruction_set_changes_no_byte() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let checkpoint = dir.path().join("checkpoint");
    bitvla_policies::testing::write_tiny_checkpoint(&checkpoint).expect("a checkpoint");
    let mut seen = Vec::new();
    for isa in ["scalar", "avx2", "avxvnni", "avx512vnni"] {
        let out = dir.path().join(isa);
        let mut look = program();
        look.env("BITVLA_ISA", isa);
        look.args(["render", "--task", "4", "--init", "3", "--out"])
            .arg(&out);
        look.assert().success();
        let picture = |camera: &str| {
            let name = format!("spatial_task04_init03_{camera}.png");
            fs::read(out.join(name)).expect("picture")
        };
        let run = out.join("run");
        let mut act = program();
        act.env("BITVLA_ISA", isa);
        act.args(["--policy", "ternary", "--tasks", "1", "--episodes", "1"])
            .arg("--checkpoint")
            .arg(&checkpoint)
            .arg("--out")
            .arg(&run);
        act.assert().success();
        let actions = fs::read(run.join("actions.bin")).expect("actions.bin");
        seen.push((picture("agentview"), picture("wrist"), actions));
    }
    assert!(seen[0] == seen[1], "avx2 differs from scalar");
    assert!(seen[0] == seen[2], "avxvnni differs from scalar");
    assert!(seen[0] == seen[3], "avx512vnni differs from scalar");
}

#[test]
fn a_packed_policy_acts_as_its_folder() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (folder, packed) = (
        dir.path().join("checkpoint"),
        dir.path().join("policy.packed"),
    );
    bitvla_policies::testing::write_tiny_checkpoint(&folder).expect("a checkpoint");
    let mut pack = program();
    pack.arg("pack")
        .arg(&folder)
        .arg(&packed)
        .assert()
        .success();
    let mut seen = Vec::new();
    for (name, checkpoint, threads) in [("folder", &folder, "1"), ("packed", &packed, "2")] {
        let out = dir.path().join(name);
        let mut run = program();
        run.args(["--policy", "ternary", "--tasks", "1", "--episodes", "1"])
            .args(["--threads", threads, "--checkpoint"])
            .arg(checkpoint)
            .arg("--out")
            .arg(&out);
        run.assert().success();
        seen.push(rows(&out));
        let card = fs::read_to_string(out.join("run.json")).expect("run.json");
        let card: serde_json::Value = serde_json::from_str(&card).expect("JSON");
        let memory = &card["memory"];
        assert!(
            memory["program_bytes"].as_u64() > Some(1_000_000),
            "{memory}"
        );
        let linears = memory["weights"].as_array().expect("rows").iter();
        let linears = linears.filter(|row| row["encoding"] == "ternary 2-bit");
        let mapped: u64 = linears
            .map(|row| row["mapped"].as_u64().expect("bytes"))
            .sum();
        assert_eq!(mapped > 0, name == "packed", "{memory}");
    }
    assert_eq!(seen[0], seen[1]);
    assert!(seen[0].contains(",native-packed,"), "{}", seen[0]);

    let mut other = program();
    other
        .args([
            "--policy",
            "int8",
            "--tasks",
            "1",
            "--episodes",
            "1",
            "--checkpoint",
        ])
        .arg(&packed)
        .arg("--out")
        .arg(dir.path().join("other"));
    refused(other, &["policy.packed", "packed as ternary", "int8"]);
    let check = || {
        let mut check = program();
        check.args(["pack", "--check"]).arg(&packed);
        check
    };
    check().assert().success();
    let bytes = fs::read(&packed).expect("the packed file");
    // One bit of the last tensor.
    let mut flipped = bytes.clone();
    *flipped.last_mut().expect("bytes") ^= 1;
    fs::write(&packed, &flipped).expect("write");
    refused(check(), &["policy.packed", "SHA-256"]);
    let mut verified = program();
    verified
        .args(["--tasks", "0", "--episodes", "1", "--policy", "ternary"])
        .args(["--verify-checksums", "--checkpoint"])
        .arg(&packed)
        .arg("--out")
        .arg(dir.path().join("verified"));
    refused(verified, &["policy.packed", "SHA-256"]);
    fs::write(&packed, &bytes[..bytes.len() - 7]).expect("write");
    let mut cut = program();
    cut.args(["--policy", "ternary", "--checkpoint"])
        .arg(&packed)
        .arg("--out")
        .arg(dir.path().join("cut"));
    refused(cut, &["policy.packed"]);
    let mut nowhere = program();
    nowhere
        .arg("pack")
        .arg(&folder)
        .arg(dir.path().join("no/such/out"));
    refused(nowhere, &["no/such/out"]);
    let mut robot = program();
    robot.args(["bench", "--policy", "expert"]);
    refused(robot, &["expert"]);
}

/// The window is a program of its own: without it `--view` says in one line how to get it; with it, it is started with
/// the same suite, policy and folders, and its exit code is handed on.
#[test]
fn view_hands_over_to_the_window_or_says_how_to_get_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let alone = dir.path().join("bitvla-eval");
    std::fs::copy(assert_cmd::cargo::cargo_bin("bitvla-eval"), &alone).expect("a copy");
    let start = |words: &[&str]| {
        let mut command = Command::new(&alone);
        command.args(words).current_dir(dir.path());
        command
    };
    refused(
        start(&["--suite", "goal", "--view"]),
        &[
            "bitvla-view",
            "is not built",
            "cargo build --release -p bitvla-viewer",
        ],
    );
    refused(start(&["replay", "some/run", "--view"]), &["is not built"]);

    let window = dir.path().join("bitvla-view");
    std::fs::write(&window, "#!/bin/sh\necho \"$@\"\nexit 7\n").expect("a script");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&window, std::fs::Permissions::from_mode(0o755)).expect("rights");
        let mut live = start(&[
            "--suite", "goal", "--tasks", "3,4", "--policy", "full", "--view",
        ]);
        live.assert()
            .code(7)
            .stdout("--suite goal --policy full --threads 1 --engine native --seed 7 --task 3\n");
        let mut recorded = start(&["--assets", "there", "replay", "some/run", "--view"]);
        recorded
            .assert()
            .code(7)
            .stdout("some/run --assets there\n");
    }
}

/// One episode of task 2 into `out`.
fn one_episode(policy: &str, suite: &str, out: &Path) -> Command {
    let mut run = program();
    run.args(["--suite", suite, "--policy", policy, "--tasks", "2"])
        .args(["--episodes", "1", "--out"])
        .arg(out);
    run
}

fn manifest(out: &Path) -> serde_json::Value {
    let text = fs::read_to_string(out.join("run.json")).expect("run.json");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn sanity_policies_fail_and_do_not_depend_on_workers() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for policy in ["zero", "random"] {
        let mut seen = Vec::new();
        for jobs in ["1", "2"] {
            let out = dir.path().join(format!("{policy}{jobs}"));
            let mut run = program();
            run.args(["--policy", policy, "--tasks", "0,3", "--episodes", "1"])
                .args(["--jobs", jobs, "--out"])
                .arg(&out);
            run.assert().success();
            let actions = fs::read(out.join("actions.bin")).expect("actions.bin");
            seen.push((rows(&out), actions));
        }
        assert!(seen[0] == seen[1], "{policy}: two workers differ");
        let failed = format!(",{policy},none,false,");
        assert_eq!(seen[0].0.matches(&failed).count(), 2, "{}", seen[0].0);
    }
}

#[test]
fn a_recording_is_a_policy() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (recorded, again) = (dir.path().join("recorded"), dir.path().join("again"));
    one_episode("expert", "spatial", &recorded)
        .assert()
        .success();
    let replay = format!("replay:{}", recorded.display());
    one_episode(&replay, "spatial", &again).assert().success();
    let states = |out: &Path| rows(out).replace(",expert,", ",replay,");
    assert_eq!(states(&recorded), states(&again));
    let mut elsewhere = program();
    elsewhere
        .args([
            "--policy",
            &replay,
            "--tasks",
            "1",
            "--episodes",
            "1",
            "--out",
        ])
        .arg(dir.path().join("elsewhere"));
    refused(elsewhere, &["has no recorded actions of task 1"]);
    let goal = one_episode(&replay, "goal", &dir.path().join("goal"));
    refused(goal, &["recording of suite `spatial`", "`goal`"]);
}

#[test]
fn a_policy_that_does_not_know_a_suite_is_refused_before_the_first_episode() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("run");
    let spatial = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/checkpoints/spatial/ternary");
    let one_episode = |policy: &str, suite: &str, out: &Path| {
        let mut run = one_episode(policy, suite, out);
        run.arg("--checkpoint").arg(&spatial);
        run
    };
    let object = one_episode("ternary", "object", &out);
    refused(
        object,
        &["suite `object`", "there are: spatial", "--normaliser-key"],
    );
    let all = one_episode("ternary", "all", &out);
    refused(all, &["`object`", "`goal`", "`long`", "--normaliser-key"]);
    assert!(!out.exists(), "nothing was started");

    let mut known = one_episode("ternary", "object", &out);
    known.args(["--normaliser-key", "lunar"]);
    refused(known, &["lunar", "spatial"]);
    let mut named = one_episode("ternary", "object", &out);
    named.args(["--normaliser-key", "spatial"]);
    named.assert().success();
    assert_eq!(manifest(&out)["protocol"]["normaliser_key"], "spatial");
}

#[test]
fn files_of_other_schema_versions_are_refused_by_name() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("run");
    one_episode("expert", "spatial", &out).assert().success();
    assert_eq!(
        manifest(&out)["schema_version"],
        bitvla_reports::SCHEMA_VERSION
    );
    let field = |version: u32| format!("\"schema_version\":{version},");
    let ours = field(bitvla_reports::SCHEMA_VERSION);
    let journal = out.join("journal.jsonl");
    let text = fs::read_to_string(&journal).expect("a journal");
    assert_eq!(text.matches(&ours).count(), 1, "{text}");
    for (other, words) in [
        (field(99), "schema version 99"),
        (String::new(), "schema version 1,"),
    ] {
        fs::write(&journal, text.replace(&ours, &other)).expect("written");
        refused(
            one_episode("expert", "spatial", &out),
            &["journal.jsonl", words],
        );
    }
    let path = out.join("run.json");
    let text = fs::read_to_string(&path).expect("a manifest");
    let line = format!("\"schema_version\": {}", bitvla_reports::SCHEMA_VERSION);
    fs::write(&path, text.replace(&line, "\"schema_version\": 99")).expect("written");
    let mut replay = program();
    replay.arg("replay").arg(&out);
    refused(replay, &["run.json", "schema version 99"]);
}

/// `bench` with one query of a tiny checkpoint.
fn bench_tiny(dir: &Path, more: &[&str]) -> Command {
    let checkpoint = dir.join("checkpoint");
    bitvla_policies::testing::write_tiny_checkpoint(&checkpoint).expect("a checkpoint");
    let mut bench = program();
    bench
        .args(["bench", "--queries", "1", "--threads", "1", "--checkpoint"])
        .arg(&checkpoint)
        .arg("--out")
        .arg(dir.join("out"))
        .args(more);
    bench
}

#[test]
fn bench_measures_the_checkpoint_that_is_named() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let output = bench_tiny(dir.path(), &[]).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    let checkpoint = dir.path().join("checkpoint");
    assert!(text.contains(&checkpoint.display().to_string()), "{text}");
    assert!(text.contains("engine native, checkpoint weights"), "{text}");
}

#[test]
fn bench_compares_instruction_sets_and_refuses_those_of_other_processors() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let available = Isa::available();
    let names: Vec<&str> = [available.first(), available.last()]
        .into_iter()
        .flatten()
        .map(|isa| isa.name())
        .collect();
    let mut compare = bench_tiny(dir.path(), &["--isa", &names.join(",")]);
    let output = compare.output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    for name in names {
        let report = format!("checkpoint-ternary-checkpoint-1t-{name}.json");
        assert!(dir.path().join("out").join(&report).is_file(), "{text}");
    }
    let line = text
        .lines()
        .find(|l| l.starts_with("whole query, median  "));
    assert!(line.is_some_and(|l| l.trim_end().ends_with(" x")), "{text}");
    let foreign = ["neon", "avx2"]
        .into_iter()
        .find(|name| !available.iter().any(|isa| isa.name() == *name));
    let foreign = foreign.expect("no processor has both");
    refused(
        bench_tiny(dir.path(), &["--isa", foreign]),
        &[foreign, "this processor has", "scalar"],
    );
    let output = bench_tiny(dir.path(), &["--isa", "avx3"]).output();
    let output = output.expect("runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("avx3") && text.contains("expected one of scalar, avx2"),
        "{text}"
    );
}
