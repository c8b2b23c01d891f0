//! Conversions between the simulation's and Bevy's vectors and poses, and the offset of each view's scene.

use bevy::prelude::*;
use bitvla_sim::SceneDesc;
use nalgebra::Isometry3;

/// Maximum number of episodes displayed side by side.
pub(super) const MAX_VIEWS: usize = 2;
/// Distance between the scenes of two views along y, m.
const VIEW_SPACING: f32 = 60.0;

/// Origin of a view's simulation frame in Bevy's world frame, m.
pub(super) fn offset(view: usize) -> Vec3 {
    Vec3::new(0.0, VIEW_SPACING * view as f32, 0.0)
}

/// Converts a point or direction to Bevy's type.
pub(super) fn vec3(v: [f64; 3]) -> Vec3 {
    Vec3::new(v[0] as f32, v[1] as f32, v[2] as f32)
}

/// Converts a point or direction to the simulation's type.
pub(super) fn array(v: Vec3) -> [f64; 3] {
    [f64::from(v.x), f64::from(v.y), f64::from(v.z)]
}

/// Converts a pose.
pub(super) fn transform(pose: &Isometry3<f64>) -> Transform {
    let q = pose.rotation.coords;
    let rotation = Quat::from_xyzw(q.x as f32, q.y as f32, q.z as f32, q.w as f32);
    Transform {
        translation: vec3(pose.translation.vector.into()),
        rotation: rotation.normalize(),
        scale: Vec3::ONE,
    }
}

/// Interpolates two poses; `fraction` is 0 at `a` and 1 at `b`.
pub(super) fn interpolate_pose(a: &Isometry3<f64>, b: &Isometry3<f64>, fraction: f64) -> Transform {
    let (from, to) = (transform(a), transform(b));
    if a == b || fraction <= 0.0 {
        return from;
    }
    let fraction = fraction as f32;
    Transform {
        translation: from.translation.lerp(to.translation, fraction),
        rotation: from.rotation.slerp(to.rotation, fraction),
        scale: Vec3::ONE,
    }
}

/// Interpolates two points; `fraction` is 0 at `a` and 1 at `b`.
pub(super) fn interpolate_point(a: [f64; 3], b: [f64; 3], fraction: f64) -> Vec3 {
    vec3(a).lerp(vec3(b), fraction as f32)
}

/// Centre of the workspace in the frame of the simulation, m.
pub(super) fn workspace(scene: &SceneDesc) -> Vec3 {
    vec3(scene.arena.workspace_offset)
}
