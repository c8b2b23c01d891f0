//! AVX-512 with VNNI: `vpdpbusd` for bytes, fused multiply-add for f32. A tile keeps up to 24 of the 32 registers for
//! sums and meets every vector of the panel with a broadcast of each row, which costs a load and no shuffle.

use super::panel::{F32Panel, Int8Panel, OUTPUT_GROUP, PanelKernels};
use super::registers::{self, ByteDot, Registers, for_row_tiles};
use std::arch::x86_64::*;

/// Accumulators that the peak loops keep busy.
const PEAK_REGISTERS: usize = 12;

/// 512-bit registers: one holds a group of outputs.
struct Avx512;

// SAFETY of the blocks below: the caller has AVX-512 F and gives pointers that are valid for one register.
impl Registers for Avx512 {
    type F32 = __m512;
    type I32 = __m512i;
    const LANES: usize = OUTPUT_GROUP;
    const UNROLL: usize = 4;

    #[inline(always)]
    unsafe fn load_f32(from: *const f32) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store_f32(to: *mut f32, v: __m512) {
        // SAFETY: see above.
        unsafe { _mm512_storeu_ps(to, v) }
    }
    #[inline(always)]
    unsafe fn splat_f32(v: f32) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_set1_ps(v) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn first_f32(v: __m512) -> f32 {
        // SAFETY: see above.
        unsafe { _mm512_cvtss_f32(v) }
    }
    #[inline(always)]
    unsafe fn load_i32(from: *const i32) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store_i32(to: *mut i32, v: __m512i) {
        // SAFETY: see above.
        unsafe { _mm512_storeu_si512(to.cast(), v) }
    }
    #[inline(always)]
    unsafe fn splat_i32(v: i32) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_set1_epi32(v) }
    }
    #[inline(always)]
    unsafe fn first_i32(v: __m512i) -> i32 {
        // SAFETY: see above.
        unsafe { _mm512_cvtsi512_si32(v) }
    }
}

/// Byte products by `vpdpbusd`.
struct Vnni512;

impl ByteDot<Avx512> for Vnni512 {
    #[inline(always)]
    unsafe fn dot(sum: __m512i, w: __m512i, x: __m512i) -> __m512i {
        // SAFETY: the caller has AVX-512 VNNI.
        unsafe { _mm512_dpbusd_epi32(sum, w, x) }
    }
}

/// The kernels of AVX-512.
pub(super) static KERNELS: PanelKernels = PanelKernels {
    int8,
    f32,
    int8_peak,
    f32_peak,
    peak_lanes: OUTPUT_GROUP * PEAK_REGISTERS,
    lane_products: 4,
};

/// # Safety
/// As [`PanelKernels::int8`]; the processor has AVX-512 F, BW and VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn int8(t: &Int8Panel<'_>, c: &mut [i32]) {
    let c = c.as_mut_ptr();
    match t.groups {
        4 => for_row_tiles!(int8_tile, 4, t, c, [6, 5, 4, 3, 2, 1]),
        3 => for_row_tiles!(int8_tile, 3, t, c, [8, 6, 4, 2, 1]),
        2 => for_row_tiles!(int8_tile, 2, t, c, [12, 6, 3, 2, 1]),
        _ => for_row_tiles!(int8_tile, 1, t, c, [12, 6, 3, 2, 1]),
    }
}

/// # Safety
/// As [`registers::int8_tile`]; the processor has AVX-512 F, BW and VNNI; the panel has `G` groups.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn int8_tile<const R: usize, const G: usize>(t: &Int8Panel<'_>, row: usize, c: *mut i32) {
    // SAFETY: the caller's promise.
    unsafe { registers::int8_tile::<Avx512, Vnni512, R, G>(t, (row, 0, G * OUTPUT_GROUP), c) };
}

/// # Safety
/// As [`PanelKernels::f32`]; the processor has AVX-512 F.
#[target_feature(enable = "avx512f")]
unsafe fn f32(t: &F32Panel<'_>, c: &mut [f32], ldc: usize) {
    let c = c.as_mut_ptr();
    match t.groups {
        4 => for_row_tiles!(f32_tile, 4, t, (c, ldc), [6, 5, 4, 3, 2, 1]),
        3 => for_row_tiles!(f32_tile, 3, t, (c, ldc), [8, 6, 4, 2, 1]),
        2 => for_row_tiles!(f32_tile, 2, t, (c, ldc), [12, 6, 3, 2, 1]),
        _ => for_row_tiles!(f32_tile, 1, t, (c, ldc), [12, 6, 3, 2, 1]),
    }
}

/// # Safety
/// As [`registers::f32_tile`]; the processor has AVX-512 F; the panel has `G` groups.
#[target_feature(enable = "avx512f")]
unsafe fn f32_tile<const R: usize, const G: usize>(
    t: &F32Panel<'_>,
    row: usize,
    c: (*mut f32, usize),
) {
    // SAFETY: the caller's promise.
    unsafe { registers::f32_tile::<Avx512, R, G>(t, (row, 0), c) };
}

/// # Safety
/// The processor has AVX-512 F, BW and VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn int8_peak(rounds: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { registers::int8_peak::<Avx512, Vnni512, PEAK_REGISTERS>(rounds) }
}

/// # Safety
/// The processor has AVX-512 F.
#[target_feature(enable = "avx512f")]
unsafe fn f32_peak(rounds: usize) -> f32 {
    // SAFETY: the caller's promise.
    unsafe { registers::f32_peak::<Avx512, PEAK_REGISTERS>(rounds) }
}
