//! Helpers of the tests of this crate: files under `assets/`, reference data, small scenes.
#![allow(dead_code, clippy::unwrap_used)]

use bitvla_sim::{
    ArenaDesc, BodyDesc, CollisionDesc, InstanceDesc, ModelDesc, PlacementDesc, SceneDesc,
    ShapeDesc, isometry,
};
use std::path::PathBuf;
use std::sync::Arc;

/// Root of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub fn panda_model() -> ModelDesc {
    model_file("robots/panda.toml")
}

pub fn model_file(path: &str) -> ModelDesc {
    let path = root().join("assets").join(path);
    toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

/// A file of the reference data beside the checkout; panics where it is absent, for the tests that read it are marked
/// `#[ignore]`.
pub fn reference(name: &str) -> serde_json::Value {
    let path = root().join("../shared/reference/libero/data").join(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("this test needs {}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

pub fn numbers(v: &serde_json::Value) -> Vec<f64> {
    v.as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect()
}

pub fn shape(shape: ShapeDesc, pos: [f64; 3], quat_wxyz: [f64; 4], density: f64) -> CollisionDesc {
    CollisionDesc {
        name: None,
        shape,
        pos,
        quat_wxyz,
        friction: 0.95,
        density,
        contype: 1,
        conaffinity: 1,
    }
}

pub fn one_body(name: &str, collision: Vec<CollisionDesc>) -> ModelDesc {
    ModelDesc {
        name: name.into(),
        placement: PlacementDesc {
            quat_wxyz: UPRIGHT,
            ..Default::default()
        },
        bodies: vec![BodyDesc {
            name: "object".into(),
            parent: None,
            pos: [0.0; 3],
            quat_wxyz: [1.0, 0.0, 0.0, 0.0],
            joint: None,
            inertia: None,
            collision,
            visual: Vec::new(),
            site: Vec::new(),
        }],
        materials: Default::default(),
        articulation: None,
    }
}

pub const UPRIGHT: [f64; 4] = [1.0, 0.0, 0.0, 0.0];

/// The table of the spatial and goal suites: a box whose top is at 0.9 m.
pub fn table_scene(objects: Vec<(ModelDesc, [f64; 3])>) -> SceneDesc {
    let top = shape(
        ShapeDesc::Box {
            half: [0.5, 0.6, 0.025],
        },
        [0.0, 0.0, 0.875],
        UPRIGHT,
        0.0,
    );
    SceneDesc {
        arena: Arc::new(ArenaDesc {
            model: one_body("table", vec![top]),
            workspace_offset: [0.0, 0.0, 0.9],
            fixture_z_offset: -0.04,
            region_site_z: 0.895,
            shrink_regions: true,
            robot_base_pos: [-0.66, 0.0, 0.912],
            robot_mount: true,
            cameras: Vec::new(),
            lights: Vec::new(),
            headlight: [0.1, 0.4, 0.5],
            fixed_function: false,
        }),
        robot: Arc::new(panda_model()),
        instances: objects
            .into_iter()
            .map(|(model, pos)| InstanceDesc {
                name: model.name.clone(),
                pose: isometry(pos, model.placement.quat_wxyz),
                model: Arc::new(model),
                fixed: false,
                joint_positions: Default::default(),
            })
            .collect(),
    }
}
