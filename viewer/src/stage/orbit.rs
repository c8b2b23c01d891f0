//! From where one looks: a point, and a direction and distance from it. Both places are seen the same way.

use super::place::workspace;
use super::space::{transform, vec3};
use bevy::prelude::*;
use bitvla_sim::{SceneDesc, isometry};
use std::f32::consts::{PI, TAU};

/// Vertical field of view, rad; that of the policy's camera.
pub(super) const FIELD: f32 = 45.0 * PI / 180.0;
/// Time in which most of a movement of the camera is done, s.
const EASE: f32 = 0.07;
/// Steepest and flattest look, rad.
const PITCH: [f32; 2] = [-0.15, 1.54];
/// Nearest and farthest, m.
const DISTANCE: [f32; 2] = [0.2, 7.0];
/// Farthest that the point one turns around goes from the workspace, m.
const STRAY: f32 = 2.5;
/// Turn per pixel of mouse, rad.
const TURN: f32 = 0.006;
/// Shorter pictures than this, as width by height, are looked at from farther away.
const SLENDER: f32 = 1.0;

/// A place to look from, in the frame of the simulation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct View {
    /// What one turns around.
    pub focus: Vec3,
    /// Direction from the focus to the eye: from +x towards +y, rad.
    pub yaw: f32,
    /// And above the horizon, rad.
    pub pitch: f32,
    /// Distance of the eye, m.
    pub distance: f32,
}

impl View {
    /// From the focus to the eye, of length one.
    fn back(&self) -> Vec3 {
        let (sin, cos) = self.pitch.sin_cos();
        Vec3::new(cos * self.yaw.cos(), cos * self.yaw.sin(), sin)
    }

    /// Where the eye is and how it is turned, in a picture so wide for its height.
    pub(super) fn eye(&self, aspect: f32) -> Transform {
        let farther = (SLENDER / aspect.clamp(0.2, SLENDER)).max(1.0);
        let mut at = self.focus + self.back() * self.distance * farther;
        // Nobody looks from under the floor.
        at.z = at.z.max(0.03);
        Transform::from_translation(at).looking_at(self.focus, Vec3::Z)
    }

    fn kept_in(mut self, workspace: Vec3) -> View {
        self.pitch = self.pitch.clamp(PITCH[0], PITCH[1]);
        self.distance = self.distance.clamp(DISTANCE[0], DISTANCE[1]);
        self.focus = workspace + (self.focus - workspace).clamp_length_max(STRAY);
        self.focus.z = self.focus.z.max(0.0);
        self
    }
}

/// Where one looks from, and where one is about to.
#[derive(Resource)]
pub(super) struct Orbit {
    now: View,
    goal: View,
    preset: usize,
    workspace: Vec3,
    /// The views that a key goes through.
    presets: Vec<View>,
    /// Of the arena they were made for.
    arena: Option<(String, Vec3)>,
}

impl Default for Orbit {
    fn default() -> Orbit {
        let view = View {
            focus: Vec3::new(-0.15, 0.0, 1.1),
            yaw: -0.7,
            pitch: 0.4,
            distance: 1.9,
        };
        Orbit {
            now: view,
            goal: view,
            preset: 0,
            workspace: Vec3::ZERO,
            presets: Vec::new(),
            arena: None,
        }
    }
}

impl Orbit {
    /// Goes to the start view when the arena is another one.
    pub(super) fn meet(&mut self, scene: &SceneDesc) {
        let arena = (scene.arena.model.name.clone(), workspace(scene));
        if self.arena.as_ref() == Some(&arena) {
            return;
        }
        self.arena = Some(arena);
        self.workspace = workspace(scene);
        self.presets = presets(scene);
        self.reframe();
        self.now = self.goal;
    }

    /// Back to the start view.
    pub(super) fn reframe(&mut self) {
        self.preset = 0;
        self.look_from_preset();
    }

    /// On to the next of the prepared views.
    pub(super) fn next(&mut self) {
        self.preset = (self.preset + 1) % self.presets.len().max(1);
        self.look_from_preset();
    }

    fn look_from_preset(&mut self) {
        if let Some(view) = self.presets.get(self.preset) {
            self.goal = *view;
            // The short way round.
            let turn = (self.goal.yaw - self.now.yaw + PI).rem_euclid(TAU) - PI;
            self.goal.yaw = self.now.yaw + turn;
        }
    }

    /// Turns around the focus by a movement of the mouse, logical pixels.
    pub(super) fn turn(&mut self, by: Vec2) {
        self.goal.yaw -= by.x * TURN;
        self.goal.pitch += by.y * TURN;
        self.goal = self.goal.kept_in(self.workspace);
    }

    /// Moves the focus with the mouse, in a picture so high.
    pub(super) fn pan(&mut self, by: Vec2, height: f32) {
        let scale = 2.0 * self.now.distance * (0.5 * FIELD).tan() / height.max(1.0);
        let eye = self.now.eye(SLENDER);
        let shift = eye.up() * by.y - eye.right() * by.x;
        self.goal.focus += shift * scale;
        self.goal = self.goal.kept_in(self.workspace);
    }

    /// Nearer (above zero) or farther.
    pub(super) fn zoom(&mut self, notches: f32) {
        self.goal.distance *= 0.88f32.powf(notches.clamp(-10.0, 10.0));
        self.goal = self.goal.kept_in(self.workspace);
    }

    /// Moves on towards where one is about to look from.
    pub(super) fn ease(&mut self, secs: f32) -> View {
        let share = 1.0 - (-secs.clamp(0.0, 0.5) / EASE).exp();
        let (now, goal) = (&mut self.now, &self.goal);
        now.focus = now.focus.lerp(goal.focus, share);
        now.yaw += (goal.yaw - now.yaw) * share;
        now.pitch += (goal.pitch - now.pitch) * share;
        now.distance += (goal.distance - now.distance) * share;
        if now.focus.distance(goal.focus) < 1e-4
            && (now.yaw - goal.yaw).abs() < 1e-4
            && (now.pitch - goal.pitch).abs() < 1e-4
            && (now.distance - goal.distance).abs() < 1e-4
        {
            *now = *goal;
        }
        *now
    }
}

/// Start, front, side, top, and what the policy's camera sees.
fn presets(scene: &SceneDesc) -> Vec<View> {
    let middle = workspace(scene);
    let from = |yaw: f32, pitch: f32, distance: f32, up: f32| View {
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

/// What the policy's own camera sees, turning around what is in its middle.
fn policy_view(scene: &SceneDesc, middle: Vec3) -> Option<View> {
    let camera = scene.arena.cameras.iter().find(|c| c.body.is_none())?;
    let pose = transform(&isometry(camera.pos, camera.quat_wxyz));
    let at = vec3(camera.pos);
    let forward = pose.rotation * Vec3::NEG_Z;
    let distance = (middle - at).dot(forward).clamp(0.3, 3.0);
    let back = -forward;
    Some(View {
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
    fn the_eye_looks_at_the_focus() {
        let view = Orbit::default().now;
        let eye = view.eye(1.6);
        let to = (view.focus - eye.translation).normalize();
        assert!((eye.forward().as_vec3() - to).length() < 1e-5);
        assert!((eye.translation.distance(view.focus) - view.distance).abs() < 1e-4);
        // Straight down is refused, where no direction would be up.
        let mut orbit = Orbit::default();
        orbit.turn(Vec2::new(0.0, 1e6));
        assert!(orbit.goal.eye(1.6).rotation.is_finite());
    }

    #[test]
    fn the_goal_is_reached() {
        let mut orbit = Orbit::default();
        orbit.turn(Vec2::new(100.0, -20.0));
        orbit.zoom(3.0);
        for _ in 0..100 {
            orbit.ease(0.05);
        }
        assert_eq!(orbit.now, orbit.goal);
    }
}
