//! AVX2: `vpmaddubsw` for bytes, fused multiply-add for f32. The pairs that `vpmaddubsw` sums saturate beyond 16 bits,
//! so weights above 127 go through it in two parts, the low seven bits and the top one; neither can.

// Registers are met by their place in the tile.
#![allow(clippy::needless_range_loop)]

use super::avx512vnni::for_row_tiles;
use super::panel::{F32Panel, Int8Panel, OUTPUT_GROUP, QUAD_BYTES};
use std::arch::x86_64::*;

/// `c += x w` in integers, see the scalar twin.
///
/// # Safety
/// The processor has AVX2; sizes as [`super::panel::int8`] checks them.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn int8(t: &Int8Panel<'_>, c: &mut [i32]) {
    for group in 0..t.groups {
        let c = c.as_mut_ptr();
        match t.full_range {
            false => for_row_tiles!(low_tile, 2, t, (group, c), [4, 2, 1]),
            true => for_row_tiles!(high_tile, 2, t, (group, c), [4, 2, 1]),
        }
    }
}

/// `H` registers of eight sums for each of `R` rows; `$part` of the weights go through one by one.
macro_rules! int8_tile {
    ($name:ident, [$($part:expr),*]) => {
        #[target_feature(enable = "avx2")]
        unsafe fn $name<const R: usize, const H: usize>(
            t: &Int8Panel<'_>,
            row: usize,
            (group, c): (usize, *mut i32),
        ) {
            let width = t.groups * OUTPUT_GROUP;
            let ones = _mm256_set1_epi16(1);
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
                    let w: [__m256i; H] =
                        std::array::from_fn(|h| _mm256_loadu_si256(w.add(32 * h).cast()));
                    for r in 0..R {
                        let four = x.add(r * t.ldx + 4 * quad).cast::<i32>().read_unaligned();
                        let x = _mm256_set1_epi32(four);
                        for h in 0..H {
                            $(
                                let part = _mm256_and_si256(w[h], _mm256_set1_epi8($part));
                                let pairs = _mm256_maddubs_epi16(part, x);
                                acc[r][h] = _mm256_add_epi32(acc[r][h], _mm256_madd_epi16(pairs, ones));
                            )*
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
    };
}
int8_tile!(low_tile, [0x7f]);
int8_tile!(high_tile, [0x7f, i8::MIN]);

/// `c += a b` in f32, see the scalar twin.
///
/// # Safety
/// The processor has AVX2 and FMA; sizes as [`super::panel::float`] checks them.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn float(t: &F32Panel<'_>, c: &mut [f32], ldc: usize) {
    for group in 0..t.groups {
        let c = c.as_mut_ptr();
        for_row_tiles!(float_tile, 2, t, (group, c, ldc), [6, 4, 2, 1]);
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn float_tile<const R: usize, const H: usize>(
    t: &F32Panel<'_>,
    row: usize,
    (group, c, ldc): (usize, *mut f32, usize),
) {
    let mut acc = [[_mm256_setzero_ps(); H]; R];
    // SAFETY: rows row..row + R, `k` rows of the panel and the tile of outputs exist.
    unsafe {
        let c = c.add(row * ldc + group * OUTPUT_GROUP);
        for r in 0..R {
            for h in 0..H {
                if !t.overwrite {
                    acc[r][h] = _mm256_loadu_ps(c.add(r * ldc + 8 * h));
                }
            }
        }
        let a = t.a.as_ptr().add(row * t.lda);
        let mut b = t.b.as_ptr().wrapping_add(group * OUTPUT_GROUP);
        for i in 0..t.k {
            let w: [__m256; H] = std::array::from_fn(|h| _mm256_loadu_ps(b.add(8 * h)));
            for r in 0..R {
                let a = _mm256_set1_ps(*a.add(r * t.lda + i));
                for h in 0..H {
                    acc[r][h] = _mm256_fmadd_ps(a, w[h], acc[r][h]);
                }
            }
            b = b.wrapping_add(t.ldb);
        }
        for r in 0..R {
            for h in 0..H {
                _mm256_storeu_ps(c.add(r * ldc + 8 * h), acc[r][h]);
            }
        }
    }
}

/// Byte dot products as AVX2 has them, `rounds` times 12, registers only.
///
/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn int8_peak(rounds: usize) -> i32 {
    let mut acc = [_mm256_setzero_si256(); 12];
    let (mut w, x) = (_mm256_set1_epi8(2), _mm256_set1_epi8(1));
    let ones = _mm256_set1_epi16(1);
    for _ in 0..rounds {
        for acc in &mut acc {
            let pairs = _mm256_maddubs_epi16(w, x);
            *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(pairs, ones));
        }
        // Keeps the products in the loop.
        w = std::hint::black_box(w);
    }
    acc.into_iter().map(|acc| _mm256_cvtsi256_si32(acc)).sum()
}

/// f32 multiply-adds at the peak of the processor: `rounds` times 12 of them, registers only.
///
/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn float_peak(rounds: usize) -> f32 {
    let mut acc = [_mm256_setzero_ps(); 12];
    let (w, x) = (_mm256_set1_ps(0.5), _mm256_set1_ps(2.0));
    for _ in 0..rounds {
        for acc in &mut acc {
            *acc = _mm256_fmadd_ps(x, w, *acc);
        }
    }
    acc.into_iter().map(|acc| _mm256_cvtss_f32(acc)).sum()
}
