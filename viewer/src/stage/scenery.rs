//! Walls and furniture around the workspace: what the camera stands behind steps aside, so that one can look
//! in from everywhere.

use super::camera::Eye;
use bevy::prelude::*;

/// Shapes nearer to the middle of the workspace than this stay, m.
const NEAR: f32 = 0.85;
/// What lies on the floor stays: shapes that do not rise above this, m.
const LOW: f32 = 0.1;
/// Shapes longer than this to each side have a face towards the workspace, m; of others only the direction
/// counts.
const LONG: f32 = 0.6;
/// A camera this near to the inner face counts as behind it, m.
const MARGIN: f32 = 0.06;

/// Something at the side of the workspace.
#[derive(Component, Debug, Clone, PartialEq)]
pub(super) struct Scenery {
    slot: usize,
    /// A point of its inner face.
    face: Vec3,
    /// From the face towards the workspace, horizontal.
    inward: Vec3,
}

impl Scenery {
    /// None if a box of a frame is not at the side of the workspace.
    pub(super) fn new(
        slot: usize,
        workspace: Vec3,
        frame: &Transform,
        low: Vec3,
        high: Vec3,
    ) -> Option<Scenery> {
        let half = 0.5 * (high - low);
        let centre = frame.transform_point(0.5 * (low + high));
        let axes = [Vec3::X, Vec3::Y, Vec3::Z].map(|a| frame.rotation * a);
        // How far the box reaches from its centre along a direction.
        let reach = |d: Vec3| {
            let [x, y, z] = axes;
            (half.x * x.dot(d)).abs() + (half.y * y.dot(d)).abs() + (half.z * z.dot(d)).abs()
        };
        if centre.z + reach(Vec3::Z) < LOW {
            return None;
        }
        let to = (workspace - centre).with_z(0.0);
        let gap = |d: Vec3| to.dot(d) - reach(d);
        let inward = if reach(Vec3::X).max(reach(Vec3::Y)) < LONG {
            to.try_normalize()?
        } else {
            // The horizontal direction in which it keeps farthest away: its own axes, then the room's.
            let sides = axes.into_iter().chain([Vec3::X, Vec3::Y]);
            sides
                .filter(|d| d.z.abs() < 0.2)
                .filter_map(|d| d.with_z(0.0).try_normalize())
                .map(|d| if to.dot(d) < 0.0 { -d } else { d })
                .max_by(|a, b| gap(*a).total_cmp(&gap(*b)))?
        };
        if gap(inward) < NEAR {
            return None;
        }
        Some(Scenery {
            slot,
            face: centre + inward * reach(inward),
            inward,
        })
    }

    fn hides(&self, eye: Vec3) -> bool {
        (eye - self.face).dot(self.inward) < MARGIN
    }
}

/// Hides what is between a camera and its workspace.
pub(super) fn step_aside(
    eyes: Query<&Eye>,
    mut scenery: Query<(&Scenery, &mut Visibility), Without<Eye>>,
) {
    for eye in &eyes {
        for (one, mut visibility) in &mut scenery {
            if one.slot != eye.slot {
                continue;
            }
            visibility.set_if_neq(if one.hides(eye.at) {
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

    fn thing(at: Vec3, half: Vec3) -> Option<Scenery> {
        let frame = Transform::from_translation(at);
        Scenery::new(0, Vec3::new(0.0, 0.0, 0.9), &frame, -half, half)
    }

    #[test]
    fn a_wall_hides_only_what_is_before_it() {
        let wall = thing(Vec3::new(-2.0, 0.0, 1.5), Vec3::new(0.01, 1.5, 1.5));
        let wall = wall.expect("a wall is scenery");
        assert_eq!(wall.inward, Vec3::X);
        assert!(wall.hides(Vec3::new(-2.5, 0.0, 1.0)));
        assert!(!wall.hides(Vec3::new(1.0, 0.0, 1.0)));
    }

    #[test]
    fn table_and_floor_stay() {
        assert!(thing(Vec3::new(0.0, 0.0, 0.875), Vec3::new(0.5, 0.6, 0.025)).is_none());
        assert!(thing(Vec3::new(0.0, 0.0, -0.1), Vec3::new(3.0, 3.0, 0.1)).is_none());
        let plant = thing(Vec3::new(-1.5, 1.5, 0.5), Vec3::splat(0.1));
        let plant = plant.expect("a plant in the corner is scenery");
        assert!(plant.hides(Vec3::new(-2.0, 2.0, 0.5)));
        assert!(!plant.hides(Vec3::new(2.0, -1.0, 0.5)));
    }
}
