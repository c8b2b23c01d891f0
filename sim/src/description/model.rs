//! Models: trees of bodies with joints, inertias, collision and visual shapes, and sites.

use super::appearance::{MaterialDesc, VisualDesc};
use super::identity_quat;
use super::shape::ShapeDesc;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

fn is_zero(x: &f64) -> bool {
    *x == 0.0
}

fn lowest_bit() -> u32 {
    1
}

fn is_lowest_bit(bits: &u32) -> bool {
    *bits == 1
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
    /// Materials by name, referred to by [`VisualDesc::material`].
    #[serde(default)]
    pub materials: BTreeMap<String, MaterialDesc>,
    /// Thresholds of the unary predicates for the joints of this model, if it has any.
    #[serde(default)]
    pub articulation: Option<ArticulationDesc>,
}

impl ModelDesc {
    /// A model of a name without bodies, which are to be added.
    pub fn empty(name: &str) -> ModelDesc {
        ModelDesc {
            name: name.to_owned(),
            placement: PlacementDesc::default(),
            bodies: Vec::new(),
            materials: BTreeMap::new(),
            articulation: None,
        }
    }

    /// Copy of the model without a body and its descendants; a plain copy if there is no such body.
    pub fn without_subtree(&self, body: &str) -> ModelDesc {
        let mut removed: Vec<&str> = Vec::new();
        let mut kept = Vec::with_capacity(self.bodies.len());
        for b in &self.bodies {
            let parent_removed = (b.parent.as_deref()).is_some_and(|p| removed.contains(&p));
            if b.name == body || parent_removed {
                removed.push(&b.name);
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

/// Offsets of the placement samplers (`docs/reference/libero-objects.md`); not physical extents.
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

/// Joint thresholds of Open, Close, TurnOn and TurnOff (`docs/reference/libero.md`, section 6). Each bound
/// is `[low, high]`, in the unit of the joint.
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
    /// Joint to the parent; absent means welded to it (root: see [`InstanceDesc::fixed`](super::InstanceDesc::fixed)).
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

impl BodyDesc {
    /// A body in the pose of its parent, with nothing on it.
    pub fn new(name: String, parent: Option<String>) -> BodyDesc {
        BodyDesc {
            name,
            parent,
            pos: [0.0; 3],
            quat_wxyz: identity_quat(),
            joint: None,
            inertia: None,
            collision: Vec::new(),
            visual: Vec::new(),
            site: Vec::new(),
        }
    }
}

/// Kind of a joint with one degree of freedom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JointKind {
    /// Rotation about the axis; positions in rad.
    Hinge,
    /// Translation along the axis; positions in m.
    Slide,
}

/// A joint with one degree of freedom at the origin of its body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JointDesc {
    /// Name, unique in the model.
    pub name: String,
    /// Hinge or slide.
    pub kind: JointKind,
    /// Unit axis in the body frame.
    pub axis: [f64; 3],
    /// Lowest and highest position, rad or m.
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
    /// Stiffness of a spring, N m/rad or N/m; zero for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stiffness: f64,
    /// Joint position at which the spring is relaxed, rad or m.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub spring_reference: f64,
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
    /// MuJoCo's collision bits: two shapes can touch if a bit of one `contype` is in the other `conaffinity`.
    #[serde(default = "lowest_bit", skip_serializing_if = "is_lowest_bit")]
    pub contype: u32,
    /// Bits of [`CollisionDesc::contype`] of other shapes that this one can touch.
    #[serde(default = "lowest_bit", skip_serializing_if = "is_lowest_bit")]
    pub conaffinity: u32,
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
