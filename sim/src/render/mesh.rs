//! Triangle meshes of every [`ShapeDesc`]: counter-clockwise seen from outside, with unit normals and texture
//! coordinates. Those of primitives and hulls are closed, those of lathes and meshes as described.
//!
//! Texture coordinates are in metres of surface where the texture gives repeats per metre
//! (`metric`), else they span 0..1 over a face.

use super::hull::convex_hull;
use super::math::{V3, cross, dot, normalized, sub};
use crate::description::ShapeDesc;
use crate::error::SimError;

/// A drawable surface.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mesh {
    /// Vertex positions, m.
    pub positions: Vec<[f32; 3]>,
    /// Unit normals, one per vertex.
    pub normals: Vec<[f32; 3]>,
    /// Texture coordinates, one per vertex.
    pub uvs: Vec<[f32; 2]>,
    /// Vertex indices, counter-clockwise from outside.
    pub triangles: Vec<[u32; 3]>,
}

/// Facets of a round surface.
const FACETS: u32 = 28;
/// Edges of a profile that meet at less than this angle are shaded as one (cosine of 35 degrees).
const SMOOTH_COS: f64 = 0.82;

impl Mesh {
    fn vertex(&mut self, p: V3, n: V3, uv: [f32; 2]) -> u32 {
        self.positions.push(p);
        self.normals.push(n);
        self.uvs.push(uv);
        (self.positions.len() - 1) as u32
    }

    /// Adds a flat convex polygon given counter-clockwise, fanned from its first corner.
    fn polygon(&mut self, corners: &[(V3, [f32; 2])]) {
        let n = normalized(cross(
            sub(corners[1].0, corners[0].0),
            sub(corners[2].0, corners[0].0),
        ));
        let ids: Vec<u32> = corners.iter().map(|c| self.vertex(c.0, n, c.1)).collect();
        for k in 1..ids.len() - 1 {
            self.triangles.push([ids[0], ids[k], ids[k + 1]]);
        }
    }

    /// Builds the mesh of a shape, with texture coordinates in metres if `metric`.
    ///
    /// # Errors
    /// [`SimError::Render`] for a size that is not positive, a flat hull, and a lathe or mesh with missing points.
    pub fn of_shape(shape: &ShapeDesc, metric: bool) -> Result<Mesh, SimError> {
        let invalid = |reason: &str| SimError::Render(format!("visual shape {reason}"));
        let positive = |v: f64, shape: &str| {
            if v > 0.0 && v.is_finite() {
                Ok(v)
            } else {
                Err(invalid(&format!("{shape}: size {v} must be positive")))
            }
        };
        match shape {
            ShapeDesc::Box { half } => {
                for h in half {
                    positive(*h, "box")?;
                }
                Ok(cuboid(half.map(|h| h as f32), metric))
            }
            ShapeDesc::Sphere { radius } => {
                let r = positive(*radius, "sphere")?;
                Ok(lathe(&arc_profile(r, 0.0, 12), FACETS, false))
            }
            ShapeDesc::Cylinder {
                radius,
                half_height,
            } => {
                let (r, h) = (
                    positive(*radius, "cylinder")?,
                    positive(*half_height, "cylinder")?,
                );
                Ok(cylinder(r, h, metric))
            }
            ShapeDesc::Capsule {
                radius,
                half_height,
            } => {
                let r = positive(*radius, "capsule")?;
                Ok(lathe(
                    &arc_profile(r, half_height.max(0.0), 12),
                    FACETS,
                    false,
                ))
            }
            ShapeDesc::Hull { points } => hull_mesh(points, metric),
            ShapeDesc::Lathe {
                profile,
                segments,
                flatten,
            } => {
                if profile.len() < 2 || *segments < 3 {
                    return Err(invalid("lathe needs two profile points and three segments"));
                }
                let flatten = positive(*flatten, "lathe: flatten")? as f32;
                let mut mesh = lathe(profile, *segments, metric);
                // A round one stays as it is to the last bit.
                if flatten != 1.0 {
                    for (p, n) in mesh.positions.iter_mut().zip(&mut mesh.normals) {
                        p[1] *= flatten;
                        *n = normalized([n[0], n[1] / flatten, n[2]]);
                    }
                }
                Ok(mesh)
            }
            ShapeDesc::Mesh {
                vertices,
                triangles,
                uv,
                normals,
            } => {
                if !uv.is_empty() && uv.len() != vertices.len() {
                    return Err(invalid(&format!(
                        "mesh: {} texture coordinates for {} vertices",
                        uv.len(),
                        vertices.len()
                    )));
                }
                described_mesh(vertices, triangles, uv, normals).ok_or_else(|| {
                    invalid("mesh: index out of range, or other numbers of normals and vertices")
                })
            }
        }
    }
}

fn cuboid(h: V3, metric: bool) -> Mesh {
    let mut m = Mesh::default();
    // For each face: outward axis and sign, then the axes that run right and up on it.
    let faces: [(usize, f32, usize, f32, usize, f32); 6] = [
        (2, 1.0, 0, 1.0, 1, 1.0),
        (2, -1.0, 0, -1.0, 1, 1.0),
        (0, 1.0, 1, 1.0, 2, 1.0),
        (0, -1.0, 1, -1.0, 2, 1.0),
        (1, 1.0, 0, -1.0, 2, 1.0),
        (1, -1.0, 0, 1.0, 2, 1.0),
    ];
    for (axis, sign, right, rs, up, us) in faces {
        let corner = |a: f32, b: f32| {
            let mut p = [0.0; 3];
            p[axis] = sign * h[axis];
            p[right] = rs * a * h[right];
            p[up] = us * b * h[up];
            let uv = if metric {
                [a * h[right], -b * h[up]]
            } else {
                [(a + 1.0) * 0.5, (1.0 - b) * 0.5]
            };
            (p, uv)
        };
        m.polygon(&[
            corner(-1.0, -1.0),
            corner(1.0, -1.0),
            corner(1.0, 1.0),
            corner(-1.0, 1.0),
        ]);
    }
    m
}

fn circle(k: u32, n: u32) -> (f64, f64) {
    // The last point repeats the first exactly, so that the seam is closed.
    let a = 2.0 * core::f64::consts::PI * f64::from(k % n) / f64::from(n);
    (libm::cos(a), libm::sin(a))
}

fn cylinder(r: f64, h: f64, metric: bool) -> Mesh {
    let mut m = lathe(&[[r, h], [r, -h]], FACETS, metric);
    for sign in [1.0f64, -1.0] {
        let mut ring: Vec<(V3, [f32; 2])> = (0..FACETS)
            .map(|k| {
                let (c, s) = circle(k, FACETS);
                let p = [(r * c) as f32, (r * s) as f32, (sign * h) as f32];
                let uv = if metric {
                    [p[0], -p[1]]
                } else {
                    [(0.5 + 0.5 * c) as f32, (0.5 - 0.5 * s) as f32]
                };
                (p, uv)
            })
            .collect();
        if sign < 0.0 {
            ring.reverse();
        }
        m.polygon(&ring);
    }
    m
}

/// Profile `[radius, z]` of a capsule, from the top to the bottom pole: a half circle with a straight part of length
/// `2 * half` in its middle.
fn arc_profile(r: f64, half: f64, steps: u32) -> Vec<[f64; 2]> {
    let mut out = Vec::new();
    for k in 0..=steps {
        let a = core::f64::consts::PI * f64::from(k) / f64::from(steps);
        let (s, c) = if k == 0 {
            (0.0, 1.0)
        } else if k == steps {
            (0.0, -1.0)
        } else {
            (libm::sin(a), libm::cos(a))
        };
        if half > 0.0 && 2 * k == steps {
            out.push([r, half]);
            out.push([r, -half]);
        } else {
            let z = if 2 * k < steps { half } else { -half };
            out.push([r * s, r * c + z]);
        }
    }
    out
}

/// Surface of revolution about z. A profile that closes on the axis or on itself may be listed in either direction.
fn lathe(profile: &[[f64; 2]], segments: u32, metric: bool) -> Mesh {
    let mut prof: Vec<[f64; 2]> = profile.to_vec();
    prof.dedup();
    let (first, last) = (prof[0], prof[prof.len() - 1]);
    let closed = (first[0] < 1e-9 && last[0] < 1e-9) || first == last;
    // The region enclosed with the axis has to lie on the right along the profile (negative area).
    let area: f64 = (0..prof.len())
        .map(|i| {
            let (a, b) = (prof[i], prof[(i + 1) % prof.len()]);
            a[0] * b[1] - b[0] * a[1]
        })
        .sum();
    if closed && area > 0.0 {
        prof.reverse();
    }
    let n = prof.len();
    let seg_normal: Vec<[f64; 2]> = (0..n - 1)
        .map(|i| {
            let (dr, dz) = (prof[i + 1][0] - prof[i][0], prof[i + 1][1] - prof[i][1]);
            let l = (dr * dr + dz * dz).sqrt().max(1e-12);
            [-dz / l, dr / l]
        })
        .collect();
    let length: Vec<f64> = (0..n - 1)
        .map(|i| {
            let (dr, dz) = (prof[i + 1][0] - prof[i][0], prof[i + 1][1] - prof[i][1]);
            (dr * dr + dz * dz).sqrt()
        })
        .collect();
    let total: f64 = length.iter().sum::<f64>().max(1e-12);
    let widest = prof.iter().fold(0.0f64, |a, p| a.max(p[0]));
    let round = if metric {
        2.0 * core::f64::consts::PI * widest
    } else {
        1.0
    };
    let smooth = |i: usize, j: usize| -> [f64; 2] {
        let (a, b) = (seg_normal[i], seg_normal[j]);
        if a[0] * b[0] + a[1] * b[1] < SMOOTH_COS {
            return a;
        }
        let s = [a[0] + b[0], a[1] + b[1]];
        let l = (s[0] * s[0] + s[1] * s[1]).sqrt();
        [s[0] / l, s[1] / l]
    };
    let mut m = Mesh::default();
    let mut along = 0.0;
    for i in 0..n - 1 {
        let normals = [
            smooth(i, if i > 0 { i - 1 } else { i }),
            smooth(i, if i + 2 < n { i + 1 } else { i }),
        ];
        let v = [along, along + length[i]].map(|l| if metric { l } else { l / total });
        along += length[i];
        let mut ids = [Vec::new(), Vec::new()];
        for k in 0..=segments {
            let (c, s) = circle(k, segments);
            let u = round * f64::from(k) / f64::from(segments);
            for e in 0..2 {
                let p = prof[i + e];
                let nrm = normals[e];
                ids[e].push(m.vertex(
                    [(p[0] * c) as f32, (p[0] * s) as f32, p[1] as f32],
                    normalized([(nrm[0] * c) as f32, (nrm[0] * s) as f32, nrm[1] as f32]),
                    [u as f32, v[e] as f32],
                ));
            }
        }
        for k in 0..segments as usize {
            let (a, b, c, d) = (ids[0][k], ids[1][k], ids[1][k + 1], ids[0][k + 1]);
            if prof[i + 1][0] > 1e-9 {
                m.triangles.push([a, b, c]);
            }
            if prof[i][0] > 1e-9 {
                m.triangles.push([a, c, d]);
            }
        }
    }
    m
}

fn hull_mesh(points: &[[f64; 3]], metric: bool) -> Result<Mesh, SimError> {
    let faces = convex_hull(points).ok_or_else(|| {
        SimError::Render("visual shape hull: needs four points that are not in one plane".into())
    })?;
    let mut lo = [f64::MAX; 3];
    let mut hi = [f64::MIN; 3];
    for p in points {
        for a in 0..3 {
            lo[a] = lo[a].min(p[a]);
            hi[a] = hi[a].max(p[a]);
        }
    }
    let mut m = Mesh::default();
    for f in faces {
        let p = f.map(|i| points[i].map(|c| c as f32));
        let n = normalized(cross(sub(p[1], p[0]), sub(p[2], p[0])));
        let axis = (0..3).fold(0, |b, a| if n[a].abs() > n[b].abs() + 1e-4 { a } else { b });
        let (ua, va) = [(1, 2), (0, 2), (0, 1)][axis];
        let uv = |p: V3| {
            let one = |a: usize| {
                if metric {
                    p[a]
                } else {
                    (p[a] - lo[a] as f32) / ((hi[a] - lo[a]).max(1e-9) as f32)
                }
            };
            [one(ua), if metric { -one(va) } else { 1.0 - one(va) }]
        };
        m.polygon(&p.map(|q| (q, uv(q))));
    }
    Ok(m)
}

/// Mesh of a description; none for an index out of range, or where normals are not one per vertex. `uv` is empty or
/// one per vertex; without it a triangle is mapped from above.
fn described_mesh(
    vertices: &[[f32; 3]],
    triangles: &[[u32; 3]],
    uv: &[[f32; 2]],
    normals: &[[f32; 3]],
) -> Option<Mesh> {
    let from_above = |p: &V3| [p[0], -p[1]];
    if !normals.is_empty() {
        let inside = |t: &[u32; 3]| t.iter().all(|i| (*i as usize) < vertices.len());
        if normals.len() != vertices.len() || !triangles.iter().all(inside) {
            return None;
        }

        return Some(Mesh {
            positions: vertices.to_vec(),
            normals: normals.to_vec(),
            uvs: if uv.len() == vertices.len() {
                uv.to_vec()
            } else {
                vertices.iter().map(from_above).collect()
            },
            triangles: triangles.to_vec(),
        });
    }
    let mut m = Mesh::default();
    for t in triangles {
        let p = [0, 1, 2].map(|k| vertices.get(t[k] as usize).copied());
        let p = [p[0]?, p[1]?, p[2]?];
        let n = cross(sub(p[1], p[0]), sub(p[2], p[0]));
        // A triangle without area covers nothing.
        if dot(n, n) <= 0.0 {
            continue;
        }
        let corner = |k: usize| {
            let i = t[k] as usize;
            (p[k], uv.get(i).copied().unwrap_or(from_above(&p[k])))
        };
        m.polygon(&[corner(0), corner(1), corner(2)]);
    }
    Some(m)
}
