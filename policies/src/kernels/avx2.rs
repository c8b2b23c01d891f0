//! AVX2 and FMA: 256-bit registers, `vpmaddubsw` for bytes. The pairs that `vpmaddubsw` sums saturate beyond 16 bits,
//! so weights above 127 go through it in two parts, the low seven bits and the top one; neither can saturate.

use super::panel::{F32Panel, Int8Panel, OUTPUT_GROUP, PanelKernels};
use super::registers::{self, ByteDot, Registers, for_row_tiles};
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

/// Byte products by `vpmaddubsw` and `vpmaddwd`; weights reach 255 where `FULL`, 127 elsewhere.
struct MultiplyAdd<const FULL: bool>;

impl<const FULL: bool> ByteDot<Avx2> for MultiplyAdd<FULL> {
    const HOISTABLE: bool = true;

    #[inline(always)]
    unsafe fn dot(sum: __m256i, w: __m256i, x: __m256i) -> __m256i {
        // SAFETY: the caller has AVX2.
        unsafe {
            let ones = _mm256_set1_epi16(1);
            if !FULL {
                let pairs = _mm256_maddubs_epi16(w, x);
                return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
            }
            let low = _mm256_maddubs_epi16(_mm256_and_si256(w, _mm256_set1_epi8(0x7f)), x);
            let top = _mm256_maddubs_epi16(_mm256_and_si256(w, _mm256_set1_epi8(i8::MIN)), x);
            let sum = _mm256_add_epi32(sum, _mm256_madd_epi16(low, ones));
            _mm256_add_epi32(sum, _mm256_madd_epi16(top, ones))
        }
    }
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
    let c = c.as_mut_ptr();
    for group in 0..t.groups {
        match t.full_range {
            false => for_row_tiles!(int8_tile, false, t, (group, c), [4, 2, 1]),
            true => for_row_tiles!(int8_tile, true, t, (group, c), [4, 2, 1]),
        }
    }
}

/// # Safety
/// As [`registers::int8_tile`]; the processor has AVX2.
#[target_feature(enable = "avx2")]
unsafe fn int8_tile<const R: usize, const FULL: bool>(
    t: &Int8Panel<'_>,
    row: usize,
    (group, c): (usize, *mut i32),
) {
    let at = (row, group * OUTPUT_GROUP, t.groups * OUTPUT_GROUP);
    // SAFETY: the caller's promise.
    unsafe { registers::int8_tile::<Avx2, MultiplyAdd<FULL>, R, GROUP_REGISTERS>(t, at, c) };
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

/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
unsafe fn int8_peak(rounds: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { registers::int8_peak::<Avx2, MultiplyAdd<false>, PEAK_REGISTERS>(rounds) }
}

/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn f32_peak(rounds: usize) -> f32 {
    // SAFETY: the caller's promise.
    unsafe { registers::f32_peak::<Avx2, PEAK_REGISTERS>(rounds) }
}
