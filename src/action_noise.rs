//! Noise in the actions of a policy: a family of policies whose success falls with one number, for checks of the evaluation itself.

use bitvla_policies::testing::SplitMix64;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// Gaussian noise that is added to the six motions of every action of an answer; the gripper is left alone. It is drawn from the
/// proprioception and the instruction, so that the policy stays a function of what it observes, in every process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ActionNoise {
    /// Standard deviation, in units of actions.
    sigma: f64,
}

impl ActionNoise {
    /// Standard deviation, in units of actions.
    pub fn sigma(self) -> f64 {
        self.sigma
    }

    /// Adds noise to the answer to an observation; motions stay within [-1, 1].
    pub(crate) fn add(self, actions: &mut [[f64; 7]], proprio: &[f64; 8], instruction: &str) {
        let mut hash = Sha256::new();
        for number in proprio {
            hash.update(number.to_bits().to_le_bytes());
        }
        hash.update(instruction.as_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let [a, b, c, d, e, f, g, h, ..] = digest;
        let mut random = SplitMix64::new(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
        for motion in actions.iter_mut().flat_map(|action| &mut action[..6]) {
            *motion = (*motion + self.sigma * normal(&mut random)).clamp(-1.0, 1.0);
        }
    }
}

/// A number of the standard normal distribution (Box and Muller 1958), from two draws.
fn normal(random: &mut SplitMix64) -> f64 {
    // In (0, 1], so that the logarithm is finite.
    let mut unit = || ((random.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64;
    let (radius, angle) = (unit(), unit());
    (-2.0 * libm::log(radius)).sqrt() * libm::cos(std::f64::consts::TAU * angle)
}

impl FromStr for ActionNoise {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<ActionNoise, Self::Err> {
        let sigma = text
            .parse()
            .ok()
            .filter(|sigma| *sigma > 0.0 && *sigma <= 2.0);
        sigma
            .map(|sigma| ActionNoise { sigma })
            .ok_or("expected a standard deviation above 0 and at most 2")
    }
}

impl fmt::Display for ActionNoise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.sigma)
    }
}

#[cfg(test)]
mod tests {
    //! Guarantees: the noise has the named deviation and no mean, depends on the observation alone, and leaves the gripper alone.
    use super::*;

    #[test]
    fn noise_is_a_function_of_the_observation() {
        let noise: ActionNoise = "0.2".parse().expect("noise");
        let drawn = |x: f64, words: &str| {
            let mut actions = vec![[0.0; 7]; 2000];
            noise.add(&mut actions, &[x; 8], words);
            actions
        };
        let actions = drawn(0.5, "put it there");
        assert_eq!(actions, drawn(0.5, "put it there"));
        assert_ne!(actions, drawn(0.5, "put it here"));
        assert_ne!(actions, drawn(0.25, "put it there"));
        let motions: Vec<f64> = actions.iter().flat_map(|a| a[..6].to_vec()).collect();
        let mean = motions.iter().sum::<f64>() / motions.len() as f64;
        let square = motions.iter().map(|x| x * x).sum::<f64>() / motions.len() as f64;
        assert!(
            mean.abs() < 0.01 && (square.sqrt() - 0.2).abs() < 0.005,
            "{mean} {square}"
        );
        assert!(actions.iter().all(|a| a[6] == 0.0));
        for text in ["0", "-1", "3", "NaN", "much"] {
            assert!(text.parse::<ActionNoise>().is_err(), "{text}");
        }
    }
}
