//! Guarantees about tasks of LIBERO's form from files of one's own, in worlds of this project's models: predicates beyond
//! those of LIBERO's suites, initial states with velocities, names that a scene does not have, fixtures by declaration, and folders that are
//! incomplete.

use bitvla_tasks::bddl::Problem;
use bitvla_tasks::libero::{FixturePoses, InitFile, SuiteFiles};
use bitvla_tasks::{Assets, InitState, InstructionRule, Suite, TaskError, Velocities, scene};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn assets() -> Assets {
    Assets::open(&Assets::default_dir()).expect("assets")
}

fn text(goal: &str) -> String {
    format!(
        "(define (problem LIBERO_Tabletop_Manipulation) (:domain robosuite) (:language Close It)
          (:regions (spot (:target main_table) (:ranges ((0.0 -0.2 0.01 -0.19)))) (top_region (:target wooden_cabinet_1)))
          (:fixtures main_table - table wooden_cabinet_1 - wooden_cabinet)
          (:objects akita_black_bowl_1 - akita_black_bowl plate_1 - plate)
          (:init (On wooden_cabinet_1 main_table_spot))
          (:goal {goal}))"
    )
}

fn problem(goal: &str) -> Problem {
    Problem::parse("t.bddl", &text(goal)).unwrap_or_else(|e| panic!("{e}"))
}

fn state() -> InitState {
    InitState {
        objects: BTreeMap::from([
            (
                "akita_black_bowl_1".into(),
                [0.1, 0.2, 1.2, 1.0, 0.0, 0.0, 0.0],
            ),
            ("plate_1".into(), [-0.2, 0.2, 0.95, 1.0, 0.0, 0.0, 0.0]),
        ]),
        fixtures: BTreeMap::from([(
            "wooden_cabinet_1".into(),
            [0.0, -0.3, 0.905, 1.0, 0.0, 0.0, 0.0],
        )]),
        joints: BTreeMap::new(),
        robot_qpos: [0.0, -0.16, 0.0, -2.44, 0.0, 2.23, 0.785, 0.02, -0.02],
        velocities: None,
    }
}

#[test]
fn predicates_and_conditions_beyond_liberos_suites_are_evaluated() {
    let assets = assets();
    for (goal, expected) in [
        ("(Up akita_black_bowl_1)", true),
        ("(Up plate_1)", false),
        ("(And (Up akita_black_bowl_1) (Not (Up plate_1)))", true),
        (
            "(Or (Up plate_1) (And (Up akita_black_bowl_1) (True plate_1)))",
            true,
        ),
        ("(Or (Up plate_1) (False plate_1))", false),
        ("(InContact akita_black_bowl_1 plate_1)", false),
        (
            "(Stack akita_black_bowl_1 wooden_cabinet_1_top_region)",
            false,
        ),
        ("(PrintJointState wooden_cabinet_1)", true),
        ("(Not (Open wooden_cabinet_1_top_region))", true),
    ] {
        let problem = problem(goal);
        let world = scene::build_world(&assets, &problem, &state()).expect("a world");
        let compiled = problem.compile_goal(&world).expect("a goal");
        assert_eq!(compiled.holds(&world), expected, "{goal}");
        assert_eq!(
            compiled.holds_given(&compiled.truth(&world)),
            expected,
            "{goal}"
        );
    }
    let problem = problem("(Stack akita_black_bowl_1 plate_1)");
    let world = scene::build_world(&assets, &problem, &state()).expect("a world");
    let error = problem
        .compile_goal(&world)
        .expect_err("refused")
        .to_string();
    assert!(
        error.contains("needs a region as its second argument"),
        "{error}"
    );
}

#[test]
fn a_state_with_velocities_starts_with_them() {
    let assets = assets();
    let problem = problem("(Up plate_1)");
    let mut moving = state();
    moving.velocities = Some(Velocities {
        robot: [0.0; 9],
        objects: BTreeMap::from([("akita_black_bowl_1".into(), [0.5, 0.0, 1.0, 0.0, 0.0, 2.0])]),
        joints: BTreeMap::from([(
            "wooden_cabinet_1".into(),
            BTreeMap::from([("top_level".into(), -0.5)]),
        )]),
    });
    let poses = |state: &InitState| {
        let mut world = scene::build_world(&assets, &problem, state).expect("a world");
        world.step(&[0.0; 7]).expect("a step");
        let bowl = world.instance_pose(0);
        (
            bowl,
            world.joint_position(2, "top_level").expect("a drawer"),
        )
    };
    let ((fast, open), (rest, closed)) = (poses(&moving), poses(&state()));
    // 50 ms of free flight.
    let moved = fast.translation.vector - rest.translation.vector;
    assert!(
        (moved.x - 0.025).abs() < 2e-3 && (moved.z - 0.05).abs() < 3e-3,
        "{moved}"
    );
    let turned = (fast.rotation * rest.rotation.inverse()).euler_angles().2;
    // Less than 0.1 rad: the damping of a free joint stops the turning of so light a thing.
    assert!(turned > 0.01 && turned < 0.1, "{turned}");
    assert!(open < closed - 1e-4, "{open} {closed}");
}

#[test]
fn what_is_declared_as_a_fixture_does_not_move() {
    let assets = assets();
    let text = text("(Up plate_1)").replace(
        "wooden_cabinet_1 - wooden_cabinet)",
        "wooden_cabinet_1 - wooden_cabinet plate_2 - plate)",
    );
    let problem = Problem::parse("t.bddl", &text).unwrap_or_else(|e| panic!("{e}"));
    let mut state = state();
    let pose = [-0.2, -0.2, 1.3, 1.0, 0.0, 0.0, 0.0];
    state.fixtures.insert("plate_2".into(), pose);
    let mut world = scene::build_world(&assets, &problem, &state).expect("a world");
    let plate = world.scene().instance("plate_2").expect("a plate");
    world.step(&[0.0; 7]).expect("a step");
    let fallen = 1.3 - world.instance_pose(plate).translation.z;
    assert!(fallen.abs() < 1e-6, "{fallen}");
}

#[test]
fn a_state_of_another_scene_is_refused_by_name() {
    let assets = assets();
    let problem = problem("(Up plate_1)");
    let mut other = state();
    let joints = BTreeMap::from([("middle_lid".to_owned(), 0.0)]);
    other.joints.insert("wooden_cabinet_1".into(), joints);
    let error = scene::build_world(&assets, &problem, &other)
        .err()
        .expect("refused")
        .to_string();
    assert!(
        error.contains("a joint `middle_lid`, which `wooden_cabinet_1` lacks"),
        "{error}"
    );
    let dir = folder("state_of_another_scene");
    write(&dir, "a.bddl", text("(Up plate_1)").as_bytes());
    let suite = "name = \"state_of_another_scene\"\nhorizon = 1\nsettle_steps = 0\n\
                 [[task]]\nname = \"a\"\nfile = \"a.bddl\"\ninstruction = \"a\"\n";
    write(&dir, "suite.toml", suite.as_bytes());
    let refused = |state: &InitState, words: &str| {
        let json = serde_json::to_string(&[state]).expect("json");
        write(&dir, "init/00.json", json.as_bytes());
        let error = Suite::read(&dir).expect_err("refused").to_string();
        assert!(
            error.contains("00.json: row 0") && error.contains(words),
            "`{words}`: {error}"
        );
    };
    let mut other = state();
    other
        .objects
        .insert("cup_1".into(), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
    refused(&other, "the object of `cup_1`");
    let mut other = state();
    other.joints.insert("oven_1".into(), BTreeMap::new());
    refused(&other, "the joints of `oven_1`");
    let mut other = state();
    other
        .objects
        .insert("plate_1".into(), [0.0, 0.0, 1.0, 0.5, 0.0, 0.0, 0.0]);
    refused(&other, "norm 0.5 as the orientation of `plate_1`");
}

fn folder(name: &str) -> PathBuf {
    let dir = std::env::temp_dir()
        .join(format!("bitvla-{}", std::process::id()))
        .join(name);
    std::fs::create_dir_all(&dir).expect("a folder");
    dir
}

fn write(dir: &Path, name: &str, bytes: &[u8]) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, bytes).expect("written");
}

/// A `.npy` file of one axis: one state of the problem, with velocities `speed` of the first object along x.
fn npy(speed: f64) -> Vec<u8> {
    let mut row = vec![0.0];
    row.extend(state().robot_qpos);
    row.extend(state().objects.values().flatten());
    row.extend([0.0; 3]);
    row.extend([0.0; 9]);
    row.extend([speed, 0.0, 0.0, 0.0, 0.0, 0.0]);
    row.extend([0.0; 9]);
    let header = format!(
        "{{'descr': '<f8', 'fortran_order': False, 'shape': ({},), }}\n",
        row.len()
    );
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(row.iter().flat_map(|x| x.to_le_bytes()));
    out
}

#[test]
fn a_folder_of_tasks_is_a_suite_and_one_task_needs_only_its_own_files() {
    let assets = assets();
    let dir = folder("tasks");
    write(&dir, "a_first.bddl", text("(Up plate_1)").as_bytes());
    write(&dir, "a_first.npy", &npy(0.25));
    write(&dir, "b_second.bddl", text("(Up plate_1)").as_bytes());
    write(&dir, "c_third.bddl", b"(define");
    let files = SuiteFiles::of_folder(&dir).expect("a suite");
    let load = |rule: InstructionRule, only: Option<&[usize]>| -> Result<Suite, TaskError> {
        files.load(&assets, &FixturePoses::Drawn, &rule, only)
    };
    let suite = load(InstructionRule::Default, Some(&[0])).expect("task 0");
    assert_eq!(
        (suite.tasks.len(), suite.horizon, suite.settle_steps),
        (3, 520, 10)
    );
    let task = &suite.tasks[0];
    assert_eq!(
        (task.name.as_str(), task.instruction.as_str()),
        ("a_first", "a first")
    );
    assert_eq!(suite.instruction_sources(), "name of the BDDL file");
    assert_eq!(task.init_states.len(), 1);
    let velocities = task.init_states[0].velocities.as_ref().expect("moving");
    assert_eq!(velocities.objects["akita_black_bowl_1"][0], 0.25);
    task.world(&assets, &task.init_states[0]).expect("a world");
    assert!(suite.tasks[1].init_states.is_empty() && suite.tasks[2].init_states.is_empty());
    let suite = load(InstructionRule::Language, Some(&[0])).expect("task 0");
    assert_eq!(suite.tasks[0].instruction, "close it");
    assert_eq!(suite.instruction_sources(), ":language of the BDDL file");

    let error = load(InstructionRule::Default, None)
        .expect_err("refused")
        .to_string();
    for words in [
        "2 of 3 tasks",
        "task 1: ",
        "no initial states",
        "task 2: ",
        "is never closed",
        "--tasks",
    ] {
        assert!(error.contains(words), "`{words}`: {error}");
    }
    let one = SuiteFiles::of_file(&dir.join("b_second.bddl"), Some(&dir.join("a_first.npy")))
        .expect("a file");
    let suite = one
        .load(
            &assets,
            &FixturePoses::Drawn,
            &InstructionRule::Default,
            None,
        )
        .expect("a suite");
    assert_eq!(suite.tasks.len(), 1);
    assert!(suite.name.ends_with("b_second.bddl"), "{}", suite.name);
    InitFile::read(&dir.join("b_second.bddl")).expect_err("no array");
}

/// The plain scene was taken silently for a scene with other lights.
#[test]
fn a_scene_variant_that_is_missing_is_refused_with_its_place() {
    let name = "LIBERO_Tabletop_Manipulation_tabletop_light_sync_modified_7";
    let text = text("(Up plate_1)").replace("LIBERO_Tabletop_Manipulation", name);
    let problem = Problem::parse("t.bddl", &text).expect("a problem");
    let error = scene::build_world(&assets(), &problem, &state())
        .err()
        .expect("refused")
        .to_string();
    let start =
        format!("t.bddl:1:18: unknown problem `{name}`; known: libero_coffee_table_manipulation, ");
    assert!(error.starts_with(&start), "{error}");
}
