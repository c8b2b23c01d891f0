//! Peak throughput of the processor, measured with registers only: the reference of all speeds.

use super::Isa;
use super::gemm::kernels;
use std::time::Instant;

/// Operations a second (a multiplication and an addition are two) on all threads together.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PeakThroughput {
    /// Byte products, 10^9 operations a second.
    pub int8_gops: f64,
    /// f32 products, 10^9 operations a second.
    pub f32_gflops: f64,
}

/// Runs `rounds` rounds of byte products `2 * 1`; returns the sum of the first lanes and the products of a round.
///
/// # Panics
/// If the processor does not have the instruction set.
fn int8_rounds(isa: Isa, rounds: usize) -> (i32, usize) {
    let kernels = kernels(isa);
    // SAFETY: `kernels` checked the instruction set.
    let sum = unsafe { (kernels.int8_peak)(rounds) };
    (sum, kernels.lane_products * kernels.peak_lanes)
}

/// Runs `rounds` rounds of f32 products `2 * 0.5`; returns the sum of the first lanes and the products of a round.
///
/// # Panics
/// If the processor does not have the instruction set.
fn f32_rounds(isa: Isa, rounds: usize) -> (f32, usize) {
    let kernels = kernels(isa);
    // SAFETY: `kernels` checked the instruction set.
    let sum = unsafe { (kernels.f32_peak)(rounds) };
    (sum, kernels.peak_lanes)
}

/// A fixed number of byte and f32 products in registers on this thread, some milliseconds of work: a yardstick for the time of
/// something else, measured beside it.
pub fn reference_work() {
    let isa = Isa::active();
    let rounds = if isa == Isa::Scalar { 2_000 } else { 100_000 };
    std::hint::black_box((int8_rounds(isa, rounds), f32_rounds(isa, rounds)));
}

/// Measures for about a fifth of a second, on `threads` threads at once, what the processor can do at this moment: its
/// clock follows its temperature and its neighbours. Returns the best of a few tries, which no neighbour disturbed.
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
            let (sum, products) = int8_rounds(isa, rounds);
            std::hint::black_box(sum);
            products * rounds
        }),
        f32_gflops: rate(&|| {
            let (sum, products) = f32_rounds(isa, rounds);
            std::hint::black_box(sum);
            products * rounds
        }),
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: the loops whose time is called the peak do the products that are counted.
    use super::*;

    #[test]
    fn every_product_is_done() {
        for isa in Isa::available() {
            // Every accumulator's first lane takes four or eight products of two.
            let (sum, products) = int8_rounds(isa, 10);
            let of_lane = kernels(isa).lane_products;
            let accumulators = match isa {
                Isa::Avx2 | Isa::AvxVnni | Isa::Avx512Vnni => 12,
                _ => 24,
            };
            assert_eq!(sum, 10 * accumulators * 2 * of_lane as i32, "{isa:?}");
            let (sum, lanes) = f32_rounds(isa, 10);
            assert_eq!(sum, 10.0 * accumulators as f32, "{isa:?}");
            assert_eq!(products, of_lane * lanes, "{isa:?}");
        }
    }
}
