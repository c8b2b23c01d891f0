//! Colours of the pixels: every pixel is shaded once per triangle it sees, in groups of [`LANES`]
//! requests of one part. Each lane does what the formulas say in their order, so the colour of a
//! pixel does not depend on its neighbours in the group.

use super::Part;
use super::isa::multiversion;
use super::lighting::{Lighting, Material, Surface};
use super::math::{LANES, Lanes, Rigid, V3, add, scale, splats, units, xyz};
use super::raster::{Raster, Tri};
use super::shading_queue::{Fragment, ShadingQueue};
use super::shadow::Shadow;
use super::simd::Wide;
use super::texture::Texture;
use std::ops::Range;
use std::sync::Arc;

/// What shading looks at besides the image.
pub(super) struct View<'a> {
    pub parts: &'a [Part],
    /// Normals in the frames of the bodies; colours where they are made per vertex.
    pub normals: &'a [V3],
    /// Colours are made per vertex.
    pub per_vertex: bool,
    pub uvs: &'a [[f32; 2]],
    pub materials: &'a [Material],
    pub textures: &'a [Arc<Texture>],
    pub lights: &'a Lighting,
    pub shadow: &'a Shadow,
    pub frames: &'a [Rigid],
    pub eye: &'a Rigid,
    pub tan: [f32; 2],
}

/// Numbers of a triangle that its requests share: origin of the planes (2), inverse depth (3), two
/// barycentric coordinates (3 each), normals (9) and texture coordinates (6) of the corners.
const COLUMNS: usize = 26;
const INV_W: usize = 2;
const B0: usize = 5;
const B1: usize = 8;
const NORMALS: usize = 11;
const UVS: usize = 20;

/// Numbers of the triangles of a group.
trait Columns {
    fn get<F: Wide>(&self, column: usize) -> F;

    /// The plane that begins in a column, at a distance from its origin.
    #[inline(always)]
    fn plane<F: Wide>(&self, column: usize, [dx, dy]: [F; 2]) -> F {
        self.get::<F>(column) + self.get::<F>(column + 1) * dx + self.get::<F>(column + 2) * dy
    }

    /// Coordinate `k` of the texture (0 or 1), mixed from the corners.
    #[inline(always)]
    fn texel<F: Wide>(&self, k: usize, b: [F; 3]) -> F {
        self.get::<F>(UVS + k) * b[0]
            + self.get::<F>(UVS + 2 + k) * b[1]
            + self.get::<F>(UVS + 4 + k) * b[2]
    }

    /// The normal, mixed from the corners.
    #[inline(always)]
    fn normal<F: Wide>(&self, b: [F; 3]) -> [F; 3] {
        xyz!(k => self.get::<F>(NORMALS + k) * b[0]
            + self.get::<F>(NORMALS + 3 + k) * b[1]
            + self.get::<F>(NORMALS + 6 + k) * b[2])
    }
}

/// All requests see one triangle.
struct One([f32; COLUMNS]);

impl Columns for One {
    #[inline(always)]
    fn get<F: Wide>(&self, column: usize) -> F {
        F::splat(self.0[column])
    }
}

/// Each request has a triangle of its own.
struct Many([Lanes; COLUMNS]);

impl Columns for Many {
    #[inline(always)]
    fn get<F: Wide>(&self, column: usize) -> F {
        F::load(&self.0[column])
    }
}

/// Shades an image into bytes.
pub(super) fn image(view: &View<'_>, raster: &Raster, requests: &mut ShadingQueue) -> Vec<u8> {
    requests.collect(raster);
    for (part, range) in requests.by_part(raster, view.parts) {
        shade(view, raster, part, range, requests);
    }
    requests.finish()
}

multiversion! {
    /// Shades the requests of a part.
    fn shade<F>(
        view: &View<'_>,
        raster: &Raster,
        part: &Part,
        range: Range<usize>,
        requests: &mut ShadingQueue,
    ) {
        let mut at = range.start;
        while at < range.end {
            let (group, len) = requests.take(at, range.end);
            let first = columns(view, &raster.tris[group[0].triangle as usize]);
            // They are sorted.
            let colour = if group[0].triangle == group[len - 1].triangle {
                colours::<F, _>(view, raster, part, &group, &One(first))
            } else {
                let mut many = Many([[0.0; LANES]; COLUMNS]);
                let mut known = first;
                for i in 0..LANES {
                    if i > 0 && group[i].triangle != group[i - 1].triangle {
                        known = columns(view, &raster.tris[group[i].triangle as usize]);
                    }
                    for k in 0..COLUMNS {
                        many.0[k][i] = known[k];
                    }
                }
                colours::<F, _>(view, raster, part, &group, &many)
            };
            requests.answer(&group[..len], colour);
            at += len;
        }
    }
}

/// The columns of one triangle.
#[inline(always)]
fn columns(view: &View<'_>, t: &Tri) -> [f32; COLUMNS] {
    let mut c = [0.0; COLUMNS];
    c[0..2].copy_from_slice(&t.origin);
    c[INV_W..B0].copy_from_slice(&t.inv_w);
    c[B0..B1].copy_from_slice(&t.b0);
    c[B1..NORMALS].copy_from_slice(&t.b1);
    for k in 0..3 {
        let (n, uv) = (NORMALS + 3 * k, UVS + 2 * k);
        c[n..n + 3].copy_from_slice(&view.normals[t.v[k] as usize]);
        c[uv..uv + 2].copy_from_slice(&view.uvs[t.v[k] as usize]);
    }
    c
}

/// Colours of a group, channels 0..255.
#[inline(always)]
fn colours<F: Wide, C: Columns>(
    view: &View<'_>,
    raster: &Raster,
    part: &Part,
    group: &[Fragment; LANES],
    col: &C,
) -> [F; 3] {
    let num = F::splat;
    let material = &view.materials[part.material];
    let eye = view.eye;
    let (mut x, mut y) = ([0.0; LANES], [0.0; LANES]);
    for (i, r) in group.iter().enumerate() {
        (x[i], y[i]) = (r.x, r.y);
    }
    let (x, y) = (F::load(&x), F::load(&y));
    let to = [x - col.get(0), y - col.get(1)];
    let (near, least) = (col.plane(INV_W, to), num(1e-6));
    let depth = num(1.0) / F::pick(near.greater(least), near, least);
    let (b0, b1) = (col.plane(B0, to) * depth, col.plane(B1, to) * depth);
    let b = [b0, b1, num(1.0) - b0 - b1];
    if view.per_vertex {
        let mut colour = col.normal(b);
        if let Some(t) = material.texture {
            let tint = view.textures[t].sample(texel(material, col, depth, b));
            colour = xyz!(k => colour[k] * tint[k]);
        }
        return xyz!(k => byte(colour[k]));
    }
    let normal = units(view.frames[part.body].dir(col.normal(b)));
    let (w, h) = (num(raster.width as f32), num(raster.height as f32));
    let ray = eye.dir([
        (num(2.0) * x / w - num(1.0)) * num(view.tan[0]),
        (num(1.0) - num(2.0) * y / h) * num(view.tan[1]),
        num(-1.0),
    ]);
    let surface = Surface {
        normal,
        point: add(splats(eye.t), scale(ray, depth)),
        back: units(scale(ray, num(-1.0))),
    };
    let open = view.shadow.open(surface.point, normal[2]);
    let (base, shine) = view.lights.on(material, &surface, eye.z);
    let specular = num(material.specular);
    let mut colour = xyz!(k => num(material.rgb[k]) * (base * open) + specular * shine * open);
    if let Some(t) = material.texture {
        let tint = view.textures[t].sample(texel(material, col, depth, b));
        colour = xyz!(k => colour[k] * tint[k]);
    }
    xyz!(k => byte(colour[k]))
}

/// From 0..1 to 0..255, cut.
#[inline(always)]
fn byte<F: Wide>(v: F) -> F {
    let (zero, one) = (F::splat(0.0), F::splat(1.0));
    let v = F::pick(zero.greater(v), zero, v);
    F::pick(v.greater(one), one, v) * F::splat(255.0)
}

/// Where points lie in a texture: `u` and `v` (one unit is one repeat), and how many units the longest
/// edges of their pixels span.
#[inline(always)]
fn texel<F: Wide, C: Columns>(material: &Material, col: &C, depth: F, b: [F; 3]) -> [F; 3] {
    let here = [col.texel(0, b), col.texel(1, b)];
    let right = stretch(material, col, depth, here, 1);
    let down = stretch(material, col, depth, here, 2);
    let span = F::pick(right.greater(down), right, down).sqrt();
    let [u, v] = material.repeat;
    [here[0] * F::splat(u), here[1] * F::splat(v), span]
}

/// Square of the length that the edge of a pixel (`axis` 1: to the right, 2: down) has in a texture,
/// from the derivatives of the planes.
#[inline(always)]
fn stretch<F: Wide, C: Columns>(
    material: &Material,
    col: &C,
    depth: F,
    here: [F; 2],
    axis: usize,
) -> F {
    let (d0, d1) = (col.get::<F>(B0 + axis), col.get::<F>(B1 + axis));
    let dw = col.get::<F>(INV_W + axis);
    let d = [d0, d1, dw - d0 - d1];
    let u = (col.texel(0, d) - here[0] * dw) * depth * F::splat(material.repeat[0]);
    let v = (col.texel(1, d) - here[1] * dw) * depth * F::splat(material.repeat[1]);
    u * u + v * v
}
