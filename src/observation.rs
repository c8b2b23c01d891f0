//! What a policy is shown of a world: two camera images and eight numbers (LIBERO fact sheet,
//! sections 5 and 9).

use crate::EvalError;
use bitvla_policies::CAMERA_SIZE;
use bitvla_sim::render::{CameraImage, Renderer};
use bitvla_sim::{RobotObservation, SceneDesc, VisualState, World};

/// Axis-angle of a quaternion `[x, y, z, w]`: `xyz * 2 acos(w) / sqrt(1 - w²)`, angle in [0, 2 pi],
/// the zero vector for no rotation. The sign of the quaternion is kept as it is.
pub fn axis_angle(xyzw: [f64; 4]) -> [f64; 3] {
    let [x, y, z, w] = xyzw;
    let w = w.clamp(-1.0, 1.0);
    let sine = libm::sqrt(1.0 - w * w);
    if sine == 0.0 {
        return [0.0; 3];
    }
    let scale = 2.0 * libm::acos(w) / sine;
    [x * scale, y * scale, z * scale]
}

/// Proprioception: end-effector position (m, world), axis-angle (rad), finger positions (m).
pub fn proprio(robot: &RobotObservation) -> [f64; 8] {
    let [x, y, z] = robot.eef_pos;
    let [rx, ry, rz] = axis_angle(robot.eef_quat_xyzw);
    let [left, right] = robot.gripper_qpos;
    [x, y, z, rx, ry, rz, left, right]
}

/// Both camera images of a moment, upright.
#[derive(Debug, Clone)]
pub struct CameraImages {
    /// The camera that looks at the table.
    pub agentview: CameraImage,
    /// The camera on the hand.
    pub wrist: CameraImage,
}

impl CameraImages {
    /// Both images as policies see them, mirrored left to right.
    pub fn for_policy(&self) -> CameraImages {
        CameraImages {
            agentview: self.agentview.flipped_lr(),
            wrist: self.wrist.flipped_lr(),
        }
    }
}

/// The two cameras of a scene.
pub struct CameraRig {
    renderer: Renderer,
    agentview: String,
    wrist: String,
}

impl CameraRig {
    /// Prepares the renderer; the first world camera and the first camera on the robot are used.
    ///
    /// # Errors
    /// When the scene lacks one of the cameras or cannot be drawn.
    pub fn new(scene: &SceneDesc) -> Result<CameraRig, EvalError> {
        let named = |on_robot: bool| {
            scene
                .arena
                .cameras
                .iter()
                .find(|camera| camera.body.is_some() == on_robot)
                .map(|camera| camera.name.clone())
                .ok_or_else(|| {
                    let place = if on_robot {
                        "on the robot"
                    } else {
                        "in the world"
                    };
                    EvalError::Input(format!(
                        "arena `{}` has no camera {place}",
                        scene.arena.model.name
                    ))
                })
        };
        Ok(CameraRig {
            agentview: named(false)?,
            wrist: named(true)?,
            renderer: Renderer::new(scene)?,
        })
    }

    /// Renders both cameras.
    ///
    /// # Errors
    /// When the renderer refuses the state.
    pub fn render(&mut self, world: &World) -> Result<CameraImages, EvalError> {
        self.render_state(&world.visual_state())
    }

    /// Renders what both cameras saw in a state that was kept.
    ///
    /// # Errors
    /// When the renderer refuses the state.
    pub fn render_state(&mut self, state: &VisualState) -> Result<CameraImages, EvalError> {
        let mut one = |camera: &str| {
            self.renderer
                .render(state, camera, CAMERA_SIZE, CAMERA_SIZE)
        };
        Ok(CameraImages {
            agentview: one(&self.agentview)?,
            wrist: one(&self.wrist)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::axis_angle;

    #[test]
    fn a_downward_hand_has_pi_about_x() {
        let [x, y, z] = axis_angle([1.0, 0.0, 0.0, 0.0]);
        assert!((x - std::f64::consts::PI).abs() < 1e-15 && y == 0.0 && z == 0.0);
        assert_eq!(axis_angle([0.0, 0.0, 0.0, 1.0]), [0.0; 3]);
        assert_eq!(axis_angle([0.0, 0.0, 0.0, -1.0]), [0.0; 3]);
    }
}
