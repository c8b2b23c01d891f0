//! A recorded episode: what the robot saw, how it stood and what it did, control step by control step.

use crate::statistics::PixelCounts;

/// What all episodes of a data set share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetInfo {
    /// Name of the suite.
    pub suite: String,
    /// Side of the images, pixels.
    pub side: usize,
    /// Control steps per second.
    pub rate_hz: u32,
    /// What the data set was made with, in words.
    pub made_by: String,
}

/// An episode.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEpisode {
    /// Index of the task in its suite.
    pub task: usize,
    /// Name of the task's problem.
    pub problem: String,
    /// Instruction in words.
    pub instruction: String,
    /// Seed of the initial state.
    pub seed: u64,
    /// Control steps in order: what is observed, and the action that follows.
    pub steps: Vec<RecordedStep>,
    /// True if the goal held after the last action.
    pub success: bool,
}

/// A control step.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedStep {
    /// The camera that looks at the table, and the one on the hand.
    pub images: [EncodedImage; 2],
    /// The robot before the action.
    pub robot: RobotState,
    /// Action: translation and rotation in [-1, 1], gripper -1 open and 1 close.
    pub action: [f64; 7],
}

/// An image as its format stores it, with the counts of its pixel values.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedImage {
    /// Bytes of [`crate::DatasetFormat::encode`].
    pub bytes: Vec<u8>,
    /// Counts of the values of each channel.
    pub(crate) counts: PixelCounts,
}

impl EncodedImage {
    /// Encodes a square RGB image.
    ///
    /// # Errors
    /// As [`crate::DatasetFormat::encode`].
    pub fn new(
        format: crate::DatasetFormat,
        rgb: &[u8],
        side: usize,
    ) -> Result<EncodedImage, crate::DatasetError> {
        Ok(EncodedImage {
            bytes: format.encode(rgb, side)?,
            counts: PixelCounts::of(rgb),
        })
    }
}

/// State of the robot.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RobotState {
    /// Grip site in the world, m.
    pub position: [f64; 3],
    /// Its orientation as axis times angle, rad.
    pub rotation: [f64; 3],
    /// Its orientation as a quaternion (x, y, z, w).
    pub quaternion: [f64; 4],
    /// Joints of the arm, rad.
    pub joints: [f64; 7],
    /// Fingers, m.
    pub fingers: [f64; 2],
}

impl RobotState {
    /// The proprioception of policies: position, rotation, fingers.
    pub fn proprioception(&self) -> [f64; 8] {
        let ([x, y, z], [a, b, c], [left, right]) = (self.position, self.rotation, self.fingers);
        [x, y, z, a, b, c, left, right]
    }
}
