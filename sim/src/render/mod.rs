//! The cameras: a software renderer that gives the same bytes at any optimisation level, on any
//! machine and for any number of threads (fact sheet sections 2 and 9 for cameras and lights).
//!
//! One frame is one thread's work: transform, clip and rasterise all triangles into a visibility
//! buffer with four samples per pixel (`raster`), then shade each pixel once per triangle it sees
//! (`light`, `texture`, `shadow`). Arithmetic is plain f32 without fused multiply-add;
//! transcendental functions come from `libm` and are used only when a scene is built.

// Axes and channels index several arrays at once.
#![allow(clippy::needless_range_loop)]

mod font;
mod hull;
mod image;
mod light;
mod math;
mod mesh;
mod raster;
mod shadow;
mod texture;

pub use self::image::Frame;
pub use mesh::Mesh;

use crate::description::{CameraDesc, MaterialDesc, Owner, SceneDesc, VisualState, isometry};
use crate::error::SimError;
use light::{Lights, Material};
use math::{Rigid, V3, add, dot, scale, sub, unit};
use raster::{NONE, Raster, SAMPLES};
use shadow::Shadow;
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
    textures: Vec<Texture>,
    lights: Lights,
    cameras: Vec<Camera>,
    bodies: usize,
    raster: Raster,
    shadow: Shadow,
    shadow_state: Option<VisualState>,
    /// Vertices of the current frame in clip coordinates.
    clip: Vec<V3>,
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
            lights: Lights::new(&scene.arena.lights, scene.arena.headlight),
            cameras,
            bodies: table.len(),
            raster: Raster::default(),
            shadow: Shadow::new([offset[0] as f32 - 0.05, offset[1] as f32]),
            shadow_state: None,
            clip: Vec::new(),
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
                        let carrier = model.bodies.iter().position(|body| {
                            body.joint.as_ref().is_some_and(|j| j.name == v.joint)
                        });
                        let carrier =
                            carrier.ok_or_else(|| wrong(format!("no joint `{}`", v.joint)))?;
                        Some((start + carrier, v.at_least))
                    }
                };
                let frame = Rigid::new(&isometry(visual.pos, visual.quat_wxyz));
                r.add_part(index, material, &mesh, &frame, visible_when);
            }
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
                self.textures.push(Texture::new(t)?);
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
    ) -> Result<Frame, SimError> {
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
        self.draw_shadow(state, &frames);
        self.draw_triangles(state, &frames, &eye, tx, ty, width, height);
        Ok(self.shade(&frames, &eye, tx, ty))
    }

    fn shown(part: &Part, state: &VisualState) -> bool {
        part.visible_when
            .is_none_or(|(body, least)| state.joint_positions[body] >= least)
    }

    /// Height map for the soft shadow, kept while nothing moves (both cameras share it).
    fn draw_shadow(&mut self, state: &VisualState, frames: &[Rigid]) {
        if self.shadow_state.as_ref() == Some(state) {
            return;
        }
        self.shadow.begin();
        for part in &self.parts {
            if !Self::shown(part, state) || part.radius > 2.0 {
                continue;
            }
            let f = &frames[part.body];
            for t in &self.triangles[part.triangles.clone()] {
                self.shadow
                    .triangle(t.map(|i| f.point(self.positions[i as usize])));
            }
        }
        self.shadow.finish();
        self.shadow_state = Some(state.clone());
    }

    #[allow(clippy::too_many_arguments)]
    fn draw_triangles(
        &mut self,
        state: &VisualState,
        frames: &[Rigid],
        eye: &Rigid,
        tx: f32,
        ty: f32,
        width: usize,
        height: usize,
    ) {
        self.raster.begin(width, height);
        self.clip.resize(self.positions.len(), [0.0; 3]);
        // Slopes of the four sides, to leave out what cannot be in the image.
        let (lx, ly) = ((1.0 + tx * tx).sqrt(), (1.0 + ty * ty).sqrt());
        for (index, part) in self.parts.iter().enumerate() {
            if !Self::shown(part, state) {
                continue;
            }
            let f = &frames[part.body];
            let view = |p: V3| {
                let d = sub(f.point(p), eye.t);
                [dot(d, eye.x), dot(d, eye.y), -dot(d, eye.z)]
            };
            let c = view(part.centre);
            if c[2] < -part.radius
                || c[0].abs() - c[2] * tx > part.radius * lx
                || c[1].abs() - c[2] * ty > part.radius * ly
            {
                continue;
            }
            let range = part.first_vertex..part.first_vertex + part.vertices;
            for i in range {
                let v = view(self.positions[i]);
                self.clip[i] = [v[0] / tx, v[1] / ty, v[2]];
            }
            for t in &self.triangles[part.triangles.clone()] {
                let p = t.map(|i| self.clip[i as usize]);
                self.raster.triangle(p, *t, index as u32);
            }
        }
    }

    fn shade(&self, frames: &[Rigid], eye: &Rigid, tx: f32, ty: f32) -> Frame {
        let (w, h) = (self.raster.width, self.raster.height);
        let mut rgb = Vec::with_capacity(w * h * 3);
        let quarter = 1.0 / SAMPLES.len() as f32;
        let background = BACKGROUND.map(|v| v * 255.0);
        for y in 0..h {
            for x in 0..w {
                let ids = self.raster.pixel(y * w + x);
                let centre = (x as f32 + 0.5, y as f32 + 0.5);
                let mut sum;
                if ids[0] == ids[1] && ids[0] == ids[2] && ids[0] == ids[3] {
                    sum = if ids[0] == NONE {
                        background
                    } else {
                        self.shade_at(frames, eye, tx, ty, ids[0], centre)
                    };
                } else {
                    sum = [0.0; 3];
                    for k in 0..4 {
                        if ids[..k].contains(&ids[k]) {
                            continue;
                        }
                        // Shade at the middle of the samples that see this triangle.
                        let (mut n, mut px, mut py) = (0.0, 0.0, 0.0);
                        for (id, s) in ids.iter().zip(SAMPLES) {
                            if *id == ids[k] {
                                n += 1.0;
                                px += s[0];
                                py += s[1];
                            }
                        }
                        let at = (x as f32 + px / n, y as f32 + py / n);
                        let c = if ids[k] == NONE {
                            background
                        } else {
                            self.shade_at(frames, eye, tx, ty, ids[k], at)
                        };
                        sum = add(sum, scale(c, n * quarter));
                    }
                }
                rgb.extend(sum.map(|v| (v + 0.5) as u8));
            }
        }
        Frame {
            width: w,
            height: h,
            rgb,
        }
    }

    /// Colour 0..255 of a triangle at a point of the image.
    #[inline(always)]
    fn shade_at(
        &self,
        frames: &[Rigid],
        eye: &Rigid,
        tx: f32,
        ty: f32,
        id: u32,
        (x, y): (f32, f32),
    ) -> V3 {
        let t = &self.raster.tris[id as usize];
        let part = &self.parts[t.part as usize];
        let m = &self.materials[part.material];
        let (dx, dy) = (x - t.origin[0], y - t.origin[1]);
        let at = |p: &raster::Plane| p[0] + p[1] * dx + p[2] * dy;
        let depth = 1.0 / at(&t.inv_w).max(1e-6);
        let b0 = at(&t.b0) * depth;
        let b1 = at(&t.b1) * depth;
        let b2 = 1.0 - b0 - b1;
        let v = [t.v[0] as usize, t.v[1] as usize, t.v[2] as usize];
        let (n0, n1, n2) = (self.normals[v[0]], self.normals[v[1]], self.normals[v[2]]);
        let n = add(add(scale(n0, b0), scale(n1, b1)), scale(n2, b2));
        let n = unit(frames[part.body].dir(n));
        let (w, h) = (self.raster.width as f32, self.raster.height as f32);
        let ray = [(2.0 * x / w - 1.0) * tx, (1.0 - 2.0 * y / h) * ty, -1.0];
        let ray = eye.dir(ray);
        let p = add(eye.t, scale(ray, depth));
        let back = unit(scale(ray, -1.0));
        let open = self.shadow.open(p, n);
        let (base, shine) = self.lights.shade(m, p, n, back, eye.z, open);
        let mut c = [
            m.rgb[0] * base + shine,
            m.rgb[1] * base + shine,
            m.rgb[2] * base + shine,
        ];
        if let Some(texture) = m.texture {
            let uv = [self.uvs[v[0]], self.uvs[v[1]], self.uvs[v[2]]];
            let along = |k: usize| uv[0][k] * b0 + uv[1][k] * b1 + uv[2][k] * b2;
            let (u, vv) = (along(0), along(1));
            // Change of the coordinates per pixel, from the derivatives of the planes.
            let slope = |k: usize, axis: usize, here: f32| {
                let (d0, d1) = (t.b0[axis], t.b1[axis]);
                let d2 = t.inv_w[axis] - d0 - d1;
                let over = uv[0][k] * d0 + uv[1][k] * d1 + uv[2][k] * d2;
                (over - here * t.inv_w[axis]) * depth * m.repeat[k]
            };
            let (ux, vx) = (slope(0, 1, u), slope(1, 1, vv));
            let (uy, vy) = (slope(0, 2, u), slope(1, 2, vv));
            let span = (ux * ux + vx * vx).max(uy * uy + vy * vy).sqrt();
            let tex = self.textures[texture].sample(u * m.repeat[0], vv * m.repeat[1], span);
            c = [c[0] * tex[0], c[1] * tex[1], c[2] * tex[2]];
        }
        let byte = |v: f32| v.clamp(0.0, 1.0) * 255.0;
        [byte(c[0]), byte(c[1]), byte(c[2])]
    }
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
