//! Orbit camera: focus point, yaw, pitch and distance, eased towards a target pose. All views share it.

use super::transforms::{transform, vec3, workspace};
use bevy::prelude::*;
use bitvla_sim::{SceneDesc, isometry};
use std::f32::consts::{PI, TAU};

/// Vertical field of view, rad; equal to that of agentview.
pub(super) const FIELD_OF_VIEW: f32 = 45.0 * PI / 180.0;
/// Time constant of the camera's motion, s.
const EASE_SECS: f32 = 0.07;
/// Range of the pitch, rad.
const PITCH: [f32; 2] = [-0.15, 1.54];
/// Range of the distance, m.
const DISTANCE: [f32; 2] = [0.2, 7.0];
/// Maximum distance of the focus from the centre of the workspace, m.
const MAX_FOCUS_OFFSET: f32 = 2.5;
/// Rotation per logical pixel of mouse motion, rad.
const RADIANS_PER_PIXEL: f32 = 0.006;
/// Aspect ratio (width by height) below which the camera moves back.
const MIN_ASPECT: f32 = 1.0;

/// Camera pose in the frame of the simulation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct OrbitPose {
    /// Centre of rotation, m.
    pub focus: Vec3,
    /// Azimuth of the camera seen from the focus, from +x towards +y, rad.
    pub yaw: f32,
    /// Elevation of the camera above the horizon, rad.
    pub pitch: f32,
    /// Distance of the camera from the focus, m.
    pub distance: f32,
}

impl OrbitPose {
    /// Unit vector from the focus to the camera.
    fn back(&self) -> Vec3 {
        let (sin, cos) = self.pitch.sin_cos();
        Vec3::new(cos * self.yaw.cos(), cos * self.yaw.sin(), sin)
    }

    /// Transform of a camera with an aspect ratio; it looks along -z, up is +y.
    pub(super) fn camera_transform(&self, aspect: f32) -> Transform {
        let farther = (MIN_ASPECT / aspect.clamp(0.2, MIN_ASPECT)).max(1.0);
        let mut at = self.focus + self.back() * self.distance * farther;
        // The camera stays above the floor.
        at.z = at.z.max(0.03);
        Transform::from_translation(at).looking_at(self.focus, Vec3::Z)
    }

    fn clamped(mut self, workspace: Vec3) -> OrbitPose {
        self.pitch = self.pitch.clamp(PITCH[0], PITCH[1]);
        self.distance = self.distance.clamp(DISTANCE[0], DISTANCE[1]);
        self.focus = workspace + (self.focus - workspace).clamp_length_max(MAX_FOCUS_OFFSET);
        self.focus.z = self.focus.z.max(0.0);
        self
    }
}

/// Present pose, target pose and presets.
#[derive(Resource)]
pub(super) struct OrbitCamera {
    now: OrbitPose,
    target: OrbitPose,
    preset: usize,
    workspace: Vec3,
    /// Poses that the camera key cycles through.
    presets: Vec<OrbitPose>,
    /// Name and workspace of the arena that the presets belong to.
    arena: Option<(String, Vec3)>,
}

impl Default for OrbitCamera {
    fn default() -> OrbitCamera {
        let view = OrbitPose {
            focus: Vec3::new(-0.15, 0.0, 1.1),
            yaw: -0.7,
            pitch: 0.4,
            distance: 1.9,
        };
        OrbitCamera {
            now: view,
            target: view,
            preset: 0,
            workspace: Vec3::ZERO,
            presets: Vec::new(),
            arena: None,
        }
    }
}

impl OrbitCamera {
    /// Jumps to the first preset when the arena has changed.
    pub(super) fn set_scene(&mut self, scene: &SceneDesc) {
        let arena = (scene.arena.model.name.clone(), workspace(scene));
        if self.arena.as_ref() == Some(&arena) {
            return;
        }
        self.arena = Some(arena);
        self.workspace = workspace(scene);
        self.presets = presets(scene);
        self.reframe();
        self.now = self.target;
    }

    /// Returns to the first preset.
    pub(super) fn reframe(&mut self) {
        self.preset = 0;
        self.go_to_preset();
    }

    /// Moves on to the next preset.
    pub(super) fn next(&mut self) {
        self.preset = (self.preset + 1) % self.presets.len().max(1);
        self.go_to_preset();
    }

    fn go_to_preset(&mut self) {
        if let Some(view) = self.presets.get(self.preset) {
            self.target = *view;
            // Rotates the shorter way.
            let turn = (self.target.yaw - self.now.yaw + PI).rem_euclid(TAU) - PI;
            self.target.yaw = self.now.yaw + turn;
        }
    }

    /// Rotates around the focus by a mouse motion, logical pixels.
    pub(super) fn rotate(&mut self, by: Vec2) {
        self.target.yaw -= by.x * RADIANS_PER_PIXEL;
        self.target.pitch += by.y * RADIANS_PER_PIXEL;
        self.target = self.target.clamped(self.workspace);
    }

    /// Moves the focus by a mouse motion in a view of a height, logical pixels.
    pub(super) fn pan(&mut self, by: Vec2, height: f32) {
        let scale = 2.0 * self.now.distance * (0.5 * FIELD_OF_VIEW).tan() / height.max(1.0);
        let camera = self.now.camera_transform(MIN_ASPECT);
        let shift = camera.up() * by.y - camera.right() * by.x;
        self.target.focus += shift * scale;
        self.target = self.target.clamped(self.workspace);
    }

    /// Moves nearer (positive) or farther (negative), in notches of the wheel.
    pub(super) fn zoom(&mut self, notches: f32) {
        self.target.distance *= 0.88f32.powf(notches.clamp(-10.0, 10.0));
        self.target = self.target.clamped(self.workspace);
    }

    /// Returns true while the pose differs from the target.
    pub(super) fn is_moving(&self) -> bool {
        self.now != self.target
    }

    /// Moves towards the target for `secs` seconds and returns the present pose.
    pub(super) fn ease(&mut self, secs: f32) -> OrbitPose {
        let share = 1.0 - (-secs.clamp(0.0, 0.5) / EASE_SECS).exp();
        let (now, target) = (&mut self.now, &self.target);
        now.focus = now.focus.lerp(target.focus, share);
        now.yaw += (target.yaw - now.yaw) * share;
        now.pitch += (target.pitch - now.pitch) * share;
        now.distance += (target.distance - now.distance) * share;
        if now.focus.distance(target.focus) < 1e-4
            && (now.yaw - target.yaw).abs() < 1e-4
            && (now.pitch - target.pitch).abs() < 1e-4
            && (now.distance - target.distance).abs() < 1e-4
        {
            *now = *target;
        }
        *now
    }
}

/// Preset poses: start, front, side, top, and agentview.
fn presets(scene: &SceneDesc) -> Vec<OrbitPose> {
    let middle = workspace(scene);
    let from = |yaw: f32, pitch: f32, distance: f32, up: f32| OrbitPose {
        focus: middle + Vec3::new(-0.12, 0.0, up),
        yaw: yaw.to_radians(),
        pitch: pitch.to_radians(),
        distance,
    };
    let mut views = vec![
        from(-36.0, 25.0, 1.7, 0.2),
        from(0.0, 18.0, 1.5, 0.16),
        from(-90.0, 14.0, 1.55, 0.2),
        from(0.0, 88.0, 1.6, 0.1),
    ];
    views.extend(policy_view(scene, middle));
    views
}

/// Pose of agentview, with the focus on its optical axis.
fn policy_view(scene: &SceneDesc, middle: Vec3) -> Option<OrbitPose> {
    let camera = scene.arena.camera(false).ok()?;
    let pose = transform(&isometry(camera.pos, camera.quat_wxyz));
    let at = vec3(camera.pos);
    let forward = pose.rotation * Vec3::NEG_Z;
    let distance = (middle - at).dot(forward).clamp(0.3, 3.0);
    let back = -forward;
    Some(OrbitPose {
        focus: at + forward * distance,
        yaw: back.y.atan2(back.x),
        pitch: back.z.clamp(-1.0, 1.0).asin(),
        distance,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_camera_looks_at_the_focus() {
        let view = OrbitCamera::default().now;
        let camera = view.camera_transform(1.6);
        let to = (view.focus - camera.translation).normalize();
        assert!((camera.forward().as_vec3() - to).length() < 1e-5);
        assert!((camera.translation.distance(view.focus) - view.distance).abs() < 1e-4);
        // A vertical view has no up direction and is excluded by the pitch range.
        let mut orbit = OrbitCamera::default();
        orbit.rotate(Vec2::new(0.0, 1e6));
        assert!(orbit.target.camera_transform(1.6).rotation.is_finite());
    }

    #[test]
    fn the_goal_is_reached() {
        let mut orbit = OrbitCamera::default();
        orbit.rotate(Vec2::new(100.0, -20.0));
        orbit.zoom(3.0);
        for _ in 0..100 {
            orbit.ease(0.05);
        }
        assert_eq!(orbit.now, orbit.target);
    }
}
