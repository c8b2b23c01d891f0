//! The error type of this crate.

use std::path::PathBuf;

/// Errors of building, stepping and drawing a world.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// A model description cannot be turned into bodies.
    #[error("model {model}: {reason}")]
    InvalidModel {
        /// Name of the model.
        model: String,
        /// Found and expected.
        reason: String,
    },
    /// The robot is not a seven-joint arm with two fingers.
    #[error("robot {model}: {reason}")]
    InvalidRobot {
        /// Name of the model.
        model: String,
        /// Found and expected.
        reason: String,
    },
    /// A setting of the world cannot be used.
    #[error("simulation settings: {0}")]
    InvalidSettings(String),
    /// An event names something that the scene lacks or that cannot move.
    #[error("event: {0}")]
    InvalidEvent(String),
    /// An action holds a NaN or an infinity.
    #[error("action component {index} is {value}, expected a finite number")]
    NonFiniteAction {
        /// Index of the component, 0 to 6.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// The simulated state has become infinite or NaN, or a body has left all bounds.
    #[error(
        "the state of body {body} is not finite after the step: the physics of this scene cannot be simulated"
    )]
    NonFiniteState {
        /// Instance and body.
        body: String,
    },
    /// A matrix that the controller inverts has no inverse, as in an exactly singular posture of the arm.
    #[error("the {quantity} is singular")]
    SingularMatrix {
        /// Name of the matrix.
        quantity: &'static str,
    },
    /// The scene has no such camera.
    #[error("no camera named `{0}`")]
    UnknownCamera(String),
    /// An arena has no camera at all in the world, or none on the robot.
    #[error("arena `{arena}` has no camera {place}")]
    NoCamera {
        /// Name of the arena.
        arena: String,
        /// `in the world` or `on the robot`.
        place: &'static str,
    },
    /// An image cannot be drawn from the description or the state.
    #[error("rendering: {0}")]
    Render(String),
    /// A file cannot be written or read.
    #[error("{path}: {reason}")]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Message of the operating system or of the decoder.
        reason: String,
    },
}
