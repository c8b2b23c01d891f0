//! Projection of the vertices of an image, with the borders that each lies beyond.

use super::math::{RigidTransform, V3, dot, sub};
use super::simd_dispatch::multiversion;

/// Depth of the near plane, m.
pub(super) const NEAR: f32 = 0.01;
/// Triangles reach at most this many half images beyond the centre before they are clipped.
pub(super) const GUARD_BAND: f32 = 4.0;

/// Projected vertices of an image.
#[derive(Default)]
pub(super) struct ProjectedVertices {
    /// Clip coordinates scaled so that the image spans `-w..w`, with y up.
    pub clip: [Vec<f32>; 3],
    /// Pixel position, y down.
    pub x: Vec<f32>,
    pub y: Vec<f32>,
    /// Inverse depth, 1/m.
    pub inv_w: Vec<f32>,
    /// Outcode: one bit per border beyond which the vertex lies, [`CLIPPED`] and [`BEHIND_MIRROR`].
    pub code: Vec<u32>,
}

/// Outcode of a vertex beyond the near plane or the guard band.
pub(super) const CLIPPED: u32 = 32;
/// Outcode of a vertex behind the plane of a mirror.
const BEHIND_MIRROR: u32 = 64;
/// Outcodes of which one that all corners of a triangle share makes it invisible.
pub(super) const OUTSIDE: u32 = (CLIPPED - 1) | BEHIND_MIRROR;

impl ProjectedVertices {
    /// Makes room for `n` vertices.
    pub(super) fn resize(&mut self, n: usize) {
        let ProjectedVertices {
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

    /// Marks the vertices of a range with `side . (x, y, w, 1) < 0` as behind a mirror.
    pub(super) fn mark_behind(&mut self, range: std::ops::Range<usize>, side: [f32; 4]) {
        for i in range {
            let clip = [self.clip[0][i], self.clip[1][i], self.clip[2][i]];
            if plane_distance(side, clip) < 0.0 {
                self.code[i] |= CLIPPED | BEHIND_MIRROR;
            }
        }
    }
}

/// Scaled distance from a plane in clip coordinates, negative behind it.
#[inline(always)]
pub(super) fn plane_distance(side: [f32; 4], clip: V3) -> f32 {
    side[0] * clip[0] + side[1] * clip[1] + side[2] * clip[2] + side[3]
}

multiversion! {
    /// Projects the vertices of a range, given in the world by coordinate, to an image of `2 half` pixels seen
    /// from `eye`.
    pub(super) fn project(
        out: &mut ProjectedVertices,
        world: &[Vec<f32>; 3],
        range: std::ops::Range<usize>,
        eye: &RigidTransform,
        tan: [f32; 2],
        half: [f32; 2],
    ) {
        let ProjectedVertices { clip: [cx, cy, cw], x, y, inv_w, code } = out;
        let n = range.len();
        let (wx, wy, wz) = (&world[0][range.clone()], &world[1][range.clone()], &world[2][range.clone()]);
        let (cx, cy, cw) = (&mut cx[range.clone()][..n], &mut cy[range.clone()][..n], &mut cw[range.clone()][..n]);
        let (x, y) = (&mut x[range.clone()][..n], &mut y[range.clone()][..n]);
        let (inv_w, code) = (&mut inv_w[range.clone()][..n], &mut code[range][..n]);
        for i in 0..n {
            let d = sub([wx[i], wy[i], wz[i]], eye.t);
            let v = [dot(d, eye.x), dot(d, eye.y), -dot(d, eye.z)];
            let (px, py, w) = (v[0] / tan[0], v[1] / tan[1], v[2]);
            let safe = (w >= NEAR) & (px.abs() <= GUARD_BAND * w) & (py.abs() <= GUARD_BAND * w);
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
