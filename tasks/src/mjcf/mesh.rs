//! Triangle meshes: their frame and scale, and shading normals as MuJoCo draws them.

use nalgebra::{UnitQuaternion, Vector3};

/// Cosine below which a normal counts as turned away from a face: 37 degrees, MuJoCo's limit.
const SMOOTH_COSINE: f64 = 0.8;

/// A mesh in the frame of its file, scaled.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct TriMesh {
    /// Vertices, m.
    pub vertices: Vec<[f32; 3]>,
    /// Unit normals, one per vertex; empty where the file has none.
    pub normals: Vec<[f32; 3]>,
    /// Texture coordinates, one per vertex; empty where the file has none.
    pub uv: Vec<[f32; 2]>,
    /// Vertex indices, counter-clockwise from outside.
    pub triangles: Vec<[u32; 3]>,
}

/// Changes that a mesh asset makes to the vertices of its file.
#[derive(Debug, Clone, Copy)]
pub(super) struct MeshFrame {
    /// Position that is subtracted first (`refpos`), m before scaling.
    pub origin: [f64; 3],
    /// Rotation whose inverse is applied next (`refquat`), if one is given.
    pub turn: Option<UnitQuaternion<f64>>,
    /// Factors of the axes, applied last.
    pub scale: [f64; 3],
}

fn vector(p: [f32; 3]) -> Vector3<f64> {
    Vector3::from(p.map(f64::from))
}

impl TriMesh {
    /// Index of the first coordinate that is not finite, over vertices, normals and texture coordinates.
    pub fn first_non_finite(&self) -> Option<usize> {
        (self.vertices.as_flattened().iter())
            .chain(self.normals.as_flattened())
            .chain(self.uv.as_flattened())
            .position(|x| !x.is_finite())
    }

    /// Moves, turns and scales the mesh in this order, as MuJoCo does.
    pub fn transform(&mut self, frame: &MeshFrame) {
        if frame.origin != [0.0; 3] {
            for p in &mut self.vertices {
                *p = std::array::from_fn(|k| (f64::from(p[k]) - frame.origin[k]) as f32);
            }
        }
        if let Some(turn) = frame.turn {
            for p in self.vertices.iter_mut().chain(&mut self.normals) {
                let turned = turn.inverse() * vector(*p);
                *p = std::array::from_fn(|k| turned[k] as f32);
            }
        }
        self.scale(frame.scale);
    }

    /// Scales the axes; a mirrored mesh keeps its faces counter-clockwise from outside.
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

    pub(super) fn corners(&self, t: [u32; 3]) -> [Vector3<f64>; 3] {
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
        // Summed in the same order, so that a corner that loses all its faces is left with exactly zero.
        let mut removed = vec![Vector3::zeros(); self.vertices.len()];
        for t in &self.triangles {
            let n = area(t);
            for i in t {
                let mean: Vector3<f64> = sums[*i as usize];
                if mean.dot(&n) < SMOOTH_COSINE * mean.norm() * n.norm() {
                    removed[*i as usize] += n;
                }
            }
        }
        (sums.iter().zip(&removed))
            .map(|(sum, removed)| {
                let n = (sum - removed)
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
                if vector(mesh.normals[corner]).dot(&face) < SMOOTH_COSINE {
                    mesh.triangles[i][k] = mesh.vertices.len() as u32;
                    mesh.vertices.push(mesh.vertices[corner]);
                    mesh.normals.push(std::array::from_fn(|j| face[j] as f32));
                }
            }
        }
        mesh
    }
}
