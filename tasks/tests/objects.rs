//! Guarantees about every model under `assets/objects`: dropped as LIBERO drops it, it comes to rest upright
//! within the 10 settling steps (the books within 40), within 5 mm of where it was dropped, on its lowest point (within
//! 1 mm), and lies still; it rests at the height of MuJoCo's object in the recorded settling runs (ignored without
//! them); it can be drawn.

mod common;
#[path = "common/shared.rs"]
mod shared;

use bitvla_sim::panda::RESET_QPOS;
use bitvla_sim::render::Renderer;
use bitvla_sim::{InstanceDesc, SceneDesc, World, isometry};
use bitvla_tasks::Assets;
use nalgebra::Vector3;
use std::collections::BTreeMap;

const WAIT: [f64; 7] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0];
const TABLE: f64 = 0.9;
/// Largest depth of the lowest collision point below the table at rest, m.
const SINK: f64 = 0.001;

fn movable(assets: &Assets) -> Vec<String> {
    (assets.categories().into_iter())
        .filter(|name| !assets.model(name).unwrap_or_else(|e| panic!("{e}")).1)
        .collect()
}

fn scene(assets: &Assets, categories: &[String]) -> SceneDesc {
    let instances = categories.iter().enumerate().map(|(i, category)| {
        let (model, fixed) = assets.model(category).unwrap_or_else(|e| panic!("{e}"));
        let across = 0.3 * (i % 4) as f64 - 0.45 * f64::from(categories.len() > 1);
        InstanceDesc {
            name: category.clone(),
            pose: isometry(
                [
                    0.3 * (i / 4) as f64,
                    across,
                    TABLE + 0.01 - model.placement.bottom_offset,
                ],
                model.placement.quat_wxyz,
            ),
            model,
            fixed,
            joint_positions: BTreeMap::new(),
        }
    });
    SceneDesc {
        arena: assets.arena("table").unwrap_or_else(|e| panic!("{e}")),
        robot: assets.robot().unwrap_or_else(|e| panic!("{e}")),
        instances: instances.collect(),
    }
}

/// Drops one object alone and returns the height of its origin above the table after 10 steps.
fn drop_one(assets: &Assets, category: &str, problems: &mut Vec<String>) -> f64 {
    let scene = scene(assets, &[category.to_string()]);
    let start = scene.instances[0].pose;
    let mut world = World::new(&scene).unwrap_or_else(|e| panic!("{e}"));
    world.set_robot_qpos(&RESET_QPOS);
    let mut run = |steps: usize| {
        for _ in 0..steps {
            world.step(&WAIT).unwrap_or_else(|e| panic!("{e}"));
        }
        world.instance_pose(0)
    };
    let early = run(10);
    let landed = run(30);
    let mut jitter = 0.0f64;
    for _ in 0..12 {
        let now = run(5);
        let moved = (now.translation.vector - landed.translation.vector).norm();
        jitter = jitter
            .max(moved)
            .max(0.05 * now.rotation.angle_to(&landed.rotation));
    }
    let shift = landed.translation.vector - start.translation.vector;
    let turn = landed.rotation * start.rotation.inverse();
    let tilt = (turn * Vector3::z()).z.min(1.0).acos().to_degrees();
    let height = landed.translation.z - TABLE;
    println!(
        "{category}: origin {:.2} mm above the table, tilt {tilt:.2} deg, sideways {:.2} mm, turned {:.2} deg; after 10 steps {:.2} mm and {:.2} deg off; later {:.4} mm",
        height * 1e3,
        shift.xy().norm() * 1e3,
        turn.angle().to_degrees(),
        (early.translation.vector - landed.translation.vector).norm() * 1e3,
        early.rotation.angle_to(&landed.rotation).to_degrees(),
        jitter * 1e3
    );
    if tilt > 0.2 || turn.angle().to_degrees() > 4.0 || shift.xy().norm() > 0.005 {
        problems.push(format!(
            "{category} does not land upright where it was dropped"
        ));
    }
    // The tall thin books still rock by a few degrees after ten steps.
    let (off, turned) = (
        (early.translation.vector - landed.translation.vector).norm(),
        early.rotation.angle_to(&landed.rotation).to_degrees(),
    );
    if off > 0.002
        || turned
            > if category.ends_with("_book") {
                5.0
            } else {
                0.5
            }
    {
        problems.push(format!(
            "{category} is not at rest after 10 steps: {turned:.2} degrees"
        ));
    }
    if jitter > 5e-5 {
        problems.push(format!("{category} is not at rest: {:.2} mm", jitter * 1e3));
    }
    height
}

/// Lowest point of the collision shapes below the root origin of a placed object, m.
fn depth(assets: &Assets, category: &str) -> f64 {
    let (model, _) = assets.model(category).unwrap_or_else(|e| panic!("{e}"));
    let placed = isometry([0.0; 3], model.placement.quat_wxyz);
    let (lowest, _) = common::extent(&model, placed);
    -lowest[2]
}

#[test]
fn every_object_lands_upright_on_its_foot_and_lies_still() {
    let assets = Assets::open(&Assets::default_dir()).expect("assets");
    let mut problems = Vec::new();
    for category in movable(&assets) {
        let height = drop_one(&assets, &category, &mut problems);
        let sunk = depth(&assets, &category) - height;
        if sunk.abs() > SINK {
            problems.push(format!("{category} rests {:.2} mm too deep", sunk * 1e3));
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

/// Height of the surface that the objects of a recorded task were dropped on (`docs/reference/libero.md`, section 2).
fn support(suite: &str, task: &str) -> Option<f64> {
    match suite {
        "libero_object" => Some(0.0),
        "libero_goal" => Some(0.9),
        "libero_10" if task.starts_with("KITCHEN") => Some(0.9),
        "libero_10" if task.starts_with("LIVING_ROOM") => Some(0.43676),
        "libero_10" if task.starts_with("STUDY") => Some(0.88513),
        // In the spatial suite bowls stand on other objects.
        _ => None,
    }
}

#[test]
#[ignore = "needs ../shared: recordings of LIBERO"]
fn objects_rest_at_the_heights_of_the_recorded_runs() {
    let data = shared::recorded("settle.json");
    let mut recorded: BTreeMap<String, f64> = BTreeMap::new();
    for (suite, tasks) in data["suites"].as_object().expect("suites") {
        for task in tasks.as_object().expect("tasks").values() {
            let Some(top) = support(suite, task["name"].as_str().expect("name")) else {
                continue;
            };
            for (name, pose) in task["runs"][0]["t100"]["obj"].as_object().expect("objects") {
                // `milk_1_joint0`; fixtures have a number instead of a pose.
                if let (Some(z), Some((category, _))) = (
                    pose[2].as_f64(),
                    name.trim_end_matches("_joint0").rsplit_once('_'),
                ) {
                    recorded.insert(category.to_string(), z - top);
                }
            }
        }
    }
    assert!(recorded.len() >= 19, "{recorded:?}");
    let assets = Assets::open(&Assets::default_dir()).expect("assets");
    let mut problems = Vec::new();
    for (category, wanted) in &recorded {
        let height = drop_one(&assets, category, &mut problems);
        if (height - wanted).abs() > 0.001 {
            problems.push(format!(
                "{category} rests at {height:.5}, MuJoCo's at {wanted:.5}"
            ));
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn every_object_can_be_drawn() {
    let assets = Assets::open(&Assets::default_dir()).expect("assets");
    let scene = scene(&assets, &movable(&assets));
    Renderer::new(&scene).unwrap_or_else(|e| panic!("{e}"));
}
