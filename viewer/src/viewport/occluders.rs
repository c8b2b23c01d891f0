//! Occluders: walls and furniture around the workspace are hidden while the camera is behind them, so that the
//! workspace is visible from every side.

use super::view_camera::ViewCamera;
use bevy::prelude::*;

/// Shapes nearer to the centre of the workspace are never hidden, m.
const MIN_GAP: f32 = 0.85;
/// Shapes that do not reach above this height are never hidden, m.
const FLOOR_HEIGHT: f32 = 0.1;
/// Shapes with a larger horizontal half extent are hidden by the side of their inner face, m; smaller ones by their
/// direction from the workspace.
const FACE_LENGTH: f32 = 0.6;
/// A camera nearer to the inner face counts as behind it, m.
const MARGIN: f32 = 0.06;

/// A shape beside the workspace, in the frame of the simulation.
#[derive(Component, Debug, Clone, PartialEq)]
pub(super) struct Occluder {
    slot: usize,
    /// A point of its inner face, m.
    face: Vec3,
    /// Horizontal unit vector from the face towards the workspace.
    inward: Vec3,
}

impl Occluder {
    /// Classifies the box `low..high` (m, in `frame`); none if it is not beside the workspace.
    pub(super) fn new(
        slot: usize,
        workspace: Vec3,
        frame: &Transform,
        low: Vec3,
        high: Vec3,
    ) -> Option<Occluder> {
        let half = 0.5 * (high - low);
        let centre = frame.transform_point(0.5 * (low + high));
        let axes = [Vec3::X, Vec3::Y, Vec3::Z].map(|a| frame.rotation * a);
        // Half extent of the box along a direction.
        let reach = |d: Vec3| {
            let [x, y, z] = axes;
            (half.x * x.dot(d)).abs() + (half.y * y.dot(d)).abs() + (half.z * z.dot(d)).abs()
        };
        if centre.z + reach(Vec3::Z) < FLOOR_HEIGHT {
            return None;
        }
        let to = (workspace - centre).with_z(0.0);
        let gap = |d: Vec3| to.dot(d) - reach(d);
        let inward = if reach(Vec3::X).max(reach(Vec3::Y)) < FACE_LENGTH {
            to.try_normalize()?
        } else {
            // The horizontal direction of the largest gap, among the axes of the box and of the world.
            let sides = axes.into_iter().chain([Vec3::X, Vec3::Y]);
            sides
                .filter(|d| d.z.abs() < 0.2)
                .filter_map(|d| d.with_z(0.0).try_normalize())
                .map(|d| if to.dot(d) < 0.0 { -d } else { d })
                .max_by(|a, b| gap(*a).total_cmp(&gap(*b)))?
        };
        if gap(inward) < MIN_GAP {
            return None;
        }
        Some(Occluder {
            slot,
            face: centre + inward * reach(inward),
            inward,
        })
    }

    fn hides(&self, camera: Vec3) -> bool {
        (camera - self.face).dot(self.inward) < MARGIN
    }
}

/// Hides the occluders between a camera and its workspace.
pub(super) fn hide_occluders(
    cameras: Query<&ViewCamera>,
    mut occluders: Query<(&Occluder, &mut Visibility), Without<ViewCamera>>,
) {
    for camera in &cameras {
        for (one, mut visibility) in &mut occluders {
            if one.slot != camera.slot {
                continue;
            }
            visibility.set_if_neq(if one.hides(camera.at) {
                Visibility::Hidden
            } else {
                Visibility::Inherited
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn occluder(at: Vec3, half: Vec3) -> Option<Occluder> {
        let frame = Transform::from_translation(at);
        Occluder::new(0, Vec3::new(0.0, 0.0, 0.9), &frame, -half, half)
    }

    #[test]
    fn a_wall_hides_only_what_is_before_it() {
        let wall = occluder(Vec3::new(-2.0, 0.0, 1.5), Vec3::new(0.01, 1.5, 1.5));
        let wall = wall.expect("a wall is an occluder");
        assert_eq!(wall.inward, Vec3::X);
        assert!(wall.hides(Vec3::new(-2.5, 0.0, 1.0)));
        assert!(!wall.hides(Vec3::new(1.0, 0.0, 1.0)));
    }

    #[test]
    fn table_and_floor_stay() {
        assert!(occluder(Vec3::new(0.0, 0.0, 0.875), Vec3::new(0.5, 0.6, 0.025)).is_none());
        assert!(occluder(Vec3::new(0.0, 0.0, -0.1), Vec3::new(3.0, 3.0, 0.1)).is_none());
        let plant = occluder(Vec3::new(-1.5, 1.5, 0.5), Vec3::splat(0.1));
        let plant = plant.expect("a plant in the corner is an occluder");
        assert!(plant.hides(Vec3::new(-2.0, 2.0, 0.5)));
        assert!(!plant.hides(Vec3::new(2.0, -1.0, 0.5)));
    }
}
