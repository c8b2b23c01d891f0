//! What geoms look like: MuJoCo's primitives as triangles with its texture mapping, and meshes.
//!
//! A flat texture without coordinates is projected along z: `u = 0.5 r x - 0.5`, `v = -0.5 r y - 0.5`
//! with x and y over the half size (or in metres if `texuniform`) and r the repeats. A cube texture is
//! looked up in the direction from the centre of the unit object. Box faces are divided as MuJoCo does.

use super::asset::Mapping;
use super::geom::Geom;
use super::mesh::TriMesh;
use bitvla_sim::ShapeDesc;
use std::f64::consts::PI;

/// Parts along an edge of a box face or plane, and around and along round shapes.
const QUADS: u32 = 4;
const PLANE_QUADS: f64 = 200.0;
const SLICES: u32 = 28;
const STACKS: u32 = 16;

/// Volume of a primitive, m^3; `None` for a hull.
pub(crate) fn volume(shape: &ShapeDesc) -> Option<f64> {
    Some(match shape {
        ShapeDesc::Box { half: [x, y, z] } => 8.0 * x * y * z,
        ShapeDesc::Sphere { radius } => 4.0 / 3.0 * PI * radius * radius * radius,
        ShapeDesc::Cylinder {
            radius,
            half_height,
        } => 2.0 * PI * radius * radius * half_height,
        ShapeDesc::Capsule {
            radius,
            half_height,
        } => PI * radius * radius * (2.0 * half_height + 4.0 / 3.0 * radius),
        _ => return None,
    })
}

/// Points on an ellipsoid.
pub(crate) fn ellipsoid_points(half: [f64; 3]) -> Vec<[f64; 3]> {
    let mut points = vec![[0.0, 0.0, half[2]], [0.0, 0.0, -half[2]]];
    for i in 1..8 {
        let (ring, z) = turn(i, 16);
        let (z, ring) = (ring, z);
        for k in 0..16 {
            let (c, s) = turn(k, 16);
            points.push([half[0] * ring * c, half[1] * ring * s, half[2] * z]);
        }
    }
    points
}

/// Cosine and sine of `k` of `n` parts of a full turn.
fn turn(k: u32, n: u32) -> (f64, f64) {
    let angle = 2.0 * PI * f64::from(k % n) / f64::from(n);
    (libm::cos(angle), libm::sin(angle))
}

/// A surface being built: points of the unit object, scaled when it is done.
#[derive(Default)]
struct Surface {
    unit: Vec<[f64; 3]>,
    points: Vec<[f64; 3]>,
    normals: Vec<[f64; 3]>,
    triangles: Vec<[u32; 3]>,
}

impl Surface {
    fn vertex(&mut self, unit: [f64; 3], point: [f64; 3], normal: [f64; 3]) -> u32 {
        self.unit.push(unit);
        self.points.push(point);
        self.normals.push(normal);
        (self.points.len() - 1) as u32
    }

    /// A grid of `n` by `m` quads whose corners come from `at(i, j)`.
    fn grid(&mut self, n: u32, m: u32, at: impl Fn(u32, u32) -> ([f64; 3], [f64; 3], [f64; 3])) {
        let first = self.points.len() as u32;
        for j in 0..=m {
            for i in 0..=n {
                let (unit, point, normal) = at(i, j);
                self.vertex(unit, point, normal);
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

/// The drawn shape of a geom; `None` if there is nothing to draw.
pub(crate) fn drawn(geom: &Geom) -> Option<ShapeDesc> {
    if let Some((_, mesh)) = &geom.mesh {
        return mesh.as_ref().map(|mesh| of_mesh(geom, mesh));
    }
    let s = geom.size;
    let mut surface = Surface::default();
    match geom.kind.as_str() {
        "box" => {
            for (axis, sign, right, up) in [
                (0, 1.0, 1, 2),
                (0, -1.0, 2, 1),
                (1, 1.0, 2, 0),
                (1, -1.0, 0, 2),
                (2, 1.0, 0, 1),
                (2, -1.0, 1, 0),
            ] {
                surface.grid(QUADS, QUADS, |i, j| {
                    let along = |k: u32| 2.0 * f64::from(k) / f64::from(QUADS) - 1.0;
                    let (mut unit, mut normal) = ([0.0; 3], [0.0; 3]);
                    (unit[axis], normal[axis]) = (sign, sign);
                    (unit[right], unit[up]) = (along(i), along(j));
                    (unit, [0, 1, 2].map(|k| unit[k] * s[k]), normal)
                });
            }
        }
        "plane" => {
            let half = [s[0], s[1]].map(|x| if x > 0.0 { x } else { 10.0 });
            // The third size is the spacing of the grid.
            let [n, m] = half.map(|h| (2.0 * h / s[2].max(0.01)).clamp(1.0, PLANE_QUADS).ceil());
            surface.grid(n as u32, m as u32, |i, j| {
                let along = |k: u32, n: f64| 2.0 * f64::from(k) / n - 1.0;
                let unit = [along(i, n), along(j, m), 0.0];
                let point = [unit[0] * half[0], unit[1] * half[1], 0.0];
                (unit, point, [0.0, 0.0, 1.0])
            });
        }
        "sphere" => ball(&mut surface, [s[0]; 3], 0.0),
        "ellipsoid" => ball(&mut surface, s, 0.0),
        "capsule" => ball(&mut surface, [s[0]; 3], s[1]),
        "cylinder" => {
            let [r, h, _] = s;
            surface.grid(SLICES, 1, |i, j| {
                let (c, n) = turn(i, SLICES);
                let z = 2.0 * f64::from(j) - 1.0;
                ([c, n, z], [r * c, r * n, h * z], [c, n, 0.0])
            });
            for z in [1.0, -1.0] {
                surface.grid(SLICES, 1, |i, j| {
                    let (c, n) = turn(i, SLICES);
                    // The inner ring is a point; outwards or inwards so that it faces away.
                    let f = if (j == 0) == (z > 0.0) { 1.0 } else { 0.0 };
                    let unit = [f * c, f * n, z];
                    (unit, [r * unit[0], r * unit[1], h * z], [0.0, 0.0, z])
                });
            }
        }
        _ => return None,
    }
    Some(finish(geom, surface))
}

/// A ball or ellipsoid, pulled apart along z by `half`.
fn ball(surface: &mut Surface, radius: [f64; 3], half: f64) {
    surface.grid(SLICES, STACKS + 1, |i, j| {
        let (c, s) = turn(i, SLICES);
        // The equator comes twice, once for each half.
        let (step, shift) = if j <= STACKS / 2 {
            (j, -half)
        } else {
            (j - 1, half)
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
}

fn narrow<const N: usize>(v: [f64; N]) -> [f32; N] {
    v.map(|x| x as f32)
}

fn finish(geom: &Geom, surface: Surface) -> ShapeDesc {
    let mut out = Out::default();
    match geom.mapping() {
        Some(Mapping::Cube) => {
            for t in &surface.triangles {
                let unit = t.map(|i| surface.unit[i as usize]);
                let face = face_of(&unit);
                let ids = [0, 1, 2].map(|k| {
                    let i = t[k] as usize;
                    out.vertex(
                        narrow(surface.points[i]),
                        narrow(surface.normals[i]),
                        cube_uv(face, unit[k]),
                    )
                });
                out.triangles.push(ids);
            }
        }
        mapping => {
            let material = &geom.material;
            let scale = [0, 1]
                .map(|k| material.repeat[k] * if material.uniform { geom.size[k] } else { 1.0 });
            for i in 0..surface.points.len() {
                let uv = match mapping {
                    Some(_) => project(scale, surface.unit[i]),
                    None => [0.0; 2],
                };
                out.vertex(narrow(surface.points[i]), narrow(surface.normals[i]), uv);
            }
            out.triangles = surface.triangles;
        }
    }
    out.shape()
}

fn project(scale: [f64; 2], p: [f64; 3]) -> [f32; 2] {
    narrow([0.5 * scale[0] * p[0] - 0.5, -0.5 * scale[1] * p[1] - 0.5])
}

fn of_mesh(geom: &Geom, mesh: &TriMesh) -> ShapeDesc {
    let mesh = &mesh.shaded();
    let normals = &mesh.normals;
    let mut out = Out::default();
    let centre = mesh.solid().map_or([0.0; 3], |s| s.com.into());
    let from_centre = |i: usize| -> [f64; 3] {
        std::array::from_fn(|k| f64::from(mesh.vertices[i][k]) - centre[k])
    };
    match geom.mapping() {
        Some(Mapping::Cube) if mesh.uv.is_empty() => {
            for t in &mesh.triangles {
                let unit = t.map(|i| from_centre(i as usize));
                let face = face_of(&unit);
                let ids = [0, 1, 2].map(|k| {
                    let i = t[k] as usize;
                    out.vertex(mesh.vertices[i], normals[i], cube_uv(face, unit[k]))
                });
                out.triangles.push(ids);
            }
            return out.shape();
        }
        Some(Mapping::Flat) if mesh.uv.is_empty() => {
            // Over the half extent of the mesh, or in metres.
            let mut reach = [1e-9f64; 3];
            for i in 0..mesh.vertices.len() {
                let p = from_centre(i);
                reach = [0, 1, 2].map(|k| reach[k].max(p[k].abs()));
            }
            let material = &geom.material;
            let scale =
                [0, 1].map(|k| material.repeat[k] / if material.uniform { 1.0 } else { reach[k] });
            for (i, normal) in normals.iter().enumerate() {
                out.vertex(mesh.vertices[i], *normal, project(scale, from_centre(i)));
            }
        }
        _ => {
            for (i, normal) in normals.iter().enumerate() {
                let uv = mesh.uv.get(i).copied().unwrap_or_default();
                out.vertex(mesh.vertices[i], *normal, uv);
            }
        }
    }
    out.triangles = mesh.triangles.clone();
    out.shape()
}

/// Vertices with all that belongs to them.
#[derive(Default)]
struct Out {
    vertices: Vec<[f32; 3]>,
    normals: Vec<[f32; 3]>,
    uv: Vec<[f32; 2]>,
    triangles: Vec<[u32; 3]>,
}

impl Out {
    fn vertex(&mut self, p: [f32; 3], n: [f32; 3], uv: [f32; 2]) -> u32 {
        self.vertices.push(p);
        self.normals.push(n);
        self.uv.push(uv);
        (self.vertices.len() - 1) as u32
    }

    fn shape(self) -> ShapeDesc {
        ShapeDesc::Mesh {
            vertices: self.vertices,
            triangles: self.triangles,
            uv: self.uv,
            normals: self.normals,
        }
    }
}

/// Face of the cube around the origin that the middle of a triangle looks at: axis and sign.
fn face_of(corners: &[[f64; 3]; 3]) -> (usize, f64) {
    let middle = [0, 1, 2].map(|k| corners[0][k] + corners[1][k] + corners[2][k]);
    let axis = (0..3).fold(0, |best, k| {
        if middle[k].abs() > middle[best].abs() + 1e-9 {
            k
        } else {
            best
        }
    });
    (axis, if middle[axis] < 0.0 { -1.0 } else { 1.0 })
}

/// Texture coordinates of a direction on a face of a cube map, `v` down the image.
fn cube_uv((axis, sign): (usize, f64), p: [f64; 3]) -> [f32; 2] {
    let [x, y, z] = p;
    let depth = (p[axis] * sign).max(1e-9);
    let (s, t) = match axis {
        0 => (-sign * z, -y),
        1 => (x, sign * z),
        _ => (sign * x, -y),
    };
    narrow([s, t].map(|c| (c / depth).clamp(-1.0, 1.0) * 0.5 + 0.5))
}
