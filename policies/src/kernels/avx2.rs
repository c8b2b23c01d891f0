//! AVX2 and FMA: 256-bit registers, `vpmaddubsw` for bytes. It sums pairs of products in 16 bits, which saturate: ternary weights
//! are so small that 64 such sums fit into 16 bits; those of int8 are made signed again and lend their sign to the activations, so that
//! no pair saturates, and are widened at once.

// Registers are addressed by their position in the tile.
#![allow(clippy::needless_range_loop)]

use super::panel::{F32Panel, Int8Panel, OUTPUT_GROUP, PanelBytes, PanelKernels};
use super::registers::{self, ByteDot, Registers, for_row_tiles};
use std::arch::asm;
use std::arch::x86_64::*;

/// Registers of a group of outputs.
pub(super) const GROUP_REGISTERS: usize = OUTPUT_GROUP / 8;
/// Accumulators that the peak loops keep busy.
pub(super) const PEAK_REGISTERS: usize = 12;

/// 256-bit registers.
pub(super) struct Avx2;

// SAFETY of the blocks below: the caller has AVX2 and FMA and gives pointers that are valid for one register.
impl Registers for Avx2 {
    type F32 = __m256;
    type I32 = __m256i;
    const LANES: usize = 8;
    const UNROLL: usize = 1;

    #[inline(always)]
    unsafe fn load_f32(from: *const f32) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store_f32(to: *mut f32, v: __m256) {
        // SAFETY: see above.
        unsafe { _mm256_storeu_ps(to, v) }
    }
    #[inline(always)]
    unsafe fn splat_f32(v: f32) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_set1_ps(v) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn first_f32(v: __m256) -> f32 {
        // SAFETY: see above.
        unsafe { _mm256_cvtss_f32(v) }
    }
    #[inline(always)]
    unsafe fn load_i32(from: *const i32) -> __m256i {
        // SAFETY: see above.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store_i32(to: *mut i32, v: __m256i) {
        // SAFETY: see above.
        unsafe { _mm256_storeu_si256(to.cast(), v) }
    }
    #[inline(always)]
    unsafe fn splat_i32(v: i32) -> __m256i {
        // SAFETY: see above.
        unsafe { _mm256_set1_epi32(v) }
    }
    #[inline(always)]
    unsafe fn first_i32(v: __m256i) -> i32 {
        // SAFETY: see above.
        unsafe { _mm256_cvtsi256_si32(v) }
    }
}

/// Quads of inputs whose products with ternary weights fit into 16 bits: 64 pairs of 2 (-128) are -32 768.
const TERNARY_QUADS: usize = 64;

/// Products of int8 weights less 128 by `vpmaddubsw` and `vpmaddwd`.
struct SignedMultiplyAdd;

impl ByteDot<Avx2> for SignedMultiplyAdd {
    #[inline(always)]
    unsafe fn dot(sum: __m256i, w: __m256i, x: __m256i) -> __m256i {
        // SAFETY: the caller has AVX2.
        unsafe {
            let w = _mm256_xor_si256(w, _mm256_set1_epi8(i8::MIN));
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(w, x));
            _mm256_add_epi32(sum, widen(pairs))
        }
    }
}

/// Sums of pairs of 16-bit lanes.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn widen(sums: __m256i) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe { _mm256_madd_epi16(sums, _mm256_set1_epi16(1)) }
}

/// Sums of two byte products each in 16-bit lanes.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn add_pairs(sums: __m256i, w: __m256i, x: __m256i) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe { _mm256_add_epi16(sums, _mm256_maddubs_epi16(w, x)) }
}

/// The kernels of AVX2.
pub(super) static KERNELS: PanelKernels = PanelKernels {
    int8,
    f32,
    int8_peak,
    f32_peak,
    peak_lanes: 8 * PEAK_REGISTERS,
    lane_products: 4,
};

/// # Safety
/// As [`PanelKernels::int8`]; the processor has AVX2.
#[target_feature(enable = "avx2")]
unsafe fn int8(t: &Int8Panel<'_>, c: &mut [i32]) {
    match t.bytes {
        PanelBytes::Ternary => {
            let c = c.as_mut_ptr();
            for part in 0..t.quads.div_ceil(TERNARY_QUADS).max(1) {
                for group in 0..t.groups {
                    let to = (group, part * TERNARY_QUADS, c);
                    for_row_tiles!(ternary_tile, 2, t, to, [6, 4, 2, 1]);
                }
            }
        }
        PanelBytes::Int8 => {
            let (t, c) = (&t.begin_signed_sums(c), c.as_mut_ptr());
            for group in 0..t.groups {
                for_row_tiles!(int8_tile, 2, t, (group, c), [4, 2, 1]);
            }
        }
    }
}

/// Adds the products of the [`TERNARY_QUADS`] quads from `first` on, or of those that are left, with ternary weights; the first ones begin
/// the sums where the panel says so.
///
/// # Safety
/// As [`PanelKernels::int8`]; the rows from `row` on and the group exist; the processor has AVX2.
#[target_feature(enable = "avx2")]
unsafe fn ternary_tile<const R: usize, const H: usize>(
    t: &Int8Panel<'_>,
    row: usize,
    (group, first, c): (usize, usize, *mut i32),
) {
    const { assert!(H == GROUP_REGISTERS) };
    let (width, column) = (t.groups * OUTPUT_GROUP, group * OUTPUT_GROUP);
    // SAFETY: the caller's promise.
    unsafe {
        let mut rows = [t.x.as_ptr(); R];
        for r in 0..R {
            rows[r] = t.x.as_ptr().add((row + r) * t.ldx + 4 * first);
        }
        let mut from = t.w.as_ptr().wrapping_add(4 * (first * width + column));
        let mut acc = [[_mm256_setzero_si256(); H]; R];
        for quad in 0..TERNARY_QUADS.min(t.quads - first) {
            let mut w = [_mm256_setzero_si256(); H];
            for h in 0..H {
                w[h] = _mm256_loadu_si256(from.add(32 * h).cast());
            }
            for r in 0..R {
                let four = rows[r].add(4 * quad).cast::<i32>();
                let x = _mm256_set1_epi32(four.read_unaligned());
                for h in 0..H {
                    acc[r][h] = add_pairs(acc[r][h], w[h], x);
                }
            }
            from = from.wrapping_add(4 * width);
        }
        let c = c.add(row * width + column);
        for r in 0..R {
            for h in 0..H {
                let at = c.add(r * width + 8 * h).cast();
                let before = match t.start {
                    Some(start) if first == 0 => _mm256_set1_epi32(start[row + r]),
                    _ => _mm256_loadu_si256(at),
                };
                _mm256_storeu_si256(at, _mm256_add_epi32(before, widen(acc[r][h])));
            }
        }
    }
}

/// # Safety
/// As [`registers::int8_tile`]; the processor has AVX2.
#[target_feature(enable = "avx2")]
unsafe fn int8_tile<const R: usize, const H: usize>(
    t: &Int8Panel<'_>,
    row: usize,
    (group, c): (usize, *mut i32),
) {
    const { assert!(H == GROUP_REGISTERS) };
    let at = (row, group * OUTPUT_GROUP, t.groups * OUTPUT_GROUP);
    // SAFETY: the caller's promise.
    unsafe { registers::int8_tile::<Avx2, SignedMultiplyAdd, R, H>(t, at, c) };
}

/// # Safety
/// As [`PanelKernels::f32`]; the processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn f32(t: &F32Panel<'_>, c: &mut [f32], ldc: usize) {
    let c = c.as_mut_ptr();
    for group in 0..t.groups {
        for_row_tiles!(f32_tile, 2, t, (group, c, ldc), [6, 4, 2, 1]);
    }
}

/// # Safety
/// As [`registers::f32_tile`]; the processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
unsafe fn f32_tile<const R: usize, const H: usize>(
    t: &F32Panel<'_>,
    row: usize,
    (group, c, ldc): (usize, *mut f32, usize),
) {
    // SAFETY: the caller's promise.
    unsafe { registers::f32_tile::<Avx2, R, H>(t, (row, group * OUTPUT_GROUP), (c, ldc)) };
}

/// Returns its operand, of which the compiler then knows nothing, so that it does not do a product once for many: no instruction,
/// which no intrinsic says.
///
/// # Safety
/// The processor has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn opaque(mut v: __m256i) -> __m256i {
    // SAFETY: no instruction.
    unsafe { asm!("/* {v} */", v = inout(ymm_reg) v, options(nomem, nostack, preserves_flags)) };
    v
}

/// The products of [`ternary_tile`], in registers only.
///
/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
unsafe fn int8_peak(rounds: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe {
        let (mut w, x) = (_mm256_set1_epi8(2), _mm256_set1_epi8(1));
        let mut sum = 0;
        for first in (0..rounds).step_by(TERNARY_QUADS) {
            let mut acc = [_mm256_setzero_si256(); PEAK_REGISTERS];
            for _ in first..rounds.min(first + TERNARY_QUADS) {
                for acc in &mut acc {
                    w = opaque(w);
                    *acc = add_pairs(*acc, w, x);
                }
            }
            for acc in acc {
                sum += _mm256_cvtsi256_si32(widen(acc));
            }
        }
        sum
    }
}

/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn f32_peak(rounds: usize) -> f32 {
    // SAFETY: the caller's promise.
    unsafe { registers::f32_peak::<Avx2, PEAK_REGISTERS>(rounds) }
}
