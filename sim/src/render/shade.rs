//! Colours of the pixels: every pixel is shaded once per triangle it sees, a row of requests at a
//! time in groups of [`LANES`]. Each lane does what the formulas say in their order, so the colour of
//! a pixel does not depend on its neighbours in the group.

use super::isa::multiversion;
use super::light::{Lamp, Lights, Material};
use super::math::{Rigid, V3, add, dot, scale, sub, unit};
use super::raster::{NONE, Raster, SAMPLES, Tri};
use super::shadow::Shadow;
use super::texture::Texture;
use super::{BACKGROUND, Part};

/// What shading looks at besides the image.
pub(super) struct View<'a> {
    pub parts: &'a [Part],
    pub normals: &'a [V3],
    pub uvs: &'a [[f32; 2]],
    pub materials: &'a [Material],
    pub textures: &'a [Texture],
    pub lights: &'a Lights,
    pub shadow: &'a Shadow,
    pub frames: &'a [Rigid],
    pub eye: &'a Rigid,
    pub tan: [f32; 2],
}

/// Requests shaded together.
const LANES: usize = 16;
type Lanes = [f32; LANES];
type Lanes3 = [Lanes; 3];

/// Numbers of a request that its triangle and its material decide.
const COLUMNS: usize = 42;

/// Requests waiting to be shaded.
struct Group {
    len: usize,
    id: [u32; LANES],
    x: Lanes,
    y: Lanes,
    pixel: [usize; LANES],
    weight: Lanes,
}

multiversion! {
    /// Shades an image into bytes.
    pub(super) fn image(view: &View<'_>, raster: &Raster, rgb: &mut Vec<u8>) {
        let quarter = 1.0 / SAMPLES.len() as f32;
        let mut sums = vec![[0.0f32; 3]; raster.width];
        let mut group = Group {
            len: 0,
            id: [0; LANES],
            x: [0.0; LANES],
            y: [0.0; LANES],
            pixel: [0; LANES],
            weight: [0.0; LANES],
        };
        for y in 0..raster.height {
            sums.fill([0.0; 3]);
            for x in 0..raster.width {
                let ids = raster.pixel(y * raster.width + x);
                if ids[0] == ids[1] && ids[0] == ids[2] && ids[0] == ids[3] {
                    let at = [x as f32 + 0.5, y as f32 + 0.5];
                    ask(view, raster, &mut group, &mut sums, (x, at, ids[0], 1.0));
                    continue;
                }
                for k in 0..4 {
                    if ids[..k].contains(&ids[k]) {
                        continue;
                    }
                    // Shade at the middle of the samples that see this triangle.
                    let (mut n, mut px, mut py) = (0.0, 0.0, 0.0);
                    for (id, s) in ids.iter().zip(SAMPLES) {
                        if *id == ids[k] {
                            n += 1.0;
                            px += s[0];
                            py += s[1];
                        }
                    }
                    let at = [x as f32 + px / n, y as f32 + py / n];
                    ask(view, raster, &mut group, &mut sums, (x, at, ids[k], n * quarter));
                }
            }
            flush(view, raster, &mut group, &mut sums);
            for sum in &sums {
                rgb.extend(sum.map(|v| (v + 0.5) as u8));
            }
        }
    }
}

/// Adds a request: pixel of the row, point of the image, triangle, share of the pixel.
#[inline(always)]
fn ask(
    view: &View<'_>,
    raster: &Raster,
    group: &mut Group,
    sums: &mut [V3],
    (pixel, at, id, weight): (usize, [f32; 2], u32, f32),
) {
    let i = group.len % LANES;
    group.id[i] = id;
    group.x[i] = at[0];
    group.y[i] = at[1];
    group.pixel[i] = pixel;
    group.weight[i] = weight;
    group.len += 1;
    if group.len == LANES {
        flush(view, raster, group, sums);
    }
}

/// The columns of one triangle.
#[inline(always)]
fn columns(view: &View<'_>, t: &Tri) -> ([f32; COLUMNS], u32) {
    let part = &view.parts[t.part as usize];
    let m = &view.materials[part.material];
    let f = &view.frames[part.body];
    let mut c = [0.0; COLUMNS];
    c[0..2].copy_from_slice(&t.origin);
    c[2..5].copy_from_slice(&t.inv_w);
    c[5..8].copy_from_slice(&t.b0);
    c[8..11].copy_from_slice(&t.b1);
    for k in 0..3 {
        c[11 + 3 * k..14 + 3 * k].copy_from_slice(&view.normals[t.v[k] as usize]);
    }
    c[20..23].copy_from_slice(&f.x);
    c[23..26].copy_from_slice(&f.y);
    c[26..29].copy_from_slice(&f.z);
    c[29..32].copy_from_slice(&m.rgb);
    c[32] = m.specular;
    c[33] = m.emission;
    for k in 0..3 {
        c[34 + 2 * k..36 + 2 * k].copy_from_slice(&view.uvs[t.v[k] as usize]);
    }
    c[40..42].copy_from_slice(&m.repeat);
    (c, m.exponent)
}

/// Shades what waits and adds it to the sums, in the order in which it was asked for.
#[inline(never)]
fn flush(view: &View<'_>, raster: &Raster, group: &mut Group, sums: &mut [V3]) {
    shade(view, raster, group, sums);
    group.len = 0;
}

multiversion! {
    fn shade(view: &View<'_>, raster: &Raster, group: &Group, sums: &mut [V3]) {
        let len = group.len;
        let Some(first) = group.id[..len].iter().position(|id| *id != NONE) else {
            for i in 0..len {
                let sum = &mut sums[group.pixel[i]];
                *sum = add(*sum, scale(BACKGROUND.map(|v| v * 255.0), group.weight[i]));
            }
            return;
        };
        // Lanes without a triangle repeat one that has one; their results are not used.
        let mut id = [group.id[first]; LANES];
        for i in 0..len {
            id[i] = if group.id[i] == NONE { id[i] } else { group.id[i] };
        }
        let mut col = [[0.0f32; LANES]; COLUMNS];
        let mut exponent = [0u32; LANES];
        let mut known = columns(view, &raster.tris[id[0] as usize]);
        if id.iter().all(|i| *i == id[0]) {
            for k in 0..COLUMNS {
                col[k] = [known.0[k]; LANES];
            }
            exponent = [known.1; LANES];
        } else {
            for i in 0..LANES {
                if i > 0 && id[i] != id[i - 1] {
                    known = columns(view, &raster.tris[id[i] as usize]);
                }
                for k in 0..COLUMNS {
                    col[k][i] = known.0[k];
                }
                exponent[i] = known.1;
            }
        }
        let (w, h) = (raster.width as f32, raster.height as f32);
        let eye = view.eye;
        let mut depth: Lanes = [0.0; LANES];
        let (mut b0, mut b1) = (depth, depth);
        let mut normal: Lanes3 = [[0.0; LANES]; 3];
        let (mut point, mut back) = (normal, normal);
        for i in 0..LANES {
            let (x, y) = (group.x[i], group.y[i]);
            let (dx, dy) = (x - col[0][i], y - col[1][i]);
            let at = |p: usize| col[p][i] + col[p + 1][i] * dx + col[p + 2][i] * dy;
            let near = at(2);
            let d = 1.0 / if near > 1e-6 { near } else { 1e-6 };
            let (p0, p1) = (at(5) * d, at(8) * d);
            let p2 = 1.0 - p0 - p1;
            let v = |p: usize| [col[p][i], col[p + 1][i], col[p + 2][i]];
            let n = add(add(scale(v(11), p0), scale(v(14), p1)), scale(v(17), p2));
            let turn = Rigid { x: v(20), y: v(23), z: v(26), t: [0.0; 3] };
            let n = unit(turn.dir(n));
            let ray = [(2.0 * x / w - 1.0) * view.tan[0], (1.0 - 2.0 * y / h) * view.tan[1], -1.0];
            let ray = eye.dir(ray);
            let p = add(eye.t, scale(ray, d));
            let b = unit(scale(ray, -1.0));
            depth[i] = d;
            b0[i] = p0;
            b1[i] = p1;
            for k in 0..3 {
                normal[k][i] = n[k];
                point[k][i] = p[k];
                back[k][i] = b[k];
            }
        }
        let mut open: Lanes = [1.0; LANES];
        for i in 0..len {
            open[i] = view.shadow.open(point.map(|c| c[i]), normal.map(|c| c[i]));
        }
        let (base, shine) = light(view, (&col[32], &col[33], &exponent), &normal, &point, &back);
        let mut colour: Lanes3 = [[0.0; LANES]; 3];
        for k in 0..3 {
            for i in 0..LANES {
                colour[k][i] = col[29 + k][i] * (base[i] * open[i]) + col[32][i] * shine[i] * open[i];
            }
        }
        let mut texture: [Option<&Texture>; LANES] = [None; LANES];
        let mut any = false;
        for i in 0..len {
            let t = &raster.tris[id[i] as usize];
            let m = &view.materials[view.parts[t.part as usize].material];
            texture[i] = m.texture.map(|t| &view.textures[t]);
            any |= texture[i].is_some();
        }
        if any {
            textured(&texture, &col, &depth, &b0, &b1, &mut colour);
        }
        for i in 0..len {
            let byte = |v: f32| v.clamp(0.0, 1.0) * 255.0;
            let c = if group.id[i] == NONE {
                BACKGROUND.map(|v| v * 255.0)
            } else {
                colour.map(|c| byte(c[i]))
            };
            let sum = &mut sums[group.pixel[i]];
            *sum = add(*sum, scale(c, group.weight[i]));
        }
    }
}

/// Multiplies colours by those of the textures where the pixels see their triangles.
#[inline(always)]
fn textured(
    texture: &[Option<&Texture>; LANES],
    col: &[Lanes; COLUMNS],
    depth: &Lanes,
    b0: &Lanes,
    b1: &Lanes,
    colour: &mut Lanes3,
) {
    let zero: Lanes = [0.0; LANES];
    let (mut u, mut v, mut span) = (zero, zero, zero);
    for i in 0..LANES {
        let b2 = 1.0 - b0[i] - b1[i];
        let uv = |corner: usize, k: usize| col[34 + 2 * corner + k][i];
        let along = |k: usize| uv(0, k) * b0[i] + uv(1, k) * b1[i] + uv(2, k) * b2;
        let here = [along(0), along(1)];
        // Change of the coordinates per pixel, from the derivatives of the planes.
        let slope = |k: usize, axis: usize| {
            let (d0, d1, dw) = (col[5 + axis][i], col[8 + axis][i], col[2 + axis][i]);
            let d2 = dw - d0 - d1;
            let over = uv(0, k) * d0 + uv(1, k) * d1 + uv(2, k) * d2;
            (over - here[k] * dw) * depth[i] * col[40 + k][i]
        };
        let (ux, vx, uy, vy) = (slope(0, 1), slope(1, 1), slope(0, 2), slope(1, 2));
        let (right, down) = (ux * ux + vx * vx, uy * uy + vy * vy);
        span[i] = (if right > down { right } else { down }).sqrt();
        u[i] = here[0] * col[40][i];
        v[i] = here[1] * col[41][i];
    }
    // Four texels of two levels each; where one level is enough, the blend is zero.
    let mut texels = [[0u32; LANES]; 8];
    let mut across = [[zero; 2]; 2];
    let mut blend = zero;
    for i in 0..LANES {
        let Some(t) = texture[i] else { continue };
        let (near, far, share) = t.levels_for(span[i]);
        blend[i] = share;
        for (k, level) in [near, far].into_iter().enumerate() {
            let (four, fx, fy) = level.corners(u[i], v[i]);
            for (j, texel) in four.into_iter().enumerate() {
                texels[4 * k + j][i] = texel;
            }
            across[k][0][i] = fx;
            across[k][1][i] = fy;
        }
    }
    let mut drawn = [false; LANES];
    for i in 0..LANES {
        drawn[i] = texture[i].is_some();
    }
    for channel in 0..3 {
        for i in 0..LANES {
            let level = |k: usize| {
                let at = |j: usize| (texels[4 * k + j][i] >> (8 * channel) & 255) as i32 as f32;
                let (fx, fy) = (across[k][0][i], across[k][1][i]);
                let t = at(0) + (at(1) - at(0)) * fx;
                let s = at(2) + (at(3) - at(2)) * fx;
                (t + (s - t) * fy) * (1.0 / 255.0)
            };
            let (a, b) = (level(0), level(1));
            let c = colour[channel][i] * (a + (b - a) * blend[i]);
            colour[channel][i] = if drawn[i] { c } else { colour[channel][i] };
        }
    }
}

/// `x` to integer powers by squaring: the same roundings everywhere.
#[inline(always)]
fn powers(x: &Lanes, n: &[u32; LANES], bits: u32) -> Lanes {
    let (mut x, mut y) = (*x, [1.0f32; LANES]);
    for bit in 0..bits {
        for i in 0..LANES {
            y[i] = if n[i] >> bit & 1 == 1 {
                y[i] * x[i]
            } else {
                y[i]
            };
            x[i] *= x[i];
        }
    }
    y
}

/// Light that surfaces send back: factor of their colour, and highlight (see `light`).
#[inline(always)]
fn light(
    view: &View<'_>,
    (specular, emission, exponent): (&Lanes, &Lanes, &[u32; LANES]),
    n: &Lanes3,
    p: &Lanes3,
    back: &Lanes3,
) -> (Lanes, Lanes) {
    let head = view.lights.head;
    let top = exponent.iter().fold(0, |a, e| a | e);
    let bits = u32::BITS - top.leading_zeros();
    let any_glossy = specular.iter().any(|s| *s > 0.0);
    let at = |v: &Lanes3, i: usize| [v[0][i], v[1][i], v[2][i]];
    let mut facing: Lanes = [0.0; LANES];
    let mut base: Lanes = [0.0; LANES];
    let mut shine: Lanes = [0.0; LANES];
    for i in 0..LANES {
        let f = dot(at(n, i), view.eye.z);
        facing[i] = if f > 0.0 { f } else { 0.0 };
        base[i] = emission[i] + head[0] + head[1] * facing[i];
    }
    if any_glossy {
        let power = powers(&facing, exponent, bits);
        for i in 0..LANES {
            shine[i] = if specular[i] > 0.0 {
                head[2] * power[i]
            } else {
                0.0
            };
        }
    }
    for l in &view.lights.lamps {
        let mut strength: Lanes = [0.0; LANES];
        let mut facing: Lanes = [0.0; LANES];
        let mut lit = [false; LANES];
        for i in 0..LANES {
            let (to, lambert, power, reached) = toward(l, at(n, i), at(p, i));
            let half = unit(add(to, at(back, i)));
            let f = dot(at(n, i), half);
            facing[i] = if f > 0.0 { f } else { 0.0 };
            strength[i] = power;
            lit[i] = reached;
            base[i] += l.ambient;
            let more = base[i] + power * l.diffuse * lambert;
            base[i] = if reached { more } else { base[i] };
        }
        if any_glossy && lit.contains(&true) {
            let power = powers(&facing, exponent, bits);
            for i in 0..LANES {
                let more = shine[i] + strength[i] * l.specular * power[i];
                shine[i] = if lit[i] & (specular[i] > 0.0) {
                    more
                } else {
                    shine[i]
                };
            }
        }
    }
    (base, shine)
}

/// Direction to a lamp, cosine of incidence, power, and whether its light arrives.
#[inline(always)]
fn toward(l: &Lamp, n: V3, p: V3) -> (V3, f32, f32, bool) {
    if l.directional {
        let to = [-l.dir[0], -l.dir[1], -l.dir[2]];
        let lambert = dot(n, to);
        return (to, lambert, 1.0, lambert > 0.0);
    }
    let to = sub(l.pos, p);
    let lambert = dot(n, to);
    let c = -dot(l.dir, to);
    let far2 = dot(to, to);
    let inside = (c >= 0.0) & (c * c >= l.cos_cutoff * l.cos_cutoff * far2);
    let near = 1.0 / far2.sqrt();
    let c = c * near;
    let c2 = c * c;
    let c4 = c2 * c2;
    (
        scale(to, near),
        lambert * near,
        c4 * c4 * c2,
        inside & (lambert > 0.0),
    )
}
