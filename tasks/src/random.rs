//! Random numbers that are the same on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Uniform and normal numbers from a ChaCha8 stream.
pub struct SampleStream(ChaCha8Rng);

impl SampleStream {
    /// Starts the stream of a seed.
    pub fn new(seed: u64) -> SampleStream {
        SampleStream(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Starts the stream of a key of 256 bits.
    pub fn of_key(key: [u8; 32]) -> SampleStream {
        SampleStream(ChaCha8Rng::from_seed(key))
    }

    /// Uniform in `[0, 1)` with 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform between two ends, which may come in either order.
    pub fn between(&mut self, ends: [f64; 2]) -> f64 {
        ends[0] + (ends[1] - ends[0]) * self.unit()
    }

    /// One of `0..count`; `count` is at least 1.
    pub fn below(&mut self, count: usize) -> usize {
        ((self.unit() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// Standard normal (Box-Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.unit()));
        radius * libm::cos(std::f64::consts::TAU * self.unit())
    }
}
