//! `vpdpbusd` on 256-bit registers, for processors with AVX-VNNI and no AVX-512. f32 is that of AVX2.

// Registers are met by their place in the tile.
#![allow(clippy::needless_range_loop)]

use super::avx512vnni::for_row_tiles;
use super::panel::{Int8Panel, OUTPUT_GROUP, QUAD_BYTES};
use std::arch::x86_64::*;

/// `c += x w` in integers, see the scalar twin.
///
/// # Safety
/// The processor has AVX2 and AVX-VNNI; sizes as [`super::panel::int8`] checks them.
#[target_feature(enable = "avx2,avxvnni")]
pub(super) unsafe fn int8(t: &Int8Panel<'_>, c: &mut [i32]) {
    for group in 0..t.groups {
        let c = c.as_mut_ptr();
        for_row_tiles!(tile, 2, t, (group, c), [6, 4, 2, 1]);
    }
}

/// `H` registers of eight sums for each of `R` rows.
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn tile<const R: usize, const H: usize>(
    t: &Int8Panel<'_>,
    row: usize,
    (group, c): (usize, *mut i32),
) {
    let width = t.groups * OUTPUT_GROUP;
    let mut acc = [[_mm256_setzero_si256(); H]; R];
    // SAFETY: rows row..row + R, `quads` of the panel and the tile of sums exist.
    unsafe {
        let c = c.add(row * width + group * OUTPUT_GROUP);
        for r in 0..R {
            for h in 0..H {
                acc[r][h] = match t.start {
                    Some(start) => _mm256_set1_epi32(start[row + r]),
                    None => _mm256_loadu_si256(c.add(r * width + 8 * h).cast()),
                };
            }
        }
        let x = t.x.as_ptr().add(row * t.ldx);
        for quad in 0..t.quads {
            let w = t.w.as_ptr().add((quad * t.groups + group) * QUAD_BYTES);
            let w: [__m256i; H] = std::array::from_fn(|h| _mm256_loadu_si256(w.add(32 * h).cast()));
            for r in 0..R {
                let four = x.add(r * t.ldx + 4 * quad).cast::<i32>().read_unaligned();
                let x = _mm256_set1_epi32(four);
                for h in 0..H {
                    acc[r][h] = _mm256_dpbusd_avx_epi32(acc[r][h], w[h], x);
                }
            }
        }
        for r in 0..R {
            for h in 0..H {
                _mm256_storeu_si256(c.add(r * width + 8 * h).cast(), acc[r][h]);
            }
        }
    }
}

/// Byte dot products at the peak of the processor: `rounds` times 12 of them, registers only.
///
/// # Safety
/// The processor has AVX2 and AVX-VNNI.
#[target_feature(enable = "avx2,avxvnni")]
pub(super) unsafe fn int8_peak(rounds: usize) -> i32 {
    let mut acc = [_mm256_setzero_si256(); 12];
    let (w, x) = (_mm256_set1_epi8(2), _mm256_set1_epi8(1));
    for _ in 0..rounds {
        for acc in &mut acc {
            *acc = _mm256_dpbusd_avx_epi32(*acc, w, x);
        }
    }
    acc.into_iter().map(|acc| _mm256_cvtsi256_si32(acc)).sum()
}
