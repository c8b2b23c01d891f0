//! What the processor can do at most, measured with registers only: what speeds are compared with.

use super::{Isa, scalar};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512vnni, avxvnni};
use std::time::Instant;

/// Operations a second (a multiplication and an addition are two) on all threads together.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PeakThroughput {
    /// Bytes, 10^9.
    pub int8_gops: f64,
    /// f32, 10^9.
    pub f32_gflops: f64,
}

/// Sum of `rounds` rounds of byte products `2 * 1`, and the products of a round.
pub fn int8(isa: Isa, rounds: usize) -> (i32, usize) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `supported` was checked.
        Isa::Avx512Vnni if isa.supported() => (unsafe { avx512vnni::int8_peak(rounds) }, 24 * 64),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::AvxVnni if isa.supported() => (unsafe { avxvnni::int8_peak(rounds) }, 12 * 32),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 if isa.supported() => (unsafe { avx2::int8_peak(rounds) }, 12 * 32),
        _ => (scalar::int8_peak(rounds), 24 * 4),
    }
}

/// Sum of `rounds` rounds of f32 products `2 * 0.5`, and the products of a round.
pub fn float(isa: Isa, rounds: usize) -> (f32, usize) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `supported` was checked.
        Isa::Avx512Vnni if isa.supported() => (unsafe { avx512vnni::float_peak(rounds) }, 24 * 16),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 | Isa::AvxVnni if isa.supported() => {
            (unsafe { avx2::float_peak(rounds) }, 12 * 8)
        }
        _ => (scalar::float_peak(rounds), 24),
    }
}

/// Measures for about a fifth of a second, on `threads` threads at once, what the processor can do right now: its clock
/// follows its temperature and its neighbours. The best of a few tries, which no neighbour disturbed.
pub fn measure(threads: usize) -> PeakThroughput {
    let isa = Isa::active();
    let rounds = if isa == Isa::Scalar {
        20_000
    } else {
        1_000_000
    };
    let rate = |run: &(dyn Fn() -> usize + Sync)| {
        let once = || {
            let start = Instant::now();
            let products: usize = std::thread::scope(|scope| {
                let all: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(run)).collect();
                all.into_iter().filter_map(|t| t.join().ok()).sum()
            });
            2e-9 * products as f64 / start.elapsed().as_secs_f64()
        };
        (0..5).map(|_| once()).fold(0.0, f64::max)
    };
    PeakThroughput {
        int8_gops: rate(&|| {
            let (sum, products) = int8(isa, rounds);
            std::hint::black_box(sum);
            products * rounds
        }),
        f32_gflops: rate(&|| {
            let (sum, products) = float(isa, rounds);
            std::hint::black_box(sum);
            products * rounds
        }),
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: the loops whose time is called the peak do the products they are paid for.
    use super::*;

    #[test]
    fn every_product_is_done() {
        for isa in Isa::available() {
            // Every accumulator's first lane takes four products of two.
            let (sum, products) = int8(isa, 10);
            let accumulators = if isa == Isa::Avx2 || isa == Isa::AvxVnni {
                12
            } else {
                24
            };
            assert_eq!(sum, 10 * accumulators * 8, "{isa:?}");
            let (sum, lanes) = float(isa, 10);
            assert_eq!(sum, 10.0 * accumulators as f32, "{isa:?}");
            assert_eq!(products, 4 * lanes, "{isa:?}");
        }
    }
}
