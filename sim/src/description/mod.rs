//! Description of a scene as plain data: the one form that TOML files under `assets/`, tests and importers of other
//! formats (MJCF) fill in, and that the physics and the renderer read.
//!
//! Units are SI (metres, kilograms, seconds, radians); quaternions are `[w, x, y, z]`; every pose is relative to the
//! parent named beside it. Nothing here is specific to one object.

mod appearance;
mod limits;
mod model;
mod scene;
mod shape;

pub use appearance::{CameraDesc, LightDesc, MaterialDesc, TextureDesc, VisibleWhen, VisualDesc};
pub use limits::{
    MAX_DISTANCE_METRES, MAX_INERTIA, MAX_JOINT_POSITION, MAX_LENGTH_METRES, MAX_MASS_KG,
};
pub use model::{
    ArticulationDesc, BodyDesc, CollisionDesc, InertiaDesc, JointDesc, JointKind, ModelDesc,
    PlacementDesc, SiteDesc,
};
pub use scene::{ArenaDesc, BodyRef, InstanceDesc, Owner, SceneDesc, VisualState};
pub use shape::ShapeDesc;

use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion};

fn identity_quat() -> [f64; 4] {
    [1.0, 0.0, 0.0, 0.0]
}

/// Builds an isometry from a translation (m) and a quaternion `[w, x, y, z]` (normalised here).
pub fn isometry(pos: [f64; 3], quat_wxyz: [f64; 4]) -> Isometry3<f64> {
    let [w, x, y, z] = quat_wxyz;
    Isometry3::from_parts(
        Translation3::new(pos[0], pos[1], pos[2]),
        UnitQuaternion::from_quaternion(Quaternion::new(w, x, y, z)),
    )
}
