//! `sdot` of the extension `dotprod` (Raspberry Pi 5, Jetson Orin, Apple, Graviton 2 and later). Its intrinsics are not stable in Rust 1.95, so it is one
//! instruction of `asm!`. Both operands are signed: weights above 127 go through as `w - 128`, and `128 * sum(x)` is added to the beginning of the sums, which is
//! exact. f32 is that of NEON.

// Registers are addressed by their position in the tile.
#![allow(clippy::needless_range_loop)]

use super::neon::{self, GROUP_REGISTERS, Neon, PEAK_REGISTERS};
use super::panel::{Int8Panel, OUTPUT_GROUP, PanelBytes, PanelKernels, QUAD_BYTES};
use super::registers::{self, ByteDot, for_row_tiles};
use std::arch::aarch64::*;
use std::arch::asm;

/// Inputs of a register of activations, divided by four.
const QUADS: usize = 4;

/// The kernels of `dotprod`.
pub(super) static KERNELS: PanelKernels = PanelKernels {
    int8,
    f32: neon::f32,
    int8_peak,
    f32_peak: neon::f32_peak,
    peak_lanes: 4 * PEAK_REGISTERS,
    lane_products: 4,
};

/// Defines a product: per 32-bit lane `acc + w0 x0 + w1 x1 + w2 x2 + w3 x3` of signed bytes, with the four of `x` that the instruction names for all lanes.
macro_rules! lane_product {
    ($name:ident, $text:literal) => {
        /// # Safety
        /// The processor has `dotprod`.
        #[inline]
        #[target_feature(enable = "neon,dotprod")]
        unsafe fn $name(mut acc: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
            // SAFETY: one instruction of the extension, registers only.
            unsafe {
                asm!($text, a = inout(vreg) acc, w = in(vreg) w, x = in(vreg) x,
                    options(pure, nomem, nostack, preserves_flags));
            }
            acc
        }
    };
}
lane_product!(dot_0, "sdot {a:v}.4s, {w:v}.16b, {x:v}.4b[0]");
lane_product!(dot_1, "sdot {a:v}.4s, {w:v}.16b, {x:v}.4b[1]");
lane_product!(dot_2, "sdot {a:v}.4s, {w:v}.16b, {x:v}.4b[2]");
lane_product!(dot_3, "sdot {a:v}.4s, {w:v}.16b, {x:v}.4b[3]");

/// Byte products by `sdot`; weights reach 127.
struct SignedDot;

impl ByteDot<Neon> for SignedDot {
    #[inline(always)]
    unsafe fn dot(sum: int32x4_t, w: int32x4_t, x: int32x4_t) -> int32x4_t {
        // SAFETY: the caller has the extension.
        unsafe { dot_0(sum, vreinterpretq_s8_s32(w), vreinterpretq_s8_s32(x)) }
    }
}

/// # Safety
/// As [`PanelKernels::int8`]; the processor has `dotprod`.
#[target_feature(enable = "neon,dotprod")]
unsafe fn int8(t: &Int8Panel<'_>, c: &mut [i32]) {
    let begun;
    let (t, flip) = match t.bytes {
        PanelBytes::Ternary => (t, 0),
        PanelBytes::Int8 => {
            begun = t.begin_signed_sums(c);
            (&begun, i8::MIN)
        }
    };
    let c = c.as_mut_ptr();
    for group in 0..t.groups {
        for_row_tiles!(int8_tile, 4, t, (group, flip, c), [5, 4, 3, 2, 1]);
    }
}

/// Sixteen sums for each of `R` rows, of the signed bytes `w ^ flip`.
///
/// # Safety
/// As [`PanelKernels::int8`]; the rows from `row` on and the group exist; the processor has `dotprod`.
#[target_feature(enable = "neon,dotprod")]
unsafe fn int8_tile<const R: usize, const H: usize>(
    t: &Int8Panel<'_>,
    row: usize,
    (group, flip, c): (usize, i8, *mut i32),
) {
    const { assert!(H == GROUP_REGISTERS) };
    let width = t.groups * OUTPUT_GROUP;
    // SAFETY: the caller's promise.
    unsafe {
        let flip = vdupq_n_s8(flip);
        let c = c.add(row * width + group * OUTPUT_GROUP);
        let mut acc = [[vdupq_n_s32(0); H]; R];
        for r in 0..R {
            for v in 0..H {
                acc[r][v] = match t.start {
                    Some(start) => vdupq_n_s32(start[row + r]),
                    None => vld1q_s32(c.add(r * width + 4 * v)),
                };
            }
        }
        let mut rows = [t.x.as_ptr(); R];
        for r in 0..R {
            rows[r] = t.x.as_ptr().add((row + r) * t.ldx);
        }
        let weights = |quad: usize, v: usize| {
            let at =
                t.w.as_ptr()
                    .add((quad * t.groups + group) * QUAD_BYTES + 16 * v);
            veorq_s8(vld1q_s8(at.cast()), flip)
        };
        let mut quad = 0;
        while quad + QUADS <= t.quads {
            let mut x = [vdupq_n_s8(0); R];
            for r in 0..R {
                x[r] = vld1q_s8(rows[r].add(4 * quad));
            }
            macro_rules! quads {
                ($($dot:ident $step:literal),*) => {$(
                    for v in 0..H {
                        let w = weights(quad + $step, v);
                        for r in 0..R {
                            acc[r][v] = $dot(acc[r][v], w, x[r]);
                        }
                    }
                )*};
            }
            quads!(dot_0 0, dot_1 1, dot_2 2, dot_3 3);
            quad += QUADS;
        }
        while quad < t.quads {
            for r in 0..R {
                let four = rows[r].add(4 * quad).cast::<i32>().read_unaligned();
                let x = vreinterpretq_s8_s32(vdupq_n_s32(four));
                for v in 0..H {
                    acc[r][v] = dot_0(acc[r][v], weights(quad, v), x);
                }
            }
            quad += 1;
        }
        for r in 0..R {
            for v in 0..H {
                vst1q_s32(c.add(r * width + 4 * v), acc[r][v]);
            }
        }
    }
}

/// # Safety
/// The processor has `dotprod`.
#[target_feature(enable = "neon,dotprod")]
unsafe fn int8_peak(rounds: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { registers::int8_peak::<Neon, SignedDot, PEAK_REGISTERS>(rounds) }
}
