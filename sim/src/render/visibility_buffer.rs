//! Visibility buffer: the nearest triangle of each of four samples per pixel, after clipping at the near plane and a
//! guard band (Burns and Hunt 2013). Shading happens later, once per pixel and triangle.
//!
//! A sample is covered when no edge function is negative; two triangles that share an edge evaluate
//! it with exactly opposite sign, so no gap can open between them.

use super::math::V3;
use super::projection::{CLIPPED, GUARD_BAND, NEAR, OUTSIDE, ProjectedVertices, plane_distance};
use super::simd_dispatch::multiversion;

/// Sample positions in a pixel: a rotated grid.
pub(super) const SAMPLES: [[f32; 2]; 4] = [
    [0.375, 0.125],
    [0.875, 0.375],
    [0.125, 0.625],
    [0.625, 0.875],
];
/// Identifier of no triangle.
pub(super) const NO_TRIANGLE: u32 = u32::MAX;

/// A corner of a clipped triangle: clip coordinates and barycentric coordinates in the whole triangle.
#[derive(Clone, Copy)]
struct Corner {
    x: f32,
    y: f32,
    w: f32,
    bary: V3,
}

/// A linear function of the pixel position: value at the origin, per pixel right, per pixel down.
pub(super) type Plane = [f32; 3];

/// A triangle that at least one sample sees, with what its shading needs.
pub(super) struct VisibleTriangle {
    /// Vertex indices.
    pub vertices: [u32; 3],
    /// Index of its drawable.
    pub drawable: u32,
    /// Inverse depth over the image.
    pub inv_w: Plane,
    /// Barycentric coordinate of the first corner, divided by depth, over the image.
    pub b0: Plane,
    /// That of the second corner.
    pub b1: Plane,
    /// Origin of the planes, pixels.
    pub origin: [f32; 2],
}

multiversion! {
    /// Draws the triangles of one drawable into the samples of a mask (see [`coverage_mask`]).
    pub(super) fn draw(
        buffer: &mut VisibilityBuffer,
        vertices: &ProjectedVertices,
        triangles: &[[u32; 3]],
        drawable: u32,
        mask: u32,
    ) {
        for t in triangles {
            buffer.add_triangle(vertices, *t, drawable, mask);
        }
    }
}

/// `x`, clamped to a range that every image lies in, and the whole number next to it.
#[inline(always)]
fn rounded(x: f32) -> (f32, f32) {
    // Beyond this constant floats are whole numbers, so the sum rounds.
    const SHIFT: f32 = 12_582_912.0;
    let x = if x < 8192.0 { x } else { 8192.0 };
    let x = if x > -8192.0 { x } else { -8192.0 };
    (x, x + SHIFT - SHIFT)
}

/// Smallest whole number not below `x`, clamped like [`rounded`].
#[inline(always)]
fn ceil(x: f32) -> f32 {
    let (x, i) = rounded(x);
    i + if i < x { 1.0 } else { 0.0 }
}

/// Largest whole number not above `x`, clamped like [`rounded`].
#[inline(always)]
fn floor(x: f32) -> f32 {
    let (x, i) = rounded(x);
    i - if i > x { 1.0 } else { 0.0 }
}

/// Nearest triangle and depth of every sample of an image.
#[derive(Default)]
pub(super) struct VisibilityBuffer {
    pub width: usize,
    pub height: usize,
    /// Inverse depth per sample, 1/m: the planes of the sample positions one after another, and room for a chunk.
    inv_depth: Vec<f32>,
    /// Index of the triangle per sample, in the same layout.
    nearest: Vec<u32>,
    /// Visible triangles; those of a drawable lie together.
    pub triangles: Vec<VisibleTriangle>,
    /// Plane in clip coordinates on whose negative side nothing is drawn.
    pub mirror_side: Option<[f32; 4]>,
}

/// Rows whose samples are tested together.
const ROWS: usize = 4;
/// Samples tested together.
const TESTS: usize = ROWS * SAMPLES.len();
/// Sample positions of the tests: those of one row after another.
const TEST_X: [f32; TESTS] = column(0);
const TEST_Y: [f32; TESTS] = column(1);
/// Row of each test.
const TEST_ROW: [f32; TESTS] = column(2);

const fn column(which: usize) -> [f32; TESTS] {
    let mut out = [0.0; TESTS];
    let mut i = 0;
    while i < TESTS {
        out[i] = match which {
            2 => (i / SAMPLES.len()) as f32,
            axis => SAMPLES[i % SAMPLES.len()][axis],
        };
        i += 1;
    }
    out
}

/// Samples that a surface of opacity `alpha` covers, one bit for each test: alpha to coverage, rounded to quarters.
pub(super) fn coverage_mask(alpha: f32) -> u32 {
    let covered = (alpha.clamp(0.0, 1.0) * SAMPLES.len() as f32 + 0.5) as usize;
    (0..TESTS)
        .filter(|i| i % SAMPLES.len() < covered)
        .fold(0, |mask, i| mask | 1 << i)
}

/// Samples of a row that are drawn together.
const CHUNK: usize = 16;

impl VisibilityBuffer {
    /// Starts an empty image.
    pub(super) fn begin(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        let n = width * height * SAMPLES.len() + CHUNK;
        self.inv_depth.clear();
        self.inv_depth.resize(n, 0.0);
        self.nearest.clear();
        self.nearest.resize(n, NO_TRIANGLE);
        self.triangles.clear();
    }

    #[inline(always)]
    fn add_triangle(&mut self, p: &ProjectedVertices, v: [u32; 3], drawable: u32, mask: u32) {
        let at = v.map(|i| i as usize);
        let code = at.map(|i| p.code[i]);
        // All corners lie outside one border.
        if code[0] & code[1] & code[2] & OUTSIDE != 0 {
            return;
        }
        if (code[0] | code[1] | code[2]) & CLIPPED == 0 {
            let bary = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
            let (x, y) = (at.map(|i| p.x[i]), at.map(|i| p.y[i]));
            self.fill(x, y, at.map(|i| p.inv_w[i]), &bary, v, drawable, mask);
        } else {
            self.add_clipped(p, v, drawable, mask);
        }
    }

    /// Draws a triangle that reaches behind the camera or far out of the image, clipped (Sutherland and Hodgman).
    #[inline(always)]
    fn add_clipped(&mut self, p: &ProjectedVertices, v: [u32; 3], drawable: u32, mask: u32) {
        let corner = |k: usize| {
            let mut bary = [0.0; 3];
            bary[k] = 1.0;
            let [x, y, w] = [0, 1, 2].map(|axis| p.clip[axis][v[k] as usize]);
            Corner { x, y, w, bary }
        };
        let mut poly: Vec<Corner> = vec![corner(0), corner(1), corner(2)];
        let mirror_side = self.mirror_side;
        // Used only with a mirror.
        let behind_mirror =
            |c: &Corner| mirror_side.map_or(0.0, |side| plane_distance(side, [c.x, c.y, c.w]));
        let planes: [&dyn Fn(&Corner) -> f32; 6] = [
            &|c| c.w - NEAR,
            &|c| GUARD_BAND * c.w - c.x,
            &|c| GUARD_BAND * c.w + c.x,
            &|c| GUARD_BAND * c.w - c.y,
            &|c| GUARD_BAND * c.w + c.y,
            &behind_mirror,
        ];
        for side in planes
            .iter()
            .take(if mirror_side.is_some() { 6 } else { 5 })
        {
            let mut next = Vec::with_capacity(poly.len() + 1);
            for i in 0..poly.len() {
                let (a, b) = (poly[i], poly[(i + 1) % poly.len()]);
                let (da, db) = (side(&a), side(&b));
                if da >= 0.0 {
                    next.push(a);
                }
                if (da >= 0.0) != (db >= 0.0) {
                    // Always from the inner end, so that a shared edge is clipped at one point.
                    let (s, e, ds, de) = if da >= 0.0 {
                        (a, b, da, db)
                    } else {
                        (b, a, db, da)
                    };
                    let t = ds / (ds - de);
                    let l = |x: f32, y: f32| x + (y - x) * t;
                    next.push(Corner {
                        x: l(s.x, e.x),
                        y: l(s.y, e.y),
                        w: l(s.w, e.w).max(NEAR),
                        bary: [0, 1, 2].map(|k| l(s.bary[k], e.bary[k])),
                    });
                }
            }
            poly = next;
            if poly.len() < 3 {
                return;
            }
        }
        let (hw, hh) = (self.width as f32 * 0.5, self.height as f32 * 0.5);
        for k in 1..poly.len() - 1 {
            let c = [poly[0], poly[k], poly[k + 1]];
            let iw = c.map(|c| 1.0 / c.w);
            let x = [0, 1, 2].map(|k| hw + hw * (c[k].x * iw[k]));
            let y = [0, 1, 2].map(|k| hh - hh * (c[k].y * iw[k]));
            self.fill(x, y, iw, &c.map(|c| c.bary), v, drawable, mask);
        }
    }

    /// Rasterises a projected triangle: corners in pixels, inverse depths, barycentric coordinates of the corners
    /// in the whole triangle `v`. Back faces are left out.
    #[allow(clippy::too_many_arguments)]
    #[inline(always)]
    fn fill(
        &mut self,
        x: [f32; 3],
        y: [f32; 3],
        iw: [f32; 3],
        bary: &[V3; 3],
        v: [u32; 3],
        drawable: u32,
        mask: u32,
    ) {
        // Twice the area; y points down, so that a front face is negative.
        let area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0]);
        if area >= -1e-9 {
            return;
        }
        let min = |a: [f32; 3]| a[0].min(a[1]).min(a[2]);
        let max = |a: [f32; 3]| a[0].max(a[1]).max(a[2]);
        let y_first = (min(y) - 1.0).max(0.0) as usize;
        let y_end = ((max(y) + 2.0).max(0.0) as usize).min(self.height);
        let (x_min, x_max) = (min(x), max(x));
        if y_first >= y_end || x_max < 0.0 || x_min > self.width as f32 {
            return;
        }
        // Edge functions a x + b y + c, positive inside.
        let edge = |i: usize, j: usize| (y[j] - y[i], x[i] - x[j], x[j] * y[i] - x[i] * y[j]);
        let edges = [edge(1, 2), edge(2, 0), edge(0, 1)];
        let inv = edges.map(|e| 1.0 / e.0);
        let inv_area = 1.0 / area;
        let plane = |f: [f32; 3]| -> Plane {
            let (d1, d2) = (f[1] - f[0], f[2] - f[0]);
            [
                f[0],
                (d1 * (y[2] - y[0]) - d2 * (y[1] - y[0])) * inv_area,
                (d2 * (x[1] - x[0]) - d1 * (x[2] - x[0])) * inv_area,
            ]
        };
        let inv_w = plane(iw);
        let id = self.triangles.len() as u32;
        let mut drawn = 0u32;
        let size = self.width * self.height;
        let last = self.width as i32 - 1;
        let mut row = y_first;
        while row < y_end {
            // First and last pixel of the span of each sample position in each of a few rows.
            let (mut lo, mut hi) = ([0.0f32; TESTS], [last as f32; TESTS]);
            let mut yy = [0.0f32; TESTS];
            for i in 0..TESTS {
                let r = row as i32 as f32 + TEST_ROW[i];
                yy[i] = r + TEST_Y[i];
                hi[i] = if r < y_end as i32 as f32 { hi[i] } else { -1.0 };
            }
            for (e, inv) in edges.iter().zip(inv) {
                let mut k = [0.0f32; TESTS];
                for i in 0..TESTS {
                    k[i] = e.1 * yy[i] + e.2;
                }
                if e.0 > 0.0 {
                    for i in 0..TESTS {
                        let first = ceil(-k[i] * inv - TEST_X[i]);
                        lo[i] = if first > lo[i] { first } else { lo[i] };
                    }
                } else if e.0 < 0.0 {
                    for i in 0..TESTS {
                        let end = floor(-k[i] * inv - TEST_X[i]);
                        hi[i] = if end < hi[i] { end } else { hi[i] };
                    }
                } else {
                    for i in 0..TESTS {
                        hi[i] = if k[i] < 0.0 { -1.0 } else { hi[i] };
                    }
                }
            }
            let mut live = 0u32;
            for i in 0..TESTS {
                live |= u32::from(lo[i] <= hi[i]) << i;
            }
            live &= mask;
            while live != 0 {
                let i = live.trailing_zeros() as usize % TESTS;
                live &= live - 1;
                let (s, r) = (i % SAMPLES.len(), row + i / SAMPLES.len());
                let (a, b) = (lo[i] as usize, hi[i] as usize);
                let base = s * size + r * self.width;
                let sx = SAMPLES[s][0];
                let z_row = inv_w[0] + inv_w[2] * (yy[i] - y[0]) + inv_w[1] * (sx - x[0]);
                let mut at = a;
                while at <= b {
                    let depth = self.inv_depth[base + at..].first_chunk_mut::<CHUNK>();
                    let ids = self.nearest[base + at..].first_chunk_mut::<CHUNK>();
                    // `begin` leaves room for a chunk behind the last sample, so that both are there.
                    let (Some(depth), Some(ids)) = (depth, ids) else {
                        break;
                    };
                    let left = (b - at) as i32;
                    let first = at as i32;
                    let (mut z_near, mut id_near) = (*depth, *ids);
                    for j in 0..CHUNK {
                        let z = z_row + inv_w[1] * (first + j as i32) as f32;
                        let nearer = (z > z_near[j]) & (j as i32 <= left);
                        z_near[j] = if nearer { z } else { z_near[j] };
                        id_near[j] = if nearer { id } else { id_near[j] };
                        drawn |= u32::from(nearer);
                    }
                    (*depth, *ids) = (z_near, id_near);
                    at += CHUNK;
                }
            }
            row += ROWS;
        }
        if drawn != 0 {
            let over = |k: usize| plane([0, 1, 2].map(|i| bary[i][k] * iw[i]));
            self.triangles.push(VisibleTriangle {
                vertices: v,
                drawable,
                inv_w,
                b0: over(0),
                b1: over(1),
                origin: [x[0], y[0]],
            });
        }
    }

    /// Clears all pixels but the given ones.
    pub(super) fn keep_only(&mut self, pixels: impl Iterator<Item = usize>) {
        let size = self.width * self.height;
        let kept: Vec<(usize, [u32; 4])> = pixels.map(|p| (p, self.pixel(p))).collect();
        self.nearest.fill(NO_TRIANGLE);
        for (pixel, ids) in kept {
            for (s, id) in ids.into_iter().enumerate() {
                self.nearest[s * size + pixel] = id;
            }
        }
    }

    /// The triangles of the four samples of a pixel.
    #[inline(always)]
    pub(super) fn pixel(&self, index: usize) -> [u32; 4] {
        let size = self.width * self.height;
        let at = |s: usize| self.nearest[s * size + index];
        [at(0), at(1), at(2), at(3)]
    }
}
