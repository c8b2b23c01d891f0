//! Guarantees: every stored initial state of LIBERO is read exactly (compared with the decoded reference), its suites
//! have LIBERO's tasks, order, instructions and horizons, and what is not such a file is refused with its place.
//! Needs LIBERO's files and the reference beside the repository; skipped with a loud line otherwise.

use bitvla_tasks::TaskError;
use bitvla_tasks::bddl::Problem;
use bitvla_tasks::libero::suites::{SUITES, instruction};
use bitvla_tasks::libero::{InitFile, LiberoSuite, LiberoSuites};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn shared(what: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared")
        .join(what);
    if !path.exists() {
        eprintln!("SKIPPED: {} is absent", path.display());
        return None;
    }
    Some(path)
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("readable")).expect("JSON")
}

fn reference(name: &str) -> Option<Value> {
    let path = shared(&format!("reference/libero/data/{name}"))?;
    Some(json(&path)["suites"].clone())
}

fn libero() -> Option<LiberoSuites> {
    Some(LiberoSuites::open(&shared("libero")?).expect("a checkout"))
}

/// Joints of the fixtures of the reference, in the order of their models.
fn joints(category: &str) -> Result<Vec<String>, TaskError> {
    let names: &[&str] = match category {
        "wooden_cabinet" | "white_cabinet" => &["top_level", "middle_level", "bottom_level"],
        "flat_stove" => &["button"],
        "microwave" => &["microjoint"],
        _ => &[],
    };
    Ok(names.iter().map(|n| (*n).to_owned()).collect())
}

/// The reference has nine significant digits.
fn close(found: f64, expected: &Value) -> bool {
    let expected = expected.as_f64().expect("a number");
    (found - expected).abs() <= 1e-8 * expected.abs().max(1.0)
}

#[test]
fn every_initial_state_is_the_decoded_one() {
    let (Some(libero), Some(reference)) = (libero(), reference("init_states.json")) else {
        return;
    };
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
                .states_with(&task.problem, &mut joints)
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

#[test]
fn all_130_files_are_read() {
    let Some(libero) = libero() else { return };
    let mut read = 0;
    for suite in &SUITES {
        for task in libero.outline(suite).expect("a suite").tasks {
            let path = libero
                .init_dir(suite)
                .join(format!("{}.pruned_init", task.name));
            let file = InitFile::read(&path).unwrap_or_else(|e| panic!("{e}"));
            let states = file
                .states_with(&task.problem, &mut joints)
                .unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(states.len(), 50, "{}", path.display());
            read += 1;
        }
    }
    assert_eq!(read, 130);
}

#[test]
fn suites_have_the_tasks_of_libero() {
    let (Some(libero), Some(reference)) = (libero(), reference("suites.json")) else {
        return;
    };
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
    assert!(error.to_string().contains("bddl_files"), "{error}");
}

fn one_file() -> Option<(PathBuf, Vec<u8>)> {
    let path = shared(
        "libero/libero/libero/init_files/libero_10/KITCHEN_SCENE8_put_both_moka_pots_on_the_stove.pruned_init",
    )?;
    let bytes = std::fs::read(&path).expect("readable");
    Some((path, bytes))
}

/// Where `what` starts in `bytes`.
fn place(bytes: &[u8], what: &[u8]) -> usize {
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
    let start = place(bytes, b"\x80\x02cnumpy");
    let end = start + place(&bytes[start..], b"tq\x14b.") + 5;
    &bytes[start..end]
}

#[test]
fn a_foreign_global_is_refused_by_name_and_place() {
    let Some((path, bytes)) = one_file() else {
        return;
    };
    let pickle = pickle_of(&bytes);
    let whole = archive(pickle);
    let good = InitFile::parse(&path, &whole).expect("the same pickle in another archive");
    assert_eq!(good.len(), 50);

    let at = place(pickle, b"cnumpy\nndarray\n");
    let mut evil = pickle[..at].to_vec();
    evil.extend(b"cos\nsystem\n");
    evil.extend(&pickle[at + b"cnumpy\nndarray\n".len()..]);
    let evil = archive(&evil);
    let error = InitFile::parse(&path, &evil)
        .expect_err("refused")
        .to_string();
    let byte = format!("byte {}", place(&evil, b"cos\nsystem"));
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
fn other_pickles_are_refused_with_their_place() {
    let Some((path, bytes)) = one_file() else {
        return;
    };
    let pickle = pickle_of(&bytes);
    let refused = |from: &[u8], to: &[u8], words: &str| {
        let at = place(pickle, from);
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
    refused(b"\x80\x02", b"\x80\x04", "protocol 4");
    refused(b"f8", b"f4", "the text `f4`, expected the text `f8`");
    refused(b"\x01\x00\x00\x00<", b"\x01\x00\x00\x00>", "the text `>`");
    refused(b"K\x32", b"K\x31", "expected 2303 elements");
    refused(b"K\x32", b"J\xff\xff\xff\x7f", "at most 1048576 elements");
    refused(b"tq\x14b.", b"tq\x14b", "0 bytes to the end of the file");
    refused(b"h\x03", b"h\x14", "a reference to value 20");
    refused(b"NNN", b"NN}", "opcode 0x7d");
}

#[test]
fn a_damaged_archive_is_refused() {
    let Some((path, bytes)) = one_file() else {
        return;
    };
    for end in [0, 10, bytes.len() / 2, bytes.len() - 1] {
        let error = InitFile::parse(&path, &bytes[..end]).expect_err("refused");
        assert!(error.to_string().contains("archive"), "{error}");
    }
    let mut flipped = bytes.clone();
    let at = place(&bytes, b"\x80\x02cnumpy") + 300;
    flipped[at] ^= 1;
    let error = InitFile::parse(&path, &flipped).expect_err("refused");
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

#[test]
fn states_of_another_problem_are_refused() {
    let Some((path, bytes)) = one_file() else {
        return;
    };
    let bddl = path.with_extension("bddl").display().to_string();
    let bddl = bddl.replace("init_files", "bddl_files");
    let text = std::fs::read_to_string(&bddl).expect("readable");
    let text = text.replace("moka_pot_1 moka_pot_2", "moka_pot_1 moka_pot_2 more");
    let problem = Problem::parse(&bddl, &text).expect("a problem");
    let file = InitFile::parse(&path, &bytes).expect("states");
    let error = file.states_with(&problem, &mut |_| Ok(vec!["a".into(), "b".into()]));
    let error = error.expect_err("refused").to_string();
    assert!(error.contains("found 47 numbers, expected 62"), "{error}");
}
