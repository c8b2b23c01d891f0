//! From camera frames to network inputs. The small checkpoints see the whole frame, area-averaged in integers. The
//! published checkpoint sees what its evaluation code shows it: a JPEG round trip, a Lanczos resize and the resampled
//! centre, each rounded to bytes (`docs/reference/bitvla.md`, section 3; the functions named there are TensorFlow
//! 2.15's).

mod area;
mod crop;
mod dct;
mod jpeg;
mod lanczos;

pub use area::resize_area;
pub use crop::centre_crop;
pub use jpeg::jpeg_round_trip;
pub use lanczos::resize_lanczos3;

use crate::PolicyError;

/// Filter of a resize.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResizeFilter {
    /// [`resize_area`].
    Area,
    /// [`resize_lanczos3`].
    Lanczos3,
}

impl ResizeFilter {
    /// Name in a protocol.
    pub fn name(self) -> &'static str {
        match self {
            ResizeFilter::Area => "area average",
            ResizeFilter::Lanczos3 => "lanczos3",
        }
    }

    /// Resizes a square RGB frame from side `from` to side `to`.
    pub fn apply(self, frame: &[u8], from: usize, to: usize) -> Vec<u8> {
        match self {
            ResizeFilter::Area => resize_area(frame, from, to),
            ResizeFilter::Lanczos3 => resize_lanczos3(frame, from, to),
        }
    }
}

/// Part of a resized frame that the network sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crop {
    /// All of it.
    Whole,
    /// [`centre_crop`], resampled to the side of the frame.
    Centre,
}

impl Crop {
    /// Words for a protocol.
    pub fn describe(self) -> String {
        match self {
            Crop::Whole => "none".into(),
            Crop::Centre => format!("centre, {} of the area, resampled", crop::AREA),
        }
    }

    /// The part of a square RGB frame of side `side`, at the same side.
    pub fn apply(self, frame: Vec<u8>, side: usize) -> Vec<u8> {
        match self {
            Crop::Whole => frame,
            Crop::Centre => centre_crop(&frame, side),
        }
    }
}

/// Steps from a camera frame to a network input, by name.
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

    /// True if frames are encoded as JPEG and decoded before they are resized.
    pub fn jpeg_round_trip(self) -> bool {
        self == ImagePipeline::Published
    }

    /// Filter of the resize from camera frame to network input.
    pub fn resize_filter(self) -> ResizeFilter {
        match self {
            ImagePipeline::Area => ResizeFilter::Area,
            ImagePipeline::Published => ResizeFilter::Lanczos3,
        }
    }

    /// Part of the resized frame that the network sees.
    pub fn crop(self) -> Crop {
        match self {
            ImagePipeline::Area => Crop::Whole,
            ImagePipeline::Published => Crop::Centre,
        }
    }

    /// A square RGB camera frame in the policy's orientation to a normalised input of 3 x `size` x `size`, in [-1, 1]: the
    /// steps that [`ImagePipeline::jpeg_round_trip`], [`ImagePipeline::resize_filter`] and [`ImagePipeline::crop`] name.
    pub fn apply(self, frame: &[u8], size: usize) -> Vec<f32> {
        let side = (frame.len() / 3).isqrt();
        let resized = match self.jpeg_round_trip() {
            true => {
                let decoded = jpeg_round_trip(frame, side);
                self.resize_filter().apply(&decoded, side, size)
            }
            false => self.resize_filter().apply(frame, side, size),
        };
        normalise(&self.crop().apply(resized, size))
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
    use crate::CAMERA_SIZE;
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
