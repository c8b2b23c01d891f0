//! Soft shadow from above (ambient occlusion by a height map): the heights of everything around the workspace give the
//! share of the sky right above a point that is blocked by something close. The reference simulator has no shadows;
//! this one only shows that objects stand on the table, and is therefore weak and fades with height.

use super::math::{V3, ceil_i32, floor_i32};
use super::simd::{F32x16, LANES};
use super::simd_dispatch::multiversion;

/// Cells along the side of the map.
const SIDE: usize = 192;
/// Cells next to the border whose filter reaches beyond the map.
const BORDER: usize = 4;
/// Cells along the side of the map whose filter stays in it.
const INNER: usize = SIDE - 1 - 2 * BORDER;
/// Half side of the map, m.
const HALF_SIDE: f32 = 0.72;
/// Cells per metre.
const PER_METRE: f32 = SIDE as f32 / (2.0 * HALF_SIDE);
/// Darkening where everything above is blocked closely.
const STRENGTH: f32 = 0.28;
/// Height at which an occluder counts half, m.
const FADE: f32 = 0.09;

/// Heights over the workspace, world frame, m.
pub(super) struct ShadowMap {
    /// Centre of the map in the world, m.
    centre: [f32; 2],
    height: Vec<f32>,
    /// Heights of the static bodies alone.
    static_height: Vec<f32>,
    /// Highest of the cells that the filter reads around each cell.
    max_around: Vec<f32>,
    /// Number of cells that are higher than in the static map in the rows and columns before each, one more than the
    /// map has.
    raised: Vec<u16>,
}

/// A rectangle of cells.
#[derive(Debug, Clone, Copy)]
pub(super) struct MapCells {
    /// First column and row.
    first: [u8; 2],
    /// Column and row past the last one.
    end: [u8; 2],
}

impl Default for MapCells {
    /// No cells.
    fn default() -> Self {
        MapCells {
            first: [u8::MAX; 2],
            end: [0; 2],
        }
    }
}

impl MapCells {
    /// Enlarges the rectangle by all cells that the shadow at a world point may depend on, with room for rounding.
    pub(super) fn include(&mut self, shadow: &ShadowMap, point: V3) {
        let cell = shadow.cell(point);
        if cell.iter().any(|c| !(0.0..SIDE as f32).contains(c)) {
            return;
        }
        for k in 0..2 {
            let at = cell[k] as usize;
            self.first[k] = self.first[k].min(at.saturating_sub(REACH) as u8);
            self.end[k] = self.end[k].max((at + REACH + 1).min(SIDE) as u8);
        }
    }
}

multiversion! {
    /// Adds triangles, given by vertices in the world; only their upper sides count.
    pub(super) fn add_triangles(shadow: &mut ShadowMap, world: &[Vec<f32>; 3], triangles: &[[u32; 3]]) {
        for t in triangles {
            shadow.add_triangle(t.map(|i| [0, 1, 2].map(|k| world[k][i as usize])));
        }
    }
}

/// Taps of the filter, in cells.
const TAPS: [(i32, i32); 8] = [
    (1, 0),
    (-1, 1),
    (0, -2),
    (2, 2),
    (-3, 0),
    (0, 4),
    (3, -3),
    (-3, -3),
];

/// Cells between a point's cell and the farthest one that its shadow depends on, and one more for rounding.
const REACH: usize = 6;

impl ShadowMap {
    pub(super) fn new(centre: [f32; 2]) -> Self {
        ShadowMap {
            centre,
            height: vec![f32::MIN; SIDE * SIDE],
            static_height: vec![f32::MIN; SIDE * SIDE],
            max_around: vec![f32::MIN; SIDE * SIDE],
            raised: vec![0; (SIDE + 1) * (SIDE + 1)],
        }
    }

    /// Starts a map of the static bodies.
    pub(super) fn begin_static(&mut self) {
        self.height.fill(f32::MIN);
    }

    /// Keeps what was added since [`ShadowMap::begin_static`] as the static bodies.
    pub(super) fn keep_static(&mut self) {
        self.static_height.copy_from_slice(&self.height);
    }

    /// Starts a map with the static bodies.
    pub(super) fn begin(&mut self) {
        self.height.copy_from_slice(&self.static_height);
    }

    #[inline(always)]
    fn cell(&self, p: V3) -> [f32; 2] {
        [0, 1].map(|k| (p[k] - self.centre[k] + HALF_SIDE) * PER_METRE)
    }

    /// Adds a triangle in world coordinates; only its upper side counts.
    #[inline(always)]
    fn add_triangle(&mut self, p: [V3; 3]) {
        let q = p.map(|v| self.cell(v));
        let area =
            (q[1][0] - q[0][0]) * (q[2][1] - q[0][1]) - (q[2][0] - q[0][0]) * (q[1][1] - q[0][1]);
        if area <= 1e-6 {
            return;
        }
        let bound = |k: usize| {
            let lo = q[0][k].min(q[1][k]).min(q[2][k]);
            let hi = q[0][k].max(q[1][k]).max(q[2][k]);
            (
                ceil_i32(lo - 0.5).max(0) as usize,
                (floor_i32(hi - 0.5).saturating_add(1)).clamp(0, SIDE as i32) as usize,
            )
        };
        let ((x0, x1), (y0, y1)) = (bound(0), bound(1));
        let inv = 1.0 / area;
        for j in y0..y1 {
            for i in x0..x1 {
                let (x, y) = (i as f32 + 0.5, j as f32 + 0.5);
                let w = |a: usize, b: usize| {
                    (q[b][0] - q[a][0]) * (y - q[a][1]) - (q[b][1] - q[a][1]) * (x - q[a][0])
                };
                let (w0, w1, w2) = (w(1, 2), w(2, 0), w(0, 1));
                if w0 < 0.0 || w1 < 0.0 || w2 < 0.0 {
                    continue;
                }
                let z = (w0 * p[0][2] + w1 * p[1][2] + w2 * p[2][2]) * inv;
                let h = &mut self.height[j * SIDE + i];
                *h = h.max(z);
            }
        }
    }

    /// Completes the map once all triangles are in.
    pub(super) fn finish(&mut self) {
        max_filter(self);
        for j in 0..SIDE {
            let (above, below) = self.raised[j * (SIDE + 1)..].split_at_mut(SIDE + 1);
            let cells = j * SIDE..(j + 1) * SIDE;
            let heights = self.height[cells.clone()]
                .iter()
                .zip(&self.static_height[cells]);
            let mut in_row = 0;
            for (i, (now, fixed)) in heights.enumerate() {
                in_row += u16::from(now != fixed);
                below[i + 1] = above[i + 1] + in_row;
            }
        }
    }

    /// Returns true when a drawable that is not static rises in any of the cells.
    #[inline(always)]
    pub(super) fn is_raised(&self, cells: &MapCells) -> bool {
        let [x0, y0] = cells.first.map(usize::from);
        let [x1, y1] = cells.end.map(usize::from);
        let before = |x: usize, y: usize| u32::from(self.raised[y * (SIDE + 1) + x]);
        x0 < x1 && before(x1, y1) + before(x0, y0) > before(x0, y1) + before(x1, y0)
    }

    /// Share of the light that reaches world points with vertical components `up` of their normals, 1 in the open.
    #[inline(always)]
    pub(super) fn visibility<F: F32x16>(&self, p: [F; 3], up: F) -> F {
        let (splat, half) = (F::splat, F::splat(0.5));
        let (first, end) = (splat(5.0), splat((SIDE - 5) as f32));
        let x = (p[0] - splat(self.centre[0]) + splat(HALF_SIDE)) * splat(PER_METRE);
        let y = (p[1] - splat(self.centre[1]) + splat(HALF_SIDE)) * splat(PER_METRE);
        let after = F::and(x.ge(first), y.ge(first));
        let before = F::and(end.gt(x), end.gt(y));
        let on = F::and(up.gt(splat(0.1)), F::and(after, before));
        if !F::any(on) {
            return splat(1.0);
        }
        let x = F::select(on, x, first) - half;
        let y = F::select(on, y, first) - half;
        let (i, j) = (x.floor(), y.floor());
        let floor = p[2] + splat(0.004);
        let cell = (j * splat(SIDE as f32) + i).to_i32();
        let mut around = [0.0; LANES];
        for (a, at) in around.iter_mut().zip(cell) {
            *a = self.max_around[at as usize];
        }
        let around = F::load(&around);
        let below = F::and(on, around.gt(floor));
        if !F::any(below) {
            return splat(1.0);
        }
        let blocked = self.blocked(&cell, floor, [x - i, y - j]);
        let blocked = F::select(below, blocked, splat(0.0));
        splat(1.0) - splat(STRENGTH) * up * blocked
    }

    /// Share of the sky above cells that is blocked by something higher than `floor` (m); `f` is the position in the
    /// cell, 0..1.
    #[inline(always)]
    fn blocked<F: F32x16>(&self, cells: &[i32; LANES], floor: F, f: [F; 2]) -> F {
        let one = F::splat(1.0);
        let mut sum = F::splat(0.0);
        for k in 0..TAPS.len() {
            // Two cells per tap, weighted by where the point lies between them.
            let (t, [a, b]) = (f[k % 2], [TAP_CELLS[2 * k], TAP_CELLS[2 * k + 1]]);
            let (a, b) = (self.share(cells, a, floor), self.share(cells, b, floor));
            sum = sum + (a * (one - t) + b * t);
        }
        sum * F::splat(1.0 / TAPS.len() as f32)
    }

    /// How much the cells at a place in the filter around some cells block above `floor`, 0..1.
    #[inline(always)]
    fn share<F: F32x16>(&self, cells: &[i32; LANES], at: usize, floor: F) -> F {
        let mut heights = [0.0; LANES];
        for i in 0..LANES {
            // Points are shaded from cell 4 to SIDE - 6 only (`visibility`), whose filter stays in the map.
            heights[i] = self.height[cells[i] as usize - TAPS_FROM + at];
        }
        let d = F::load(&heights) - floor;
        let (zero, fade) = (F::splat(0.0), F::splat(FADE * FADE));
        F::select(d.gt(zero), fade / (fade + d * d), zero)
    }
}

/// Offset from the first cell of the filter to its cell.
const TAPS_FROM: usize = 3 * SIDE + 3;
/// Cells of the filter, counted from the first one.
const TAP_CELLS: [usize; LANES] = {
    let mut cells = [0; LANES];
    let mut k = 0;
    while k < TAPS.len() {
        let (dx, dy) = TAPS[k];
        cells[2 * k] = (TAPS_FROM as i32 + dy * SIDE as i32 + dx) as usize;
        cells[2 * k + 1] = cells[2 * k] + if k % 2 == 0 { 1 } else { SIDE };
        k += 1;
    }
    cells
};

multiversion! {
    /// Computes the highest of the cells that the filter reads around each cell.
    fn max_filter(shadow: &mut ShadowMap) {
        for j in BORDER..BORDER + INNER {
            let start = j * SIDE + BORDER;
            // Neither slice ends before its chunk: BORDER keeps the filter in the map.
            let Some(out) = shadow.max_around[start..].first_chunk_mut::<INNER>() else {
                return;
            };
            out.fill(f32::MIN);
            for at in TAP_CELLS {
                let from = start - TAPS_FROM + at;
                let Some(heights) = shadow.height[from..].first_chunk::<INNER>() else {
                    return;
                };
                for (o, h) in out.iter_mut().zip(heights) {
                    *o = if *h > *o { *h } else { *o };
                }
            }
        }
    }
}
