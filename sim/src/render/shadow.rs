//! A gentle shadow from above: a height map of everything around the workspace tells how much of
//! the sky right above a point is blocked by something close. The reference simulator casts none;
//! this one only grounds objects on the table, so it is weak and fades with height.

use super::isa::multiversion;
use super::math::{LANES, V3, ceil, floor};
use super::simd::Wide;

const SIDE: usize = 192;
/// Cells next to the border whose surroundings are not all in the map.
const BORDER: usize = 4;
/// Cells along the side of the map whose surroundings are.
const INNER: usize = SIDE - 1 - 2 * BORDER;
/// Half side of the map, m.
const REACH: f32 = 0.72;
/// Cells of a metre.
const PER_METRE: f32 = SIDE as f32 / (2.0 * REACH);
/// Darkening where everything is blocked at once.
const STRENGTH: f32 = 0.28;
/// Height at which a blocker counts half, m.
const FADE: f32 = 0.09;

/// Heights over the workspace, m.
pub(crate) struct Shadow {
    centre: [f32; 2],
    height: Vec<f32>,
    /// The same of what stands still only.
    still: Vec<f32>,
    /// Highest of the cells that the filter looks at around each cell.
    around: Vec<f32>,
}

multiversion! {
    /// Adds triangles of vertices in the world; only their upper sides count.
    pub(crate) fn draw(shadow: &mut Shadow, world: &[Vec<f32>; 3], triangles: &[[u32; 3]]) {
        for t in triangles {
            shadow.triangle(t.map(|i| [0, 1, 2].map(|k| world[k][i as usize])));
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

impl Shadow {
    pub(crate) fn new(centre: [f32; 2]) -> Self {
        Shadow {
            centre,
            height: vec![f32::MIN; SIDE * SIDE],
            still: vec![f32::MIN; SIDE * SIDE],
            around: vec![f32::MIN; SIDE * SIDE],
        }
    }

    /// Begins a map of what stands still.
    pub(crate) fn begin_still(&mut self) {
        self.height.fill(f32::MIN);
    }

    /// Keeps what was drawn since as what stands still.
    pub(crate) fn keep_still(&mut self) {
        self.still.copy_from_slice(&self.height);
    }

    /// Begins a map with what stands still.
    pub(crate) fn begin(&mut self) {
        self.height.copy_from_slice(&self.still);
    }

    #[inline(always)]
    fn cell(&self, p: V3) -> [f32; 2] {
        [0, 1].map(|k| (p[k] - self.centre[k] + REACH) * PER_METRE)
    }

    /// Adds a triangle in world coordinates; only its upper side counts.
    #[inline(always)]
    fn triangle(&mut self, p: [V3; 3]) {
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
                ceil(lo - 0.5).max(0) as usize,
                (floor(hi - 0.5).saturating_add(1)).clamp(0, SIDE as i32) as usize,
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
    pub(crate) fn finish(&mut self) {
        surround(self);
    }

    /// Share of light that reaches points with vertical components `up` of their normals, 1 in the open.
    #[inline(always)]
    pub(super) fn open<F: Wide>(&self, p: [F; 3], up: F) -> F {
        let (num, half) = (F::splat, F::splat(0.5));
        let (first, end) = (num(5.0), num((SIDE - 5) as f32));
        let x = (p[0] - num(self.centre[0]) + num(REACH)) * num(PER_METRE);
        let y = (p[1] - num(self.centre[1]) + num(REACH)) * num(PER_METRE);
        let after = F::both(x.at_least(first), y.at_least(first));
        let before = F::both(end.greater(x), end.greater(y));
        let on = F::both(up.greater(num(0.1)), F::both(after, before));
        if !F::any(on) {
            return num(1.0);
        }
        let x = F::pick(on, x, first) - half;
        let y = F::pick(on, y, first) - half;
        let (i, j) = (x.floor(), y.floor());
        let floor = p[2] + num(0.004);
        let cell = (j * num(SIDE as f32) + i).whole();
        let mut around = [0.0; LANES];
        for (a, at) in around.iter_mut().zip(cell) {
            *a = self.around[at as usize];
        }
        let around = F::load(&around);
        let below = F::both(on, around.greater(floor));
        if !F::any(below) {
            return num(1.0);
        }
        let asked = F::pick(below, num(1.0), num(0.0)).store();
        let (fx, fy, floor) = ((x - i).store(), (y - j).store(), floor.store());
        let mut blocked = [0.0; LANES];
        for i in 0..LANES {
            if asked[i] > 0.0 {
                blocked[i] = self.blocked::<F>(cell[i] as usize, floor[i], [fx[i], fy[i]]);
            }
        }
        num(1.0) - num(STRENGTH) * up * F::load(&blocked)
    }

    /// Share of the sky above a cell that is blocked by something higher than `floor`; `f` is where
    /// in the cell one looks.
    #[inline(always)]
    fn blocked<F: Wide>(&self, cell: usize, floor: f32, f: [f32; 2]) -> f32 {
        let Some(map) = self.height[cell - TAPS_FROM..].first_chunk::<TAPS_SPAN>() else {
            return 0.0;
        };
        let zero = F::splat(0.0);
        let mut heights = [0.0; LANES];
        for (h, at) in heights.iter_mut().zip(TAP_CELLS) {
            *h = map[at];
        }
        let d = F::load(&heights) - F::splat(floor);
        let fade = F::splat(FADE * FADE);
        let share = F::pick(d.greater(zero), fade / (fade + d * d), zero);
        // Two cells per tap, weighted by where the point lies between them.
        let mut between = [0.0; LANES];
        for (k, b) in between.iter_mut().enumerate() {
            let t = f[k / 2 % 2];
            *b = if k % 2 == 0 { 1.0 - t } else { t };
        }
        let parts = (share * F::load(&between)).store();
        let mut sum = 0.0;
        for k in 0..TAPS.len() {
            sum += parts[2 * k] + parts[2 * k + 1];
        }
        sum * (1.0 / TAPS.len() as f32)
    }
}

/// How far before its cell the cells of the filter begin.
const TAPS_FROM: usize = 3 * SIDE + 3;
/// Cells from the first to behind the last one of the filter.
const TAPS_SPAN: usize = TAPS_FROM + 5 * SIDE + 4;
/// Cells of the filter, from the first one on.
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
    /// Takes the highest of the cells around each cell.
    fn surround(shadow: &mut Shadow) {
        for j in BORDER..BORDER + INNER {
            let start = j * SIDE + BORDER;
            let Some(out) = shadow.around[start..].first_chunk_mut::<INNER>() else {
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
