//! A gentle shadow from above: a height map of everything around the workspace tells how much of
//! the sky right above a point is blocked by something close. The reference simulator casts none;
//! this one only grounds objects on the table, so it is weak and fades with height.

use super::isa::multiversion;
use super::math::{V3, ceil, floor};

const SIDE: usize = 192;
/// Cells along the side of a block, and blocks along the side of the map.
const BLOCK: usize = 8;
const BLOCKS: usize = SIDE / BLOCK;
/// Half side of the map, m.
const REACH: f32 = 0.72;
/// Darkening where everything is blocked at once.
const STRENGTH: f32 = 0.28;
/// Height at which a blocker counts half, m.
const FADE: f32 = 0.09;

/// Heights over the workspace, m.
pub(crate) struct Shadow {
    centre: [f32; 2],
    height: Vec<f32>,
    /// Highest point in each block of cells and its neighbours.
    near: Vec<f32>,
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
            near: vec![f32::MIN; BLOCKS * BLOCKS],
        }
    }

    pub(crate) fn begin(&mut self) {
        self.height.fill(f32::MIN);
    }

    #[inline(always)]
    fn cell(&self, p: V3) -> [f32; 2] {
        let s = SIDE as f32 / (2.0 * REACH);
        [
            (p[0] - self.centre[0] + REACH) * s,
            (p[1] - self.centre[1] + REACH) * s,
        ]
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
        self.near.fill(f32::MIN);
        for (j, row) in self.height.chunks_exact(SIDE).enumerate() {
            for (i, cells) in row.chunks_exact(BLOCK).enumerate() {
                let top = cells.iter().fold(f32::MIN, |a, h| a.max(*h));
                let y = j / BLOCK;
                for v in y.saturating_sub(1)..(y + 2).min(BLOCKS) {
                    for u in i.saturating_sub(1)..(i + 2).min(BLOCKS) {
                        let n = &mut self.near[v * BLOCKS + u];
                        *n = n.max(top);
                    }
                }
            }
        }
    }

    /// Share of light that reaches a point with normal `n`, 1 in the open.
    #[inline(always)]
    pub(crate) fn open(&self, p: V3, n: V3) -> f32 {
        let [x, y] = self.cell(p);
        let edge = SIDE as f32 - 5.0;
        if n[2] <= 0.1 || !(5.0..edge).contains(&x) || !(5.0..edge).contains(&y) {
            return 1.0;
        }
        let (i, j) = (x - 0.5, y - 0.5);
        let (i0, j0) = (i as usize, j as usize);
        let (fx, fy) = (i - i0 as f32, j - j0 as f32);
        let floor = p[2] + 0.004;
        if self.near[j0 / BLOCK * BLOCKS + i0 / BLOCK] <= floor {
            return 1.0;
        }
        // Two cells per tap, weighted by where the point lies between them.
        let mut blocked = [0.0; 2 * TAPS.len()];
        for (k, (dx, dy)) in TAPS.iter().enumerate() {
            let (a, b) = ((i0 as i32 + dx) as usize, (j0 as i32 + dy) as usize);
            let at = b * SIDE + a;
            blocked[2 * k] = self.height[at];
            blocked[2 * k + 1] = self.height[at + if k % 2 == 0 { 1 } else { SIDE }];
        }
        for b in &mut blocked {
            let d = *b - floor;
            let share = FADE * FADE / (FADE * FADE + d * d);
            *b = if d <= 0.0 { 0.0 } else { share };
        }
        let mut sum = 0.0;
        for k in 0..TAPS.len() {
            let t = if k % 2 == 0 { fx } else { fy };
            sum += blocked[2 * k] * (1.0 - t) + blocked[2 * k + 1] * t;
        }
        1.0 - STRENGTH * n[2] * sum * (1.0 / TAPS.len() as f32)
    }
}
