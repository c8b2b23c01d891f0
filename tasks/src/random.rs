//! Random numbers that are the same on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Uniform and normal numbers from a ChaCha8 stream.
pub(crate) struct SampleStream(ChaCha8Rng);

impl SampleStream {
    /// Starts the stream of a seed.
    pub(crate) fn new(seed: u64) -> SampleStream {
        SampleStream(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Uniform in `[0, 1)` with 53 bits.
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform between two ends, which may come in either order.
    pub(crate) fn between(&mut self, ends: [f64; 2]) -> f64 {
        ends[0] + (ends[1] - ends[0]) * self.unit()
    }

    /// One of `0..count`; `count` is at least 1.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        ((self.unit() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// Standard normal (Box-Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.unit()));
        radius * libm::cos(std::f64::consts::TAU * self.unit())
    }
}
