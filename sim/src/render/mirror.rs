//! What a mirroring face shows, as MuJoCo draws it: the scene as seen from the camera's mirror image, all
//! that is below the face cut away, its colours dimmed, added to the colour of the face. One shape mirrors
//! at most, with the face on its upper side.

use super::Frustum;
use super::math::{Rigid, V3, add as sum, dot, scale, sub};
use super::mesh::Mesh;
use super::raster::{NONE, Raster};
use crate::description::MaterialDesc;

/// The upper face of a part.
#[derive(Clone)]
pub(super) struct Mirror {
    /// Index of the part.
    pub part: usize,
    /// A point of the face and its normal in the frame of the body.
    point: V3,
    normal: V3,
    reflectance: f32,
}

/// The mirror as the mirrored camera sees it.
pub(super) struct Glass {
    /// Index of the part, which is not mirrored itself.
    pub part: usize,
    /// Plane of the face in clip coordinates, positive above it.
    pub side: [f32; 4],
    /// Factor of the colours.
    pub reflectance: f32,
}

/// A pixel that sees the face, and the share of it.
pub(super) type Seen = (usize, f32);

impl Mirror {
    /// The upper face of a mesh that stands in `frame` on its body.
    pub fn new(part: usize, mesh: &Mesh, frame: &Rigid, material: &MaterialDesc) -> Mirror {
        let top = mesh.positions.iter().fold(f32::MIN, |z, p| z.max(p[2]));
        Mirror {
            part,
            point: frame.point([0.0, 0.0, top]),
            normal: frame.z,
            reflectance: material.reflectance as f32,
        }
    }

    /// Pixels that see the face.
    pub fn faces(&self, raster: &Raster, normals: &[V3]) -> Vec<Seen> {
        let up: Vec<bool> = (raster.tris.iter())
            .map(|t| {
                let upward = |v: &u32| dot(normals[*v as usize], self.normal) > 0.99;
                t.part as usize == self.part && t.v.iter().all(upward)
            })
            .collect();
        if !up.contains(&true) {
            return Vec::new();
        }
        (0..raster.width * raster.height)
            .filter_map(|pixel| {
                let ids = raster.pixel(pixel);
                let n = (ids.iter().filter(|id| **id != NONE && up[**id as usize])).count();
                (n > 0).then_some((pixel, n as f32 * 0.25))
            })
            .collect()
    }

    /// The view of the mirrored camera, turned left to right so that its axes are right-handed, and
    /// narrowed to some pixels; `None` without pixels or from behind.
    pub fn frustum(&self, from: &Frustum, frame: &Rigid, faces: &[Seen]) -> Option<Frustum> {
        let (point, normal) = (frame.point(self.point), frame.dir(self.normal));
        let above = dot(sub(from.eye.t, point), normal);
        if faces.is_empty() || above <= 0.0 {
            return None;
        }
        let turned = |v: V3| sub(v, scale(normal, 2.0 * dot(v, normal)));
        let eye = Rigid {
            x: scale(turned(from.eye.x), -1.0),
            y: turned(from.eye.y),
            z: turned(from.eye.z),
            t: sum(from.eye.t, scale(normal, -2.0 * above)),
        };
        let [w, h] = from.size;
        let mut pixels = [[usize::MAX, 0]; 2];
        for (pixel, _) in faces {
            let at = across(*pixel, w);
            for (ends, v) in pixels.iter_mut().zip([at % w, at / w]) {
                *ends = [ends[0].min(v), ends[1].max(v + 1)];
            }
        }
        let [tx, ty] = from.tan;
        let right = pixels[0].map(|x| (2.0 * x as f32 / w as f32 - 1.0) * tx);
        let down = pixels[1].map(|y| (1.0 - 2.0 * y as f32 / h as f32) * ty);
        Some(Frustum {
            eye,
            tan: from.tan,
            slopes: [right, [down[1], down[0]]],
            size: from.size,
            head: from.head,
            mirror: Some(Glass {
                part: self.part,
                side: [
                    dot(eye.x, normal) * tx,
                    dot(eye.y, normal) * ty,
                    -dot(eye.z, normal),
                    -above,
                ],
                reflectance: self.reflectance,
            }),
        })
    }
}

/// The pixel on the other side of the image.
pub(super) fn across(pixel: usize, width: usize) -> usize {
    pixel - pixel % width + (width - 1 - pixel % width)
}

/// Adds what the mirror shows to an image.
pub(super) fn add(rgb: &mut [u8], faces: &[Seen], shown: &[u8], raster: &Raster) {
    for (pixel, share) in faces {
        let from = across(*pixel, raster.width);
        if raster.pixel(from) == [NONE; 4] {
            continue;
        }
        for k in 0..3 {
            let v = f32::from(rgb[3 * pixel + k]) + share * f32::from(shown[3 * from + k]);
            rgb[3 * pixel + k] = (v + 0.5).min(255.0) as u8;
        }
    }
}
