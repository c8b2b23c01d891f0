//! MuJoCo's primitives as triangles, divided as MuJoCo does.

use std::f64::consts::PI;

/// Quads along an edge of a box face.
const BOX_QUADS: u32 = 4;
/// Most quads along an edge of a plane.
const MAX_PLANE_QUADS: f64 = 200.0;
/// Quads around a round shape, and from pole to pole.
const SLICES: u32 = 28;
const STACKS: u32 = 16;
/// Divisions of the hull that stands for an ellipsoid in contacts: around, and from pole to pole.
const HULL_SLICES: u32 = 16;
const HULL_STACKS: u32 = 8;

/// One vertex: point of the unit object (for texture coordinates), point in the frame of the geom (m), unit normal.
type SurfaceVertex = ([f64; 3], [f64; 3], [f64; 3]);

/// A triangulated surface.
#[derive(Default)]
pub(super) struct Surface {
    /// Points of the unit object.
    pub unit: Vec<[f64; 3]>,
    /// Points in the frame of the geom, m.
    pub points: Vec<[f64; 3]>,
    /// Unit normals.
    pub normals: Vec<[f64; 3]>,
    /// Vertex indices, counter-clockwise from outside.
    pub triangles: Vec<[u32; 3]>,
}

impl Surface {
    /// Adds a grid of `n` by `m` quads whose corners come from `at(i, j)`.
    fn grid(&mut self, n: u32, m: u32, at: impl Fn(u32, u32) -> SurfaceVertex) {
        let first = self.points.len() as u32;
        for j in 0..=m {
            for i in 0..=n {
                let (unit, point, normal) = at(i, j);
                self.unit.push(unit);
                self.points.push(point);
                self.normals.push(normal);
            }
        }
        for j in 0..m {
            for i in 0..n {
                let a = first + j * (n + 1) + i;
                let (b, c, d) = (a + 1, a + n + 2, a + n + 1);
                self.triangles.push([a, b, c]);
                self.triangles.push([a, c, d]);
            }
        }
    }
}

/// Box of given half sizes, m.
pub(super) fn box_surface(half: [f64; 3]) -> Surface {
    let mut surface = Surface::default();
    for (axis, sign, right, up) in [
        (0, 1.0, 1, 2),
        (0, -1.0, 2, 1),
        (1, 1.0, 2, 0),
        (1, -1.0, 0, 2),
        (2, 1.0, 0, 1),
        (2, -1.0, 1, 0),
    ] {
        surface.grid(BOX_QUADS, BOX_QUADS, |i, j| {
            let along = |k: u32| 2.0 * f64::from(k) / f64::from(BOX_QUADS) - 1.0;
            let (mut unit, mut normal) = ([0.0; 3], [0.0; 3]);
            (unit[axis], normal[axis]) = (sign, sign);
            (unit[right], unit[up]) = (along(i), along(j));
            (unit, [0, 1, 2].map(|k| unit[k] * half[k]), normal)
        });
    }
    surface
}

/// Plane of given half sizes, facing +z, with grid lines `spacing` apart, m.
pub(super) fn plane_surface(half: [f64; 2], spacing: f64) -> Surface {
    let mut surface = Surface::default();
    let [n, m] = half.map(|h| {
        (2.0 * h / spacing.max(0.01))
            .clamp(1.0, MAX_PLANE_QUADS)
            .ceil()
    });
    surface.grid(n as u32, m as u32, |i, j| {
        let along = |k: u32, n: f64| 2.0 * f64::from(k) / n - 1.0;
        let unit = [along(i, n), along(j, m), 0.0];
        let point = [unit[0] * half[0], unit[1] * half[1], 0.0];
        (unit, point, [0.0, 0.0, 1.0])
    });
    surface
}

/// Cylinder along z with radius `r` and half height `h`, m.
pub(super) fn cylinder_surface(r: f64, h: f64) -> Surface {
    let mut surface = Surface::default();
    surface.grid(SLICES, 1, |i, j| {
        let (c, n) = cos_sin(i, SLICES);
        let z = 2.0 * f64::from(j) - 1.0;
        ([c, n, z], [r * c, r * n, h * z], [c, n, 0.0])
    });
    for z in [1.0, -1.0] {
        surface.grid(SLICES, 1, |i, j| {
            let (c, n) = cos_sin(i, SLICES);
            // The inner ring is a point; outwards or inwards so that the cap faces away.
            let f = if (j == 0) == (z > 0.0) { 1.0 } else { 0.0 };
            let unit = [f * c, f * n, z];
            (unit, [r * unit[0], r * unit[1], h * z], [0.0, 0.0, z])
        });
    }
    surface
}

/// Ellipsoid of given radii whose halves are moved apart along z by `half_height` each, m: also sphere and capsule.
pub(super) fn ellipsoid_surface(radius: [f64; 3], half_height: f64) -> Surface {
    let mut surface = Surface::default();
    surface.grid(SLICES, STACKS + 1, |i, j| {
        let (c, s) = cos_sin(i, SLICES);
        // The equator comes twice, once for each half.
        let (step, shift) = if j <= STACKS / 2 {
            (j, -half_height)
        } else {
            (j - 1, half_height)
        };
        let angle = PI * f64::from(step) / f64::from(STACKS);
        let (ring, z) = (libm::sin(angle), -libm::cos(angle));
        let unit = [ring * c, ring * s, z];
        let point = [
            radius[0] * unit[0],
            radius[1] * unit[1],
            radius[2] * unit[2] + shift,
        ];
        let n = [0, 1, 2].map(|k| unit[k] / radius[k]);
        let length = n.iter().map(|x| x * x).sum::<f64>().sqrt();
        (unit, point, n.map(|x| x / length))
    });
    surface
}

/// Points on an ellipsoid of given radii, m, whose hull stands for it in contacts.
pub(super) fn ellipsoid_points(radius: [f64; 3]) -> Vec<[f64; 3]> {
    let mut points = vec![[0.0, 0.0, radius[2]], [0.0, 0.0, -radius[2]]];
    for i in 1..HULL_STACKS {
        let (z, ring) = cos_sin(i, 2 * HULL_STACKS);
        for k in 0..HULL_SLICES {
            let (c, s) = cos_sin(k, HULL_SLICES);
            points.push([radius[0] * ring * c, radius[1] * ring * s, radius[2] * z]);
        }
    }
    points
}

/// Cosine and sine of `k` of `n` parts of a full turn.
fn cos_sin(k: u32, n: u32) -> (f64, f64) {
    let angle = 2.0 * PI * f64::from(k % n) / f64::from(n);
    (libm::cos(angle), libm::sin(angle))
}
