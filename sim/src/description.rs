//! What a scene is made of, as plain data: the one description that TOML files under `assets/`,
//! tests and importers of other formats (MJCF) fill in, and that the physics and the renderer read.
//!
//! Units are SI (metres, kilograms, seconds, radians); quaternions are `[w, x, y, z]`; every pose is
//! relative to the parent named beside it. Nothing here knows a particular object.

use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

fn one() -> f64 {
    1.0
}

fn identity_quat() -> [f64; 4] {
    [1.0, 0.0, 0.0, 0.0]
}

fn on_pedestal() -> bool {
    true
}

fn opaque() -> f64 {
    1.0
}

/// Builds an isometry from a translation (m) and a quaternion `[w, x, y, z]` (normalised here).
pub fn isometry(pos: [f64; 3], quat_wxyz: [f64; 4]) -> Isometry3<f64> {
    let [w, x, y, z] = quat_wxyz;
    Isometry3::from_parts(
        Translation3::new(pos[0], pos[1], pos[2]),
        UnitQuaternion::from_quaternion(Quaternion::new(w, x, y, z)),
    )
}

/// An object, a fixture, an arena or a robot: a tree of bodies with materials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelDesc {
    /// Category name as BDDL uses it, for example `akita_black_bowl`.
    pub name: String,
    /// Offsets used when the model is placed by a region sampler.
    #[serde(default)]
    pub placement: PlacementDesc,
    /// Bodies, every parent before its children; the first one is the root.
    pub bodies: Vec<BodyDesc>,
    /// Surface looks, referred to by name from [`VisualDesc::material`].
    #[serde(default)]
    pub materials: BTreeMap<String, MaterialDesc>,
    /// Thresholds of the unary predicates for the joints of this model, if it has any.
    #[serde(default)]
    pub articulation: Option<ArticulationDesc>,
}

impl ModelDesc {
    /// The model without a body and everything that hangs on it; the model itself if there is no such body.
    pub fn without_subtree(&self, body: &str) -> ModelDesc {
        let mut gone: Vec<&str> = Vec::new();
        let mut kept = Vec::with_capacity(self.bodies.len());
        for b in &self.bodies {
            let parent = b.parent.as_deref().unwrap_or_default();
            if b.name == body || gone.contains(&parent) {
                gone.push(&b.name);
            } else {
                kept.push(b.clone());
            }
        }
        ModelDesc {
            bodies: kept,
            ..self.clone()
        }
    }
}

/// Helper offsets of the placement samplers (fact sheet OBJECTS.md); not physical extents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlacementDesc {
    /// z of the bottom site relative to the root origin, m.
    #[serde(default)]
    pub bottom_offset: f64,
    /// z of the top site relative to the root origin, m.
    #[serde(default)]
    pub top_offset: f64,
    /// Radius for the overlap test, m.
    #[serde(default)]
    pub horizontal_radius: f64,
    /// Orientation of a freshly placed movable object, `[w, x, y, z]`, before any yaw of its region.
    #[serde(default = "identity_quat")]
    pub quat_wxyz: [f64; 4],
    /// Further turn about the world's z drawn uniformly between these two, rad; zero for most.
    #[serde(default)]
    pub yaw_range: [f64; 2],
}

impl Default for PlacementDesc {
    fn default() -> Self {
        PlacementDesc {
            bottom_offset: 0.0,
            top_offset: 0.0,
            horizontal_radius: 0.0,
            quat_wxyz: identity_quat(),
            yaw_range: [0.0; 2],
        }
    }
}

/// Joint thresholds of Open, Close, TurnOn and TurnOff (fact sheet section 6). Each bound is
/// `[low, high]`, open interval, in the unit of the joint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArticulationDesc {
    /// Open holds when the joint position lies strictly inside.
    #[serde(default)]
    pub open: Option<[f64; 2]>,
    /// Close holds when the joint position lies strictly inside.
    #[serde(default)]
    pub close: Option<[f64; 2]>,
    /// TurnOn holds when `low <= q < high`.
    #[serde(default)]
    pub turn_on: Option<[f64; 2]>,
    /// TurnOff holds when the joint position lies strictly inside.
    #[serde(default)]
    pub turn_off: Option<[f64; 2]>,
    /// Range sampled at reset for a joint stated open in `:init`.
    #[serde(default)]
    pub sample_open: Option<[f64; 2]>,
    /// Range sampled at reset for a joint stated closed in `:init`.
    #[serde(default)]
    pub sample_close: Option<[f64; 2]>,
    /// Range sampled at reset for a joint stated on in `:init`.
    #[serde(default)]
    pub sample_on: Option<[f64; 2]>,
    /// Range sampled at reset for a joint stated off in `:init`.
    #[serde(default)]
    pub sample_off: Option<[f64; 2]>,
}

/// A rigid body of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BodyDesc {
    /// Name, unique in the model.
    pub name: String,
    /// Name of the parent body; absent for the root, whose pose is that of the instance.
    #[serde(default)]
    pub parent: Option<String>,
    /// Position in the parent frame, m.
    #[serde(default)]
    pub pos: [f64; 3],
    /// Orientation in the parent frame.
    #[serde(default = "identity_quat")]
    pub quat_wxyz: [f64; 4],
    /// Joint to the parent; absent means welded to it (root: see [`InstanceDesc::fixed`]).
    #[serde(default)]
    pub joint: Option<JointDesc>,
    /// Explicit inertia; absent means from the collision shapes and their densities.
    #[serde(default)]
    pub inertia: Option<InertiaDesc>,
    /// Collision shapes.
    #[serde(default)]
    pub collision: Vec<CollisionDesc>,
    /// Shapes that are drawn.
    #[serde(default)]
    pub visual: Vec<VisualDesc>,
    /// Named boxes for the predicates On and In, and named frames.
    #[serde(default)]
    pub site: Vec<SiteDesc>,
}

/// Kind of a one-degree-of-freedom joint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JointKind {
    /// Rotation about the axis; positions in rad.
    Hinge,
    /// Translation along the axis; positions in m.
    Slide,
}

/// A one-degree-of-freedom joint at the origin of its body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JointDesc {
    /// Name, unique in the model.
    pub name: String,
    /// Hinge or slide.
    pub kind: JointKind,
    /// Unit axis in the body frame.
    pub axis: [f64; 3],
    /// Lowest and highest position.
    pub range: [f64; 2],
    /// Viscous damping, N m s/rad or N s/m.
    #[serde(default)]
    pub damping: f64,
    /// Dry friction, N m or N.
    #[serde(default)]
    pub friction_loss: f64,
    /// Rotor inertia added to the joint-space inertia, kg m^2 or kg.
    #[serde(default)]
    pub armature: f64,
}

/// Explicit inertia of a body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InertiaDesc {
    /// Mass, kg.
    pub mass: f64,
    /// Centre of mass in the body frame, m.
    pub com: [f64; 3],
    /// Principal moments about the centre of mass, kg m^2.
    pub diagonal: [f64; 3],
    /// Orientation of the principal axes in the body frame.
    #[serde(default = "identity_quat")]
    pub quat_wxyz: [f64; 4],
}

/// A geometric primitive centred on its own frame; symmetric ones have their axis along z.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ShapeDesc {
    /// Box with half sizes, m.
    Box {
        /// Half extents along x, y, z, m.
        half: [f64; 3],
    },
    /// Sphere.
    Sphere {
        /// Radius, m.
        radius: f64,
    },
    /// Cylinder along z.
    Cylinder {
        /// Radius, m.
        radius: f64,
        /// Half of the height, m.
        half_height: f64,
    },
    /// Capsule along z.
    Capsule {
        /// Radius, m.
        radius: f64,
        /// Half of the straight part, m.
        half_height: f64,
    },
    /// Convex hull of points, m.
    Hull {
        /// Points, m.
        points: Vec<[f64; 3]>,
    },
    /// Surface of revolution about z: `profile` lists `[radius, z]` from one end to the other, with
    /// the outside on the left when walking along it. Drawn only.
    Lathe {
        /// `[radius, z]` pairs, m.
        profile: Vec<[f64; 2]>,
        /// Number of facets around the axis.
        segments: u32,
        /// Factor on y, for flat bottles.
        #[serde(default = "one")]
        flatten: f64,
    },
    /// Triangle mesh. Drawn only.
    Mesh {
        /// Vertex positions, m.
        vertices: Vec<[f32; 3]>,
        /// Vertex indices of triangles, counter-clockwise from outside.
        triangles: Vec<[u32; 3]>,
        /// Texture coordinates per vertex; empty for none.
        #[serde(default)]
        uv: Vec<[f32; 2]>,
        /// Unit normals per vertex; empty for flat triangles.
        #[serde(default)]
        normals: Vec<[f32; 3]>,
    },
}

/// A collision shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollisionDesc {
    /// Optional name; the gripper pads are found by it.
    #[serde(default)]
    pub name: Option<String>,
    /// Geometry; lathe and mesh are refused here.
    pub shape: ShapeDesc,
    /// Position in the body frame, m.
    #[serde(default)]
    pub pos: [f64; 3],
    /// Orientation in the body frame.
    #[serde(default = "identity_quat")]
    pub quat_wxyz: [f64; 4],
    /// Sliding friction coefficient; pairs take the larger of the two.
    pub friction: f64,
    /// Density, kg/m^3; zero adds no mass.
    #[serde(default)]
    pub density: f64,
}

/// A drawn shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisualDesc {
    /// Geometry.
    pub shape: ShapeDesc,
    /// Position in the body frame, m.
    #[serde(default)]
    pub pos: [f64; 3],
    /// Orientation in the body frame.
    #[serde(default = "identity_quat")]
    pub quat_wxyz: [f64; 4],
    /// Key into [`ModelDesc::materials`].
    pub material: String,
    /// Drawn only while the named joint of the model is at or above the position (a burner that is on).
    #[serde(default)]
    pub visible_when: Option<VisibleWhen>,
}

/// Condition for drawing a shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisibleWhen {
    /// Joint name in the same model.
    pub joint: String,
    /// Drawn while `q >= at_least`.
    pub at_least: f64,
}

/// A named box or frame of a body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteDesc {
    /// Name, unique in the model, for example `top_region`.
    pub name: String,
    /// Position in the body frame, m.
    #[serde(default)]
    pub pos: [f64; 3],
    /// Orientation in the body frame.
    #[serde(default = "identity_quat")]
    pub quat_wxyz: [f64; 4],
    /// Half sizes, m.
    #[serde(default)]
    pub half: [f64; 3],
}

/// How a surface looks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaterialDesc {
    /// Base colour in display (sRGB) values 0..1; multiplies the texture.
    pub rgb: [f64; 3],
    /// Strength of the highlight, 0..1.
    #[serde(default)]
    pub specular: f64,
    /// Sharpness of the highlight, 0..1 (exponent 128 times this, as in MuJoCo).
    #[serde(default)]
    pub shininess: f64,
    /// Colour that is added whatever the light, 0..1.
    #[serde(default)]
    pub emission: f64,
    /// How much the upper face of a flat shape mirrors, 0..1; only in fixed-function arenas, and only for
    /// the first such shape of the scene, as in MuJoCo.
    #[serde(default)]
    pub reflectance: f64,
    /// Opacity, 0..1.
    #[serde(default = "opaque")]
    pub alpha: f64,
    /// Texture.
    #[serde(default)]
    pub texture: Option<TextureDesc>,
}

/// A texture, generated from numbers or read from a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextureDesc {
    /// Generator name: `wood`, `dark_wood`, `speckle`, `brushed`, `stripes`, `checker`, `label`, `rings`,
    /// `plaster`, `tiles`, `weave`, `flat` (the first colour), `print` (a package, painted by the statements in
    /// `text`), or `file`.
    pub kind: String,
    /// Side length in pixels of a generated texture.
    #[serde(default)]
    pub size: Option<u32>,
    /// Colours used by the generator, sRGB 0..1.
    #[serde(default)]
    pub colors: Vec<[f64; 3]>,
    /// Repeats per metre of surface (boxes, planes) or per unit of texture coordinate.
    #[serde(default)]
    pub repeat: Option<[f64; 2]>,
    /// Seed of the generator.
    #[serde(default)]
    pub seed: u64,
    /// Words, statements of a `print` or file path.
    #[serde(default)]
    pub text: Option<String>,
}

/// A camera fixed in the world or to a body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraDesc {
    /// Name, for example `agentview`.
    pub name: String,
    /// Body of the robot that carries the camera; absent means the world.
    #[serde(default)]
    pub body: Option<String>,
    /// Position in the parent frame, m.
    pub pos: [f64; 3],
    /// Orientation; the camera looks along its local -z with +y up (MuJoCo convention).
    pub quat_wxyz: [f64; 4],
    /// Vertical field of view, degrees.
    pub fovy_deg: f64,
}

/// A light (fact sheet section 2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LightDesc {
    /// Position in the world, m.
    pub pos: [f64; 3],
    /// Direction in which it shines.
    pub dir: [f64; 3],
    /// Parallel light rather than a spot.
    #[serde(default)]
    pub directional: bool,
    /// Half opening angle of a spot, degrees.
    pub cutoff_deg: f64,
    /// Ambient, diffuse and specular strength (grey).
    pub ambient: f64,
    /// Diffuse strength.
    pub diffuse: f64,
    /// Specular strength.
    pub specular: f64,
}

/// An arena: table or floor with walls, where the robot stands, cameras and lights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArenaDesc {
    /// Static geometry; its root body sits at the world origin.
    pub model: ModelDesc,
    /// Origin of the BDDL ranges, m.
    pub workspace_offset: [f64; 3],
    /// Added to the workspace z for fixtures, m.
    pub fixture_z_offset: f64,
    /// z of the centre of arena region sites, m.
    pub region_site_z: f64,
    /// Whether region samplers shrink the range by the horizontal radius (fact sheet section 7).
    pub shrink_regions: bool,
    /// Robot base position, m.
    pub robot_base_pos: [f64; 3],
    /// Whether the robot stands on its pedestal rather than on the ground (fact sheet section 2).
    #[serde(default = "on_pedestal")]
    pub robot_mount: bool,
    /// World cameras (`agentview` first) followed by cameras on robot bodies.
    pub cameras: Vec<CameraDesc>,
    /// Lights of the scene.
    pub lights: Vec<LightDesc>,
    /// Headlight at the camera: ambient, diffuse, specular strength.
    pub headlight: [f64; 3],
    /// Shade as fixed-function OpenGL does in MuJoCo: light per vertex, cut to 0..1 before the texture, no
    /// soft shadow, only front faces.
    #[serde(default)]
    pub fixed_function: bool,
}

/// A model placed in the world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceDesc {
    /// Instance name, for example `akita_black_bowl_1`.
    pub name: String,
    /// What it is.
    pub model: Arc<ModelDesc>,
    /// World pose of the root body.
    pub pose: Isometry3<f64>,
    /// Root welded to the world (fixtures) rather than free.
    pub fixed: bool,
    /// Initial joint positions by joint name; joints not named start at the value in range nearest 0.
    pub joint_positions: BTreeMap<String, f64>,
}

/// Everything the physics and the renderer need to build a world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SceneDesc {
    /// Surroundings.
    pub arena: Arc<ArenaDesc>,
    /// The robot, base welded at [`ArenaDesc::robot_base_pos`].
    pub robot: Arc<ModelDesc>,
    /// Objects and fixtures in BDDL order: objects first, then fixtures.
    pub instances: Vec<InstanceDesc>,
}

/// One row of the body table: which model a body belongs to and which of its bodies it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyRef {
    /// Owner.
    pub owner: Owner,
    /// Index into [`ModelDesc::bodies`] of the owner.
    pub body: usize,
}

/// What a body belongs to.
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

    /// Index of the instance of a name.
    pub fn instance(&self, name: &str) -> Option<usize> {
        self.instances.iter().position(|i| i.name == name)
    }

    /// The model an owner stands for.
    pub fn model(&self, owner: Owner) -> &ModelDesc {
        match owner {
            Owner::Arena => &self.arena.model,
            Owner::Robot => &self.robot,
            Owner::Instance(i) => &self.instances[i].model,
        }
    }
}

/// What the renderer needs of a moment: aligned with [`SceneDesc::body_table`].
#[derive(Debug, Clone, PartialEq)]
pub struct VisualState {
    /// World pose of every body.
    pub poses: Vec<Isometry3<f64>>,
    /// Position of the joint that carries each body; 0 where there is none.
    pub joint_positions: Vec<f64>,
}
