//! Visibility buffer: the nearest triangle of each of four samples per pixel, after clipping at the near plane and a
//! guard band (Burns and Hunt 2013). Shading happens later, once per pixel and triangle.
//!
//! A sample is covered when no edge function is negative; two triangles that share an edge evaluate
//! it with exactly opposite sign, so no gap can open between them. Of two triangles at the same depth the one of the
//! drawable that comes first in the scene counts, so that an image does not depend on the order of drawing.

use super::clip;
use super::math::{V3, xyz};
use super::projection::{CLIPPED, OUTSIDE, ProjectedVertices};
use super::simd::{F32x16, LANES, LaneArray};
use super::simd_dispatch::multiversion;
use std::ops::Range;

/// Sample positions in a pixel: a rotated grid.
pub(super) const SAMPLES: [[f32; 2]; 4] = [
    [0.375, 0.125],
    [0.875, 0.375],
    [0.125, 0.625],
    [0.625, 0.875],
];
/// Identifier of no triangle.
pub(super) const NO_TRIANGLE: u32 = u32::MAX;

/// A linear function of the pixel position: value at the origin, per pixel right, per pixel down.
pub(super) type Plane = [f32; 3];

/// A triangle that at least one sample sees, with what its shading needs.
#[derive(Clone)]
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
    /// Draws the triangles of one drawable into the samples of a mask (see [`coverage_mask`]); `base` is what
    /// [`VisibilityBuffer::begin`] was given.
    pub(super) fn draw<F>(
        buffer: &mut VisibilityBuffer,
        base: Option<&VisibilityBuffer>,
        vertices: &ProjectedVertices,
        triangles: &[[u32; 3]],
        drawable: u32,
        mask: u32,
    ) {
        let target = Target::<F>::new(buffer, base, drawable, mask);
        for t in triangles {
            buffer.add_triangle(vertices, *t, &target);
        }
    }
}

/// Nearest triangle and depth of every sample of an image.
#[derive(Default)]
pub(super) struct VisibilityBuffer {
    pub width: usize,
    pub height: usize,
    /// Blocks in a row of the image.
    pub row_blocks: usize,
    /// Blocks, row by row, into which a triangle has been drawn; the others are empty, or as in the base.
    pub touched: Vec<bool>,
    /// Inverse depth per sample, 1/m: the samples of one block after another; valid where touched.
    inv_depth: Vec<LaneArray>,
    /// Index of the triangle per sample, in the same layout.
    nearest: Vec<[u32; LANES]>,
    /// Visible triangles, those of the base first; those of a drawable lie together.
    pub triangles: Vec<VisibleTriangle>,
    /// Plane in clip coordinates on whose negative side nothing is drawn.
    pub mirror_side: Option<[f32; 4]>,
}

/// Where a drawable is drawn.
struct Target<'a, F: F32x16> {
    drawable: u32,
    /// Samples that it covers.
    covered: F::Mask,
    base: Option<&'a VisibilityBuffer>,
    /// Triangles of the base that lose against this drawable at the same depth.
    losing: Range<u32>,
}

impl<'a, F: F32x16> Target<'a, F> {
    #[inline(always)]
    fn new(
        buffer: &VisibilityBuffer,
        base: Option<&'a VisibilityBuffer>,
        drawable: u32,
        mask: u32,
    ) -> Self {
        let first =
            (base.map_or(&[][..], |b| &b.triangles)).partition_point(|t| t.drawable < drawable);
        let end = base.map_or(0, |b| b.triangles.len());
        debug_assert!(buffer.triangles.len() >= end);
        let mut lanes = [0.0; LANES];
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane = (mask >> i & 1) as f32;
        }
        Target {
            drawable,
            covered: F::load(&lanes).gt(F::splat(0.0)),
            base,
            losing: first as u32..end as u32,
        }
    }
}

/// Side of the blocks of pixels whose samples, those of one pixel after another, are the lanes of the tests.
pub(super) const BLOCK: usize = 2;
const _: () = assert!(BLOCK * BLOCK * SAMPLES.len() == LANES);
/// Samples of a block in which nothing is drawn.
const EMPTY: (LaneArray, [u32; LANES]) = ([0.0; LANES], [NO_TRIANGLE; LANES]);
/// Positions of the samples in their block, pixels.
const LANE_X: [f32; LANES] = lane_positions(0);
const LANE_Y: [f32; LANES] = lane_positions(1);
/// Blocks from which on the span of a row is computed from the edges, not from the corners.
const WIDE: usize = 4;

const fn lane_positions(axis: usize) -> [f32; LANES] {
    let mut out = [0.0; LANES];
    let mut i = 0;
    while i < LANES {
        let pixel = i / SAMPLES.len();
        let whole = if axis == 0 {
            pixel % BLOCK
        } else {
            pixel / BLOCK
        };
        out[i] = whole as f32 + SAMPLES[i % SAMPLES.len()][axis];
        i += 1;
    }
    out
}

/// Samples that a surface of opacity `alpha` covers, one bit for each lane: alpha to coverage, rounded to quarters.
pub(super) fn coverage_mask(alpha: f32) -> u32 {
    let covered = (alpha.clamp(0.0, 1.0) * SAMPLES.len() as f32 + 0.5) as usize;
    (0..LANES)
        .filter(|i| i % SAMPLES.len() < covered)
        .fold(0, |mask, i| mask | 1 << i)
}

impl VisibilityBuffer {
    /// Starts an image: an empty one of a size in pixels, or one over a base, an image of the same size whose
    /// triangles it shows where nothing nearer is drawn.
    pub(super) fn begin(&mut self, [width, height]: [usize; 2], base: Option<&VisibilityBuffer>) {
        (self.width, self.height) = (width, height);
        self.row_blocks = width.div_ceil(BLOCK);
        let n = self.row_blocks * height.div_ceil(BLOCK);
        self.touched.clear();
        self.touched.resize(n, false);
        self.inv_depth.resize(n, EMPTY.0);
        self.nearest.resize(n, EMPTY.1);
        self.triangles.clear();
        if let Some(base) = base {
            self.triangles.extend_from_slice(&base.triangles);
        }
    }

    /// Inverse depths and triangles of the samples of a block, without those of a base.
    #[inline(always)]
    fn block(&self, block: usize) -> (&LaneArray, &[u32; LANES]) {
        match self.touched[block] {
            true => (&self.inv_depth[block], &self.nearest[block]),
            false => (&EMPTY.0, &EMPTY.1),
        }
    }

    /// Triangles of the samples of a block.
    #[inline(always)]
    pub(super) fn block_ids(&self, block: usize) -> &[u32; LANES] {
        self.block(block).1
    }

    #[inline(always)]
    fn add_triangle<F: F32x16>(
        &mut self,
        p: &ProjectedVertices,
        v: [u32; 3],
        target: &Target<'_, F>,
    ) {
        let at = v.map(|i| i as usize);
        let code = at.map(|i| p.code[i]);
        // All corners lie outside one border.
        if code[0] & code[1] & code[2] & OUTSIDE != 0 {
            return;
        }
        if (code[0] | code[1] | code[2]) & CLIPPED == 0 {
            let bary = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
            let (x, y) = (at.map(|i| p.x[i]), at.map(|i| p.y[i]));
            self.fill(x, y, at.map(|i| p.inv_w[i]), &bary, v, target);
        } else {
            self.add_clipped(p, v, target);
        }
    }

    /// Draws a triangle that reaches behind the camera or far out of the image, clipped.
    #[inline(always)]
    fn add_clipped<F: F32x16>(
        &mut self,
        p: &ProjectedVertices,
        v: [u32; 3],
        target: &Target<'_, F>,
    ) {
        let poly = clip::clipped(p, v, self.mirror_side);
        let (hw, hh) = (self.width as f32 * 0.5, self.height as f32 * 0.5);
        for k in 1..poly.len().saturating_sub(1) {
            let c = [poly[0], poly[k], poly[k + 1]];
            let iw = c.map(|c| 1.0 / c.w);
            let x = [0, 1, 2].map(|k| hw + hw * (c[k].x * iw[k]));
            let y = [0, 1, 2].map(|k| hh - hh * (c[k].y * iw[k]));
            self.fill(x, y, iw, &c.map(|c| c.bary), v, target);
        }
    }

    /// Rasterises a projected triangle: corners in pixels, inverse depths, barycentric coordinates of the corners
    /// in the whole triangle `v`. Back faces are left out.
    #[inline(always)]
    fn fill<F: F32x16>(
        &mut self,
        x: [f32; 3],
        y: [f32; 3],
        iw: [f32; 3],
        bary: &[V3; 3],
        v: [u32; 3],
        target: &Target<'_, F>,
    ) {
        // Twice the area; y points down, so that a front face is negative.
        let area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0]);
        if area >= -1e-9 {
            return;
        }
        let min = |a: [f32; 3]| a[0].min(a[1]).min(a[2]);
        let max = |a: [f32; 3]| a[0].max(a[1]).max(a[2]);
        // Samples lie between one and seven eighths of a pixel.
        let pixels = |corners: [f32; 3], side: usize| {
            let first = (min(corners) + 0.125).max(0.0) as usize;
            let end = ((max(corners) + 0.875).max(0.0) as usize).min(side);
            (first, end)
        };
        let ((x_first, x_end), (y_first, y_end)) = (pixels(x, self.width), pixels(y, self.height));
        if x_first >= x_end || y_first >= y_end {
            return;
        }
        // Edge functions a x + b y + c, positive inside.
        let edge = |i: usize, j: usize| (y[j] - y[i], x[i] - x[j], x[j] * y[i] - x[i] * y[j]);
        let edges = [edge(1, 2), edge(2, 0), edge(0, 1)];
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
        let mut drawn = false;
        let (splat, zero) = (F::splat, F::splat(0.0));
        let (lane_x, lane_y) = (F::load(&LANE_X), F::load(&LANE_Y));
        let columns = x_first / BLOCK..x_end.div_ceil(BLOCK);
        for row in y_first / BLOCK..y_end.div_ceil(BLOCK) {
            let top = (row * BLOCK) as i32 as f32;
            let columns = match columns.len() > WIDE {
                true => row_span(&edges, top, columns.clone()),
                false => columns.clone(),
            };
            let yy = splat(top) + lane_y;
            let k = xyz!(k => splat(edges[k].1) * yy + splat(edges[k].2));
            let z_row = splat(inv_w[0])
                + splat(inv_w[2]) * (yy - splat(y[0]))
                + splat(inv_w[1]) * (lane_x - splat(x[0]));
            for column in columns {
                let left = (column * BLOCK) as i32 as f32;
                let xx = splat(left) + lane_x;
                let inside = xyz!(e => (splat(edges[e].0) * xx + k[e]).ge(zero));
                let inside = F::and(
                    F::and(inside[0], inside[1]),
                    F::and(inside[2], target.covered),
                );
                let z = z_row + splat(inv_w[1] * left);
                drawn |= self.update(row * self.row_blocks + column, inside, z, id, target);
            }
        }
        if drawn {
            let over = |k: usize| plane([0, 1, 2].map(|i| bary[i][k] * iw[i]));
            self.triangles.push(VisibleTriangle {
                vertices: v,
                drawable: target.drawable,
                inv_w,
                b0: over(0),
                b1: over(1),
                origin: [x[0], y[0]],
            });
        }
    }

    /// Enters a triangle in the lanes of a block in which it is inside and nearer than what is there; returns true
    /// when there are any.
    #[inline(always)]
    fn update<F: F32x16>(
        &mut self,
        block: usize,
        inside: F::Mask,
        z: F,
        id: u32,
        target: &Target<'_, F>,
    ) -> bool {
        let (depth, ids) = match target.base {
            Some(base) if !self.touched[block] => base.block(block),
            _ => self.block(block),
        };
        let before = F::load(depth);
        let mut nearer = F::and(inside, z.gt(before));
        if !target.losing.is_empty() {
            let tied = F::and(inside, F::and(z.ge(before), before.ge(z)));
            if F::any(tied) {
                let one = |mask| F::select(mask, F::splat(1.0), F::splat(0.0)).store();
                let (mut wins, tied) = (one(nearer), one(tied));
                for i in 0..LANES {
                    if tied[i] > 0.0 && target.losing.contains(&ids[i]) {
                        wins[i] = 1.0;
                    }
                }
                nearer = F::load(&wins).gt(F::splat(0.0));
            }
        }
        if !F::any(nearer) {
            return false;
        }
        let mut ids = *ids;
        F::write_where(nearer, id, &mut ids);
        self.touched[block] = true;
        self.inv_depth[block] = F::select(nearer, z, before).store();
        self.nearest[block] = ids;
        true
    }

    /// Clears all pixels but the given ones.
    pub(super) fn keep_only(&mut self, pixels: impl Iterator<Item = usize>) {
        let kept: Vec<(usize, [u32; 4])> = pixels.map(|p| (p, self.pixel(p))).collect();
        self.nearest.fill(EMPTY.1);
        self.touched.fill(true);
        for (pixel, ids) in kept {
            let (block, lane) = self.place(pixel % self.width, pixel / self.width);
            self.nearest[block][lane..lane + SAMPLES.len()].copy_from_slice(&ids);
        }
    }

    /// Block of a pixel and the lane of its first sample.
    #[inline(always)]
    fn place(&self, x: usize, y: usize) -> (usize, usize) {
        let block = y / BLOCK * self.row_blocks + x / BLOCK;
        (block, (y % BLOCK * BLOCK + x % BLOCK) * SAMPLES.len())
    }

    /// The triangles of the four samples of a pixel, by its number in the image.
    pub(super) fn pixel(&self, index: usize) -> [u32; 4] {
        let (block, lane) = self.place(index % self.width, index / self.width);
        let ids = self.block_ids(block);
        [0, 1, 2, 3].map(|s| ids[lane + s])
    }
}

/// The blocks of a row between the edges, from those between the corners; some may lie outside.
#[inline(always)]
fn row_span(edges: &[(f32, f32, f32); 3], top: f32, columns: Range<usize>) -> Range<usize> {
    let (mut low, mut high) = (f32::NEG_INFINITY, f32::INFINITY);
    for &(a, b, c) in edges {
        let (above, below) = (b * top + c, b * (top + BLOCK as f32) + c);
        let x = -above.max(below) / a;
        if a > 0.0 {
            low = low.max(x);
        } else if a < 0.0 {
            high = high.min(x);
        }
    }
    // A pixel of room for rounding.
    let block = |x: f32, room: f32| ((x + room).clamp(0.0, 65536.0) / BLOCK as f32) as usize;
    let start = columns.start.max(block(low, -1.0)).min(columns.end);
    start..columns.end.min(block(high, 1.0) + 1).max(start)
}
