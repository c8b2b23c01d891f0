//! The view frustum of an image: pose and opening of the camera, and what is clipped away.

use super::math::{RigidTransform, V3, dot, sub};

/// Camera pose and field of view of one image.
pub(super) struct Frustum {
    /// Pose of the camera in the world; its view direction is -z, with +y up.
    pub eye: RigidTransform,
    /// Half of the image's width and height at distance one.
    pub tan: [f32; 2],
    /// Lowest and highest slope that is drawn, to the right and up.
    pub slopes: [[f32; 2]; 2],
    /// Width and height, pixels.
    pub size: [usize; 2],
    /// Direction from the scene to the headlight, world frame.
    pub to_headlight: V3,
    /// The mirror whose reflection is drawn; none for a direct view.
    pub mirror: Option<MirrorPlane>,
    /// Lengths of the vectors `(slope, 1)`.
    slope_lengths: [[f32; 2]; 2],
}

/// A mirror in the clip coordinates of the reflected camera.
pub(super) struct MirrorPlane {
    /// Index of the mirror's drawable, which is not reflected itself.
    pub drawable: usize,
    /// Plane of the mirror in clip coordinates, positive above it.
    pub side: [f32; 4],
    /// Factor of the reflected colours.
    pub reflectance: f32,
}

impl Frustum {
    /// Frustum of a whole image, with the headlight at the camera.
    pub fn new(eye: RigidTransform, tan: [f32; 2], size: [usize; 2]) -> Frustum {
        let [tx, ty] = tan;
        Frustum {
            eye,
            tan,
            slopes: [[0.0; 2]; 2],
            size,
            to_headlight: eye.z,
            mirror: None,
            slope_lengths: [[0.0; 2]; 2],
        }
        .narrowed([[-tx, tx], [-ty, ty]])
    }

    /// The same frustum with other slopes.
    pub fn narrowed(self, slopes: [[f32; 2]; 2]) -> Frustum {
        Frustum {
            slopes,
            slope_lengths: slopes.map(|ends| ends.map(|t| (1.0 + t * t).sqrt())),
            ..self
        }
    }

    /// Returns true when a sphere around a world point (m) lies wholly outside.
    pub fn excludes(&self, centre: V3, radius: f32) -> bool {
        let d = sub(centre, self.eye.t);
        let c = [dot(d, self.eye.x), dot(d, self.eye.y), -dot(d, self.eye.z)];
        let outside = |k: usize| {
            let ([low, high], [l_low, l_high]) = (self.slopes[k], self.slope_lengths[k]);
            c[k] - c[2] * high > radius * l_high || c[2] * low - c[k] > radius * l_low
        };
        c[2] < -radius || outside(0) || outside(1)
    }
}
