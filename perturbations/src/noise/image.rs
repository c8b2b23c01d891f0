//! Square images of three channels with a fraction.

/// An image of `side` rows, `side` columns and three channels, 0 to 255.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatImage {
    /// Rows and columns.
    pub side: usize,
    /// Values, (side, side, 3).
    pub values: Vec<f32>,
}

impl FloatImage {
    /// Takes the first (side, side, 3) bytes.
    pub fn from_bytes(bytes: &[u8], side: usize) -> FloatImage {
        let values = bytes[..side * side * 3]
            .iter()
            .map(|v| f32::from(*v))
            .collect();
        FloatImage { side, values }
    }

    /// Writes the nearest bytes.
    pub fn write_bytes(&self, bytes: &mut [u8]) {
        for (byte, value) in bytes.iter_mut().zip(&self.values) {
            *byte = libm::rintf(*value).clamp(0.0, 255.0) as u8;
        }
    }

    /// A black image.
    pub(super) fn black(side: usize) -> FloatImage {
        FloatImage {
            side,
            values: vec![0.0; side * side * 3],
        }
    }

    /// A pixel; rows and columns outside are those of the edge.
    pub(super) fn pixel(&self, row: isize, column: isize) -> [f32; 3] {
        let inside = |at: isize| at.clamp(0, self.side as isize - 1) as usize;
        let at = 3 * (inside(row) * self.side + inside(column));
        [self.values[at], self.values[at + 1], self.values[at + 2]]
    }
}
