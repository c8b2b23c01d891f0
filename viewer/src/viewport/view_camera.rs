//! Component of the 3D cameras: pose in the frame of the simulation, and pick rays.

use super::orbit_camera::FIELD_OF_VIEW;
use bevy::prelude::*;

/// 3D camera of a view.
#[derive(Component, Debug, Clone)]
pub(super) struct ViewCamera {
    /// Index of the view.
    pub slot: usize,
    /// Position in the frame of the simulation, m.
    pub at: Vec3,
    /// Orientation in the frame of the simulation; it looks along -z, up is +y.
    pub rotation: Quat,
    /// Rendered part of the window, logical pixels; none while it is inactive.
    pub viewport_rect: Option<Rect>,
}

impl ViewCamera {
    /// Direction of the ray through a point of the window (logical pixels), in the frame of the simulation; its component
    /// along the line of sight is 1.
    pub(super) fn ray(&self, cursor: Vec2) -> Option<Vec3> {
        let viewport_rect = self.viewport_rect?;
        let half = 0.5 * viewport_rect.size();
        let tan = (0.5 * FIELD_OF_VIEW).tan() / half.y;
        let offset = (cursor - viewport_rect.center()) * tan;
        Some(self.rotation * Vec3::new(offset.x, -offset.y, -1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_the_picture_is_straight_ahead() {
        let view_camera = ViewCamera {
            slot: 0,
            at: Vec3::ZERO,
            rotation: Quat::IDENTITY,
            viewport_rect: Some(Rect::new(100.0, 0.0, 300.0, 100.0)),
        };
        assert_eq!(view_camera.ray(Vec2::new(200.0, 50.0)), Some(Vec3::NEG_Z));
        let top = view_camera
            .ray(Vec2::new(200.0, 0.0))
            .expect("the view is active");
        assert!((top.y - (0.5 * FIELD_OF_VIEW).tan()).abs() < 1e-5);
    }
}
