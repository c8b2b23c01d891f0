//! Mesh files that MuJoCo models name: binary STL, OBJ and MuJoCo's own MSH, all little endian.
//!
//! Counts in a file are compared with its length before anything is allocated. Texture coordinates come out with `v`
//! running down the image, as MuJoCo hands them to the graphics card: as written in an MSH file, mirrored from an OBJ
//! file.

use super::bounded_read::read_bytes;
use super::mesh::{MeshFrame, TriMesh};
use crate::error::TaskError;
use bitvla_sim::MAX_LENGTH_METRES;
use std::collections::BTreeMap;
use std::path::Path;

/// Largest mesh file, bytes; LIBERO's have at most 3 million.
const MAX_FILE: u64 = 64 << 20;

/// Most corners of a face of an OBJ file.
const MAX_CORNERS: usize = 4096;

/// Reads a mesh file in the format of its ending, in the frame and scale of its asset.
pub(super) fn read_mesh(path: &Path, frame: &MeshFrame) -> Result<TriMesh, TaskError> {
    let mut mesh = parse_mesh(path, &read_bytes(path, MAX_FILE)?)?;
    mesh.transform(frame);
    let context = format!("scaled by {:?}, ", frame.scale);
    check_finite(&mesh, path, &context)?;
    match (mesh.vertices.as_flattened().iter()).find(|x| f64::from(x.abs()) > MAX_LENGTH_METRES) {
        Some(x) => {
            let found = format!("{context}a coordinate of {x} m");
            let expected = format!("a mesh of at most {MAX_LENGTH_METRES} m");
            Err(malformed(path, 1, found, &expected))
        }
        None => Ok(mesh),
    }
}

/// Reads a mesh from the bytes of a file; the ending of the path decides the format.
pub(super) fn parse_mesh(path: &Path, bytes: &[u8]) -> Result<TriMesh, TaskError> {
    let ending = path
        .extension()
        .map(|e| e.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default();
    let mesh = match ending.as_str() {
        "stl" => stl(path, bytes),
        "msh" => msh(path, bytes),
        "obj" => obj(path, bytes),
        other => Err(malformed(
            path,
            1,
            format!("ending `{other}`"),
            "a mesh file: .stl, .obj or .msh",
        )),
    }?;
    check_finite(&mesh, path, "")?;
    if mesh.triangles.is_empty() {
        return Err(malformed(path, 1, "no triangles".into(), "a mesh"));
    }
    Ok(mesh)
}

/// Refuses coordinates that are not finite; `context` opens the message.
fn check_finite(mesh: &TriMesh, path: &Path, context: &str) -> Result<(), TaskError> {
    match mesh.first_non_finite() {
        Some(at) => {
            let found = format!("{context}number {at} of the mesh is not finite");
            Err(malformed(path, 1, found, "finite coordinates"))
        }
        None => Ok(()),
    }
}

fn malformed(path: &Path, line: usize, found: String, expected: &str) -> TaskError {
    TaskError::Malformed {
        path: path.to_owned(),
        line,
        found,
        expected: expected.to_owned(),
    }
}

/// Little-endian numbers at a byte offset whose presence has been checked.
fn le_words<const N: usize>(bytes: &[u8], at: usize) -> [[u8; 4]; N] {
    std::array::from_fn(|k| {
        let mut word = [0; 4];
        if let Some(part) = bytes.get(at + 4 * k..at + 4 * k + 4) {
            word.copy_from_slice(part);
        }
        word
    })
}

/// Little-endian single-precision numbers, likewise.
fn floats<const N: usize>(bytes: &[u8], at: usize) -> [f32; N] {
    le_words(bytes, at).map(f32::from_le_bytes)
}

/// Binary STL: 80 bytes, a count, and per triangle a normal, three corners and two bytes.
fn stl(path: &Path, bytes: &[u8]) -> Result<TriMesh, TaskError> {
    if bytes.len() < 84 {
        let found = format!("{} bytes", bytes.len());
        return Err(malformed(
            path,
            1,
            found,
            "a binary STL of at least 84 bytes",
        ));
    }
    let count = u32::from_le_bytes(le_words::<1>(bytes, 80)[0]) as usize;
    let capacity = (bytes.len() - 84) / 50;
    if count != capacity || !(bytes.len() - 84).is_multiple_of(50) {
        let found = format!(
            "a count of {count} triangles at byte 80 in {} bytes",
            bytes.len()
        );
        return Err(malformed(
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

/// MuJoCo's MSH: four counts, then vertices, normals, texture coordinates and faces.
fn msh(path: &Path, bytes: &[u8]) -> Result<TriMesh, TaskError> {
    let expected = "a MuJoCo MSH: counts of vertices, normals, texture coordinates and faces (int32), \
                    then as many of them";
    if bytes.len() < 16 {
        let found = format!("{} bytes", bytes.len());
        return Err(malformed(path, 1, found, expected));
    }
    let counts = le_words::<4>(bytes, 0).map(i32::from_le_bytes);
    let wanted: Option<u64> = counts
        .iter()
        .zip([12u64, 12, 8, 12])
        .try_fold(16u64, |sum, (count, size)| {
            Some(sum + u64::try_from(*count).ok()? * size)
        });
    if wanted != Some(bytes.len() as u64) {
        let found = format!("counts {counts:?} in {} bytes", bytes.len());
        return Err(malformed(path, 1, found, expected));
    }
    let [nv, nn, nt, nf] = counts.map(|c| c as usize);
    if (nn != 0 && nn != nv) || (nt != 0 && nt != nv) {
        let found = format!("{nv} vertices, {nn} normals and {nt} texture coordinates");
        return Err(malformed(
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
        let ids = le_words::<3>(bytes, f + 12 * i).map(u32::from_le_bytes);
        if ids.iter().any(|id| *id as usize >= nv) {
            let found = format!("face {i} {ids:?} at byte {}", f + 12 * i);
            let expected = format!("vertex numbers below {nv}");
            return Err(malformed(path, 1, found, &expected));
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

/// Wavefront OBJ; faces of more than three corners become fans.
fn obj(path: &Path, bytes: &[u8]) -> Result<TriMesh, TaskError> {
    let text = String::from_utf8_lossy(bytes);
    let (mut positions, mut coords, mut normals) = (Vec::new(), Vec::new(), Vec::new());
    let mut corners: BTreeMap<[u32; 3], u32> = BTreeMap::new();
    let mut order: Vec<[u32; 3]> = Vec::new();
    let mut triangles = Vec::new();
    const NONE: u32 = u32::MAX;
    for (i, line) in text.lines().enumerate() {
        let line_no = i + 1;
        let mut parts = line.split_ascii_whitespace();
        // An empty line has no tag and is skipped below.
        let tag = parts.next().unwrap_or("");
        let fail = |expected: &str| {
            let short: String = line.chars().take(60).collect();
            malformed(path, line_no, format!("`{short}`"), expected)
        };
        let numbers = |parts: std::str::SplitAsciiWhitespace<'_>, n: usize| {
            let found: Vec<f32> = parts.take(n).filter_map(|p| p.parse().ok()).collect();
            if found.len() == n { Some(found) } else { None }
        };
        match tag {
            "v" => {
                let p = numbers(parts, 3).ok_or_else(|| fail("`v x y z`"))?;
                positions.push([p[0], p[1], p[2]]);
            }
            "vn" => {
                let p = numbers(parts, 3).ok_or_else(|| fail("`vn x y z`"))?;
                normals.push([p[0], p[1], p[2]]);
            }
            "vt" => {
                let p = numbers(parts, 2).ok_or_else(|| fail("`vt u v`"))?;
                coords.push([p[0], 1.0 - p[1]]);
            }
            "f" => {
                let counts = [positions.len(), coords.len(), normals.len()];
                let mut face = Vec::new();
                for part in parts {
                    let mut key = [NONE; 3];
                    for (k, word) in part.split('/').enumerate() {
                        if word.is_empty() && k > 0 {
                            continue;
                        }
                        // A fourth part of a corner refers to nothing and is refused below.
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
                if face.len() > MAX_CORNERS {
                    let found = format!("a face of {} corners", face.len());
                    let expected = format!("at most {MAX_CORNERS} corners");
                    return Err(malformed(path, line_no, found, &expected));
                }
                if face.len() < 3 {
                    return Err(fail("a face of three corners or more"));
                }
                for k in 1..face.len() - 1 {
                    triangles.push([face[0], face[k], face[k + 1]]);
                }
            }
            // Names, groups and materials: the asset of the model names the material.
            "" | "o" | "g" | "s" | "mtllib" | "usemtl" | "vp" => {}
            // Lines between vertices have no surface.
            "l" | "p" => {}
            tag if tag.starts_with('#') => {}
            _ => {
                return Err(fail(
                    "a statement of an OBJ file: v, vt, vn, f, o, g, s, l, p, mtllib or usemtl",
                ));
            }
        }
    }
    let full = |k: usize| !order.is_empty() && order.iter().all(|key| key[k] != NONE);
    Ok(TriMesh {
        vertices: order.iter().map(|key| positions[key[0] as usize]).collect(),
        normals: if full(2) {
            order.iter().map(|key| normals[key[2] as usize]).collect()
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
