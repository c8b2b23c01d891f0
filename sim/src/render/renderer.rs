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
use super::static_image::{StaticImage, View};
use super::static_set::{Change, StaticSet};
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
    static_set: StaticSet,
    static_image: Option<StaticImage>,
    /// The last view of a camera that is fixed in the world.
    fixed_view: Option<View>,
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
            static_set: StaticSet::default(),
            static_image: None,
            fixed_view: None,
            world_vertices: std::array::from_fn(|_| vec![0.0; vertices]),
            world_poses: vec![None; bodies],
            projected,
            vertex_colours: fixed_function.then(|| vec![[0.0; 3]; vertices]),
            geometry,
        })
    }

    /// Changes the pose and the field of view of a camera that is fixed in the world.
    ///
    /// # Errors
    /// [`SimError::UnknownCamera`] if there is no such camera in the world.
    pub fn set_camera(&mut self, desc: &CameraDesc) -> Result<(), SimError> {
        let mut fixed = self.cameras.iter_mut().filter(|c| c.body.is_none());
        let camera = fixed.find(|c| c.name == desc.name);
        let camera = camera.ok_or_else(|| SimError::UnknownCamera(desc.name.clone()))?;
        camera.mount = isometry(desc.pos, desc.quat_wxyz);
        camera.tan_half_fovy = libm::tan(desc.fovy_deg.to_radians() * 0.5) as f32;
        Ok(())
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
        let is_fixed = camera.body.is_none();
        let frames: Vec<RigidTransform> = state.poses.iter().map(RigidTransform::new).collect();
        self.update_world_vertices(&frames);
        let poses = (self.geometry.drawables.iter())
            .map(|d| d.is_visible(state).then_some(frames[d.body]))
            .collect();
        let change = self.static_set.update(poses);
        let mut base = None;
        if self.vertex_colours.is_none() {
            self.update_shadow_map(change);
            if is_fixed {
                base = self.static_image(&frames, &frustum);
            }
        }
        let base_buffer = base.as_ref().map(|base| &base.buffer);
        self.rasterise(&frames, &frustum, base_buffer);
        let mut rgb = self.shade(&frames, &frustum, base.as_ref());
        if base.is_some() {
            self.static_image = base;
        }
        if let Some(mirror) = self.geometry.mirror.clone() {
            let pixels = mirror.pixels(&self.buffer, &self.geometry.normals);
            let frame = &frames[self.geometry.drawables[mirror.drawable].body];
            if let Some(reflected) = mirror.reflected(&frustum, frame, &pixels) {
                self.rasterise(&frames, &reflected, None);
                let kept = pixels.iter().map(|p| mirror::flipped(p.index, width));
                self.buffer.keep_only(kept);
                let reflection = self.shade(&frames, &reflected, None);
                mirror::add_reflection(&mut rgb, &pixels, &reflection, &self.buffer);
            }
        }
        Ok(CameraImage { width, height, rgb })
    }

    /// The static image of the view of a fixed camera, taken out of the renderer; none before there are static
    /// drawables, and for a view that has not been asked for twice in a row.
    fn static_image(
        &mut self,
        frames: &[RigidTransform],
        frustum: &Frustum,
    ) -> Option<StaticImage> {
        let (view, version) = (View::new(frustum), self.static_set.version());
        let before = self.fixed_view.replace(view);
        let kept = self.static_image.take().filter(|image| image.view == view);
        match kept {
            Some(image) if image.version == version => return Some(image),
            None if before != Some(view) => return None,
            _ if self.static_set.is_empty() => return None,
            _ => {}
        }
        self.shadow.begin();
        self.shadow.finish();
        self.begin_buffer(frustum, None);
        for i in 0..self.geometry.drawables.len() {
            if self.static_set.contains(i) {
                self.draw(i, frames, frustum, None);
            }
        }
        let rgb = self.shade(frames, frustum, None);
        let buffer = std::mem::take(&mut self.buffer);
        let fragments = self.queue.fragments();
        let image = StaticImage::new(frustum, version, buffer, rgb, fragments, &self.shadow);
        self.add_moving_to_shadow_map();
        Some(image)
    }

    /// Colours of the visible triangles.
    fn shade(
        &mut self,
        frames: &[RigidTransform],
        frustum: &Frustum,
        base: Option<&StaticImage>,
    ) -> Vec<u8> {
        let inputs = ShadingInputs {
            geometry: &self.geometry,
            vertex_colours: self.vertex_colours.as_deref(),
            lighting: &self.lighting,
            shadow: &self.shadow,
            frames,
            eye: &frustum.eye,
            tan: frustum.tan,
        };
        shade::shade_image(&inputs, &self.buffer, base, &mut self.queue)
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

    /// Updates the height map of the soft shadow, which is kept while nothing moves (both cameras share it). Static
    /// drawables are added once and kept until there are others.
    fn update_shadow_map(&mut self, change: Change) {
        if change == Change::Members {
            self.shadow.begin_static();
            self.add_to_shadow_map(true);
            self.shadow.keep_static();
        }
        if change != Change::Nothing {
            self.add_moving_to_shadow_map();
        }
    }

    /// Completes the shadow map of the static drawables by the others.
    fn add_moving_to_shadow_map(&mut self) {
        self.shadow.begin();
        self.add_to_shadow_map(false);
        self.shadow.finish();
    }

    /// Adds the drawables that are static, or those that are not, to the shadow map.
    fn add_to_shadow_map(&mut self, are_static: bool) {
        for (i, drawable) in self.geometry.drawables.iter().enumerate() {
            let casts = self.static_set.pose(i).is_some() && drawable.radius <= MAX_SHADOW_RADIUS;
            if casts && self.static_set.contains(i) == are_static {
                let triangles = &self.geometry.triangles[drawable.triangles.clone()];
                shadow_map::add_triangles(&mut self.shadow, &self.world_vertices, triangles);
            }
        }
    }

    /// Starts an image, over a base or an empty one.
    fn begin_buffer(&mut self, frustum: &Frustum, base: Option<&VisibilityBuffer>) {
        self.buffer.begin(frustum.size, base);
        self.buffer.mirror_side = frustum.mirror.as_ref().map(|m| m.side);
    }

    /// Draws an image: all drawables, or over a base those that are not static.
    fn rasterise(
        &mut self,
        frames: &[RigidTransform],
        frustum: &Frustum,
        base: Option<&VisibilityBuffer>,
    ) {
        self.begin_buffer(frustum, base);
        for i in 0..self.geometry.drawables.len() {
            let in_base = base.is_some() && self.static_set.contains(i);
            if !in_base && self.static_set.pose(i).is_some() {
                self.draw(i, frames, frustum, base);
            }
        }
    }

    /// Draws a drawable into the visibility buffer, and lights its vertices in fixed-function shading.
    fn draw(
        &mut self,
        index: usize,
        frames: &[RigidTransform],
        frustum: &Frustum,
        base: Option<&VisibilityBuffer>,
    ) {
        let geometry = &self.geometry;
        let drawable = &geometry.drawables[index];
        let is_mirror = (frustum.mirror.as_ref()).is_some_and(|m| m.drawable == index);
        let frame = &frames[drawable.body];
        if is_mirror || frustum.excludes(frame.point(drawable.centre), drawable.radius) {
            return;
        }
        let range = drawable.vertices.clone();
        let projected = &mut self.projected;
        let half = frustum.size.map(|side| side as f32 * 0.5);
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
        let (buffer, mask) = (&mut self.buffer, material.mask);
        visibility_buffer::draw(buffer, base, projected, triangles, index as u32, mask);
        if let Some(colours) = &mut self.vertex_colours {
            let from = (&self.world_vertices, &geometry.normals[range.clone()]);
            let eye = (frustum.eye.t, frustum.to_headlight);
            let lighting = &self.lighting;
            lighting::light_vertices(colours, range, from, frame, &material, lighting, eye);
        }
    }
}
