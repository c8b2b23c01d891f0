//! Random numbers of perturbations.
//!
//! The generator is ChaCha with eight rounds, which is counter-based: block n of a stream is a function of (key, n) alone. The 256 bits of the key are, little
//! endian: the seed of the run (64), task (32), initial state (32), FNV-1a hash of the name of what is drawn (64), control step (64). So no draw depends
//! on how many others were made before it.

use bitvla_tasks::random::SampleStream;

/// The episode that is perturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EpisodeKey {
    /// Seed of the run.
    pub seed: u64,
    /// Index of the task.
    pub task: usize,
    /// Index of the initial state.
    pub init: usize,
}

/// A stream of random numbers.
pub struct Draws(SampleStream);

impl Draws {
    /// The stream of what is named `name` in an episode.
    pub fn new(key: EpisodeKey, name: &str) -> Draws {
        Draws::at_step(key, name, 0)
    }

    /// The stream of what is named `name` in a control step of an episode.
    pub fn at_step(key: EpisodeKey, name: &str, step: usize) -> Draws {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&key.seed.to_le_bytes());
        seed[8..12].copy_from_slice(&(key.task as u32).to_le_bytes());
        seed[12..16].copy_from_slice(&(key.init as u32).to_le_bytes());
        seed[16..24].copy_from_slice(&fnv1a(name).to_le_bytes());
        seed[24..].copy_from_slice(&(step as u64).to_le_bytes());
        Draws(SampleStream::of_key(seed))
    }

    /// The stream of variant `number` of what is named `name`: the same in every run, task and state.
    pub fn of_variant(name: &str, number: usize) -> Draws {
        let everywhere = EpisodeKey {
            seed: 0,
            task: 0,
            init: 0,
        };
        Draws::at_step(everywhere, name, number)
    }

    /// Uniform in [0, 1), 53 bits.
    pub fn uniform(&mut self) -> f64 {
        self.0.unit()
    }

    /// Uniform between `low` and `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        self.0.between([low, high])
    }

    /// Uniform in 0..count; `count` is at least 1.
    pub fn below(&mut self, count: usize) -> usize {
        self.0.below(count)
    }

    /// 1 or -1.
    pub fn sign(&mut self) -> f64 {
        if self.uniform() < 0.5 { -1.0 } else { 1.0 }
    }

    /// Standard normal (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        self.0.normal()
    }

    /// Uniform on the unit sphere of N dimensions.
    pub fn direction<const N: usize>(&mut self) -> [f64; N] {
        loop {
            let v: [f64; N] = std::array::from_fn(|_| self.normal());
            let norm = libm::sqrt(v.iter().map(|x| x * x).sum());
            if norm > 1e-9 {
                return v.map(|x| x / norm);
            }
        }
    }
}

/// FNV-1a, 64 bits.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    //! Guarantees: every part of the key makes another stream; the numbers are those that they were.
    use super::*;

    const KEY: EpisodeKey = EpisodeKey {
        seed: 7,
        task: 3,
        init: 5,
    };

    #[test]
    fn every_part_of_the_key_makes_another_stream() {
        let first = |key, name, step| Draws::at_step(key, name, step).uniform();
        let all = [
            first(KEY, "camera", 0),
            first(EpisodeKey { seed: 8, ..KEY }, "camera", 0),
            first(EpisodeKey { task: 4, ..KEY }, "camera", 0),
            first(EpisodeKey { init: 6, ..KEY }, "camera", 0),
            first(KEY, "light", 0),
            first(KEY, "camera", 1),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| a != b), "{all:?}");
        }
        assert_eq!(first(KEY, "camera", 0), all[0]);
    }

    #[test]
    fn draws_have_their_distributions() {
        let mut draws = Draws::new(KEY, "test");
        let n = 20_000;
        let normal: Vec<f64> = (0..n).map(|_| draws.normal()).collect();
        let mean = normal.iter().sum::<f64>() / f64::from(n);
        let variance = normal.iter().map(|x| x * x).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.04);
        let u: [f64; 7] = draws.direction();
        assert!((u.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((0..1000).all(|_| draws.below(3) < 3));
    }
}
