//! The one error type of this crate.

use std::path::PathBuf;

/// What can go wrong when building or stepping a world.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// A model description cannot be turned into bodies.
    #[error("model {model}: {what}")]
    InvalidModel {
        /// Name of the model.
        model: String,
        /// What is wrong with it.
        what: String,
    },
    /// The robot is not a seven-joint arm with two fingers.
    #[error("robot {model}: {what}")]
    InvalidRobot {
        /// Name of the model.
        model: String,
        /// What was found and what was expected.
        what: String,
    },
    /// An action holds a NaN or an infinity.
    #[error("action component {index} is {value}, expected a finite number")]
    NonFiniteAction {
        /// Which of the seven components.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// A setting of the world cannot be used.
    #[error("simulation settings: {0}")]
    InvalidSettings(String),
    /// A matrix that the controller inverts has no inverse, as in an exactly singular posture of the arm.
    #[error("the {quantity} is singular")]
    SingularMatrix {
        /// Name of the matrix.
        quantity: &'static str,
    },
    /// The scene has no such camera.
    #[error("no camera named {0}")]
    UnknownCamera(String),
    /// A picture cannot be made from the description.
    #[error("rendering: {0}")]
    Render(String),
    /// A file cannot be written or read.
    #[error("{path}: {what}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        what: String,
    },
}
