//! Which triangle each sample of the image sees: clipping at the near plane and a guard band, and a
//! z-buffer with four samples per pixel. Shading happens later, once per pixel and triangle.
//!
//! A sample is covered when no edge function is negative; two triangles that share an edge evaluate
//! it with exactly opposite sign, so no gap can open between them.

use super::isa::multiversion;
use super::math::{Rigid, V3, dot, sub};

/// Sample positions in a pixel: a rotated grid.
pub(crate) const SAMPLES: [[f32; 2]; 4] = [
    [0.375, 0.125],
    [0.875, 0.375],
    [0.125, 0.625],
    [0.625, 0.875],
];
const NEAR: f32 = 0.01;
/// Triangles reach at most this many half images beyond the centre before they are cut.
const GUARD: f32 = 4.0;
/// No triangle.
pub(crate) const NONE: u32 = u32::MAX;

/// A corner before projection: clip coordinates and where it lies in its triangle.
#[derive(Clone, Copy)]
struct Corner {
    x: f32,
    y: f32,
    w: f32,
    bary: V3,
}

/// A linear function of the pixel position: value at the origin, per pixel right, per pixel down.
pub(crate) type Plane = [f32; 3];

/// What the shader needs of a visible triangle.
pub(crate) struct Tri {
    /// Vertex indices.
    pub v: [u32; 3],
    /// Index of the drawn part it belongs to.
    pub part: u32,
    /// Inverse depth over the image.
    pub inv_w: Plane,
    /// Barycentric coordinates of the first two corners, divided by depth, over the image.
    pub b0: Plane,
    /// Second of them.
    pub b1: Plane,
    /// Origin of the planes, pixels.
    pub origin: [f32; 2],
}

/// Vertices of a frame, each seen and projected once.
#[derive(Default)]
pub(crate) struct Projected {
    /// Clip coordinates scaled so that the image spans `-w..w`, with y up.
    pub clip: [Vec<f32>; 3],
    /// Pixel position, y down.
    x: Vec<f32>,
    y: Vec<f32>,
    inv_w: Vec<f32>,
    /// One bit per border beyond which the vertex lies, and [`CUT`].
    code: Vec<u32>,
}

/// The vertex lies beyond the near plane or the guard band.
const CUT: u32 = 32;
/// The vertex lies on the hidden side of a mirror.
const HIDDEN: u32 = 64;
/// Borders beyond which nothing is seen.
const BORDERS: u32 = (CUT - 1) | HIDDEN;

impl Projected {
    pub(crate) fn resize(&mut self, n: usize) {
        let Projected {
            clip: [a, b, c],
            x,
            y,
            inv_w,
            code,
        } = self;
        for v in [a, b, c, x, y, inv_w] {
            v.resize(n, 0.0);
        }
        code.resize(n, 0);
    }

    /// Hides the vertices of a range on one side of a plane: of those with `side . (x, y, w, 1) < 0`.
    pub(crate) fn hide(&mut self, range: std::ops::Range<usize>, side: [f32; 4]) {
        for i in range {
            let clip = [self.clip[0][i], self.clip[1][i], self.clip[2][i]];
            if beside(side, clip) < 0.0 {
                self.code[i] |= CUT | HIDDEN;
            }
        }
    }
}

/// Distance from a plane in clip coordinates.
#[inline(always)]
fn beside(side: [f32; 4], clip: V3) -> f32 {
    side[0] * clip[0] + side[1] * clip[1] + side[2] * clip[2] + side[3]
}

multiversion! {
    /// Sees the vertices of a range from `eye` and projects them to an image of `2 half` pixels.
    pub(crate) fn project(
        out: &mut Projected,
        world: &[Vec<f32>; 3],
        range: std::ops::Range<usize>,
        eye: &Rigid,
        tan: [f32; 2],
        half: [f32; 2],
    ) {
        let Projected { clip: [cx, cy, cw], x, y, inv_w, code } = out;
        let n = range.len();
        let (wx, wy, wz) = (&world[0][range.clone()], &world[1][range.clone()], &world[2][range.clone()]);
        let (cx, cy, cw) = (&mut cx[range.clone()][..n], &mut cy[range.clone()][..n], &mut cw[range.clone()][..n]);
        let (x, y) = (&mut x[range.clone()][..n], &mut y[range.clone()][..n]);
        let (inv_w, code) = (&mut inv_w[range.clone()][..n], &mut code[range][..n]);
        for i in 0..n {
            let d = sub([wx[i], wy[i], wz[i]], eye.t);
            let v = [dot(d, eye.x), dot(d, eye.y), -dot(d, eye.z)];
            let (px, py, w) = (v[0] / tan[0], v[1] / tan[1], v[2]);
            let safe = (w >= NEAR) & (px.abs() <= GUARD * w) & (py.abs() <= GUARD * w);
            code[i] = u32::from(px > w)
                | u32::from(px < -w) << 1
                | u32::from(py > w) << 2
                | u32::from(py < -w) << 3
                | u32::from(w < NEAR) << 4
                | u32::from(!safe) << 5;
            let iw = 1.0 / w;
            inv_w[i] = iw;
            x[i] = half[0] + half[0] * (px * iw);
            y[i] = half[1] - half[1] * (py * iw);
            cx[i] = px;
            cy[i] = py;
            cw[i] = w;
        }
    }
}

multiversion! {
    /// Draws the triangles of one part into the samples of a mask (see [`mask`]).
    pub(crate) fn draw(
        raster: &mut Raster,
        vertices: &Projected,
        triangles: &[[u32; 3]],
        part: u32,
        mask: u32,
    ) {
        for t in triangles {
            raster.triangle(vertices, *t, part, mask);
        }
    }
}

/// The whole number next to `x`, which is cut to a range that every image lies in.
#[inline(always)]
fn nearest(x: f32) -> (f32, f32) {
    // Beyond this constant floats are whole numbers, so the sum rounds.
    const SHIFT: f32 = 12_582_912.0;
    let x = if x < 8192.0 { x } else { 8192.0 };
    let x = if x > -8192.0 { x } else { -8192.0 };
    (x, x + SHIFT - SHIFT)
}

/// Smallest whole number not below `x`, cut like [`nearest`].
#[inline(always)]
fn up(x: f32) -> f32 {
    let (x, i) = nearest(x);
    i + if i < x { 1.0 } else { 0.0 }
}

/// Largest whole number not above `x`, cut like [`nearest`].
#[inline(always)]
fn down(x: f32) -> f32 {
    let (x, i) = nearest(x);
    i - if i > x { 1.0 } else { 0.0 }
}

/// Visibility of an image.
#[derive(Default)]
pub(crate) struct Raster {
    pub width: usize,
    pub height: usize,
    /// Inverse depth per sample; planes of one sample position after another, and room for a chunk.
    depth: Vec<f32>,
    /// Triangle per sample, in the same layout.
    seen: Vec<u32>,
    pub tris: Vec<Tri>,
    /// Plane in clip coordinates on whose negative side nothing is drawn.
    pub mirror: Option<[f32; 4]>,
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

/// Samples that a surface of some opacity covers, one bit for each test: as many of the four of a pixel
/// as come nearest to it.
pub(crate) fn mask(alpha: f32) -> u32 {
    let covered = (alpha.clamp(0.0, 1.0) * SAMPLES.len() as f32 + 0.5) as usize;
    (0..TESTS)
        .filter(|i| i % SAMPLES.len() < covered)
        .fold(0, |mask, i| mask | 1 << i)
}

/// Samples of a row that are drawn together.
const CHUNK: usize = 16;

impl Raster {
    pub(crate) fn begin(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        let n = width * height * SAMPLES.len() + CHUNK;
        self.depth.clear();
        self.depth.resize(n, 0.0);
        self.seen.clear();
        self.seen.resize(n, NONE);
        self.tris.clear();
    }

    #[inline(always)]
    fn triangle(&mut self, p: &Projected, v: [u32; 3], part: u32, mask: u32) {
        let at = v.map(|i| i as usize);
        let code = at.map(|i| p.code[i]);
        // Outside one border with all corners?
        if code[0] & code[1] & code[2] & BORDERS != 0 {
            return;
        }
        if (code[0] | code[1] | code[2]) & CUT == 0 {
            let bary = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
            let (x, y) = (at.map(|i| p.x[i]), at.map(|i| p.y[i]));
            self.fill(x, y, at.map(|i| p.inv_w[i]), &bary, v, part, mask);
        } else {
            self.cut(p, v, part, mask);
        }
    }

    /// Draws a triangle that reaches behind the camera or far out of the image.
    #[inline(always)]
    fn cut(&mut self, p: &Projected, v: [u32; 3], part: u32, mask: u32) {
        let corner = |k: usize| {
            let mut bary = [0.0; 3];
            bary[k] = 1.0;
            let [x, y, w] = [0, 1, 2].map(|axis| p.clip[axis][v[k] as usize]);
            Corner { x, y, w, bary }
        };
        let mut poly: Vec<Corner> = vec![corner(0), corner(1), corner(2)];
        let mirror = self.mirror;
        let hidden = |c: &Corner| mirror.map_or(0.0, |side| beside(side, [c.x, c.y, c.w]));
        let planes: [&dyn Fn(&Corner) -> f32; 6] = [
            &|c| c.w - NEAR,
            &|c| GUARD * c.w - c.x,
            &|c| GUARD * c.w + c.x,
            &|c| GUARD * c.w - c.y,
            &|c| GUARD * c.w + c.y,
            &hidden,
        ];
        for side in planes.iter().take(if mirror.is_some() { 6 } else { 5 }) {
            let mut next = Vec::with_capacity(poly.len() + 1);
            for i in 0..poly.len() {
                let (a, b) = (poly[i], poly[(i + 1) % poly.len()]);
                let (da, db) = (side(&a), side(&b));
                if da >= 0.0 {
                    next.push(a);
                }
                if (da >= 0.0) != (db >= 0.0) {
                    // Always cut from the inner end, so that a shared edge is cut at one point.
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
            self.fill(x, y, iw, &c.map(|c| c.bary), v, part, mask);
        }
    }

    #[allow(clippy::too_many_arguments)]
    #[inline(always)]
    fn fill(
        &mut self,
        x: [f32; 3],
        y: [f32; 3],
        iw: [f32; 3],
        bary: &[V3; 3],
        v: [u32; 3],
        part: u32,
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
        let id = self.tris.len() as u32;
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
                        let first = up(-k[i] * inv - TEST_X[i]);
                        lo[i] = if first > lo[i] { first } else { lo[i] };
                    }
                } else if e.0 < 0.0 {
                    for i in 0..TESTS {
                        let end = down(-k[i] * inv - TEST_X[i]);
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
                    let depth = self.depth[base + at..].first_chunk_mut::<CHUNK>();
                    let seen = self.seen[base + at..].first_chunk_mut::<CHUNK>();
                    let (Some(depth), Some(seen)) = (depth, seen) else {
                        break;
                    };
                    let left = (b - at) as i32;
                    let first = at as i32;
                    let (mut z_near, mut id_near) = (*depth, *seen);
                    for j in 0..CHUNK {
                        let z = z_row + inv_w[1] * (first + j as i32) as f32;
                        let nearer = (z > z_near[j]) & (j as i32 <= left);
                        z_near[j] = if nearer { z } else { z_near[j] };
                        id_near[j] = if nearer { id } else { id_near[j] };
                        drawn |= u32::from(nearer);
                    }
                    (*depth, *seen) = (z_near, id_near);
                    at += CHUNK;
                }
            }
            row += ROWS;
        }
        if drawn != 0 {
            let over = |k: usize| plane([0, 1, 2].map(|i| bary[i][k] * iw[i]));
            self.tris.push(Tri {
                v,
                part,
                inv_w,
                b0: over(0),
                b1: over(1),
                origin: [x[0], y[0]],
            });
        }
    }

    /// Forgets what all pixels but the given ones see.
    pub(crate) fn keep_only(&mut self, pixels: impl Iterator<Item = usize>) {
        let size = self.width * self.height;
        let kept: Vec<(usize, [u32; 4])> = pixels.map(|p| (p, self.pixel(p))).collect();
        self.seen.fill(NONE);
        for (pixel, ids) in kept {
            for (s, id) in ids.into_iter().enumerate() {
                self.seen[s * size + pixel] = id;
            }
        }
    }

    /// The triangles of the four samples of a pixel.
    #[inline(always)]
    pub(crate) fn pixel(&self, index: usize) -> [u32; 4] {
        let size = self.width * self.height;
        let at = |s: usize| self.seen[s * size + index];
        [at(0), at(1), at(2), at(3)]
    }
}
