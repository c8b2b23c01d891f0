//! Observation of a world: two camera images and the proprioception (`docs/reference/libero.md`, sections 5 and 9).

use crate::EvalError;
use bitvla_perturbations::ImageFilter;
use bitvla_policies::{CAMERA_SIZE, Flip, QuaternionRule};
use bitvla_sim::render::{CameraImage, Renderer};
use bitvla_sim::{RobotObservation, SceneDesc, VisualState, World};

/// Proprioception: end-effector position (m, world), orientation by a rule (rad), finger positions (m).
pub fn proprio(robot: &RobotObservation, rule: QuaternionRule) -> [f64; 8] {
    let [x, y, z] = robot.eef_pos;
    let [rx, ry, rz] = rule.axis_angle(robot.eef_quat_xyzw);
    let [left, right] = robot.gripper_qpos;
    [x, y, z, rx, ry, rz, left, right]
}

/// Both camera images of an instant.
#[derive(Debug, Clone)]
pub struct CameraImages {
    /// The camera that looks at the table.
    pub agentview: CameraImage,
    /// The camera on the hand.
    pub wrist: CameraImage,
}

impl CameraImages {
    /// Both upright images in the orientation that a policy takes.
    #[must_use]
    pub fn for_policy(&self, flip: Flip) -> CameraImages {
        let oriented = |frame: &CameraImage| match flip {
            Flip::None => frame.clone(),
            Flip::LeftRight => frame.flipped_lr(),
        };
        CameraImages {
            agentview: oriented(&self.agentview),
            wrist: oriented(&self.wrist),
        }
    }
}

impl CameraImages {
    /// Changes the images of a query: its control step, and whether the event of the episode has happened.
    pub(crate) fn perturb(&mut self, filter: &mut ImageFilter, moment: (usize, bool)) {
        let side = self.agentview.width;
        let images = (&mut self.agentview.rgb[..], &mut self.wrist.rgb[..]);
        filter.apply(moment, images, side);
    }
}

/// CRC-32 of the bytes of both images.
pub fn frame_hash(images: &CameraImages) -> u32 {
    let mut hash = crc32fast::Hasher::new();
    hash.update(&images.agentview.rgb);
    hash.update(&images.wrist.rgb);
    hash.finalize()
}

/// The two cameras of a scene.
pub struct CameraRig {
    renderer: Renderer,
    agentview: String,
    wrist: String,
    size: usize,
    /// Prepared for the scene after the event of its world.
    after_event: bool,
}

impl CameraRig {
    /// Prepares the renderer; the first world camera and the first camera on the robot are used.
    ///
    /// # Errors
    /// If the scene lacks one of the cameras or cannot be drawn.
    pub fn new(scene: &SceneDesc) -> Result<CameraRig, EvalError> {
        Ok(CameraRig {
            agentview: scene.arena.camera(false)?.name.clone(),
            wrist: scene.arena.camera(true)?.name.clone(),
            renderer: Renderer::new(scene)?,
            size: CAMERA_SIZE,
            after_event: false,
        })
    }

    /// The cameras in a slot, prepared if it is empty.
    ///
    /// # Errors
    /// As [`CameraRig::new`].
    pub(crate) fn prepared<'a>(
        slot: &'a mut Option<CameraRig>,
        world: &World,
    ) -> Result<&'a mut CameraRig, EvalError> {
        match slot {
            Some(cameras) => Ok(cameras),
            none => Ok(none.insert(CameraRig::new(world.scene())?)),
        }
    }

    /// Prepares the renderer anew if the event of the world has happened since, or a state before it was restored.
    fn follow(&mut self, world: &World) -> Result<(), EvalError> {
        let happened = world.event_happened();
        if happened != self.after_event {
            *self = CameraRig {
                size: self.size,
                after_event: happened,
                ..CameraRig::new(world.scene())?
            };
        }
        Ok(())
    }

    /// Renders both cameras as a policy gets them, `size` pixels a side.
    ///
    /// # Errors
    /// If the renderer refuses the state.
    pub(crate) fn policy_images(
        &mut self,
        world: &World,
        (size, flip): (usize, Flip),
    ) -> Result<CameraImages, EvalError> {
        self.set_size(size);
        Ok(self.render(world)?.for_policy(flip))
    }

    /// Sets the side of the square images, pixels; [`CAMERA_SIZE`] at first.
    pub fn set_size(&mut self, pixels: usize) {
        self.size = pixels;
    }

    /// Renders both cameras, upright.
    ///
    /// # Errors
    /// If the renderer refuses the state.
    pub fn render(&mut self, world: &World) -> Result<CameraImages, EvalError> {
        self.follow(world)?;
        self.render_state(&world.visual_state())
    }

    /// Renders the camera that looks at the table, upright.
    ///
    /// # Errors
    /// If the renderer refuses the state.
    pub fn render_agentview(&mut self, world: &World) -> Result<CameraImage, EvalError> {
        self.follow(world)?;
        let (state, side) = (world.visual_state(), self.size);
        Ok(self.renderer.render(&state, &self.agentview, side, side)?)
    }

    /// Renders both cameras, upright, in a recorded state.
    ///
    /// # Errors
    /// If the renderer refuses the state.
    pub fn render_state(&mut self, state: &VisualState) -> Result<CameraImages, EvalError> {
        let mut one = |camera: &str| self.renderer.render(state, camera, self.size, self.size);
        Ok(CameraImages {
            agentview: one(&self.agentview)?,
            wrist: one(&self.wrist)?,
        })
    }
}
