//! Scenes: an arena, a robot and instances of models, with the body table that physics and renderer share.

use super::appearance::{CameraDesc, LightDesc};
use super::model::ModelDesc;
use crate::error::SimError;
use nalgebra::Isometry3;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

fn on_pedestal() -> bool {
    true
}

/// An arena: table or floor with walls, robot base position, cameras and lights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArenaDesc {
    /// Static geometry; its root body sits at the world origin.
    pub model: ModelDesc,
    /// Origin of the BDDL ranges in the world, m.
    pub workspace_offset: [f64; 3],
    /// Added to the workspace z for fixtures, m.
    pub fixture_z_offset: f64,
    /// z of the centre of arena region sites in the world, m.
    pub region_site_z: f64,
    /// True if region samplers shrink the range by the horizontal radius (`docs/reference/libero.md`, section 7).
    pub shrink_regions: bool,
    /// Position of the robot base in the world, m.
    pub robot_base_pos: [f64; 3],
    /// True if the robot stands on its pedestal, false if on the ground (`docs/reference/libero.md`, section 2).
    #[serde(default = "on_pedestal")]
    pub robot_mount: bool,
    /// World cameras (`agentview` first) followed by cameras on robot bodies.
    pub cameras: Vec<CameraDesc>,
    /// Lights of the scene.
    pub lights: Vec<LightDesc>,
    /// Headlight at the camera: ambient, diffuse, specular strength.
    pub headlight: [f64; 3],
    /// Shading as by fixed-function OpenGL in MuJoCo: light per vertex, clamped to 0..1 before the texture, no soft
    /// shadow, only front faces.
    #[serde(default)]
    pub fixed_function: bool,
}

impl ArenaDesc {
    /// The first camera on the robot, or the first one in the world: those that policies see through.
    ///
    /// # Errors
    /// [`SimError::NoCamera`] if there is none.
    pub fn camera(&self, on_robot: bool) -> Result<&CameraDesc, SimError> {
        let mut cameras = self.cameras.iter();
        let found = cameras.find(|camera| camera.body.is_some() == on_robot);
        found.ok_or_else(|| SimError::NoCamera {
            arena: self.model.name.clone(),
            place: match on_robot {
                true => "on the robot",
                false => "in the world",
            },
        })
    }
}

/// A model placed in the world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceDesc {
    /// Instance name, for example `akita_black_bowl_1`.
    pub name: String,
    /// Model of the object or fixture.
    pub model: Arc<ModelDesc>,
    /// World pose of the root body.
    pub pose: Isometry3<f64>,
    /// Root welded to the world (fixtures) rather than free.
    pub fixed: bool,
    /// Initial joint positions by joint name, rad or m; other joints start at the position in range nearest 0.
    pub joint_positions: BTreeMap<String, f64>,
}

/// A scene from which physics and renderer are built.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SceneDesc {
    /// Surroundings.
    pub arena: Arc<ArenaDesc>,
    /// The robot, base welded at [`ArenaDesc::robot_base_pos`].
    pub robot: Arc<ModelDesc>,
    /// Objects and fixtures in BDDL order: objects first, then fixtures.
    pub instances: Vec<InstanceDesc>,
}

/// One row of the body table: a body and its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyRef {
    /// Owner.
    pub owner: Owner,
    /// Index into [`ModelDesc::bodies`] of the owner.
    pub body: usize,
}

/// Owner of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The arena.
    Arena,
    /// The robot.
    Robot,
    /// Index into [`SceneDesc::instances`].
    Instance(usize),
}

impl SceneDesc {
    /// All bodies in the one order that physics and renderer share: arena, robot, instances.
    pub fn body_table(&self) -> Vec<BodyRef> {
        let owners = [
            (Owner::Arena, &self.arena.model),
            (Owner::Robot, &*self.robot),
        ];
        let instances = self
            .instances
            .iter()
            .enumerate()
            .map(|(i, inst)| (Owner::Instance(i), &*inst.model));
        owners
            .into_iter()
            .chain(instances)
            .flat_map(|(owner, model)| {
                (0..model.bodies.len()).map(move |body| BodyRef { owner, body })
            })
            .collect()
    }

    /// Index of the instance with a name.
    pub fn instance(&self, name: &str) -> Option<usize> {
        self.instances.iter().position(|i| i.name == name)
    }

    /// Model of an owner.
    ///
    /// # Panics
    /// For an instance beyond [`SceneDesc::instances`].
    pub fn model(&self, owner: Owner) -> &ModelDesc {
        match owner {
            Owner::Arena => &self.arena.model,
            Owner::Robot => &self.robot,
            Owner::Instance(i) => &self.instances[i].model,
        }
    }
}

/// Configuration that is drawn, row by row of [`SceneDesc::body_table`].
#[derive(Debug, Clone, PartialEq)]
pub struct VisualState {
    /// World pose of every body, m.
    pub poses: Vec<Isometry3<f64>>,
    /// Position of each body's own joint, rad or m; 0 where it has none.
    pub joint_positions: Vec<f64>,
}
