//! The grasp that a pick-and-place has chosen, whichever planner it comes from.

use super::antipodal_grasp::AntipodalGrasp;
use super::hand_frame::{symmetric_orientation, top_down_orientation};
use super::rim_grasp::RimGrasp;
use bitvla_sim::World;
use nalgebra::{Point3, Rotation3, Vector3};

/// A grasp of an object.
#[derive(Debug, Clone, Copy)]
pub(super) enum Grasp {
    /// Of the rim of an upright bowl, relative to its origin.
    Rim(RimGrasp),
    /// By two opposite faces, fixed in the world.
    Antipodal(AntipodalGrasp),
    /// Straight down at the origin of the object. It stands in where the search for an antipodal grasp has
    /// found none; it mostly closes on nothing, after which the search is repeated.
    TopDown,
}

impl Grasp {
    /// Grasp point for an object whose origin is now at `object`, world frame, m. `planned` is the point at
    /// the time of planning, to which grasps keep that are fixed in the world.
    pub(super) fn point(&self, object: Point3<f64>, planned: Point3<f64>) -> Point3<f64> {
        match self {
            Grasp::Rim(grasp) => object + grasp.offset,
            Grasp::Antipodal(_) | Grasp::TopDown => planned,
        }
    }

    /// Unit vector along which the hand points, world frame.
    pub(super) fn approach(&self) -> Vector3<f64> {
        match self {
            Grasp::Antipodal(grasp) => grasp.approach,
            Grasp::Rim(_) | Grasp::TopDown => -Vector3::z(),
        }
    }

    /// Orientation of the hand, world frame. For a rim it depends on the present one, because the fingers
    /// are symmetric.
    pub(super) fn orientation(&self, world: &World) -> Rotation3<f64> {
        match self {
            Grasp::Rim(grasp) => top_down_orientation(world, grasp.yaw),
            Grasp::Antipodal(grasp) => grasp.orientation(),
            Grasp::TopDown => symmetric_orientation(-Vector3::z(), Vector3::y()),
        }
    }

    /// True if the fingers hold a thin wall, which turns between the pads when it is lifted.
    pub(super) fn is_thin(&self) -> bool {
        match self {
            Grasp::Rim(_) => true,
            Grasp::Antipodal(grasp) => grasp.is_thin(),
            Grasp::TopDown => false,
        }
    }

    /// The grasp in numbers, for logs.
    pub(super) fn summary(&self) -> String {
        match self {
            Grasp::Rim(g) => format!(
                "rim {:.0} deg, yaw {:.0}, radius {:.3}",
                g.angle.to_degrees(),
                g.yaw.to_degrees(),
                libm::hypot(g.offset.x, g.offset.y)
            ),
            Grasp::Antipodal(g) => format!(
                "antipodal yaw {:.0}, {:.3} m thick",
                g.yaw.to_degrees(),
                g.thickness
            ),
            Grasp::TopDown => "top-down".to_owned(),
        }
    }
}

/// True if an object has not followed the hand that lifts it. `object_z` is the height of its origin,
/// `rest_z` that before the lift, `rise` how far the hand has risen, m.
pub(super) fn left_behind(object_z: f64, rest_z: f64, rise: f64) -> bool {
    rise > 0.03 && object_z < rest_z + 0.4 * rise - 0.005
}
