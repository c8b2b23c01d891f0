//! Drawn shapes of geoms: triangles with MuJoCo's texture mapping.
//!
//! A planar texture on a surface without coordinates is projected along z: `u = 0.5 r x - 0.5`, `v = -0.5 r y - 0.5`
//! with x and y over the half size (or in metres if `texuniform`) and r the repeats. A cube texture is looked up in the
//! direction from the centre of the unit object.

use super::geom::{Geom, GeomKind, plane_half};
use super::material::TextureMapping;
use super::mesh::TriMesh;
use super::tessellation::{
    Surface, box_surface, cylinder_surface, ellipsoid_surface, plane_surface,
};
use bitvla_sim::ShapeDesc;

/// Builds the drawn shape of a geom in its frame; `None` if its mesh is missing.
pub(super) fn visual_shape(geom: &Geom) -> Option<ShapeDesc> {
    let s = geom.size;
    let surface = match geom.kind {
        GeomKind::Mesh => {
            let mesh = geom.mesh.as_ref()?.mesh.as_ref()?;
            return Some(textured_mesh(geom, mesh));
        }
        GeomKind::Box => box_surface(s),
        // The third size is the spacing of the grid.
        GeomKind::Plane => plane_surface([plane_half(s[0]), plane_half(s[1])], s[2]),
        GeomKind::Sphere => ellipsoid_surface([s[0]; 3], 0.0),
        GeomKind::Ellipsoid => ellipsoid_surface(s, 0.0),
        GeomKind::Capsule => ellipsoid_surface([s[0]; 3], s[1]),
        GeomKind::Cylinder => cylinder_surface(s[0], s[1]),
    };
    Some(textured_surface(geom, &surface))
}

/// Vertices being collected with all that belongs to them.
#[derive(Default)]
struct MeshBuilder {
    vertices: Vec<[f32; 3]>,
    normals: Vec<[f32; 3]>,
    uv: Vec<[f32; 2]>,
    triangles: Vec<[u32; 3]>,
}

impl MeshBuilder {
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

fn textured_surface(geom: &Geom, surface: &Surface) -> ShapeDesc {
    let mut mesh = MeshBuilder::default();
    match geom.material.mapping() {
        Some(TextureMapping::Cube) => {
            for t in &surface.triangles {
                let unit = t.map(|i| surface.unit[i as usize]);
                let face = cube_face(&unit);
                let ids = [0, 1, 2].map(|k| {
                    let i = t[k] as usize;
                    mesh.vertex(
                        to_f32(surface.points[i]),
                        to_f32(surface.normals[i]),
                        cube_uv(face, unit[k]),
                    )
                });
                mesh.triangles.push(ids);
            }
        }
        mapping => {
            let material = &geom.material;
            let scale = [0, 1]
                .map(|k| material.repeat[k] * if material.uniform { geom.size[k] } else { 1.0 });
            for i in 0..surface.points.len() {
                let uv = match mapping {
                    Some(_) => planar_uv(scale, surface.unit[i]),
                    None => [0.0; 2],
                };
                mesh.vertex(to_f32(surface.points[i]), to_f32(surface.normals[i]), uv);
            }
            mesh.triangles.clone_from(&surface.triangles);
        }
    }
    mesh.shape()
}

fn textured_mesh(geom: &Geom, source: &TriMesh) -> ShapeDesc {
    let source = &source.shaded();
    let normals = &source.normals;
    let mut mesh = MeshBuilder::default();
    // A surface that encloses nothing has no centre; its own origin serves.
    let centre = source
        .volume_properties()
        .map_or([0.0; 3], |v| v.com.into());
    let from_centre = |i: usize| -> [f64; 3] {
        std::array::from_fn(|k| f64::from(source.vertices[i][k]) - centre[k])
    };
    match geom.material.mapping() {
        Some(TextureMapping::Cube) if source.uv.is_empty() => {
            for t in &source.triangles {
                let unit = t.map(|i| from_centre(i as usize));
                let face = cube_face(&unit);
                let ids = [0, 1, 2].map(|k| {
                    let i = t[k] as usize;
                    mesh.vertex(source.vertices[i], normals[i], cube_uv(face, unit[k]))
                });
                mesh.triangles.push(ids);
            }
            return mesh.shape();
        }
        Some(TextureMapping::Planar) if source.uv.is_empty() => {
            // Over the half extent of the mesh, or in metres.
            let mut reach = [1e-9f64; 3];
            for i in 0..source.vertices.len() {
                let p = from_centre(i);
                reach = [0, 1, 2].map(|k| reach[k].max(p[k].abs()));
            }
            let material = &geom.material;
            let scale =
                [0, 1].map(|k| material.repeat[k] / if material.uniform { 1.0 } else { reach[k] });
            for (i, normal) in normals.iter().enumerate() {
                mesh.vertex(
                    source.vertices[i],
                    *normal,
                    planar_uv(scale, from_centre(i)),
                );
            }
        }
        _ => {
            for (i, normal) in normals.iter().enumerate() {
                // Without texture coordinates there is no picture here, so none are needed.
                let uv = source.uv.get(i).copied().unwrap_or_default();
                mesh.vertex(source.vertices[i], *normal, uv);
            }
        }
    }
    mesh.triangles.clone_from(&source.triangles);
    mesh.shape()
}

fn to_f32<const N: usize>(v: [f64; N]) -> [f32; N] {
    v.map(|x| x as f32)
}

/// Texture coordinates of a projection along z.
fn planar_uv(scale: [f64; 2], p: [f64; 3]) -> [f32; 2] {
    to_f32([0.5 * scale[0] * p[0] - 0.5, -0.5 * scale[1] * p[1] - 0.5])
}

/// Face of the cube around the origin that the middle of a triangle points at: axis and sign.
fn cube_face(corners: &[[f64; 3]; 3]) -> (usize, f64) {
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
    to_f32([s, t].map(|c| (c / depth).clamp(-1.0, 1.0) * 0.5 + 0.5))
}
