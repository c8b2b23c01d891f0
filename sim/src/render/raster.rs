//! Which triangle each sample of the image sees: clipping at the near plane and a guard band, and a
//! z-buffer with four samples per pixel. Shading happens later, once per pixel and triangle.
//!
//! A sample is covered when no edge function is negative; two triangles that share an edge evaluate
//! it with exactly opposite sign, so no gap can open between them.

use super::math::{V3, ceil, floor};

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

/// Visibility of an image.
#[derive(Default)]
pub(crate) struct Raster {
    pub width: usize,
    pub height: usize,
    /// Inverse depth per sample; planes of one sample position after another.
    depth: Vec<f32>,
    /// Triangle per sample.
    pub seen: Vec<u32>,
    pub tris: Vec<Tri>,
}

impl Raster {
    pub(crate) fn begin(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        let n = width * height * SAMPLES.len();
        self.depth.clear();
        self.depth.resize(n, 0.0);
        self.seen.clear();
        self.seen.resize(n, NONE);
        self.tris.clear();
    }

    /// Draws a triangle. `p` are its corners in clip coordinates scaled so that the image spans
    /// `-w..w`, with y up.
    #[inline]
    pub(crate) fn triangle(&mut self, p: [V3; 3], v: [u32; 3], part: u32) {
        // Outside one border with all corners?
        let out = |f: fn(&V3) -> bool| p.iter().all(f);
        if out(|c| c[0] > c[2])
            || out(|c| c[0] < -c[2])
            || out(|c| c[1] > c[2])
            || out(|c| c[1] < -c[2])
            || out(|c| c[2] < NEAR)
        {
            return;
        }
        let corner = |k: usize| {
            let mut bary = [0.0; 3];
            bary[k] = 1.0;
            Corner {
                x: p[k][0],
                y: p[k][1],
                w: p[k][2],
                bary,
            }
        };
        let tri = [corner(0), corner(1), corner(2)];
        let inside = p
            .iter()
            .all(|c| c[2] >= NEAR && c[0].abs() <= GUARD * c[2] && c[1].abs() <= GUARD * c[2]);
        if inside {
            self.fill(tri, v, part);
            return;
        }
        let mut poly: Vec<Corner> = tri.to_vec();
        let planes: [fn(&Corner) -> f32; 5] = [
            |c| c.w - NEAR,
            |c| GUARD * c.w - c.x,
            |c| GUARD * c.w + c.x,
            |c| GUARD * c.w - c.y,
            |c| GUARD * c.w + c.y,
        ];
        for side in planes {
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
        for k in 1..poly.len() - 1 {
            self.fill([poly[0], poly[k], poly[k + 1]], v, part);
        }
    }

    #[inline]
    fn fill(&mut self, c: [Corner; 3], v: [u32; 3], part: u32) {
        let (hw, hh) = (self.width as f32 * 0.5, self.height as f32 * 0.5);
        let iw = [1.0 / c[0].w, 1.0 / c[1].w, 1.0 / c[2].w];
        let x = [0, 1, 2].map(|k| hw + hw * (c[k].x * iw[k]));
        let y = [0, 1, 2].map(|k| hh - hh * (c[k].y * iw[k]));
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
        for row in y_first..y_end {
            for (s, [sx, sy]) in SAMPLES.iter().enumerate() {
                let yy = row as f32 + sy;
                let mut lo = 0i32;
                let mut hi = last;
                for (e, inv) in edges.iter().zip(inv) {
                    let k = e.1 * yy + e.2;
                    if e.0 > 0.0 {
                        lo = lo.max(ceil(-k * inv - sx));
                    } else if e.0 < 0.0 {
                        hi = hi.min(floor(-k * inv - sx));
                    } else if k < 0.0 {
                        hi = -1;
                    }
                }
                if lo > hi {
                    continue;
                }
                let (a, b) = (lo as usize, hi as usize);
                let base = s * size + row * self.width;
                let z_row = inv_w[0] + inv_w[2] * (yy - y[0]) + inv_w[1] * (sx - x[0]);
                let depth = &mut self.depth[base + a..=base + b];
                let seen = &mut self.seen[base + a..=base + b];
                for (i, (d, t)) in depth.iter_mut().zip(seen).enumerate() {
                    let z = z_row + inv_w[1] * (a + i) as f32;
                    let nearer = z > *d;
                    *d = if nearer { z } else { *d };
                    *t = if nearer { id } else { *t };
                    drawn |= u32::from(nearer);
                }
            }
        }
        if drawn != 0 {
            let over = |k: usize| plane([0, 1, 2].map(|i| c[i].bary[k] * iw[i]));
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

    /// The triangles of the four samples of a pixel.
    #[inline(always)]
    pub(crate) fn pixel(&self, index: usize) -> [u32; 4] {
        let size = self.width * self.height;
        let at = |s: usize| self.seen[s * size + index];
        [at(0), at(1), at(2), at(3)]
    }
}
