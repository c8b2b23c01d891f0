//! Guarantee: objects dropped from 7 cm come to rest within the 10 settling steps where MuJoCo has
//! them (heights of the object origins in recorded runs, within 2 mm; 5 mm in the ramekin), upright; bowls also on
//! the cabinet, the stove, the cookies, the ramekin and the plate and in a drawer.
//!
//! `BITVLA_LOOK=folder` writes the two camera images of the settled scene there.

use bitvla_sim::panda::RESET_QPOS;
use bitvla_sim::render::Renderer;
use bitvla_sim::{InstanceDesc, SceneDesc, World, isometry};
use bitvla_tasks::Assets;
use nalgebra::Vector3;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Yaw of a freshly placed object: 90 degrees.
const QUAT: [f64; 4] = [
    std::f64::consts::FRAC_1_SQRT_2,
    0.0,
    0.0,
    std::f64::consts::FRAC_1_SQRT_2,
];
const WAIT: [f64; 7] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0];
struct Placed {
    name: &'static str,
    category: &'static str,
    pos: [f64; 3],
    quat: [f64; 4],
    joints: &'static [(&'static str, f64)],
}

fn object(name: &'static str, category: &'static str, pos: [f64; 3]) -> Placed {
    Placed {
        name,
        category,
        pos,
        quat: QUAT,
        joints: &[],
    }
}

fn scene(placed: &[Placed]) -> SceneDesc {
    let assets = Assets::open(&Assets::default_dir()).expect("assets");
    let instances = placed.iter().map(|p| {
        let (model, fixed) = assets.model(p.category).unwrap_or_else(|e| panic!("{e}"));
        InstanceDesc {
            name: p.name.to_string(),
            model,
            pose: isometry(p.pos, p.quat),
            fixed,
            joint_positions: BTreeMap::from_iter(
                p.joints.iter().map(|(name, q)| (name.to_string(), *q)),
            ),
        }
    });
    SceneDesc {
        arena: assets.arena("table").unwrap_or_else(|e| panic!("{e}")),
        robot: assets.robot().unwrap_or_else(|e| panic!("{e}")),
        instances: instances.collect(),
    }
}

/// Ten settling steps; then every object must be where `rest` says (z of its origin) and stay.
fn settle(label: &str, placed: &[Placed], rest: &[(&str, f64, f64)]) {
    let scene = scene(placed);
    let mut world = World::new(&scene).unwrap_or_else(|e| panic!("{e}"));
    world.set_robot_qpos(&RESET_QPOS);
    for _ in 0..10 {
        world.step(&WAIT).unwrap_or_else(|e| panic!("{e}"));
    }
    if let Ok(folder) = std::env::var("BITVLA_LOOK") {
        let mut renderer = Renderer::new(&scene).unwrap_or_else(|e| panic!("{e}"));
        for camera in ["agentview", "eye_in_hand"] {
            let frame = renderer
                .render(&world.visual_state(), camera, 256, 256)
                .unwrap_or_else(|e| panic!("{e}"))
                .flipped_lr();
            let path = Path::new(&folder).join(format!("{label}_{camera}.png"));
            frame.write_png(&path).unwrap_or_else(|e| panic!("{e}"));
        }
    }
    let index = |name: &str| scene.instance(name).unwrap_or_else(|| panic!("{name}"));
    let mut problems = Vec::new();
    let before: Vec<_> = (rest.iter())
        .map(|(name, ..)| world.instance_pose(index(name)))
        .collect();
    for ((name, z, tolerance), pose) in rest.iter().zip(&before) {
        let at = pose.translation.vector;
        let upright = (pose.rotation * Vector3::z()).z;
        println!(
            "{label}: {name} at {:.4} {:.4} {:.5}, expected z {z:.5} ({:+.2} mm), tilt {:.2} deg",
            at.x,
            at.y,
            at.z,
            (at.z - z) * 1e3,
            upright.min(1.0).acos().to_degrees()
        );
        if (at.z - z).abs() > *tolerance {
            problems.push(format!("{name} rests at {:.5}, expected {z:.5}", at.z));
        }
        if upright < 0.995 {
            problems.push(format!("{name} is not upright ({upright:.4})"));
        }
    }
    for _ in 0..10 {
        world.step(&WAIT).unwrap_or_else(|e| panic!("{e}"));
    }
    for ((name, ..), pose) in rest.iter().zip(&before) {
        let now = world.instance_pose(index(name)).translation.vector;
        let moved = (now - pose.translation.vector).norm();
        if moved > 1e-3 {
            problems.push(format!("{name} is not at rest: {:.2} mm", moved * 1e3));
        }
    }
    assert!(problems.is_empty(), "{label}: {problems:#?}");
}

fn fixtures(drawer: &'static [(&'static str, f64)]) -> [Placed; 2] {
    [
        Placed {
            name: "cabinet",
            category: "wooden_cabinet",
            pos: [0.03561058, -0.2776345, 0.905],
            quat: [0.0, 0.0, 0.0, 1.0],
            joints: drawer,
        },
        Placed {
            name: "stove",
            category: "flat_stove",
            pos: [-0.4171329, -0.1311066, 0.905],
            quat: [1.0, 0.0, 0.0, 0.0],
            joints: &[],
        },
    ]
}

#[test]
fn objects_on_the_table() {
    let mut placed = vec![
        object(
            "bowl_1",
            "akita_black_bowl",
            [-0.063482818, 0.20206256, 0.97],
        ),
        object("bowl_2", "akita_black_bowl", [-0.18873049, 0.3203845, 0.97]),
        object("cookies", "cookies", [0.057859588, 0.026432941, 0.97]),
        object(
            "ramekin",
            "glazed_rim_porcelain_ramekin",
            [-0.19738417, 0.18913526, 0.97],
        ),
        object("plate", "plate", [0.053409167, 0.20518234, 0.97]),
    ];
    placed.extend(fixtures(&[]));
    settle(
        "table",
        &placed,
        &[
            ("bowl_1", 0.89840, 0.002),
            ("bowl_2", 0.89840, 0.002),
            ("cookies", 0.90937, 0.002),
            ("ramekin", 0.89934, 0.002),
            ("plate", 0.90250, 0.002),
        ],
    );
}

#[test]
fn bowls_on_cabinet_stove_and_cookies() {
    let mut placed = vec![
        object(
            "on_cabinet",
            "akita_black_bowl",
            [0.038944822, -0.26510636, 1.23152],
        ),
        object(
            "on_stove",
            "akita_black_bowl",
            [-0.25166824, -0.14136887, 1.01],
        ),
        object(
            "on_cookies",
            "akita_black_bowl",
            [0.067879263, 0.023735203, 1.01],
        ),
        object("cookies", "cookies", [0.067840309, 0.023906211, 0.97]),
    ];
    placed.extend(fixtures(&[]));
    settle(
        "raised",
        &placed,
        &[
            ("on_cabinet", 1.12640, 0.002),
            ("on_stove", 0.92547, 0.002),
            ("on_cookies", 0.91716, 0.002),
            ("cookies", 0.90937, 0.002),
        ],
    );
}

#[test]
fn bowls_on_ramekin_and_plate_and_in_the_drawer() {
    let mut placed = vec![
        object("in_drawer", "akita_black_bowl", [0.034, -0.134, 1.13]),
        object("on_ramekin", "akita_black_bowl", [-0.2114, 0.2021, 1.0]),
        object("on_plate", "akita_black_bowl", [0.0535, 0.2051, 0.99]),
        object(
            "ramekin",
            "glazed_rim_porcelain_ramekin",
            [-0.2114, 0.2021, 0.91],
        ),
        object("plate", "plate", [0.0535, 0.2051, 0.91]),
    ];
    placed.extend(fixtures(&[("top_level", -0.1556)]));
    settle(
        "carried",
        &placed,
        &[
            ("in_drawer", 1.06256, 0.002),
            // MuJoCo has this bowl stand askew in the ramekin at 0.9344; ours stands straight.
            ("on_ramekin", 0.9310, 0.005),
            // Flat middle of the plate, 6.1 mm above its origin.
            ("on_plate", 0.9070, 0.002),
            ("plate", 0.90250, 0.002),
        ],
    );
}

#[test]
fn scenes_share_models() {
    let assets = Assets::open(&Assets::default_dir()).expect("assets");
    let (a, _) = assets.model("plate").unwrap_or_else(|e| panic!("{e}"));
    let (b, _) = assets.model("plate").unwrap_or_else(|e| panic!("{e}"));
    assert!(Arc::ptr_eq(&a, &b));
}
