//! Colours of the fragments, in groups of [`LANES`] fragments of one drawable. Each lane evaluates the formulas in
//! their written order, so that the colour of a fragment does not depend on its neighbours in the group.

use super::drawable::{Drawable, SceneGeometry};
use super::lighting::{Lighting, Material, SurfacePoints};
use super::math::{RigidTransform, V3, add, normalized_lanes, scale, splat3, xyz};
use super::shading_queue::{Fragment, ShadingQueue};
use super::shadow_map::ShadowMap;
use super::simd::{F32x16, LANES};
use super::simd_dispatch::multiversion;
use super::static_image::StaticImage;
use super::visibility_buffer::{VisibilityBuffer, VisibleTriangle};
use std::ops::Range;

/// Inputs of the shading of an image.
pub(super) struct ShadingInputs<'a> {
    pub geometry: &'a SceneGeometry,
    /// Colours of the vertices where they are lit per vertex; none for lighting per fragment.
    pub vertex_colours: Option<&'a [V3]>,
    pub lighting: &'a Lighting,
    pub shadow: &'a ShadowMap,
    /// World poses of the bodies.
    pub frames: &'a [RigidTransform],
    /// Pose of the camera.
    pub eye: &'a RigidTransform,
    /// Half of the image's width and height at distance one.
    pub tan: [f32; 2],
}

/// Attributes of a triangle that its fragments share: origin of the planes (2), inverse depth (3), two barycentric
/// coordinates (3 each), normals or colours (9) and texture coordinates (6) of the corners.
const ATTRIBUTES: usize = 26;
const INV_W: usize = 2;
const B0: usize = 5;
const B1: usize = 8;
const NORMALS: usize = 11;
const UVS: usize = 20;

/// Attributes of the triangles of a group of fragments.
trait TriangleAttributes {
    fn get<F: F32x16>(&self, attribute: usize) -> F;

    /// The plane that begins at an attribute, at a distance from its origin.
    #[inline(always)]
    fn plane<F: F32x16>(&self, attribute: usize, [dx, dy]: [F; 2]) -> F {
        self.get::<F>(attribute)
            + self.get::<F>(attribute + 1) * dx
            + self.get::<F>(attribute + 2) * dy
    }

    /// Texture coordinate `k` (0 or 1) at barycentric coordinates.
    #[inline(always)]
    fn uv<F: F32x16>(&self, k: usize, b: [F; 3]) -> F {
        self.get::<F>(UVS + k) * b[0]
            + self.get::<F>(UVS + 2 + k) * b[1]
            + self.get::<F>(UVS + 4 + k) * b[2]
    }

    /// Normal, or colour where it is per vertex, at barycentric coordinates.
    #[inline(always)]
    fn normal<F: F32x16>(&self, b: [F; 3]) -> [F; 3] {
        xyz!(k => self.get::<F>(NORMALS + k) * b[0]
            + self.get::<F>(NORMALS + 3 + k) * b[1]
            + self.get::<F>(NORMALS + 6 + k) * b[2])
    }
}

/// All fragments see one triangle.
struct SharedTriangle([f32; ATTRIBUTES]);

impl TriangleAttributes for SharedTriangle {
    #[inline(always)]
    fn get<F: F32x16>(&self, attribute: usize) -> F {
        F::splat(self.0[attribute])
    }
}

/// Lanes that are written at once.
const RUN: usize = 8;

/// Each fragment has a triangle of its own; the numbers behind the lanes mean nothing.
struct TrianglePerLane([[f32; LANES + RUN]; ATTRIBUTES]);

impl TrianglePerLane {
    /// Writes the first `n` attributes of a triangle into the lanes from `start` to `end`, and anything into the lanes
    /// behind.
    #[inline(always)]
    fn set(&mut self, [start, end]: [usize; 2], triangle: &[f32; ATTRIBUTES], n: usize) {
        let mut at = start;
        while at < end {
            for k in 0..n {
                if let Some(run) = self.0[k][at..].first_chunk_mut::<RUN>() {
                    *run = [triangle[k]; RUN];
                }
            }
            at += RUN;
        }
    }
}

impl TriangleAttributes for TrianglePerLane {
    #[inline(always)]
    fn get<F: F32x16>(&self, attribute: usize) -> F {
        match self.0[attribute].first_chunk() {
            Some(lanes) => F::load(lanes),
            None => F::splat(0.0),
        }
    }
}

/// Shades an image into bytes, RGB, top row first; `base` is the one over which the buffer was drawn.
pub(super) fn shade_image(
    inputs: &ShadingInputs<'_>,
    buffer: &VisibilityBuffer,
    base: Option<&StaticImage>,
    queue: &mut ShadingQueue,
) -> Vec<u8> {
    queue.collect(buffer, base.map(|base| (base, inputs.shadow)));
    for (drawable, range) in queue.by_drawable(buffer, &inputs.geometry.drawables) {
        shade_drawable(inputs, buffer, drawable, range, queue);
    }
    queue.finish()
}

multiversion! {
    /// Shades the fragments of a drawable.
    fn shade_drawable<F>(
        inputs: &ShadingInputs<'_>,
        buffer: &VisibilityBuffer,
        drawable: &Drawable,
        range: Range<usize>,
        queue: &mut ShadingQueue,
    ) {
        let material = &inputs.geometry.materials[drawable.material];
        let has_texture = material.texture.is_some();
        let mut lanes = TrianglePerLane([[0.0; LANES + RUN]; ATTRIBUTES]);
        let mut at = range.start;
        while at < range.end {
            let (group, len) = queue.take(at, range.end);
            let first = &buffer.triangles[group[0].triangle as usize];
            let first = attributes(inputs, first, has_texture);
            // They are sorted.
            let colour = if group[0].triangle == group[len - 1].triangle {
                colours::<F, _>(inputs, buffer, drawable, &group, &SharedTriangle(first))
            } else {
                let n = if has_texture { ATTRIBUTES } else { UVS };
                let (mut start, mut known) = (0, first);
                for end in 1..=LANES {
                    if end < LANES && group[end].triangle == group[start].triangle {
                        continue;
                    }
                    lanes.set([start, end], &known, n);
                    if end < LANES {
                        let next = &buffer.triangles[group[end].triangle as usize];
                        known = attributes(inputs, next, has_texture);
                    }
                    start = end;
                }
                colours::<F, _>(inputs, buffer, drawable, &group, &lanes)
            };
            queue.store(&group[..len], colour);
            at += len;
        }
    }
}

/// The attributes of one triangle; without a texture the last ones are zero.
#[inline(always)]
fn attributes(
    inputs: &ShadingInputs<'_>,
    t: &VisibleTriangle,
    has_texture: bool,
) -> [f32; ATTRIBUTES] {
    let mut c = [0.0; ATTRIBUTES];
    c[0..2].copy_from_slice(&t.origin);
    c[INV_W..B0].copy_from_slice(&t.inv_w);
    c[B0..B1].copy_from_slice(&t.b0);
    c[B1..NORMALS].copy_from_slice(&t.b1);
    let normals = inputs.vertex_colours.unwrap_or(&inputs.geometry.normals);
    for k in 0..3 {
        let n = NORMALS + 3 * k;
        c[n..n + 3].copy_from_slice(&normals[t.vertices[k] as usize]);
    }
    if has_texture {
        for k in 0..3 {
            let uv = UVS + 2 * k;
            c[uv..uv + 2].copy_from_slice(&inputs.geometry.uvs[t.vertices[k] as usize]);
        }
    }
    c
}

/// Colours of a group, channels 0..255.
#[inline(always)]
fn colours<F: F32x16, A: TriangleAttributes>(
    inputs: &ShadingInputs<'_>,
    buffer: &VisibilityBuffer,
    drawable: &Drawable,
    group: &[Fragment; LANES],
    triangle: &A,
) -> [F; 3] {
    let splat = F::splat;
    let geometry = inputs.geometry;
    let material = &geometry.materials[drawable.material];
    let eye = inputs.eye;
    let (mut x, mut y) = ([0.0; LANES], [0.0; LANES]);
    for (i, r) in group.iter().enumerate() {
        (x[i], y[i]) = (r.x, r.y);
    }
    let (x, y) = (F::load(&x), F::load(&y));
    let offset = [x - triangle.get(0), y - triangle.get(1)];
    let (inv_w, least) = (triangle.plane(INV_W, offset), splat(1e-6));
    let depth = splat(1.0) / F::select(inv_w.gt(least), inv_w, least);
    let b0 = triangle.plane(B0, offset) * depth;
    let b1 = triangle.plane(B1, offset) * depth;
    let b = [b0, b1, splat(1.0) - b0 - b1];
    if inputs.vertex_colours.is_some() {
        let mut colour = triangle.normal(b);
        if let Some(t) = material.texture {
            let texel = geometry.textures[t].sample(texture_point(material, triangle, depth, b));
            colour = xyz!(k => colour[k] * texel[k]);
        }
        return xyz!(k => to_byte_range(colour[k]));
    }
    let normal = normalized_lanes(inputs.frames[drawable.body].dir(triangle.normal(b)));
    let (w, h) = (splat(buffer.width as f32), splat(buffer.height as f32));
    let ray = eye.dir([
        (splat(2.0) * x / w - splat(1.0)) * splat(inputs.tan[0]),
        (splat(1.0) - splat(2.0) * y / h) * splat(inputs.tan[1]),
        splat(-1.0),
    ]);
    let points = SurfacePoints {
        normal,
        point: add(splat3(eye.t), scale(ray, depth)),
        to_eye: normalized_lanes(scale(ray, splat(-1.0))),
    };
    let open = inputs.shadow.visibility(points.point, normal[2]);
    let (base, highlight) = inputs.lighting.at_points(material, &points, eye.z);
    let specular = splat(material.specular);
    let mut colour =
        xyz!(k => splat(material.rgb[k]) * (base * open) + specular * highlight * open);
    if let Some(t) = material.texture {
        let texel = geometry.textures[t].sample(texture_point(material, triangle, depth, b));
        colour = xyz!(k => colour[k] * texel[k]);
    }
    xyz!(k => to_byte_range(colour[k]))
}

/// From 0..1 to 0..255, clamped.
#[inline(always)]
fn to_byte_range<F: F32x16>(v: F) -> F {
    let (zero, one) = (F::splat(0.0), F::splat(1.0));
    let v = F::select(zero.gt(v), zero, v);
    F::select(v.gt(one), one, v) * F::splat(255.0)
}

/// Points of a texture: `u` and `v` (one unit is one repeat), and the number of units that the longer edges of their
/// pixels span.
#[inline(always)]
fn texture_point<F: F32x16, A: TriangleAttributes>(
    material: &Material,
    triangle: &A,
    depth: F,
    b: [F; 3],
) -> [F; 3] {
    let uv = [triangle.uv(0, b), triangle.uv(1, b)];
    let right = squared_span(material, triangle, depth, uv, 1);
    let down = squared_span(material, triangle, depth, uv, 2);
    let span = F::select(right.gt(down), right, down).sqrt();
    let [u, v] = material.repeat;
    [uv[0] * F::splat(u), uv[1] * F::splat(v), span]
}

/// Square of the length in texture units of the edge of a pixel (`axis` 1: to the right, 2: down), from the derivatives
/// of the planes.
#[inline(always)]
fn squared_span<F: F32x16, A: TriangleAttributes>(
    material: &Material,
    triangle: &A,
    depth: F,
    uv: [F; 2],
    axis: usize,
) -> F {
    let (d0, d1) = (triangle.get::<F>(B0 + axis), triangle.get::<F>(B1 + axis));
    let dw = triangle.get::<F>(INV_W + axis);
    let d = [d0, d1, dw - d0 - d1];
    let u = (triangle.uv(0, d) - uv[0] * dw) * depth * F::splat(material.repeat[0]);
    let v = (triangle.uv(1, d) - uv[1] * dw) * depth * F::splat(material.repeat[1]);
    u * u + v * v
}
