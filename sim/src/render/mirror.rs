//! Planar reflection, as MuJoCo draws it: the scene as seen from the camera's mirror image, all that is below the
//! mirror cut away, its colours dimmed, added to the colour of the mirror. At most one shape of a scene reflects,
//! with its upper face.

use super::frustum::{Frustum, MirrorPlane};
use super::math::{RigidTransform, V3, dot, scale, sub};
use super::mesh::Mesh;
use super::visibility_buffer::{NO_TRIANGLE, VisibilityBuffer};
use crate::description::MaterialDesc;

/// The reflecting face of a drawable.
#[derive(Clone)]
pub(super) struct Mirror {
    /// Index of the drawable.
    pub drawable: usize,
    /// A point of the face in the frame of the body, m.
    point: V3,
    /// Normal of the face in the frame of the body.
    normal: V3,
    reflectance: f32,
}

/// A pixel that sees the mirror.
pub(super) struct MirrorPixel {
    /// Index of the pixel, row by row.
    pub index: usize,
    /// Share of its samples that see the mirror.
    coverage: f32,
}

impl Mirror {
    /// The upper face of a mesh whose pose on its body is `frame`.
    pub fn new(
        drawable: usize,
        mesh: &Mesh,
        frame: &RigidTransform,
        material: &MaterialDesc,
    ) -> Mirror {
        let top = mesh.positions.iter().fold(f32::MIN, |z, p| z.max(p[2]));
        Mirror {
            drawable,
            point: frame.point([0.0, 0.0, top]),
            normal: frame.z,
            reflectance: material.reflectance as f32,
        }
    }

    /// Finds the pixels that see the mirror.
    pub fn pixels(&self, buffer: &VisibilityBuffer, normals: &[V3]) -> Vec<MirrorPixel> {
        let faces_up: Vec<bool> = (buffer.triangles.iter())
            .map(|t| {
                let upward = |v: &u32| dot(normals[*v as usize], self.normal) > 0.99;
                t.drawable as usize == self.drawable && t.vertices.iter().all(upward)
            })
            .collect();
        if !faces_up.contains(&true) {
            return Vec::new();
        }
        (0..buffer.width * buffer.height)
            .filter_map(|index| {
                let ids = buffer.pixel(index);
                let n = (ids.iter())
                    .filter(|id| **id != NO_TRIANGLE && faces_up[**id as usize])
                    .count();
                (n > 0).then_some(MirrorPixel {
                    index,
                    coverage: n as f32 * 0.25,
                })
            })
            .collect()
    }

    /// Frustum of the reflected camera, turned left to right so that its axes are right-handed, and narrowed to
    /// some pixels; none without pixels or from below the mirror. `frame` is the pose of the mirror's body.
    pub fn reflected(
        &self,
        direct: &Frustum,
        frame: &RigidTransform,
        pixels: &[MirrorPixel],
    ) -> Option<Frustum> {
        let (point, normal) = (frame.point(self.point), frame.dir(self.normal));
        let above = dot(sub(direct.eye.t, point), normal);
        if pixels.is_empty() || above <= 0.0 {
            return None;
        }
        let reflect = |v: V3| sub(v, scale(normal, 2.0 * dot(v, normal)));
        let eye = RigidTransform {
            x: scale(reflect(direct.eye.x), -1.0),
            y: reflect(direct.eye.y),
            z: reflect(direct.eye.z),
            t: super::math::add(direct.eye.t, scale(normal, -2.0 * above)),
        };
        let [w, h] = direct.size;
        let mut bounds = [[usize::MAX, 0]; 2];
        for pixel in pixels {
            let at = flipped(pixel.index, w);
            for (ends, v) in bounds.iter_mut().zip([at % w, at / w]) {
                *ends = [ends[0].min(v), ends[1].max(v + 1)];
            }
        }
        let [tx, ty] = direct.tan;
        let right = bounds[0].map(|x| (2.0 * x as f32 / w as f32 - 1.0) * tx);
        let down = bounds[1].map(|y| (1.0 - 2.0 * y as f32 / h as f32) * ty);
        let mut frustum =
            Frustum::new(eye, direct.tan, direct.size).narrowed([right, [down[1], down[0]]]);
        frustum.to_headlight = direct.to_headlight;
        frustum.mirror = Some(MirrorPlane {
            drawable: self.drawable,
            side: [
                dot(eye.x, normal) * tx,
                dot(eye.y, normal) * ty,
                -dot(eye.z, normal),
                -above,
            ],
            reflectance: self.reflectance,
        });
        Some(frustum)
    }
}

/// Index of the pixel in the image flipped left to right.
pub(super) fn flipped(pixel: usize, width: usize) -> usize {
    pixel - pixel % width + (width - 1 - pixel % width)
}

/// Adds the reflection, an image that is flipped left to right, to the mirror's pixels of an image.
pub(super) fn add_reflection(
    rgb: &mut [u8],
    pixels: &[MirrorPixel],
    reflection: &[u8],
    buffer: &VisibilityBuffer,
) {
    for pixel in pixels {
        let from = flipped(pixel.index, buffer.width);
        if buffer.pixel(from) == [NO_TRIANGLE; 4] {
            continue;
        }
        for k in 0..3 {
            let to = 3 * pixel.index + k;
            let v = f32::from(rgb[to]) + pixel.coverage * f32::from(reflection[3 * from + k]);
            rgb[to] = (v + 0.5).min(255.0) as u8;
        }
    }
}
