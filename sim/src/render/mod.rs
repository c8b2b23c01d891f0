//! The cameras: a software renderer that gives the same bytes at any optimisation level, on any
//! machine and for any number of threads (fact sheet sections 2 and 9 for cameras and lights).
//!
//! One frame is one thread's work: transform, clip and rasterise all triangles into a visibility
//! buffer with four samples per pixel (`raster`), then shade each pixel once per triangle it sees,
//! triangle by triangle (`requests`, `shade`, with `light`, `texture` and `shadow`). Arithmetic is
//! plain f32 without fused multiply-add; transcendental functions come from `libm` and are used only
//! when a scene is built.

// Axes and channels index several arrays at once.
#![allow(clippy::needless_range_loop)]

mod camera_image;
mod font;
mod hull;
mod isa;
mod label_texture;
mod lighting;
mod math;
mod mesh;
mod mirror;
mod raster;
mod shade;
mod shading_queue;
mod shadow;
mod simd;
mod texture;

pub use camera_image::CameraImage;
pub use mesh::Mesh;
pub use texture::TextureImage;

use crate::description::{CameraDesc, MaterialDesc, Owner, SceneDesc, VisualState, isometry};
use crate::error::SimError;
use lighting::{Lighting, Material};
use math::{Rigid, V3, add, dot, scale, sub};
use mirror::Mirror;
use raster::{Projected, Raster};
use shading_queue::ShadingQueue;
use shadow::Shadow;
use std::sync::Arc;
use texture::Texture;

/// Colour where nothing is.
const BACKGROUND: V3 = [0.35, 0.35, 0.36];

/// A drawn shape: a range of vertices and triangles in the frame of a body.
struct Part {
    body: usize,
    material: usize,
    first_vertex: usize,
    vertices: usize,
    triangles: std::ops::Range<usize>,
    /// Bounding sphere in the body frame.
    centre: V3,
    radius: f32,
    /// Body whose joint position decides, and the least position at which it is drawn.
    visible_when: Option<(usize, f64)>,
}

struct Camera {
    desc: CameraDesc,
    body: Option<usize>,
    /// Pose in the frame of the body or the world.
    mount: nalgebra::Isometry3<f64>,
    tan_half: f32,
}

/// Draws a scene as its cameras see it.
pub struct Renderer {
    parts: Vec<Part>,
    positions: Vec<V3>,
    normals: Vec<V3>,
    uvs: Vec<[f32; 2]>,
    triangles: Vec<[u32; 3]>,
    materials: Vec<Material>,
    textures: Vec<Arc<Texture>>,
    lights: Lighting,
    cameras: Vec<Camera>,
    bodies: usize,
    raster: Raster,
    requests: ShadingQueue,
    shadow: Shadow,
    /// Motion of each part in the shadow map, none where it is not in it.
    shadow_at: Vec<Option<Rigid>>,
    /// Whether each part is in the map of what stands still.
    still: Vec<bool>,
    /// Vertices in the world, by coordinate, and the motion of each body that put them there.
    world: [Vec<f32>; 3],
    moved: Vec<Option<Rigid>>,
    /// Vertices of the current frame as the camera sees them.
    projected: Projected,
    /// Colours of the vertices of the current frame, where they are made per vertex.
    lit: Option<Vec<V3>>,
    /// The one shape that mirrors.
    mirror: Option<Mirror>,
}

impl Renderer {
    /// Builds meshes, textures and cameras of a scene.
    pub fn new(scene: &SceneDesc) -> Result<Renderer, SimError> {
        let table = scene.body_table();
        let robot_start = scene.arena.model.bodies.len();
        let cameras = scene
            .arena
            .cameras
            .iter()
            .map(|c| camera(scene, c, robot_start))
            .collect::<Result<Vec<_>, _>>()?;
        let offset = scene.arena.workspace_offset;
        let mut r = Renderer {
            parts: Vec::new(),
            positions: Vec::new(),
            normals: Vec::new(),
            uvs: Vec::new(),
            triangles: Vec::new(),
            materials: Vec::new(),
            textures: Vec::new(),
            lights: Lighting::new(&scene.arena.lights, scene.arena.headlight),
            cameras,
            bodies: table.len(),
            raster: Raster::default(),
            requests: ShadingQueue::default(),
            shadow: Shadow::new([offset[0] as f32 - 0.05, offset[1] as f32]),
            shadow_at: Vec::new(),
            still: Vec::new(),
            world: Default::default(),
            moved: vec![None; table.len()],
            projected: Projected::default(),
            lit: scene.arena.fixed_function.then(Vec::new),
            mirror: None,
        };
        let mut made: Vec<(&MaterialDesc, usize)> = Vec::new();
        for (index, b) in table.iter().enumerate() {
            let model = scene.model(b.owner);
            let start = index - b.body;
            for visual in &model.bodies[b.body].visual {
                let wrong = |what: String| {
                    SimError::Render(format!(
                        "{}/{}: {what}",
                        model.name, model.bodies[b.body].name
                    ))
                };
                let desc = model
                    .materials
                    .get(&visual.material)
                    .ok_or_else(|| wrong(format!("no material `{}`", visual.material)))?;
                let material = match made.iter().find(|(d, _)| *d == desc) {
                    Some((_, i)) => *i,
                    None => {
                        made.push((desc, r.add_material(desc)?));
                        r.materials.len() - 1
                    }
                };
                let metric = desc.texture.as_ref().is_some_and(|t| t.repeat.is_some());
                let mesh = Mesh::of_shape(&visual.shape, metric)?;
                let visible_when = match &visual.visible_when {
                    None => None,
                    Some(v) => {
                        let link = model.bodies.iter().position(|body| {
                            body.joint.as_ref().is_some_and(|j| j.name == v.joint)
                        });
                        let link = link.ok_or_else(|| wrong(format!("no joint `{}`", v.joint)))?;
                        Some((start + link, v.at_least))
                    }
                };
                let frame = Rigid::new(&isometry(visual.pos, visual.quat_wxyz));
                if r.lit.is_some() && r.mirror.is_none() && desc.reflectance > 0.0 {
                    r.mirror = Some(Mirror::new(r.parts.len(), &mesh, &frame, desc));
                }
                r.add_part(index, material, &mesh, &frame, visible_when);
            }
        }
        for axis in &mut r.world {
            axis.resize(r.positions.len(), 0.0);
        }
        r.projected.resize(r.positions.len());
        if let Some(lit) = &mut r.lit {
            lit.resize(r.positions.len(), [0.0; 3]);
        }
        Ok(r)
    }

    /// Number of triangles of the scene.
    pub fn triangle_count(&self) -> usize {
        self.triangles.len()
    }

    fn add_material(&mut self, desc: &MaterialDesc) -> Result<usize, SimError> {
        let texture = match &desc.texture {
            None => None,
            Some(t) => {
                self.textures.push(Texture::shared(t)?);
                Some(self.textures.len() - 1)
            }
        };
        self.materials.push(Material::new(desc, texture));
        Ok(self.materials.len() - 1)
    }

    fn add_part(
        &mut self,
        body: usize,
        material: usize,
        mesh: &Mesh,
        frame: &Rigid,
        visible_when: Option<(usize, f64)>,
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
        self.parts.push(Part {
            body,
            material,
            first_vertex,
            vertices: mesh.positions.len(),
            triangles: first_triangle..self.triangles.len(),
            centre: add(lo, half),
            radius: dot(half, half).sqrt() * 1.001,
            visible_when,
        });
    }

    /// Draws the scene in `state` as the named camera sees it.
    pub fn render(
        &mut self,
        state: &VisualState,
        camera: &str,
        width: usize,
        height: usize,
    ) -> Result<CameraImage, SimError> {
        let wrong = SimError::Render;
        if state.poses.len() != self.bodies || state.joint_positions.len() != self.bodies {
            return Err(wrong(format!(
                "visual state has {} poses and {} joint positions, scene has {} bodies",
                state.poses.len(),
                state.joint_positions.len(),
                self.bodies
            )));
        }
        if width == 0 || height == 0 || width > 4096 || height > 4096 {
            return Err(wrong(format!("image size {width}x{height}")));
        }
        let cam = self
            .cameras
            .iter()
            .find(|c| c.desc.name == camera)
            .ok_or_else(|| wrong(format!("no camera `{camera}`")))?;
        let pose = match cam.body {
            Some(b) => state.poses[b] * cam.mount,
            None => cam.mount,
        };
        let eye = Rigid::new(&pose);
        let (ty, tx) = (cam.tan_half, cam.tan_half * width as f32 / height as f32);
        let frames: Vec<Rigid> = state.poses.iter().map(Rigid::new).collect();
        self.place(&frames);
        if self.lit.is_none() {
            self.draw_shadow(state, &frames);
        }
        let frustum = Frustum {
            eye,
            tan: [tx, ty],
            slopes: [[-tx, tx], [-ty, ty]],
            size: [width, height],
            head: eye.z,
            mirror: None,
        };
        self.draw_triangles(state, &frames, &frustum);
        let mut rgb = self.shade(&frames, &frustum);
        if let Some(mirror) = self.mirror.clone() {
            let faces = mirror.faces(&self.raster, &self.normals);
            if let Some(frustum) =
                mirror.frustum(&frustum, &frames[self.parts[mirror.part].body], &faces)
            {
                self.draw_triangles(state, &frames, &frustum);
                self.raster
                    .keep_only(faces.iter().map(|f| mirror::across(f.0, width)));
                let seen = self.shade(&frames, &frustum);
                mirror::add(&mut rgb, &faces, &seen, &self.raster);
            }
        }
        Ok(CameraImage { width, height, rgb })
    }

    /// Colours of what was drawn.
    fn shade(&mut self, frames: &[Rigid], frustum: &Frustum) -> Vec<u8> {
        let view = shade::View {
            parts: &self.parts,
            normals: self.lit.as_ref().unwrap_or(&self.normals),
            per_vertex: self.lit.is_some(),
            uvs: &self.uvs,
            materials: &self.materials,
            textures: &self.textures,
            lights: &self.lights,
            shadow: &self.shadow,
            frames,
            eye: &frustum.eye,
            tan: frustum.tan,
        };
        shade::image(&view, &self.raster, &mut self.requests)
    }

    fn shown(part: &Part, state: &VisualState) -> bool {
        part.visible_when
            .is_none_or(|(body, least)| state.joint_positions[body] >= least)
    }

    /// Moves the vertices of all bodies that are not where they were.
    fn place(&mut self, frames: &[Rigid]) {
        for part in &self.parts {
            let f = &frames[part.body];
            if self.moved[part.body].as_ref() == Some(f) {
                continue;
            }
            for i in part.first_vertex..part.first_vertex + part.vertices {
                let p = f.point(self.positions[i]);
                for k in 0..3 {
                    self.world[k][i] = p[k];
                }
            }
        }
        for (moved, f) in self.moved.iter_mut().zip(frames) {
            *moved = Some(*f);
        }
    }

    /// Height map for the soft shadow, kept while nothing moves (both cameras share it). What has not
    /// moved since the last one is drawn once and kept until it moves.
    fn draw_shadow(&mut self, state: &VisualState, frames: &[Rigid]) {
        let now: Vec<Option<Rigid>> = self
            .parts
            .iter()
            .map(|p| (Self::shown(p, state) && p.radius <= 2.0).then_some(frames[p.body]))
            .collect();
        if now == self.shadow_at {
            return;
        }
        self.shadow_at.resize(now.len(), None);
        self.still.resize(now.len(), false);
        let unmoved: Vec<bool> = now
            .iter()
            .zip(&self.shadow_at)
            .map(|(now, before)| now.is_some() && now == before)
            .collect();
        if unmoved != self.still {
            self.shadow.begin_still();
            self.cast(|i| unmoved[i]);
            self.shadow.keep_still();
            self.still = unmoved;
        }
        self.shadow.begin();
        let moving: Vec<bool> = now
            .iter()
            .zip(&self.still)
            .map(|(now, still)| now.is_some() && !still)
            .collect();
        self.cast(|i| moving[i]);
        self.shadow.finish();
        self.shadow_at = now;
    }

    /// Draws some parts into the shadow map.
    fn cast(&mut self, chosen: impl Fn(usize) -> bool) {
        for (i, part) in self.parts.iter().enumerate() {
            if chosen(i) {
                let triangles = &self.triangles[part.triangles.clone()];
                shadow::draw(&mut self.shadow, &self.world, triangles);
            }
        }
    }

    fn draw_triangles(&mut self, state: &VisualState, frames: &[Rigid], frustum: &Frustum) {
        let Frustum {
            eye,
            tan,
            size: [width, height],
            slopes,
            ..
        } = frustum;
        self.raster.begin(*width, *height);
        self.raster.mirror = frustum.mirror.as_ref().map(|m| m.side);
        // Lengths along the four sides, to leave out what cannot be in the image.
        let length = slopes.map(|ends| ends.map(|t| (1.0 + t * t).sqrt()));
        for (index, part) in self.parts.iter().enumerate() {
            let mirrors = frustum.mirror.as_ref().is_some_and(|m| m.part == index);
            if mirrors || !Self::shown(part, state) {
                continue;
            }
            let f = &frames[part.body];
            let view = |p: V3| {
                let d = sub(f.point(p), eye.t);
                [dot(d, eye.x), dot(d, eye.y), -dot(d, eye.z)]
            };
            let c = view(part.centre);
            let beyond = |k: usize| {
                let ([low, high], [l_low, l_high]) = (slopes[k], length[k]);
                c[k] - c[2] * high > part.radius * l_high || c[2] * low - c[k] > part.radius * l_low
            };
            if c[2] < -part.radius || beyond(0) || beyond(1) {
                continue;
            }
            let range = part.first_vertex..part.first_vertex + part.vertices;
            let half = [*width as f32 * 0.5, *height as f32 * 0.5];
            let (raster, seen) = (&mut self.raster, &mut self.projected);
            raster::project(seen, &self.world, range.clone(), eye, *tan, half);
            let mut material = self.materials[part.material].clone();
            if let Some(mirror) = &frustum.mirror {
                seen.hide(range.clone(), mirror.side);
                material.rgb = scale(material.rgb, mirror.reflectance);
            }
            let triangles = &self.triangles[part.triangles.clone()];
            raster::draw(raster, seen, triangles, index as u32, material.mask);
            if let Some(lit) = &mut self.lit {
                let from = (&self.world, &self.normals[range.clone()]);
                let eye = (eye.t, frustum.head);
                lighting::vertices(lit, range, from, f, &material, &self.lights, eye);
            }
        }
    }
}

/// From where and how much is looked at.
struct Frustum {
    eye: Rigid,
    /// Half of the image's width and height at distance one.
    tan: [f32; 2],
    /// What is looked at: lowest and highest slope to the right and up.
    slopes: [[f32; 2]; 2],
    /// Pixels.
    size: [usize; 2],
    /// Direction from the scene to the headlight.
    head: V3,
    /// The mirror that is looked into.
    mirror: Option<mirror::Glass>,
}

fn camera(scene: &SceneDesc, desc: &CameraDesc, robot_start: usize) -> Result<Camera, SimError> {
    let body = match &desc.body {
        None => None,
        Some(name) => {
            let model = scene.model(Owner::Robot);
            let i = model.bodies.iter().position(|b| b.name == *name);
            Some(
                robot_start
                    + i.ok_or_else(|| {
                        SimError::Render(format!(
                            "camera `{}`: the robot has no body `{name}`",
                            desc.name
                        ))
                    })?,
            )
        }
    };
    Ok(Camera {
        desc: desc.clone(),
        body,
        mount: isometry(desc.pos, desc.quat_wxyz),
        tan_half: libm::tan(desc.fovy_deg.to_radians() * 0.5) as f32,
    })
}
