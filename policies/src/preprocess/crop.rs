//! The centre of a picture, resampled to the size of the picture: TensorFlow's `crop_and_resize` in f32 on pixels in
//! [0, 1], then `convert_image_dtype` back to bytes, which truncates `255.5 v`.

use crate::kernels::multiversion;

/// Share of the area that training crops leave and evaluation shows.
pub(super) const AREA: f32 = 0.9;

/// Sampling position of a target pixel: the source pixels before and after, and the distance from the first.
struct Sample {
    low: usize,
    high: usize,
    share: f32,
}

/// The corners of the crop are sampled exactly: target `k` is at `(low + k (high - low) / (size - 1)) (size - 1)`.
fn samples(size: usize) -> Vec<Sample> {
    let side = AREA.sqrt();
    let start = (1.0 - side) / 2.0;
    let last = (size - 1) as f32;
    let step = (start + side - start) * last / last;
    let sample = |k: usize| {
        let at = start * last + k as f32 * step;
        Sample {
            low: at.floor() as usize,
            high: (at.ceil() as usize).min(size - 1),
            share: at - at.floor(),
        }
    };
    (0..size).map(sample).collect()
}

/// The centre of nine tenths of the area of a square RGB picture, at the size of the picture (two pixels or more).
pub fn centre_crop(pixels: &[u8], size: usize) -> Vec<u8> {
    assert!(size >= 2, "a side of at least 2, not {size}");
    assert_eq!(pixels.len(), size * size * 3, "RGB picture of side {size}");
    let samples = samples(size);
    let levels: Vec<f32> = pixels
        .iter()
        .map(|v| f32::from(*v) * (1.0 / 255.0))
        .collect();
    let mut result = vec![0u8; pixels.len()];
    let row = |y: usize| &levels[y * size * 3..][..size * 3];
    for (sample, result) in samples.iter().zip(result.chunks_exact_mut(size * 3)) {
        blend(
            row(sample.low),
            row(sample.high),
            sample.share,
            &samples,
            result,
        );
    }
    result
}

multiversion! {
    /// One target row from the source rows above and below.
    fn blend(top: &[f32], bottom: &[f32], share: f32, samples: &[Sample], out: &mut [u8]) {
        let (top, bottom) = (top.as_chunks::<3>().0, bottom.as_chunks::<3>().0);
        let (out, _) = out.as_chunks_mut::<3>();
        for (out, sample) in out.iter_mut().zip(samples) {
            let between = |row: &[[f32; 3]], channel: usize| {
                let (low, high) = (row[sample.low][channel], row[sample.high][channel]);
                low + (high - low) * sample.share
            };
            for (channel, out) in out.iter_mut().enumerate() {
                let (top, bottom) = (between(top, channel), between(bottom, channel));
                *out = ((top + (bottom - top) * share).clamp(0.0, 1.0) * 255.5) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: equal pixels stay as they are, and the first and last samples are the corners of the crop.
    use super::*;

    #[test]
    fn crop_keeps_constants_and_its_corners() {
        for value in 0..=255 {
            assert_eq!(centre_crop(&[value; 8 * 8 * 3], 8), [value; 8 * 8 * 3]);
        }
        let at = |sample: &Sample| sample.low as f64 + f64::from(sample.share);
        let samples = samples(224);
        let margin = (1.0 - 0.9f64.sqrt()) / 2.0 * 223.0;
        assert!((at(&samples[0]) - margin).abs() < 1e-4);
        assert!((at(&samples[223]) - (223.0 - margin)).abs() < 1e-4);
        assert!(samples.iter().all(|s| s.high <= s.low + 1 && s.high < 224));
    }
}
