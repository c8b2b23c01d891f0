//! Image of a camera: 8-bit RGB, top row first.

use crate::error::SimError;
use std::path::Path;

/// Upright RGB image of a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraImage {
    /// Pixels per row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Three bytes per pixel, top row first, left to right.
    pub rgb: Vec<u8>,
}

impl CameraImage {
    /// Copy flipped left to right: the orientation in which the published policies get images
    /// (`docs/reference/libero.md`, section 9).
    pub fn flipped_lr(&self) -> CameraImage {
        let mut rgb = Vec::with_capacity(self.rgb.len());
        for row in self.rgb.chunks_exact(self.width * 3) {
            for px in row.chunks_exact(3).rev() {
                rgb.extend_from_slice(px);
            }
        }
        CameraImage {
            width: self.width,
            height: self.height,
            rgb,
        }
    }

    /// Bytes of the image as PNG.
    ///
    /// # Errors
    /// If the image has no pixels.
    pub fn png_bytes(&self) -> Result<Vec<u8>, SimError> {
        let mut out = std::io::Cursor::new(Vec::new());
        image::write_buffer_with_format(
            &mut out,
            &self.rgb,
            self.width as u32,
            self.height as u32,
            image::ExtendedColorType::Rgb8,
            image::ImageFormat::Png,
        )
        .map_err(|e| SimError::Render(e.to_string()))?;
        Ok(out.into_inner())
    }

    /// Writes the image as PNG.
    ///
    /// # Errors
    /// If it has no pixels or the file cannot be written.
    pub fn write_png(&self, path: &Path) -> Result<(), SimError> {
        std::fs::write(path, self.png_bytes()?).map_err(|e| SimError::File {
            path: path.to_path_buf(),
            reason: e.to_string(),
        })
    }
}
