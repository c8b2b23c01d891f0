//! Guarantee: the four suites have the tasks of LIBERO's (instruction, objects, fixtures, regions, initial
//! predicates, goal, order; ignored without the recordings). Those of Object, Goal and Long have 50 stored states that
//! rest: over the ten settling steps nothing moves, tips or touches the robot, no joint drifts, and no predicate of a
//! goal holds that `:init` does not state. A margin widens every range that states are drawn from, and none changes nothing.

#[path = "common/shared.rs"]
mod shared;

use bitvla_sim::{Owner, SceneDesc};
use bitvla_tasks::{Assets, Suite, Task, TaskError, sample_init_state, sample_wider_init_state};
use nalgebra::Vector3;
use serde_json::Value;
use shared::recorded;
use std::collections::{BTreeMap, BTreeSet};

const SUITES: [(&str, &str, usize); 4] = [
    ("spatial", "libero_spatial", 220),
    ("object", "libero_object", 280),
    ("goal", "libero_goal", 300),
    ("long", "libero_10", 520),
];
const WAIT: [f64; 7] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0];

fn words(predicate: &bitvla_tasks::bddl::PredicateInstance) -> String {
    format!("{:?} {}", predicate.predicate, predicate.args.join(" ")).to_lowercase()
}

fn listed_predicates(list: &Value) -> BTreeSet<String> {
    (list.as_array().unwrap().iter())
        .map(|f| {
            let parts: Vec<&str> = f
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str)
                .collect();
            parts.join(" ")
        })
        .collect()
}

fn names_by_category(list: &[bitvla_tasks::bddl::ObjectDecl]) -> BTreeMap<String, Vec<String>> {
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for object in list {
        let names = out.entry(object.category.clone()).or_default();
        names.push(object.name.clone());
    }
    out
}

#[test]
fn the_four_suites_are_listed_in_order_and_an_unknown_one_is_refused() {
    let assets = Assets::open(&Assets::default_dir()).unwrap();
    let names = Suite::names(&assets);
    assert_eq!(names[..4], ["spatial", "object", "goal", "long"]);
    let error = Suite::load(&assets, "lunar").unwrap_err().to_string();
    assert!(
        error.contains("`lunar`") && error.contains("spatial, object"),
        "{error}"
    );
}

#[test]
#[ignore = "needs ../shared: recordings of LIBERO"]
fn tasks_are_those_of_libero() -> Result<(), TaskError> {
    let data = recorded("suites.json");
    let assets = Assets::open(&Assets::default_dir())?;
    for (name, theirs, horizon) in SUITES {
        let suite = Suite::load(&assets, name)?;
        let list = &data["suites"][theirs];
        let list = list.get("tasks").unwrap_or(list).as_array().unwrap();
        assert_eq!(
            (suite.tasks.len(), suite.horizon, suite.settle_steps),
            (list.len(), horizon, 10)
        );
        for (task, entry) in suite.tasks.iter().zip(list) {
            let label = format!("{name} {}", task.id);
            let problem = &task.problem;
            assert_eq!(
                task.instruction,
                entry["language"].as_str().unwrap(),
                "{label}"
            );
            assert_eq!(problem.arena(), entry["arena"].as_str(), "{label}");
            let listed = |key: &str| serde_json::from_value(entry[key].clone()).unwrap();
            assert_eq!(
                names_by_category(&problem.objects),
                listed("objects"),
                "{label}"
            );
            assert_eq!(
                names_by_category(&problem.fixtures),
                listed("fixtures"),
                "{label}"
            );
            let init: BTreeSet<String> = problem.init.iter().map(words).collect();
            assert_eq!(init, listed_predicates(&entry["init"]), "{label}");
            let goal: BTreeSet<String> = problem.goal.predicates.iter().map(words).collect();
            assert_eq!(goal, listed_predicates(&entry["goal"]), "{label}");
            for (region, recorded) in entry["regions"].as_object().unwrap() {
                if !problem.declares(recorded["target"].as_str().unwrap()) {
                    continue;
                }
                let Some(ours) = problem.region(region) else {
                    // The spatial files leave out regions that nothing uses.
                    assert_eq!(name, "spatial", "{label}: no region {region}");
                    continue;
                };
                for (ours, range) in (ours.ranges.iter())
                    .zip(recorded["ranges_xmin_ymin_xmax_ymax"].as_array().unwrap())
                {
                    for (a, b) in ours.iter().zip(range.as_array().unwrap()) {
                        assert!((a - b.as_f64().unwrap()).abs() < 1e-9, "{label}: {region}");
                    }
                }
                for (a, b) in ours
                    .yaw
                    .iter()
                    .zip(recorded["yaw_rotation"].as_array().unwrap())
                {
                    assert!((a - b.as_f64().unwrap()).abs() < 1e-9, "{label}: {region}");
                }
            }
        }
    }
    Ok(())
}

/// All faults of a stored state after the settling steps.
fn faults(assets: &Assets, task: &Task, state: usize) -> Result<Vec<String>, TaskError> {
    let init = &task.init_states[state];
    let mut world = task.world(assets, init)?;
    let mut out = Vec::new();
    for _ in 0..10 {
        world.step(&WAIT)?;
    }
    let scene: &SceneDesc = world.scene();
    for (i, instance) in scene.instances.iter().enumerate() {
        let (now, start) = (world.instance_pose(i), instance.pose);
        let moved = (now.translation.vector - start.translation.vector).norm();
        let up = ((now.rotation * start.rotation.inverse()) * Vector3::z()).z;
        if !instance.fixed && (moved > 0.002 || up < 0.9995) {
            out.push(format!("{} moved {:.1} mm", instance.name, moved * 1e3));
        }
        let placed = uprightness(instance);
        if !instance.fixed && placed < 0.95 {
            out.push(format!("{} has fallen over: {placed:.3}", instance.name));
        }
        if !instance.fixed && world.in_contact(Owner::Instance(i), Owner::Robot) {
            out.push(format!("{} touches the robot", instance.name));
        }
        for (name, q) in &instance.joint_positions {
            let now = world.joint_position(i, name).unwrap();
            if (now - q).abs() > 1e-3 {
                out.push(format!("{} {name} went from {q} to {now}", instance.name));
            }
        }
    }
    let truth = task.compile_goal(&world)?.truth(&world);
    for (predicate, holds) in task.goal().predicates.iter().zip(truth) {
        let given = task
            .problem
            .init
            .iter()
            .any(|f| words(f) == words(predicate));
        if holds != given {
            out.push(format!("{} is {holds} at the start", words(predicate)));
        }
    }
    Ok(out)
}

/// Cosine of the tilt of an object compared with its placement: 1 upright, 0 lying.
fn uprightness(instance: &bitvla_sim::InstanceDesc) -> f64 {
    let placed = bitvla_sim::isometry([0.0; 3], instance.model.placement.quat_wxyz);
    ((instance.pose.rotation * placed.rotation.inverse()) * Vector3::z()).z
}

fn rests(name: &str) -> Result<(), TaskError> {
    let assets = Assets::open(&Assets::default_dir())?;
    let suite = Suite::load(&assets, name)?;
    let mut wrong = Vec::new();
    for task in &suite.tasks {
        assert_eq!(task.init_states.len(), 50, "{name} {}", task.id);
        for state in 0..50 {
            let faults = faults(&assets, task, state)?;
            wrong.extend(
                faults
                    .iter()
                    .map(|f| format!("{name} {} state {state}: {f}", task.id)),
            );
        }
    }
    assert!(
        wrong.is_empty(),
        "{} faults: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(20)]
    );
    Ok(())
}

#[test]
fn states_of_object_rest() -> Result<(), TaskError> {
    rests("object")
}

#[test]
fn states_of_goal_rest() -> Result<(), TaskError> {
    rests("goal")
}

#[test]
fn states_of_long_rest() -> Result<(), TaskError> {
    rests("long")
}

/// The stored states are those that the sampler draws with today's models (seed 1000 task + state), up to the effect of
/// another setting of the contact solver on where objects land: 1 cm, and 3 degrees (0.025 of a quaternion), because
/// a bottle turns on landing.
#[test]
fn stored_states_are_those_that_are_drawn() -> Result<(), TaskError> {
    let assets = Assets::open(&Assets::default_dir())?;
    for (name, ..) in SUITES {
        let suite = Suite::load(&assets, name)?;
        for task in suite.tasks.iter().filter(|t| t.id % 3 == 0) {
            let drawn = sample_init_state(&assets, &task.problem, 1000 * task.id as u64)?;
            let stored = &task.init_states[0];
            let pairs = (drawn.objects.iter().zip(&stored.objects))
                .chain(drawn.fixtures.iter().zip(&stored.fixtures));
            for ((a, x), (b, y)) in pairs {
                assert_eq!(a, b);
                assert!(
                    x.iter()
                        .zip(y)
                        .enumerate()
                        .all(|(i, (x, y))| (x - y).abs() < if i < 3 { 0.01 } else { 0.025 }),
                    "{name} {}: `{a}` is stored at {y:?}, drawn at {x:?}; draw again with \
                     `cargo run --release -p bitvla-tasks --example draw_init_states -- {name}`",
                    task.id
                );
            }
        }
    }
    Ok(())
}

#[test]
fn a_margin_widens_the_ranges() -> Result<(), TaskError> {
    let assets = Assets::open(&Assets::default_dir())?;
    let suite = Suite::load(&assets, "goal")?;
    let problem = &suite.tasks[9].problem;
    let none = sample_wider_init_state(&assets, problem, 5, 0.0)?;
    assert_eq!(none, sample_init_state(&assets, problem, 5)?);
    let margin = 0.03;
    // Objects slide by less than this when they land.
    let slide = 0.005;
    let mut farthest = 0.0_f64;
    for seed in 0..20 {
        let plain = sample_init_state(&assets, problem, seed)?;
        let wide = sample_wider_init_state(&assets, problem, seed, margin)?;
        let of = |state: &bitvla_tasks::InitState| {
            let poses = state.objects.values().chain(state.fixtures.values());
            poses.map(|p| [p[0], p[1]]).collect::<Vec<_>>()
        };
        for (a, b) in of(&plain).iter().zip(&of(&wide)) {
            for axis in 0..2 {
                // The ranges of the task are 2 cm wide.
                let shift = (a[axis] - b[axis]).abs();
                assert!(shift <= 0.02 + margin + slide, "seed {seed}: {a:?}, {b:?}");
                farthest = farthest.max(shift);
            }
        }
    }
    assert!(
        farthest > 0.02 + slide,
        "never beyond the range: {farthest}"
    );
    Ok(())
}
