//! Geometry of a scene as it is drawn: one [`Drawable`] per visual shape, with all vertices, triangles, materials
//! and textures in common arrays.

use super::lighting::Material;
use super::math::{RigidTransform, V3, add, dot, scale, sub};
use super::mesh::Mesh;
use super::mirror::Mirror;
use super::texture::Texture;
use crate::description::{MaterialDesc, SceneDesc, VisibleWhen, VisualState, isometry};
use crate::error::SimError;
use std::sync::Arc;

/// A drawn shape: a range of vertices and triangles in the frame of a body.
pub(super) struct Drawable {
    /// Row of the body table.
    pub body: usize,
    /// Index of the material.
    pub material: usize,
    /// Its vertices, in the frame of the body.
    pub vertices: std::ops::Range<usize>,
    /// Its triangles.
    pub triangles: std::ops::Range<usize>,
    /// Centre of the bounding sphere in the frame of the body, m.
    pub centre: V3,
    /// Radius of the bounding sphere, m.
    pub radius: f32,
    /// Row of the body whose joint decides, and the least joint position at which the shape is drawn.
    visible_from: Option<(usize, f64)>,
}

impl Drawable {
    /// Returns true when the shape is drawn in a state.
    pub fn is_visible(&self, state: &VisualState) -> bool {
        self.visible_from
            .is_none_or(|(body, least)| state.joint_positions[body] >= least)
    }
}

/// Shapes of a scene.
pub(super) struct SceneGeometry {
    pub drawables: Vec<Drawable>,
    /// Positions of the vertices in the frames of their bodies, m.
    pub positions: Vec<V3>,
    /// Unit normals of the vertices in the frames of their bodies.
    pub normals: Vec<V3>,
    /// Texture coordinates of the vertices.
    pub uvs: Vec<[f32; 2]>,
    /// Vertex indices, counter-clockwise from outside.
    pub triangles: Vec<[u32; 3]>,
    pub materials: Vec<Material>,
    pub textures: Vec<Arc<Texture>>,
    /// The reflecting shape of a scene in fixed-function shading.
    pub mirror: Option<Mirror>,
}

impl SceneGeometry {
    /// Builds meshes, materials and textures of a scene. With `mirrors` the first shape that reflects becomes
    /// [`SceneGeometry::mirror`].
    pub fn new(scene: &SceneDesc, mirrors: bool) -> Result<SceneGeometry, SimError> {
        let mut geometry = SceneGeometry {
            drawables: Vec::new(),
            positions: Vec::new(),
            normals: Vec::new(),
            uvs: Vec::new(),
            triangles: Vec::new(),
            materials: Vec::new(),
            textures: Vec::new(),
            mirror: None,
        };
        let mut known: Vec<(&MaterialDesc, usize)> = Vec::new();
        for (index, row) in scene.body_table().iter().enumerate() {
            let model = scene.model(row.owner);
            let body = &model.bodies[row.body];
            let first_row = index - row.body;
            for visual in &body.visual {
                let invalid = |reason: String| {
                    SimError::Render(format!("{}/{}: {reason}", model.name, body.name))
                };
                let desc = model
                    .materials
                    .get(&visual.material)
                    .ok_or_else(|| invalid(format!("no material `{}`", visual.material)))?;
                let material = match known.iter().find(|(d, _)| *d == desc) {
                    Some((_, i)) => *i,
                    None => {
                        known.push((desc, geometry.add_material(desc)?));
                        geometry.materials.len() - 1
                    }
                };
                let metric = desc.texture.as_ref().is_some_and(|t| t.repeat.is_some());
                let mesh = Mesh::of_shape(&visual.shape, metric)?;
                let joint_row = |condition: &VisibleWhen| {
                    let has_joint = |b: &crate::description::BodyDesc| {
                        b.joint.as_ref().is_some_and(|j| j.name == condition.joint)
                    };
                    (model.bodies.iter().position(has_joint))
                        .map(|b| (first_row + b, condition.at_least))
                        .ok_or_else(|| invalid(format!("no joint `{}`", condition.joint)))
                };
                let visible_from = visual.visible_when.as_ref().map(joint_row).transpose()?;
                let frame = RigidTransform::new(&isometry(visual.pos, visual.quat_wxyz));
                if mirrors && geometry.mirror.is_none() && desc.reflectance > 0.0 {
                    let drawable = geometry.drawables.len();
                    geometry.mirror = Some(Mirror::new(drawable, &mesh, &frame, desc));
                }
                geometry.add_drawable(index, material, &mesh, &frame, visible_from);
            }
        }
        Ok(geometry)
    }

    fn add_material(&mut self, desc: &MaterialDesc) -> Result<usize, SimError> {
        let texture = match &desc.texture {
            None => None,
            Some(t) => {
                self.textures.push(Texture::cached(t)?);
                Some(self.textures.len() - 1)
            }
        };
        self.materials.push(Material::new(desc, texture));
        Ok(self.materials.len() - 1)
    }

    fn add_drawable(
        &mut self,
        body: usize,
        material: usize,
        mesh: &Mesh,
        frame: &RigidTransform,
        visible_from: Option<(usize, f64)>,
    ) {
        let first_vertex = self.positions.len();
        let first_triangle = self.triangles.len();
        let (mut lo, mut hi) = ([f32::MAX; 3], [f32::MIN; 3]);
        for (p, n) in mesh.positions.iter().zip(&mesh.normals) {
            let p = frame.point(*p);
            for k in 0..3 {
                lo[k] = lo[k].min(p[k]);
                hi[k] = hi[k].max(p[k]);
            }
            self.positions.push(p);
            self.normals.push(frame.dir(*n));
        }
        self.uvs.extend_from_slice(&mesh.uvs);
        let shift = first_vertex as u32;
        self.triangles
            .extend(mesh.triangles.iter().map(|t| t.map(|i| i + shift)));
        let half = scale(sub(hi, lo), 0.5);
        self.drawables.push(Drawable {
            body,
            material,
            vertices: first_vertex..self.positions.len(),
            triangles: first_triangle..self.triangles.len(),
            centre: add(lo, half),
            radius: dot(half, half).sqrt() * 1.001,
            visible_from,
        });
    }
}
