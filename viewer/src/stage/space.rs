//! From the simulation's numbers to Bevy's, and where the two places stand.

use bevy::prelude::*;
use nalgebra::Isometry3;

/// Episodes that can be on show at once.
pub(super) const PLACES: usize = 2;
/// Distance between the two places along y, m.
const APART: f32 = 60.0;

/// Where a place's world frame lies in Bevy's.
pub(super) fn offset(place: usize) -> Vec3 {
    Vec3::new(0.0, APART * place as f32, 0.0)
}

/// A point or direction.
pub(super) fn vec3(v: [f64; 3]) -> Vec3 {
    Vec3::new(v[0] as f32, v[1] as f32, v[2] as f32)
}

/// The same for the simulation.
pub(super) fn array(v: Vec3) -> [f64; 3] {
    [f64::from(v.x), f64::from(v.y), f64::from(v.z)]
}

/// A pose.
pub(super) fn transform(pose: &Isometry3<f64>) -> Transform {
    let q = pose.rotation.coords;
    let rotation = Quat::from_xyzw(q.x as f32, q.y as f32, q.z as f32, q.w as f32);
    Transform {
        translation: vec3(pose.translation.vector.into()),
        rotation: rotation.normalize(),
        scale: Vec3::ONE,
    }
}

/// A pose part of the way from one to another.
pub(super) fn between(a: &Isometry3<f64>, b: &Isometry3<f64>, share: f64) -> Transform {
    let (from, to) = (transform(a), transform(b));
    if a == b || share <= 0.0 {
        return from;
    }
    let share = share as f32;
    Transform {
        translation: from.translation.lerp(to.translation, share),
        rotation: from.rotation.slerp(to.rotation, share),
        scale: Vec3::ONE,
    }
}

/// A point part of the way from one to another.
pub(super) fn point_between(a: [f64; 3], b: [f64; 3], share: f64) -> Vec3 {
    vec3(a).lerp(vec3(b), share as f32)
}
