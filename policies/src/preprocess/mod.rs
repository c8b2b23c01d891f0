//! From camera frames to network inputs. The small checkpoints see the whole frame, area-averaged in integers. The
//! published checkpoint sees what its evaluation code shows it: a JPEG round trip, a Lanczos resize and the resampled
//! centre, each rounded to bytes (fact sheet of BitVLA, section 3; the functions named there are TensorFlow 2.15's).

mod area;
mod crop;
mod dct;
mod jpeg;
mod lanczos;

pub use area::resize_area;
pub use crop::centre_crop;
pub use jpeg::jpeg_round_trip;
pub use lanczos::resize_lanczos3;

use crate::{CAMERA_SIZE, PolicyError};

/// How a frame becomes an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImagePipeline {
    /// Area average to the size of the input.
    Area,
    /// [`jpeg_round_trip`], [`resize_lanczos3`] to the size of the input, [`centre_crop`].
    Published,
}

impl ImagePipeline {
    /// By the name in `processor_config.json`; a checkpoint that does not say is a published one.
    ///
    /// # Errors
    /// For a name that is neither `area` nor `published`.
    pub fn named(name: Option<&str>, file: &std::path::Path) -> Result<ImagePipeline, PolicyError> {
        match name {
            Some("area") => Ok(ImagePipeline::Area),
            None | Some("published") => Ok(ImagePipeline::Published),
            Some(other) => Err(PolicyError::File {
                path: file.into(),
                what: format!("image_pipeline `{other}`: expected `area` or `published`"),
            }),
        }
    }

    /// A camera frame as policies see it (RGB, already rotated by 180 degrees) to a normalised input of
    /// 3 x size x size.
    pub fn apply(self, frame: &[u8], size: usize) -> Vec<f32> {
        let pixels = match self {
            ImagePipeline::Area => resize_area(frame, CAMERA_SIZE, size),
            ImagePipeline::Published => {
                let decoded = jpeg_round_trip(frame, CAMERA_SIZE);
                centre_crop(&resize_lanczos3(&decoded, CAMERA_SIZE, size), size)
            }
        };
        normalise(&pixels)
    }
}

/// `(x / 255 - 0.5) / 0.5`, channels first.
pub fn normalise(pixels: &[u8]) -> Vec<f32> {
    let plane = pixels.len() / 3;
    let mut out = vec![0f32; pixels.len()];
    for (i, pixel) in pixels.chunks_exact(3).enumerate() {
        for (channel, value) in pixel.iter().enumerate() {
            out[channel * plane + i] = (f32::from(*value) / 255.0 - 0.5) / 0.5;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    //! Guarantee: pipelines are found by their names, a checkpoint without one is a published one, and an input has
    //! its channels first, in [-1, 1].
    use super::*;
    use std::path::Path;

    #[test]
    fn pipelines_have_names() {
        let named = |name| ImagePipeline::named(name, Path::new("processor_config.json"));
        assert_eq!(named(Some("area")).unwrap(), ImagePipeline::Area);
        assert_eq!(named(Some("published")).unwrap(), ImagePipeline::Published);
        assert_eq!(named(None).unwrap(), ImagePipeline::Published);
        let error = named(Some("bicubic")).unwrap_err().to_string();
        assert!(error.contains("bicubic") && error.contains("processor_config.json"));
    }

    #[test]
    fn inputs_are_normalised() {
        assert_eq!(normalise(&[0, 255, 51]), [-1.0, 1.0, -0.6]);
        let frame = vec![128; CAMERA_SIZE * CAMERA_SIZE * 3];
        for pipeline in [ImagePipeline::Area, ImagePipeline::Published] {
            let input = pipeline.apply(&frame, 32);
            assert_eq!(
                input,
                vec![normalise(&[128; 3])[0]; 3 * 32 * 32],
                "{pipeline:?}"
            );
        }
    }
}
