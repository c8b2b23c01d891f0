//! Image noise: the five families and ten levels of LIBERO-plus, drawn anew for every image from the episode and the control step.
//!
//! | kind | numbers of levels 1 to 10 |
//! |---|---|
//! | motion blur | radius and sigma (pixels), angle uniform within 45 degrees |
//! | Gaussian blur | sigma (pixels) |
//! | zoom blur | largest zoom and step of the zooms that are averaged |
//! | fog | strength and decay of a plasma fractal |
//! | glass | sigma (pixels), reach (pixels) and number of passes of local swaps |
//!
//! The kernels are those of the corruptions of Hendrycks and Dietterich (2019, section 3), of which LIBERO-plus took them over; images are 8 bits a channel.

mod blur;
mod fog;
mod glass;
mod image;

pub use blur::{gaussian_blur, motion_blur, zoom_blur};
pub use fog::{add_fog, plasma};
pub use glass::{glass_blur, glass_swaps};
pub use image::FloatImage;

use crate::{CameraSelection, Draws, EpisodeKey};
use serde::{Deserialize, Serialize};

/// Number of levels.
pub const LEVELS: u8 = 10;

/// Radius and sigma of the motion blur of each level, pixels.
const MOTION: [(usize, f64); 10] = [
    (5, 2.0),
    (8, 3.0),
    (10, 4.0),
    (12, 5.0),
    (15, 6.0),
    (18, 8.0),
    (20, 10.0),
    (25, 12.0),
    (30, 15.0),
    (35, 20.0),
];
/// Largest angle of the motion, degrees.
const MOTION_ANGLE: f64 = 45.0;
/// Sigma of the Gaussian blur per level, pixels.
const GAUSSIAN_SIGMA: f64 = 1.0;
/// End (not reached) and step of the zooms of each level, from 1 on.
const ZOOM: [(f64, f64); 10] = [
    (1.11, 0.01),
    (1.16, 0.01),
    (1.21, 0.02),
    (1.26, 0.02),
    (1.31, 0.03),
    (1.36, 0.01),
    (1.41, 0.01),
    (1.46, 0.02),
    (1.51, 0.02),
    (1.56, 0.03),
];
/// Strength and decay of the fog of each level.
const FOG: [(f64, f64); 10] = [
    (0.5, 3.0),
    (1.0, 2.8),
    (1.5, 2.5),
    (2.0, 2.2),
    (2.5, 2.0),
    (3.0, 1.8),
    (3.5, 1.6),
    (4.0, 1.5),
    (4.5, 1.4),
    (5.0, 1.3),
];
/// Sigma, reach and passes of the glass of each level.
const GLASS: [(f64, usize, usize); 10] = [
    (0.5, 1, 3),
    (0.7, 1, 3),
    (0.9, 2, 3),
    (1.0, 2, 2),
    (1.1, 3, 2),
    (1.3, 3, 2),
    (1.5, 4, 2),
    (1.8, 4, 2),
    (2.2, 5, 1),
    (2.5, 5, 1),
];

/// Family of noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseKind {
    /// Blur along a line.
    Motion,
    /// Gaussian blur.
    Gaussian,
    /// Mean of enlarged images.
    Zoom,
    /// Fog.
    Fog,
    /// Frosted glass.
    Glass,
}

impl NoiseKind {
    /// All of them, in the order of LIBERO-plus.
    pub const ALL: [NoiseKind; 5] = [
        NoiseKind::Motion,
        NoiseKind::Gaussian,
        NoiseKind::Zoom,
        NoiseKind::Fog,
        NoiseKind::Glass,
    ];
}

/// Noise in camera images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageNoise {
    /// Family; one per episode is drawn if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<NoiseKind>,
    /// Level of LIBERO-plus, 1 to 10.
    pub level: u8,
    /// Cameras; the one that looks at the table, as in LIBERO-plus, if absent.
    #[serde(default, skip_serializing_if = "is_agentview")]
    pub cameras: CameraSelection,
}

fn is_agentview(cameras: &CameraSelection) -> bool {
    *cameras == CameraSelection::Agentview
}

impl ImageNoise {
    /// The family in an episode.
    pub fn kind_in(&self, key: EpisodeKey) -> NoiseKind {
        let draw = || NoiseKind::ALL[Draws::new(key, "noise-kind").below(NoiseKind::ALL.len())];
        self.kind.unwrap_or_else(draw)
    }

    /// Changes an image, (side, side, 3), by noise of a family.
    pub fn apply(&self, kind: NoiseKind, image: &mut [u8], side: usize, draws: &mut Draws) {
        let at = usize::from(self.level.clamp(1, LEVELS) - 1);
        let clear = FloatImage::from_bytes(image, side);
        let noisy = match kind {
            NoiseKind::Motion => {
                let (radius, sigma) = MOTION[at];
                motion_blur(
                    &clear,
                    radius,
                    sigma,
                    draws.between(-MOTION_ANGLE, MOTION_ANGLE),
                )
            }
            NoiseKind::Gaussian => gaussian_blur(&clear, GAUSSIAN_SIGMA * (at + 1) as f64),
            NoiseKind::Zoom => {
                let (end, step) = ZOOM[at];
                let count = libm::ceil((end - 1.0) / step - 1e-9) as usize;
                let zooms: Vec<f64> = (0..count).map(|i| 1.0 + step * i as f64).collect();
                zoom_blur(&clear, &zooms)
            }
            NoiseKind::Fog => {
                let (strength, decay) = FOG[at];
                let size = side.next_power_of_two();
                let fog = plasma(size, decay, &mut || draws.between(-1.0, 1.0));
                add_fog(&clear, strength, &fog, size)
            }
            NoiseKind::Glass => {
                let (sigma, reach, passes) = GLASS[at];
                let swaps = glass_swaps(side, reach, passes, &mut || {
                    draws.below(2 * reach) as isize - reach as isize
                });
                glass_blur(&clear, sigma, &swaps)
            }
        };
        noisy.write_bytes(image);
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: more levels, more change, in every family; an image of one colour keeps it under the blurs.
    use super::*;

    const SIDE: usize = 64;
    const KEY: EpisodeKey = EpisodeKey {
        seed: 7,
        task: 0,
        init: 0,
    };

    fn picture() -> Vec<u8> {
        let colour = |x: usize, y: usize| match (x / 9 + y / 7) % 3 {
            0 => [200, 40, 60],
            1 => [30, 120, 90],
            _ => [90, 90, 220],
        };
        (0..SIDE * SIDE)
            .flat_map(|i| colour(i % SIDE, i / SIDE))
            .collect()
    }

    #[test]
    fn more_levels_more_change() {
        let clear = picture();
        for kind in NoiseKind::ALL {
            let distance = |level: u8| {
                let noise = ImageNoise {
                    kind: Some(kind),
                    level,
                    cameras: CameraSelection::Agentview,
                };
                let total: u64 = (0..4)
                    .map(|step| {
                        let mut image = clear.clone();
                        noise.apply(
                            kind,
                            &mut image,
                            SIDE,
                            &mut Draws::at_step(KEY, "test", step),
                        );
                        image
                            .iter()
                            .zip(&clear)
                            .map(|(a, b)| u64::from(a.abs_diff(*b)))
                            .sum::<u64>()
                    })
                    .sum();
                total
            };
            // Every second level, as in the five levels of the axis; neighbours differ in several numbers at once.
            let distances: Vec<u64> = (1..=5).map(|level| distance(2 * level)).collect();
            assert!(distances[0] > 0, "{kind:?}");
            assert!(distances[4] > distances[0], "{kind:?} {distances:?}");
        }
    }

    #[test]
    fn blurs_keep_an_image_of_one_colour() {
        let flat: Vec<u8> = [10, 130, 250].repeat(SIDE * SIDE);
        for kind in [
            NoiseKind::Motion,
            NoiseKind::Gaussian,
            NoiseKind::Zoom,
            NoiseKind::Glass,
        ] {
            let mut image = flat.clone();
            let noise = ImageNoise {
                kind: None,
                level: 7,
                cameras: CameraSelection::Both,
            };
            noise.apply(kind, &mut image, SIDE, &mut Draws::new(KEY, "test"));
            assert_eq!(image, flat, "{kind:?}");
        }
    }
}
