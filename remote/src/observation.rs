//! What a policy is shown.

/// An image of three bytes per pixel, top row first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbImage {
    height: usize,
    width: usize,
    rgb: Vec<u8>,
}

impl RgbImage {
    /// Longest side of an image, pixels.
    pub const MAX_SIDE: usize = 2048;

    /// Builds an image of `3 * height * width` bytes.
    ///
    /// # Errors
    /// In words, if there are other than so many bytes, none, or a side is longer than [`RgbImage::MAX_SIDE`].
    pub fn new(height: usize, width: usize, rgb: Vec<u8>) -> Result<RgbImage, String> {
        let sides = 1..=RgbImage::MAX_SIDE;
        if !sides.contains(&height) || !sides.contains(&width) || rgb.len() != 3 * height * width {
            return Err(format!(
                "found an image of {height} rows, {width} columns and {} bytes, expected sides of 1 to {} pixels and three bytes each",
                rgb.len(),
                RgbImage::MAX_SIDE
            ));
        }
        Ok(RgbImage { height, width, rgb })
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Pixels per row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The bytes, row by row.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }
}

/// Camera images, proprioception and instruction of one query.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The camera that looks at the table, turned as the policy takes it.
    pub agentview: RgbImage,
    /// The camera on the hand; `None` where the client sends none.
    pub wrist: Option<RgbImage>,
    /// End-effector position (m, world), orientation as axis times angle (rad), finger positions (m); `None` where the client sends
    /// none.
    pub state: Option<[f64; 8]>,
    /// Instruction in words.
    pub instruction: String,
}
