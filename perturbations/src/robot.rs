//! The posture in which the arm begins.

use crate::{Draws, EpisodeKey};
use bitvla_tasks::InitState;
use bitvla_tasks::NumpyRandom;
use serde::{Deserialize, Serialize};

/// Number of variants: 100 directions at each of five distances.
const VARIANTS: u16 = 500;
/// Seed of LIBERO-plus's variants.
const PLUS_SEED: u32 = 42;
/// Distance of a level in joint space, rad per level: that of LIBERO-plus.
pub(crate) const RADIUS_OF_LEVEL: f64 = 0.1;

/// An offset of the seven arm joints from the posture of the initial state: that of LIBERO-plus, whose variants are drawn one after the other by
/// numpy's legacy generator from a fixed seed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostureChange {
    /// Strength 1 to 5: 0.1 rad per level, in one of 100 directions, drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    /// Variant 1 to 500: 0.1 rad for 1 to 100, 0.2 for 101 to 200 and so on; the same direction in every episode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<u16>,
}

/// Unit vector of a variant, from 1 on.
fn direction_of(variant: u16) -> [f64; 7] {
    let mut random = NumpyRandom::new(PLUS_SEED);
    let mut direction = [0.0; 7];
    for _ in 0..variant {
        direction = std::array::from_fn(|_| random.normal());
    }
    let norm = libm::sqrt(direction.iter().map(|x| x * x).sum());
    direction.map(|x| x / norm)
}

impl PostureChange {
    pub(crate) fn check(&self) -> Result<(), String> {
        match (self.variant, self.level) {
            (None, None) => Err("found neither level nor variant, expected one of them".to_owned()),
            (Some(_), Some(_)) => Err("found level and variant, expected one of them".to_owned()),
            (Some(variant), _) if !(1..=VARIANTS).contains(&variant) => Err(format!(
                "variant: found {variant}, expected 1 to {VARIANTS}"
            )),
            _ => Ok(()),
        }
    }

    pub(crate) fn apply(&self, state: &mut InitState, key: EpisodeKey) {
        let variant = self.variant.unwrap_or_else(|| {
            let direction = Draws::new(key, "robot").below(100) as u16;
            100 * u16::from(self.level.unwrap_or(1) - 1) + direction + 1
        });
        let radius = RADIUS_OF_LEVEL * f64::from(variant.div_ceil(100));
        let direction = direction_of(variant);
        for (q, u) in state.robot_qpos.iter_mut().zip(direction) {
            *q += radius * u;
        }
    }
}

#[cfg(test)]
mod tests {
    //! Guarantees: the offset has the length of its level or variant and the direction of LIBERO-plus, and the fingers stay where they are.
    use super::*;

    /// `numpy.random.seed(42)`, then `randn(7)` once per variant, divided by its norm.
    #[test]
    fn directions_are_those_of_libero_plus() {
        for (variant, first, last) in [
            (1, 0.209_740_484_581_944, 0.666_831_937_794_706_2),
            (137, -0.530_932_114_544_977_7, 0.241_708_523_954_729_97),
            (500, -0.236_552_668_251_845_45, -0.157_611_334_754_158_67),
        ] {
            let direction = direction_of(variant);
            assert!((direction[0] - first).abs() < 1e-14 && (direction[6] - last).abs() < 1e-14);
        }
    }

    #[test]
    fn the_offset_has_its_length() {
        let key = EpisodeKey {
            seed: 7,
            task: 1,
            init: 2,
        };
        let offset = |change: PostureChange| {
            let mut state = InitState::default();
            change.apply(&mut state, key);
            assert_eq!(state.robot_qpos[7..], [0.0, 0.0]);
            state.robot_qpos.iter().map(|q| q * q).sum::<f64>().sqrt()
        };
        for level in 1..=5u8 {
            let wanted = 0.1 * f64::from(level);
            let of_level = offset(PostureChange {
                level: Some(level),
                variant: None,
            });
            let variant = 100 * u16::from(level);
            let of_variant = offset(PostureChange {
                level: None,
                variant: Some(variant),
            });
            assert!((of_level - wanted).abs() < 1e-12 && (of_variant - wanted).abs() < 1e-12);
        }
    }
}
