//! Random shifts, brightness and contrast of training images, drawn from the seed of the stage and the place of the sample in
//! it, so that threads and interruptions change nothing (image augmentation of OpenVLA-OFT: docs/reference/bitvla.md,
//! section 9.3).

use crate::dataset::IMAGE_SIZE;
use crate::recipe::ImageAugmentation;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Draws of one image.
struct ImageDraw {
    /// Shift along columns and rows, pixels.
    shift: [isize; 2],
    /// Factor of all values.
    brightness: f32,
    /// Factor of the distance to the mean.
    contrast: f32,
}

impl ImageAugmentation {
    /// Returns true if no image is ever changed.
    pub fn is_none(&self) -> bool {
        *self == ImageAugmentation::default()
    }

    /// Changes both images of a sample, (2, IMAGE_SIZE, IMAGE_SIZE, 3); `seed` is that of the sample.
    pub fn apply(&self, images: &mut [u8], seed: u64) {
        if self.is_none() {
            return;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for image in images.chunks_exact_mut(IMAGE_SIZE * IMAGE_SIZE * 3) {
            let draw = self.draw(&mut rng);
            draw.shift(image);
            draw.recolour(image);
        }
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> ImageDraw {
        // Uniform in [0, 1).
        let mut uniform = || (rng.next_u32() >> 8) as f32 / (1u32 << 24) as f32;
        let span = (2 * self.shift_pixels + 1) as f32;
        let mut shift = || (uniform() * span) as isize - self.shift_pixels as isize;
        let shift = [shift(), shift()];
        let mut factor = |most: f32| 1.0 + most * (2.0 * uniform() - 1.0);
        ImageDraw {
            shift,
            brightness: factor(self.brightness),
            contrast: factor(self.contrast),
        }
    }
}

impl ImageDraw {
    fn shift(&self, image: &mut [u8]) {
        if self.shift == [0, 0] {
            return;
        }
        let source = image.to_vec();
        let last = IMAGE_SIZE as isize - 1;
        let (pixels, _) = image.as_chunks_mut::<3>();
        let (from, _) = source.as_chunks::<3>();
        for (i, pixel) in pixels.iter_mut().enumerate() {
            let (row, column) = ((i / IMAGE_SIZE) as isize, (i % IMAGE_SIZE) as isize);
            let row = (row + self.shift[1]).clamp(0, last) as usize;
            let column = (column + self.shift[0]).clamp(0, last) as usize;
            *pixel = from[row * IMAGE_SIZE + column];
        }
    }

    fn recolour(&self, image: &mut [u8]) {
        if self.brightness == 1.0 && self.contrast == 1.0 {
            return;
        }
        let sum: u64 = image.iter().map(|&v| u64::from(v)).sum();
        let mean = sum as f32 / image.len() as f32;
        let table: [u8; 256] = std::array::from_fn(|v| {
            let contrasted = mean + self.contrast * (v as f32 - mean);
            (self.brightness * contrasted).round().clamp(0.0, 255.0) as u8
        });
        for value in image {
            *value = table[usize::from(*value)];
        }
    }
}

#[cfg(test)]
mod tests {
    //! Guarantees: the same seed gives the same images and another one others; shifts stay within their bound and
    //! repeat the edge; no augmentation leaves every byte.
    use super::*;
    use crate::dataset::IMAGE_BYTES;

    fn gradient() -> Vec<u8> {
        let pixel = |i: usize| {
            let (row, column) = ((i / IMAGE_SIZE) % IMAGE_SIZE, i % IMAGE_SIZE);
            [row as u8, column as u8, 7]
        };
        (0..IMAGE_BYTES / 3).flat_map(pixel).collect()
    }

    #[test]
    fn draws_follow_the_seed() {
        let settings = ImageAugmentation {
            shift_pixels: 4,
            brightness: 0.2,
            contrast: 0.2,
        };
        let of = |seed| {
            let mut images = gradient();
            settings.apply(&mut images, seed);
            images
        };
        assert!(of(3) == of(3) && of(3) != of(4));
        let mut images = gradient();
        ImageAugmentation::default().apply(&mut images, 3);
        assert!(images == gradient());
    }

    #[test]
    fn shifts_stay_within_their_bound() {
        let settings = ImageAugmentation {
            shift_pixels: 3,
            ..ImageAugmentation::default()
        };
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..60 {
            let mut images = gradient();
            settings.apply(&mut images, seed);
            for image in images.chunks_exact(IMAGE_BYTES / 2) {
                let middle = (IMAGE_SIZE / 2 * IMAGE_SIZE + IMAGE_SIZE / 2) * 3;
                let shift = i32::from(image[middle]) - IMAGE_SIZE as i32 / 2;
                assert!(shift.abs() <= 3);
                seen.insert(shift);
                let corner = i32::from(image[0]);
                assert_eq!(corner, shift.max(0), "the edge is repeated");
            }
        }
        assert_eq!(seen.len(), 7, "{seen:?}");
    }
}
