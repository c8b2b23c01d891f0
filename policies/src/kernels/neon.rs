//! NEON, which every aarch64 processor has: 128-bit registers, widening byte products, fused multiply-add for f32.

use super::panel::{F32Panel, Int8Panel, OUTPUT_GROUP, PanelBytes, PanelKernels};
use super::registers::{self, ByteDot, Registers, for_row_tiles};
use std::arch::aarch64::*;
use std::arch::asm;

/// Registers of a group of outputs.
pub(super) const GROUP_REGISTERS: usize = OUTPUT_GROUP / 4;
/// Accumulators that the peak loops keep busy.
pub(super) const PEAK_REGISTERS: usize = 24;

/// 128-bit registers.
pub(super) struct Neon;

// SAFETY of the blocks below: the caller has NEON and gives pointers that are valid for one register.
impl Registers for Neon {
    type F32 = float32x4_t;
    type I32 = int32x4_t;
    const LANES: usize = 4;
    const UNROLL: usize = 4;

    #[inline(always)]
    unsafe fn load_f32(from: *const f32) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn store_f32(to: *mut f32, v: float32x4_t) {
        // SAFETY: see above.
        unsafe { vst1q_f32(to, v) }
    }
    #[inline(always)]
    unsafe fn splat_f32(v: f32) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vdupq_n_f32(v) }
    }
    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn first_f32(v: float32x4_t) -> f32 {
        // SAFETY: see above.
        unsafe { vgetq_lane_f32::<0>(v) }
    }
    #[inline(always)]
    unsafe fn load_i32(from: *const i32) -> int32x4_t {
        // SAFETY: see above. Bytes of a panel need not be aligned to four.
        unsafe { vreinterpretq_s32_s8(vld1q_s8(from.cast())) }
    }
    #[inline(always)]
    unsafe fn store_i32(to: *mut i32, v: int32x4_t) {
        // SAFETY: see above.
        unsafe { vst1q_s32(to, v) }
    }
    #[inline(always)]
    unsafe fn splat_i32(v: i32) -> int32x4_t {
        // SAFETY: see above.
        unsafe { vdupq_n_s32(v) }
    }
    #[inline(always)]
    unsafe fn first_i32(v: int32x4_t) -> i32 {
        // SAFETY: see above.
        unsafe { vgetq_lane_s32::<0>(v) }
    }
}

/// Byte products by widening multiplication and pairwise sums, of ternary weights or, `INT8`, of int8 weights less 128: weights are signed
/// bytes to the processor.
struct WideningMultiply<const INT8: bool>;

/// Returns its operand, of which the compiler then knows nothing: no instruction, which no intrinsic says.
///
/// # Safety
/// The processor has NEON.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn opaque(mut v: int32x4_t) -> int32x4_t {
    // SAFETY: no instruction.
    unsafe { asm!("/* {v:v} */", v = inout(vreg) v, options(nomem, nostack, preserves_flags)) };
    v
}

/// Per 32-bit lane the sum of four products of signed bytes.
///
/// # Safety
/// The processor has NEON.
#[inline(always)]
unsafe fn signed_products(w: int8x16_t, x: int8x16_t) -> int32x4_t {
    // SAFETY: the caller has NEON.
    unsafe {
        let low = vpaddlq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(x)));
        let high = vpaddlq_s16(vmull_high_s8(w, x));
        vpaddq_s32(low, high)
    }
}

impl<const INT8: bool> ByteDot<Neon> for WideningMultiply<INT8> {
    #[inline(always)]
    unsafe fn opaque(w: int32x4_t) -> int32x4_t {
        // SAFETY: the caller has NEON.
        unsafe { opaque(w) }
    }

    #[inline(always)]
    unsafe fn dot(sum: int32x4_t, w: int32x4_t, x: int32x4_t) -> int32x4_t {
        // SAFETY: the caller has NEON.
        unsafe {
            let (w, x) = (vreinterpretq_s8_s32(w), vreinterpretq_s8_s32(x));
            let w = match INT8 {
                true => veorq_s8(w, vdupq_n_s8(i8::MIN)),
                false => w,
            };
            vaddq_s32(sum, signed_products(w, x))
        }
    }
}

/// The kernels of NEON.
pub(super) static KERNELS: PanelKernels = PanelKernels {
    int8,
    f32,
    int8_peak,
    f32_peak,
    peak_lanes: 4 * PEAK_REGISTERS,
    lane_products: 4,
};

/// # Safety
/// As [`PanelKernels::int8`]; the processor has NEON.
#[target_feature(enable = "neon")]
unsafe fn int8(t: &Int8Panel<'_>, c: &mut [i32]) {
    match t.bytes {
        PanelBytes::Ternary => {
            let c = c.as_mut_ptr();
            for group in 0..t.groups {
                for_row_tiles!(int8_tile, false, t, (group, c), [4, 2, 1]);
            }
        }
        PanelBytes::Int8 => {
            let (t, c) = (&t.begin_signed_sums(c), c.as_mut_ptr());
            for group in 0..t.groups {
                for_row_tiles!(int8_tile, true, t, (group, c), [4, 2, 1]);
            }
        }
    }
}

/// # Safety
/// As [`registers::int8_tile`]; the processor has NEON.
#[target_feature(enable = "neon")]
unsafe fn int8_tile<const R: usize, const INT8: bool>(
    t: &Int8Panel<'_>,
    row: usize,
    (group, c): (usize, *mut i32),
) {
    let at = (row, group * OUTPUT_GROUP, t.groups * OUTPUT_GROUP);
    // SAFETY: the caller's promise.
    unsafe { registers::int8_tile::<Neon, WideningMultiply<INT8>, R, GROUP_REGISTERS>(t, at, c) };
}

/// # Safety
/// As [`PanelKernels::f32`]; the processor has NEON.
#[target_feature(enable = "neon")]
pub(super) unsafe fn f32(t: &F32Panel<'_>, c: &mut [f32], ldc: usize) {
    let c = c.as_mut_ptr();
    for group in 0..t.groups {
        for_row_tiles!(f32_tile, 4, t, (group, c, ldc), [6, 4, 2, 1]);
    }
}

/// # Safety
/// As [`registers::f32_tile`]; the processor has NEON.
#[target_feature(enable = "neon")]
unsafe fn f32_tile<const R: usize, const H: usize>(
    t: &F32Panel<'_>,
    row: usize,
    (group, c, ldc): (usize, *mut f32, usize),
) {
    // SAFETY: the caller's promise.
    unsafe { registers::f32_tile::<Neon, R, H>(t, (row, group * OUTPUT_GROUP), (c, ldc)) };
}

/// # Safety
/// The processor has NEON.
#[target_feature(enable = "neon")]
unsafe fn int8_peak(rounds: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { registers::int8_peak::<Neon, WideningMultiply<false>, PEAK_REGISTERS>(rounds) }
}

/// # Safety
/// The processor has NEON.
#[target_feature(enable = "neon")]
pub(super) unsafe fn f32_peak(rounds: usize) -> f32 {
    // SAFETY: the caller's promise.
    unsafe { registers::f32_peak::<Neon, PEAK_REGISTERS>(rounds) }
}
