//! Guarantees: every stored initial state of LIBERO is read exactly (compared with the decoded reference), fixtures
//! have the poses of its evaluation, its suites have LIBERO's tasks, order, instructions and horizons, and a file of
//! another kind is refused with the position of the mistake. Most are ignored without LIBERO's files and recordings.

#[path = "common/shared.rs"]
mod shared;

use bitvla_tasks::bddl::Problem;
use bitvla_tasks::instruction::of_file_name as instruction;
use bitvla_tasks::libero::{
    FixturePoses, InitFile, LiberoDir, LiberoSuite, LiberoSuites, PoseFile, SUITES,
};
use bitvla_tasks::{Assets, InitState, TaskError};
use serde_json::Value;
use shared::{recorded, shared};
use std::path::{Path, PathBuf};

fn libero() -> LiberoSuites {
    LiberoSuites::open(&shared("libero")).expect("a checkout")
}

/// Assets that are read from LIBERO's files.
fn libero_assets() -> Assets {
    let libero = LiberoDir::open(&shared("libero"), None).expect("a checkout");
    Assets::libero(&Assets::default_dir(), libero).expect("assets")
}

/// The reference has nine significant digits.
fn close(found: f64, expected: &Value) -> bool {
    let expected = expected.as_f64().expect("a number");
    (found - expected).abs() <= 1e-8 * expected.abs().max(1.0)
}

#[test]
#[ignore = "needs ../shared: LIBERO's files and recordings"]
fn every_initial_state_is_the_decoded_one() {
    let (libero, assets) = (libero(), libero_assets());
    let reference = &recorded("init_states.json")["suites"];
    let (mut tasks, mut numbers) = (0, 0);
    for suite in SUITES.iter().filter(|s| s.tasks == 10) {
        for task in libero.outline(suite).expect("a suite").tasks {
            let known = &reference[suite.folder][task.id.to_string()];
            assert_eq!(known["name"], task.name);
            let path = libero
                .init_dir(suite)
                .join(format!("{}.pruned_init", task.name));
            let file = InitFile::read(&path).expect("initial states");
            let states = file
                .states(&assets, &task.problem)
                .expect("states of the problem");
            assert_eq!(states.len(), 50);
            for (state, known) in states
                .iter()
                .zip(known["states"].as_array().expect("states"))
            {
                let robot = known["robot_qpos"].as_array().expect("arm").iter();
                let robot = robot.chain(known["gripper_qpos"].as_array().expect("fingers"));
                for (found, expected) in state.robot_qpos.iter().zip(robot) {
                    assert!(close(*found, expected), "{}: {found} {expected}", task.name);
                    numbers += 1;
                }
                let objects = known["objects"].as_object().expect("objects");
                assert_eq!(objects.len(), state.objects.len());
                for (name, pose) in objects {
                    for (found, expected) in state.objects[name]
                        .iter()
                        .zip(pose.as_array().expect("pose"))
                    {
                        assert!(close(*found, expected), "{name}: {found} {expected}");
                        numbers += 1;
                    }
                }
                let flat: Vec<(String, f64)> = state
                    .joints
                    .iter()
                    .flat_map(|(owner, joints)| {
                        joints
                            .iter()
                            .map(move |(name, q)| (format!("{owner}_{name}"), *q))
                    })
                    .collect();
                assert_eq!(
                    flat.len(),
                    known["joints"].as_object().expect("joints").len()
                );
                for (name, found) in flat {
                    assert!(close(found, &known["joints"][&name]), "{name}: {found}");
                    numbers += 1;
                }
            }
            tasks += 1;
        }
    }
    println!("{tasks} tasks, {numbers} numbers equal to nine digits");
    assert_eq!(tasks, 40);
}

/// The reference has eight decimal places.
#[test]
#[ignore = "needs ../shared: LIBERO's files and recordings"]
fn drawn_fixture_poses_are_those_of_the_evaluation() {
    let (libero, assets) = (libero(), libero_assets());
    let reference = &recorded("init_states.json")["suites"];
    let (mut poses, mut worst) = (0, 0f64);
    for suite in SUITES.iter().filter(|s| s.tasks == 10) {
        let loaded = libero.load(suite, &assets, &FixturePoses::Drawn);
        for task in loaded.expect("a suite").tasks {
            let states = &reference[suite.folder][task.id.to_string()]["states"];
            let states = states.as_array().expect("states");
            for (drawn, known) in task.init_states.iter().zip(states) {
                let known = known["fixtures"].as_object().expect("fixtures");
                assert_eq!(drawn.fixtures.len(), known.len(), "{}", task.name);
                for (name, pose) in known {
                    let pose = pose.as_array().expect("pose");
                    for (found, expected) in drawn.fixtures[name].iter().zip(pose) {
                        worst = worst.max((found - expected.as_f64().expect("a number")).abs());
                    }
                    poses += 1;
                }
                assert!(worst < 6e-9, "{}: {worst}", task.name);
            }
        }
    }
    println!("{poses} poses, largest difference {worst:.1e}");
    assert_eq!(poses, 50 * (10 * 2 + 10 * 3 + 1 + 2 + 1 + 1 + 1));
}

#[test]
#[ignore = "needs ../shared: LIBERO's files"]
fn all_130_files_are_read() {
    let (libero, assets) = (libero(), libero_assets());
    let mut read = 0;
    for suite in &SUITES {
        for task in libero.outline(suite).expect("a suite").tasks {
            let path = libero
                .init_dir(suite)
                .join(format!("{}.pruned_init", task.name));
            let file = InitFile::read(&path).unwrap_or_else(|e| panic!("{e}"));
            let states = file
                .states(&assets, &task.problem)
                .unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(states.len(), 50, "{}", path.display());
            read += 1;
        }
    }
    assert_eq!(read, 130);
}

#[test]
#[ignore = "needs ../shared: LIBERO's files and recordings"]
fn suites_have_the_tasks_of_libero() {
    let libero = libero();
    let reference = &recorded("suites.json")["suites"];
    for (suite, horizon) in SUITES.iter().zip([220, 280, 300, 520, 400]) {
        let known = reference[suite.folder].as_array().expect("tasks");
        let found = libero.outline(suite).expect("a suite");
        assert_eq!(
            (found.horizon, found.settle_steps),
            (horizon, 10),
            "{}",
            suite.name
        );
        assert_eq!(found.tasks.len(), known.len(), "{}", suite.name);
        for (task, known) in found.tasks.iter().zip(known) {
            assert_eq!(known["name"], task.name);
            assert_eq!(known["language"], task.instruction);
            assert_eq!(known["id"], task.id);
        }
    }
}

#[test]
#[ignore = "needs ../shared: LIBERO's files and recordings"]
fn a_suite_loads_with_models_and_poses_from_either_source() {
    let libero = libero();
    let file = shared("reference/libero/data/init_states.json");
    let assets = Assets::open(&Assets::default_dir()).expect("assets");
    let spatial = LiberoSuite::named("libero:spatial").expect("a suite");
    let drawn = libero
        .load(spatial, &assets, &FixturePoses::Drawn)
        .expect("the suite");
    let file = FixturePoses::File(PoseFile::read(&file).expect("poses"));
    let given = libero.load(spatial, &assets, &file).expect("the suite");
    for (drawn, given) in drawn.tasks.iter().zip(&given.tasks) {
        assert_eq!(drawn.init_states.len(), 50);
        for (a, b) in drawn.init_states.iter().zip(&given.init_states) {
            assert_eq!((&a.objects, &a.joints), (&b.objects, &b.joints));
            assert_eq!(a.fixtures.len(), 2);
            for (name, pose) in &a.fixtures {
                let differ = pose
                    .iter()
                    .zip(&b.fixtures[name])
                    .map(|(x, y)| (x - y).abs());
                assert!(differ.fold(0.0, f64::max) < 6e-9, "{}: {name}", drawn.name);
            }
        }
        drawn
            .scene(&assets, &drawn.init_states[49])
            .expect("a scene");
    }

    let ninety = LiberoSuite::named("libero:90").expect("a suite");
    let error = libero
        .load(ninety, &assets, &file)
        .expect_err("no poses, no models");
    assert!(
        error.to_string().contains("microwave") || error.to_string().contains("libero_90"),
        "{error}"
    );
}

#[test]
#[ignore = "needs ../shared: LIBERO's files"]
fn a_pose_file_that_lacks_a_pose_is_refused() {
    let libero = libero();
    let goal = LiberoSuite::named("libero:goal").expect("a suite");
    let task = libero.outline(goal).expect("a suite").tasks.remove(0);
    let assets = Assets::open(&Assets::default_dir()).expect("assets");
    let apply = |text: &str, states: usize| {
        let file = PoseFile::parse(Path::new("poses.json"), text)?;
        let mut states = vec![InitState::default(); states];
        FixturePoses::File(file).apply(&assets, goal.folder, &task, &mut states)?;
        Ok::<_, TaskError>(states)
    };
    let pose = "[0.1, 0.2, 0.9, 1, 0, 0, 0]";
    let fixtures =
        format!(r#"{{"wooden_cabinet_1": {pose}, "flat_stove_1": {pose}, "wine_rack_1": {pose}}}"#);
    let good = format!(
        r#"{{"suites": {{"libero_goal": {{"0": {{"states": [{{"fixtures": {fixtures}}}]}}}}}}}}"#
    );
    let states = apply(&good, 1).expect("placed");
    assert_eq!(
        states[0].fixtures["wine_rack_1"],
        [0.1, 0.2, 0.9, 1.0, 0.0, 0.0, 0.0]
    );
    for (text, count, words) in [
        (good.clone(), 2, "row 1: found the end of the states"),
        (
            good.replace("wine_rack_1", "rack"),
            1,
            "row 0: found no pose of `wine_rack_1`",
        ),
        (good.replace("libero_goal", "goal"), 1, "no such task"),
        (good.replace("0.9, 1,", "0.9, 2,"), 1, "as the pose of"),
        (good.replace("0.9, 1,", "1,"), 1, "poses.json:1: "),
        (
            good.replace("suites", "sweets"),
            1,
            "missing field `suites`",
        ),
    ] {
        let error = apply(&text, count).expect_err("refused").to_string();
        assert!(
            error.contains("poses.json") && error.contains(words),
            "`{words}`: {error}"
        );
    }
}

#[test]
fn suites_have_names_and_aliases() {
    let ten = LiberoSuite::named("libero:10").expect("a suite");
    assert_eq!(LiberoSuite::named("libero:long"), Some(ten));
    assert_eq!(ten.folder, "libero_10");
    assert_eq!(LiberoSuite::named("libero:lunar"), None);
    assert_eq!(LiberoSuite::named("spatial"), None);
}

#[test]
fn instructions_come_from_file_names() {
    assert_eq!(instruction("KITCHEN_SCENE10_close_it"), "close it");
    assert_eq!(instruction("LIVING_ROOM_SCENE2_put_it_down"), "put it down");
    assert_eq!(instruction("open_the_SCENE"), "open the SCENE");
}

#[test]
fn another_folder_is_refused() {
    let error = LiberoSuites::open(Path::new("no/such/folder")).expect_err("refused");
    let words = "no/such/folder: found no such folder, expected a LIBERO checkout";
    assert!(error.to_string().starts_with(words), "{error}");
    let error = LiberoSuites::open(Path::new(env!("CARGO_MANIFEST_DIR"))).expect_err("refused");
    assert!(
        error
            .to_string()
            .contains("no libero/libero/bddl_files in it"),
        "{error}"
    );
}

fn one_file() -> (PathBuf, Vec<u8>) {
    let name = "KITCHEN_SCENE8_put_both_moka_pots_on_the_stove.pruned_init";
    let path = shared("libero/libero/libero/init_files/libero_10").join(name);
    let bytes = std::fs::read(&path).expect("readable");
    (path, bytes)
}

/// Position of `what` in `bytes`.
fn position(bytes: &[u8], what: &[u8]) -> usize {
    bytes
        .windows(what.len())
        .position(|w| w == what)
        .expect("it is there")
}

/// A stored archive with one entry `archive/data.pkl`.
fn archive(pickle: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    out.start_file("archive/data.pkl", options).expect("entry");
    out.write_all(pickle).expect("written");
    out.finish().expect("archive").into_inner()
}

fn pickle_of(bytes: &[u8]) -> &[u8] {
    let start = position(bytes, b"\x80\x02cnumpy");
    let end = start + position(&bytes[start..], b"tq\x14b.") + 5;
    &bytes[start..end]
}

#[test]
#[ignore = "needs ../shared: LIBERO's files"]
fn a_foreign_global_is_refused_by_name_and_position() {
    let (path, bytes) = one_file();
    let pickle = pickle_of(&bytes);
    let whole = archive(pickle);
    InitFile::parse(&path, &whole).expect("the same pickle in another archive");

    let at = position(pickle, b"cnumpy\nndarray\n");
    let mut evil = pickle[..at].to_vec();
    evil.extend(b"cos\nsystem\n");
    evil.extend(&pickle[at + b"cnumpy\nndarray\n".len()..]);
    let evil = archive(&evil);
    let error = InitFile::parse(&path, &evil)
        .expect_err("refused")
        .to_string();
    let byte = format!("byte {}", position(&evil, b"cos\nsystem"));
    for words in [
        "os system",
        "numpy ndarray",
        byte.as_str(),
        "KITCHEN_SCENE8",
    ] {
        assert!(error.contains(words), "`{words}` is not in: {error}");
    }
}

#[test]
#[ignore = "needs ../shared: LIBERO's files"]
fn other_pickles_are_refused_with_their_position() {
    let (path, bytes) = one_file();
    let pickle = pickle_of(&bytes);
    let refused = |from: &[u8], to: &[u8], words: &str| {
        let at = position(pickle, from);
        let mut other = pickle[..at].to_vec();
        other.extend(to);
        other.extend(&pickle[at + from.len()..]);
        let other = archive(&other);
        let error = InitFile::parse(&path, &other).expect_err("refused");
        assert!(
            matches!(error, TaskError::Binary { byte, .. } if byte > 0),
            "{error}"
        );
        let error = error.to_string();
        assert!(error.contains(words), "`{words}` is not in: {error}");
    };
    refused(b"\x80\x02", b"\x80\x07", "protocol 7");
    refused(b"f8", b"i8", "elements of type `i8`");
    refused(b"f8", b"f4", "2350 elements of 4 bytes");
    refused(
        b"\x01\x00\x00\x00<",
        b"\x01\x00\x00\x00!",
        "the byte order `!`",
    );
    refused(b"K\x32", b"K\x31", "expected 2303 elements");
    refused(b"K\x32", b"J\xff\xff\xff\x7f", "at most 1048576 elements");
    refused(b"tq\x14b.", b"tq\x14b", "0 bytes to the end of the file");
    refused(b"h\x03", b"h\x14", "a reference to value 20");
    refused(b"NNN", b"NN}", "opcode 0x7d");
}

#[test]
#[ignore = "needs ../shared: LIBERO's files"]
fn a_damaged_archive_is_refused() {
    let (path, bytes) = one_file();
    for end in [0, 10, bytes.len() / 2, bytes.len() - 1] {
        let error = InitFile::parse(&path, &bytes[..end]).expect_err("refused");
        assert!(error.to_string().contains("archive"), "{error}");
    }
    let mut flipped = bytes.clone();
    let at = position(&bytes, b"\x80\x02cnumpy") + 300;
    flipped[at] ^= 1;
    let error = InitFile::parse(&path, &flipped).expect_err("refused");
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

#[test]
#[ignore = "needs ../shared: LIBERO's files"]
fn states_of_another_problem_are_refused() {
    let (path, bytes) = one_file();
    let bddl = path.with_extension("bddl").display().to_string();
    let bddl = bddl.replace("init_files", "bddl_files");
    let text = std::fs::read_to_string(&bddl).expect("readable");
    let text = text.replace("moka_pot_1 moka_pot_2", "moka_pot_1 moka_pot_2 more");
    let problem = Problem::parse(&bddl, &text).expect("a problem");
    let file = InitFile::parse(&path, &bytes).expect("states");
    let error = file.states(&libero_assets(), &problem);
    let error = error.expect_err("refused").to_string();
    assert!(error.contains("found 47 numbers, expected 60"), "{error}");
}

/// Before, the engine pushed such objects out to rest a centimetre aside, while in MuJoCo they rise straight up.
#[test]
#[ignore = "needs ../shared: LIBERO's files"]
fn objects_stored_inside_the_floor_start_on_it() {
    let (suites, assets) = (libero(), libero_assets());
    let object = LiberoSuite::named("libero:object").expect("a suite");
    let suite = suites
        .load(object, &assets, &FixturePoses::Drawn)
        .expect("a suite");
    let task = &suite.tasks[0];
    let file = suites
        .init_dir(object)
        .join(format!("{}.pruned_init", task.name));
    let stored = InitFile::read(&file)
        .expect("states")
        .states(&assets, &task.problem);
    for (loaded, stored) in task.init_states.iter().zip(stored.expect("states")) {
        // Where they rest in the recorded runs of MuJoCo; the basket starts above the floor.
        for (name, rest) in [("butter_1", 0.0087), ("cream_cheese_1", 0.0089)] {
            let (now, before) = (loaded.objects[name], stored.objects[name]);
            assert!(
                before[2] < rest - 0.005 && (now[2] - rest).abs() < 1e-4,
                "{name}: {now:?}"
            );
            assert_eq!((now[0], now[1]), (before[0], before[1]));
        }
        assert_eq!(loaded.objects["basket_1"], stored.objects["basket_1"]);
    }
    let mut world = task.world(&assets, &task.init_states[0]).expect("a world");
    for _ in 0..10 {
        world
            .step(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0])
            .expect("a step");
    }
    for (i, instance) in world.scene().instances.iter().enumerate() {
        let moved = world.instance_pose(i).translation.vector - instance.pose.translation.vector;
        let aside = moved.x.hypot(moved.y);
        assert!(aside < 1e-3, "{}: {aside} m aside", instance.name);
    }
}
