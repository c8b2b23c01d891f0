//! `vpdpbusd` on 256-bit registers, for processors with AVX-VNNI and no AVX-512. f32 is that of AVX2.

use super::avx2::{self, Avx2, GROUP_REGISTERS, PEAK_REGISTERS};
use super::panel::{Int8Panel, OUTPUT_GROUP, PanelKernels};
use super::registers::{self, ByteDot, for_row_tiles};
use std::arch::x86_64::*;

/// Byte products by `vpdpbusd`.
struct Vnni256;

impl ByteDot<Avx2> for Vnni256 {
    #[inline(always)]
    unsafe fn dot(sum: __m256i, w: __m256i, x: __m256i) -> __m256i {
        // SAFETY: the caller has AVX-VNNI.
        unsafe { _mm256_dpbusd_avx_epi32(sum, w, x) }
    }
}

/// The kernels of AVX-VNNI.
pub(super) static KERNELS: PanelKernels = PanelKernels {
    int8,
    f32: avx2::f32,
    int8_peak,
    f32_peak: avx2::f32_peak,
    peak_lanes: 8 * PEAK_REGISTERS,
    lane_products: 4,
};

/// # Safety
/// As [`PanelKernels::int8`]; the processor has AVX2 and AVX-VNNI.
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn int8(t: &Int8Panel<'_>, c: &mut [i32]) {
    let c = c.as_mut_ptr();
    for group in 0..t.groups {
        for_row_tiles!(int8_tile, 2, t, (group, c), [6, 4, 2, 1]);
    }
}

/// # Safety
/// As [`registers::int8_tile`]; the processor has AVX2 and AVX-VNNI.
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn int8_tile<const R: usize, const H: usize>(
    t: &Int8Panel<'_>,
    row: usize,
    (group, c): (usize, *mut i32),
) {
    const { assert!(H == GROUP_REGISTERS) };
    let at = (row, group * OUTPUT_GROUP, t.groups * OUTPUT_GROUP);
    // SAFETY: the caller's promise.
    unsafe { registers::int8_tile::<Avx2, Vnni256, R, H>(t, at, c) };
}

/// # Safety
/// The processor has AVX2 and AVX-VNNI.
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn int8_peak(rounds: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { registers::int8_peak::<Avx2, Vnni256, PEAK_REGISTERS>(rounds) }
}
