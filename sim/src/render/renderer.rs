//! The renderer of a scene: keeps its geometry and buffers between frames and draws the images of its cameras.

use super::camera_image::CameraImage;
use super::drawable::SceneGeometry;
use super::frustum::Frustum;
use super::lighting::{self, Lighting};
use super::math::{RigidTransform, V3, scale};
use super::mirror;
use super::projection::{self, ProjectedVertices};
use super::shade::{self, ShadingInputs};
use super::shading_queue::ShadingQueue;
use super::shadow_map::{self, ShadowMap};
use super::visibility_buffer::{self, VisibilityBuffer};
use crate::description::{CameraDesc, Owner, SceneDesc, VisualState, isometry};
use crate::error::SimError;

/// Largest side of an image, pixels.
const MAX_SIDE: usize = 4096;
/// Drawables with a larger bounding sphere, m, cast no shadow: walls and floors.
const MAX_SHADOW_RADIUS: f32 = 2.0;

struct Camera {
    name: String,
    /// Row of the body that carries it; none for the world.
    body: Option<usize>,
    /// Pose in the frame of the body or the world.
    mount: nalgebra::Isometry3<f64>,
    /// Tangent of half the vertical field of view.
    tan_half_fovy: f32,
}

impl Camera {
    fn new(scene: &SceneDesc, desc: &CameraDesc) -> Result<Camera, SimError> {
        let body_row = |name: &String| {
            let robot = scene.model(Owner::Robot);
            let body = robot.bodies.iter().position(|b| b.name == *name);
            body.map(|b| scene.arena.model.bodies.len() + b)
                .ok_or_else(|| {
                    SimError::Render(format!(
                        "camera `{}`: the robot has no body `{name}`",
                        desc.name
                    ))
                })
        };
        Ok(Camera {
            name: desc.name.clone(),
            body: desc.body.as_ref().map(body_row).transpose()?,
            mount: isometry(desc.pos, desc.quat_wxyz),
            tan_half_fovy: libm::tan(desc.fovy_deg.to_radians() * 0.5) as f32,
        })
    }
}

/// Draws a scene as its cameras see it.
///
/// ```
/// use bitvla_sim::render::Renderer;
/// use bitvla_sim::{SceneDesc, World};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::sync::Arc;
/// # let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/../assets");
/// # let arena = std::fs::read_to_string(format!("{assets}/arenas/table.toml"))?;
/// # let robot = std::fs::read_to_string(format!("{assets}/robots/panda.toml"))?;
/// # let scene = SceneDesc {
/// #     arena: Arc::new(toml::from_str(&arena)?),
/// #     robot: Arc::new(toml::from_str(&robot)?),
/// #     instances: Vec::new(),
/// # };
/// let mut world = World::new(&scene)?;
/// world.step(&[0.0, 0.0, -0.5, 0.0, 0.0, 0.0, -1.0])?;
/// let mut renderer = Renderer::new(&scene)?;
/// let image = renderer.render(&world.visual_state(), "agentview", 64, 48)?;
/// assert_eq!(image.rgb.len(), 64 * 48 * 3);
/// # Ok(())
/// # }
/// ```
pub struct Renderer {
    geometry: SceneGeometry,
    lighting: Lighting,
    cameras: Vec<Camera>,
    /// Number of rows of the body table.
    bodies: usize,
    buffer: VisibilityBuffer,
    queue: ShadingQueue,
    shadow: ShadowMap,
    /// Pose of each drawable in the shadow map, none where it is not in it.
    shadow_poses: Vec<Option<RigidTransform>>,
    /// Drawables that are in the static part of the shadow map.
    is_static: Vec<bool>,
    /// Vertices in the world, by coordinate, m.
    world_vertices: [Vec<f32>; 3],
    /// Pose of each body with which its world vertices were computed.
    world_poses: Vec<Option<RigidTransform>>,
    /// Vertices of the current image.
    projected: ProjectedVertices,
    /// Colours of the vertices of the current image, in fixed-function shading.
    vertex_colours: Option<Vec<V3>>,
}

impl Renderer {
    /// Builds meshes, textures and cameras of a scene.
    ///
    /// # Errors
    /// For a visual whose material or joint is missing, a camera whose body is missing, a shape that cannot be meshed and a
    /// texture that cannot be made.
    pub fn new(scene: &SceneDesc) -> Result<Renderer, SimError> {
        let cameras = (scene.arena.cameras.iter())
            .map(|desc| Camera::new(scene, desc))
            .collect::<Result<Vec<_>, _>>()?;
        let fixed_function = scene.arena.fixed_function;
        let geometry = SceneGeometry::new(scene, fixed_function)?;
        let vertices = geometry.positions.len();
        let bodies = scene.body_table().len();
        let offset = scene.arena.workspace_offset;
        let mut projected = ProjectedVertices::default();
        projected.resize(vertices);
        Ok(Renderer {
            lighting: Lighting::new(&scene.arena.lights, scene.arena.headlight),
            cameras,
            bodies,
            buffer: VisibilityBuffer::default(),
            queue: ShadingQueue::default(),
            shadow: ShadowMap::new([offset[0] as f32 - 0.05, offset[1] as f32]),
            shadow_poses: Vec::new(),
            is_static: Vec::new(),
            world_vertices: std::array::from_fn(|_| vec![0.0; vertices]),
            world_poses: vec![None; bodies],
            projected,
            vertex_colours: fixed_function.then(|| vec![[0.0; 3]; vertices]),
            geometry,
        })
    }

    /// Number of triangles of the scene.
    pub fn triangle_count(&self) -> usize {
        self.geometry.triangles.len()
    }

    /// Draws the scene in `state` as the named camera sees it.
    ///
    /// # Errors
    /// [`SimError::UnknownCamera`]; [`SimError::Render`] for a state of another scene and for sides that are not 1
    /// to 4096 pixels.
    pub fn render(
        &mut self,
        state: &VisualState,
        camera: &str,
        width: usize,
        height: usize,
    ) -> Result<CameraImage, SimError> {
        let invalid = SimError::Render;
        if state.poses.len() != self.bodies || state.joint_positions.len() != self.bodies {
            return Err(invalid(format!(
                "visual state has {} poses and {} joint positions, scene has {} bodies",
                state.poses.len(),
                state.joint_positions.len(),
                self.bodies
            )));
        }
        let sides = 1..=MAX_SIDE;
        if !sides.contains(&width) || !sides.contains(&height) {
            return Err(invalid(format!(
                "image size {width}x{height}, expected sides of 1 to {MAX_SIDE} pixels"
            )));
        }
        let camera = (self.cameras.iter())
            .find(|c| c.name == camera)
            .ok_or_else(|| SimError::UnknownCamera(camera.to_string()))?;
        let pose = match camera.body {
            Some(b) => state.poses[b] * camera.mount,
            None => camera.mount,
        };
        let ty = camera.tan_half_fovy;
        let tx = camera.tan_half_fovy * width as f32 / height as f32;
        let frustum = Frustum::new(RigidTransform::new(&pose), [tx, ty], [width, height]);
        let frames: Vec<RigidTransform> = state.poses.iter().map(RigidTransform::new).collect();
        self.update_world_vertices(&frames);
        if self.vertex_colours.is_none() {
            self.update_shadow_map(state, &frames);
        }
        self.rasterise(state, &frames, &frustum);
        let mut rgb = self.shade(&frames, &frustum);
        if let Some(mirror) = self.geometry.mirror.clone() {
            let pixels = mirror.pixels(&self.buffer, &self.geometry.normals);
            let frame = &frames[self.geometry.drawables[mirror.drawable].body];
            if let Some(reflected) = mirror.reflected(&frustum, frame, &pixels) {
                self.rasterise(state, &frames, &reflected);
                let kept = pixels.iter().map(|p| mirror::flipped(p.index, width));
                self.buffer.keep_only(kept);
                let reflection = self.shade(&frames, &reflected);
                mirror::add_reflection(&mut rgb, &pixels, &reflection, &self.buffer);
            }
        }
        Ok(CameraImage { width, height, rgb })
    }

    /// Colours of the visible triangles.
    fn shade(&mut self, frames: &[RigidTransform], frustum: &Frustum) -> Vec<u8> {
        let inputs = ShadingInputs {
            geometry: &self.geometry,
            vertex_colours: self.vertex_colours.as_deref(),
            lighting: &self.lighting,
            shadow: &self.shadow,
            frames,
            eye: &frustum.eye,
            tan: frustum.tan,
        };
        shade::shade_image(&inputs, &self.buffer, &mut self.queue)
    }

    /// Recomputes the world vertices of all bodies that have moved.
    fn update_world_vertices(&mut self, frames: &[RigidTransform]) {
        for drawable in &self.geometry.drawables {
            let f = &frames[drawable.body];
            if self.world_poses[drawable.body].as_ref() == Some(f) {
                continue;
            }
            for i in drawable.vertices.clone() {
                let p = f.point(self.geometry.positions[i]);
                for k in 0..3 {
                    self.world_vertices[k][i] = p[k];
                }
            }
        }
        for (pose, f) in self.world_poses.iter_mut().zip(frames) {
            *pose = Some(*f);
        }
    }

    /// Updates the height map of the soft shadow, which is kept while nothing moves (both cameras share it). Drawables
    /// that have not moved since the last map are drawn once and kept until they move.
    fn update_shadow_map(&mut self, state: &VisualState, frames: &[RigidTransform]) {
        let poses: Vec<Option<RigidTransform>> = (self.geometry.drawables.iter())
            .map(|d| {
                let casts = d.is_visible(state) && d.radius <= MAX_SHADOW_RADIUS;
                casts.then_some(frames[d.body])
            })
            .collect();
        if poses == self.shadow_poses {
            return;
        }
        self.shadow_poses.resize(poses.len(), None);
        self.is_static.resize(poses.len(), false);
        let unmoved: Vec<bool> = poses
            .iter()
            .zip(&self.shadow_poses)
            .map(|(now, before)| now.is_some() && now == before)
            .collect();
        if unmoved != self.is_static {
            self.shadow.begin_static();
            self.add_to_shadow_map(|i| unmoved[i]);
            self.shadow.keep_static();
            self.is_static = unmoved;
        }
        self.shadow.begin();
        let moving: Vec<bool> = poses
            .iter()
            .zip(&self.is_static)
            .map(|(now, is_static)| now.is_some() && !is_static)
            .collect();
        self.add_to_shadow_map(|i| moving[i]);
        self.shadow.finish();
        self.shadow_poses = poses;
    }

    /// Adds some drawables to the shadow map.
    fn add_to_shadow_map(&mut self, chosen: impl Fn(usize) -> bool) {
        for (i, drawable) in self.geometry.drawables.iter().enumerate() {
            if chosen(i) {
                let triangles = &self.geometry.triangles[drawable.triangles.clone()];
                shadow_map::add_triangles(&mut self.shadow, &self.world_vertices, triangles);
            }
        }
    }

    /// Fills the visibility buffer, and lights the vertices in fixed-function shading.
    fn rasterise(&mut self, state: &VisualState, frames: &[RigidTransform], frustum: &Frustum) {
        let [width, height] = frustum.size;
        let half = [width as f32 * 0.5, height as f32 * 0.5];
        let geometry = &self.geometry;
        self.buffer.begin(width, height);
        self.buffer.mirror_side = frustum.mirror.as_ref().map(|m| m.side);
        for (index, drawable) in geometry.drawables.iter().enumerate() {
            let is_mirror = (frustum.mirror.as_ref()).is_some_and(|m| m.drawable == index);
            if is_mirror || !drawable.is_visible(state) {
                continue;
            }
            let frame = &frames[drawable.body];
            if frustum.excludes(frame.point(drawable.centre), drawable.radius) {
                continue;
            }
            let range = drawable.vertices.clone();
            let projected = &mut self.projected;
            projection::project(
                projected,
                &self.world_vertices,
                range.clone(),
                &frustum.eye,
                frustum.tan,
                half,
            );
            let mut material = geometry.materials[drawable.material].clone();
            if let Some(mirror) = &frustum.mirror {
                projected.mark_behind(range.clone(), mirror.side);
                material.rgb = scale(material.rgb, mirror.reflectance);
            }
            let triangles = &geometry.triangles[drawable.triangles.clone()];
            let buffer = &mut self.buffer;
            visibility_buffer::draw(buffer, projected, triangles, index as u32, material.mask);
            if let Some(colours) = &mut self.vertex_colours {
                let from = (&self.world_vertices, &geometry.normals[range.clone()]);
                let eye = (frustum.eye.t, frustum.to_headlight);
                let lighting = &self.lighting;
                lighting::light_vertices(colours, range, from, frame, &material, lighting, eye);
            }
        }
    }
}
