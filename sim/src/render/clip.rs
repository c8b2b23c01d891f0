//! Clipping of the triangles that reach behind the camera, far out of the image or behind a mirror (Sutherland and
//! Hodgman).

use super::math::V3;
use super::projection::{GUARD_BAND, NEAR, ProjectedVertices, plane_distance};

/// A corner of a clipped triangle: clip coordinates and barycentric coordinates in the whole triangle.
#[derive(Clone, Copy)]
pub(super) struct Corner {
    pub x: f32,
    pub y: f32,
    pub w: f32,
    pub bary: V3,
}

/// Corners of the part of triangle `v` that may be seen, a convex polygon; none where nothing is left.
pub(super) fn clipped(
    p: &ProjectedVertices,
    v: [u32; 3],
    mirror_side: Option<[f32; 4]>,
) -> Vec<Corner> {
    let corner = |k: usize| {
        let mut bary = [0.0; 3];
        bary[k] = 1.0;
        let [x, y, w] = [0, 1, 2].map(|axis| p.clip[axis][v[k] as usize]);
        Corner { x, y, w, bary }
    };
    let mut poly: Vec<Corner> = vec![corner(0), corner(1), corner(2)];
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
            return Vec::new();
        }
    }
    poly
}
