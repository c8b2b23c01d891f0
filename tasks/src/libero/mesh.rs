//! Triangle meshes as MuJoCo models name them: binary STL, OBJ and MuJoCo's own MSH (four counts, then
//! vertices, normals, texture coordinates and faces, all little endian).
//!
//! Counts in a file are compared with its length before anything is allocated. Texture coordinates come
//! out with `v` running down the image, as MuJoCo hands them to the graphics card: as written in an MSH
//! file, turned over from an OBJ file.

use super::mjcf::read_bytes;
use crate::error::TaskError;
use nalgebra::{Matrix3, Vector3};
use std::collections::BTreeMap;
use std::path::Path;

/// Largest mesh file, bytes; LIBERO's have at most 3 million.
const MAX_FILE: u64 = 64 << 20;

/// A mesh in the frame of its file, scaled.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TriMesh {
    /// Vertices, m.
    pub vertices: Vec<[f32; 3]>,
    /// Unit normals, one per vertex; empty where the file has none.
    pub normals: Vec<[f32; 3]>,
    /// Texture coordinates, one per vertex; empty where the file has none.
    pub uv: Vec<[f32; 2]>,
    /// Vertex indices, counter-clockwise from outside.
    pub triangles: Vec<[u32; 3]>,
}

/// Volume, centre and inertia of a solid of density one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Solid {
    /// Volume, m^3.
    pub volume: f64,
    /// Centre of mass, m.
    pub com: Vector3<f64>,
    /// Inertia about the centre of mass, m^5.
    pub inertia: Matrix3<f64>,
}

/// Reads a mesh file by its ending and scales it.
pub(crate) fn read(path: &Path, scale: [f64; 3]) -> Result<TriMesh, TaskError> {
    let mut mesh = parse(path, &read_bytes(path, MAX_FILE)?)?;
    mesh.scale(scale);
    mesh.check(path, &format!("scaled by {scale:?}, "))?;
    Ok(mesh)
}

/// Reads a mesh from the bytes of a file; the name tells the format.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<TriMesh, TaskError> {
    let ending = path
        .extension()
        .map(|e| e.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default();
    let mesh = match ending.as_str() {
        "stl" => stl(path, bytes),
        "msh" => msh(path, bytes),
        "obj" => obj(path, bytes),
        other => Err(bad(
            path,
            1,
            format!("ending `{other}`"),
            "a mesh file: .stl, .obj or .msh",
        )),
    }?;
    mesh.check(path, "")?;
    if mesh.triangles.is_empty() {
        return Err(bad(path, 1, "no triangles".into(), "a mesh"));
    }
    Ok(mesh)
}

fn bad(path: &Path, line: usize, found: String, expected: &str) -> TaskError {
    TaskError::Malformed {
        path: path.to_owned(),
        line,
        found,
        expected: expected.to_owned(),
    }
}

/// Little-endian numbers at a byte offset whose presence has been checked.
fn words<const N: usize>(bytes: &[u8], at: usize) -> [[u8; 4]; N] {
    std::array::from_fn(|k| {
        let mut word = [0; 4];
        if let Some(part) = bytes.get(at + 4 * k..at + 4 * k + 4) {
            word.copy_from_slice(part);
        }
        word
    })
}

fn floats<const N: usize>(bytes: &[u8], at: usize) -> [f32; N] {
    words(bytes, at).map(f32::from_le_bytes)
}

fn stl(path: &Path, bytes: &[u8]) -> Result<TriMesh, TaskError> {
    if bytes.len() < 84 {
        let found = format!("{} bytes", bytes.len());
        return Err(bad(path, 1, found, "a binary STL of at least 84 bytes"));
    }
    let count = u32::from_le_bytes(words::<1>(bytes, 80)[0]) as usize;
    let room = (bytes.len() - 84) / 50;
    if count != room || !(bytes.len() - 84).is_multiple_of(50) {
        let found = format!(
            "a count of {count} triangles at byte 80 in {} bytes",
            bytes.len()
        );
        return Err(bad(
            path,
            1,
            found,
            "a binary STL: 84 bytes and 50 per triangle",
        ));
    }
    // Corners at the same place are one vertex, so that normals are smooth.
    let mut mesh = TriMesh::default();
    let mut known: BTreeMap<[u32; 3], u32> = BTreeMap::new();
    for t in 0..count {
        let corner = |k: usize| floats::<3>(bytes, 84 + 50 * t + 12 + 12 * k);
        let ids = [corner(0), corner(1), corner(2)].map(|p| {
            *known
                .entry(p.map(|x| (x + 0.0).to_bits()))
                .or_insert_with(|| {
                    mesh.vertices.push(p);
                    (mesh.vertices.len() - 1) as u32
                })
        });
        mesh.triangles.push(ids);
    }
    Ok(mesh)
}

fn msh(path: &Path, bytes: &[u8]) -> Result<TriMesh, TaskError> {
    let expected = "a MuJoCo MSH: counts of vertices, normals, texture coordinates and faces (int32), \
                    then as many of them";
    if bytes.len() < 16 {
        let found = format!("{} bytes", bytes.len());
        return Err(bad(path, 1, found, expected));
    }
    let counts = words::<4>(bytes, 0).map(i32::from_le_bytes);
    let wanted: Option<u64> = counts
        .iter()
        .zip([12u64, 12, 8, 12])
        .try_fold(16u64, |sum, (count, size)| {
            Some(sum + u64::try_from(*count).ok()? * size)
        });
    if wanted != Some(bytes.len() as u64) {
        let found = format!("counts {counts:?} in {} bytes", bytes.len());
        return Err(bad(path, 1, found, expected));
    }
    let [nv, nn, nt, nf] = counts.map(|c| c as usize);
    if (nn != 0 && nn != nv) || (nt != 0 && nt != nv) {
        let found = format!("{nv} vertices, {nn} normals and {nt} texture coordinates");
        return Err(bad(
            path,
            1,
            found,
            "one normal and coordinate per vertex, or none",
        ));
    }
    let (v, n) = (16, 16 + 12 * nv);
    let (t, f) = (n + 12 * nn, n + 12 * nn + 8 * nt);
    let mut triangles = Vec::with_capacity(nf);
    for i in 0..nf {
        let ids = words::<3>(bytes, f + 12 * i).map(u32::from_le_bytes);
        if ids.iter().any(|id| *id as usize >= nv) {
            let found = format!("face {i} {ids:?} at byte {}", f + 12 * i);
            let expected = format!("vertex numbers below {nv}");
            return Err(bad(path, 1, found, &expected));
        }
        triangles.push(ids);
    }
    Ok(TriMesh {
        vertices: (0..nv).map(|i| floats(bytes, v + 12 * i)).collect(),
        normals: (0..nn).map(|i| floats(bytes, n + 12 * i)).collect(),
        uv: (0..nt).map(|i| floats(bytes, t + 8 * i)).collect(),
        triangles,
    })
}

fn obj(path: &Path, bytes: &[u8]) -> Result<TriMesh, TaskError> {
    let text = String::from_utf8_lossy(bytes);
    let (mut places, mut coords, mut turns) = (Vec::new(), Vec::new(), Vec::new());
    let mut corners: BTreeMap<[u32; 3], u32> = BTreeMap::new();
    let mut order: Vec<[u32; 3]> = Vec::new();
    let mut triangles = Vec::new();
    const NONE: u32 = u32::MAX;
    for (i, line) in text.lines().enumerate() {
        let line_no = i + 1;
        let mut parts = line.split_ascii_whitespace();
        let tag = parts.next().unwrap_or("");
        let fail = |expected: &str| {
            let short: String = line.chars().take(60).collect();
            bad(path, line_no, format!("`{short}`"), expected)
        };
        let numbers = |parts: std::str::SplitAsciiWhitespace<'_>, n: usize| {
            let found: Vec<f32> = parts.take(n).filter_map(|p| p.parse().ok()).collect();
            if found.len() == n { Some(found) } else { None }
        };
        match tag {
            "v" => {
                let p = numbers(parts, 3).ok_or_else(|| fail("`v x y z`"))?;
                places.push([p[0], p[1], p[2]]);
            }
            "vn" => {
                let p = numbers(parts, 3).ok_or_else(|| fail("`vn x y z`"))?;
                turns.push([p[0], p[1], p[2]]);
            }
            "vt" => {
                let p = numbers(parts, 2).ok_or_else(|| fail("`vt u v`"))?;
                coords.push([p[0], 1.0 - p[1]]);
            }
            "f" => {
                let counts = [places.len(), coords.len(), turns.len()];
                let mut face = Vec::new();
                for part in parts {
                    let mut key = [NONE; 3];
                    for (k, word) in part.split('/').enumerate() {
                        if word.is_empty() && k > 0 {
                            continue;
                        }
                        let count = counts.get(k).copied().unwrap_or(0);
                        let number = word.parse::<i64>().ok().and_then(|n| match n {
                            0 => None,
                            n if n > 0 => usize::try_from(n - 1).ok(),
                            n => usize::try_from(count as i64 + n).ok(),
                        });
                        match number.filter(|n| *n < count) {
                            Some(n) => key[k] = n as u32,
                            None => return Err(fail("a face of numbers defined above it")),
                        }
                    }
                    let next = order.len() as u32;
                    let id = *corners.entry(key).or_insert_with(|| {
                        order.push(key);
                        next
                    });
                    face.push(id);
                }
                if face.len() < 3 {
                    return Err(fail("a face of three corners or more"));
                }
                for k in 1..face.len() - 1 {
                    triangles.push([face[0], face[k], face[k + 1]]);
                }
            }
            _ => {}
        }
    }
    let full = |k: usize| !order.is_empty() && order.iter().all(|key| key[k] != NONE);
    Ok(TriMesh {
        vertices: order.iter().map(|key| places[key[0] as usize]).collect(),
        normals: if full(2) {
            order.iter().map(|key| turns[key[2] as usize]).collect()
        } else {
            Vec::new()
        },
        uv: if full(1) {
            order.iter().map(|key| coords[key[1] as usize]).collect()
        } else {
            Vec::new()
        },
        triangles,
    })
}

fn vector(p: [f32; 3]) -> Vector3<f64> {
    Vector3::from(p.map(f64::from))
}

impl TriMesh {
    /// Whether all numbers are finite; `how` they came about opens what was found.
    fn check(&self, path: &Path, how: &str) -> Result<(), TaskError> {
        let mut numbers = (self.vertices.as_flattened().iter())
            .chain(self.normals.as_flattened())
            .chain(self.uv.as_flattened());
        match numbers.position(|x| !x.is_finite()) {
            Some(at) => {
                let what = format!("{how}number {at} of the mesh is not finite");
                Err(bad(path, 1, what, "finite coordinates"))
            }
            None => Ok(()),
        }
    }

    fn scale(&mut self, by: [f64; 3]) {
        for p in &mut self.vertices {
            *p = std::array::from_fn(|k| (f64::from(p[k]) * by[k]) as f32);
        }
        for n in &mut self.normals {
            let scaled: Vector3<f64> = vector(*n).component_div(&Vector3::from(by));
            let length = scaled.norm();
            if length > 0.0 {
                *n = std::array::from_fn(|k| (scaled[k] / length) as f32);
            }
        }
        if by.iter().product::<f64>() < 0.0 {
            for t in &mut self.triangles {
                t.swap(1, 2);
            }
        }
    }

    fn corners(&self, t: [u32; 3]) -> [Vector3<f64>; 3] {
        t.map(|i| vector(self.vertices[i as usize]))
    }

    /// Normals of the file; else of the faces around a vertex weighted by area, leaving out those that
    /// turn away from the mean by more than 37 degrees, as MuJoCo makes them; +z where all do.
    fn shading_normals(&self) -> Vec<[f32; 3]> {
        if !self.normals.is_empty() {
            return self.normals.clone();
        }
        let area = |t: &[u32; 3]| {
            let [a, b, c] = self.corners(*t);
            (b - a).cross(&(c - a))
        };
        let mut sums = vec![Vector3::zeros(); self.vertices.len()];
        for t in &self.triangles {
            let n = area(t);
            for i in t {
                sums[*i as usize] += n;
            }
        }
        // Summed in the same order, so that a corner whose faces all go has nothing left, not a rest.
        let mut gone = vec![Vector3::zeros(); self.vertices.len()];
        for t in &self.triangles {
            let n = area(t);
            for i in t {
                let mean: Vector3<f64> = sums[*i as usize];
                if mean.dot(&n) < 0.8 * mean.norm() * n.norm() {
                    gone[*i as usize] += n;
                }
            }
        }
        (sums.iter().zip(&gone))
            .map(|(sum, gone)| {
                let n = (sum - gone)
                    .try_normalize(f64::MIN_POSITIVE)
                    .unwrap_or(Vector3::z());
                std::array::from_fn(|k| n[k] as f32)
            })
            .collect()
    }

    /// The mesh with the normals that MuJoCo draws it with: where there are no texture coordinates, a corner
    /// whose normal turns away from its face by more than 37 degrees takes that of the face.
    pub fn shaded(&self) -> TriMesh {
        let mut mesh = TriMesh {
            normals: self.shading_normals(),
            ..self.clone()
        };
        if !self.uv.is_empty() {
            return mesh;
        }
        for i in 0..mesh.triangles.len() {
            let [a, b, c] = self.corners(mesh.triangles[i]);
            let Some(face) = (b - a).cross(&(c - a)).try_normalize(f64::MIN_POSITIVE) else {
                continue;
            };
            for k in 0..3 {
                let corner = mesh.triangles[i][k] as usize;
                if vector(mesh.normals[corner]).dot(&face) < 0.8 {
                    mesh.triangles[i][k] = mesh.vertices.len() as u32;
                    mesh.vertices.push(mesh.vertices[corner]);
                    mesh.normals.push(std::array::from_fn(|j| face[j] as f32));
                }
            }
        }
        mesh
    }

    /// The solid that the surface encloses, from signed tetrahedra; `None` if it encloses nothing.
    pub fn solid(&self) -> Option<Solid> {
        let (mut volume, mut first, mut second) = (0.0, Vector3::zeros(), Matrix3::zeros());
        for t in &self.triangles {
            let [a, b, c] = self.corners(*t);
            let v = a.dot(&b.cross(&c)) / 6.0;
            let s = a + b + c;
            volume += v;
            first += s * (v / 4.0);
            second +=
                (s * s.transpose() + a * a.transpose() + b * b.transpose() + c * c.transpose())
                    * (v / 20.0);
        }
        if !(volume > 1e-18 && volume.is_finite()) {
            return None;
        }
        let com = first / volume;
        let about = second - com * com.transpose() * volume;
        Some(Solid {
            volume,
            com,
            inertia: Matrix3::identity() * about.trace() - about,
        })
    }
}
