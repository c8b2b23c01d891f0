//! `usmmla` of the extension `i8mm` (Graviton 3, Apple M2, Jetson Thor and later): products of a matrix of two outputs by eight inputs, unsigned, with two rows
//! of eight inputs, signed. Its intrinsics are not stable in Rust 1.95, so it is one instruction of `asm!`. The panel is laid out for it once, before all rows
//! are multiplied: `[quads / 2][groups][16][8]`. f32 is that of NEON.

// Registers are addressed by their position in the tile.
#![allow(clippy::needless_range_loop)]

use super::aligned::AlignedBuffer;
use super::neon::{self, Neon, PEAK_REGISTERS};
use super::panel::{Int8Panel, OUTPUT_GROUP, PanelKernels, QUAD_BYTES};
use super::registers::{self, ByteDot, for_row_tiles};
use std::arch::aarch64::*;
use std::arch::asm;
use std::cell::RefCell;

/// Bytes of eight consecutive inputs of a group.
const OCTET_BYTES: usize = 2 * QUAD_BYTES;
/// Registers of two outputs each of a group.
const OUTPUT_PAIRS: usize = OUTPUT_GROUP / 2;
/// Largest number of pairs of rows of a tile.
const ROW_PAIRS: usize = 3;

/// The kernels of `i8mm`.
pub(super) static KERNELS: PanelKernels = PanelKernels {
    int8,
    f32: neon::f32,
    int8_peak,
    f32_peak: neon::f32_peak,
    peak_lanes: 4 * PEAK_REGISTERS,
    lane_products: 8,
};

thread_local! {
    static PANEL: RefCell<AlignedBuffer<u8>> = RefCell::new(AlignedBuffer::default());
}

/// Per 32-bit lane `[output][row]` of a 2 x 2 matrix: `acc` plus the sum of eight products of unsigned weights and signed activations.
///
/// # Safety
/// The processor has `i8mm`.
#[inline]
#[target_feature(enable = "neon,i8mm")]
unsafe fn matrix_product(mut acc: int32x4_t, w: uint8x16_t, x: int8x16_t) -> int32x4_t {
    // SAFETY: one instruction of the extension, registers only.
    unsafe {
        asm!("usmmla {a:v}.4s, {w:v}.16b, {x:v}.16b", a = inout(vreg) acc, w = in(vreg) w, x = in(vreg) x,
            options(pure, nomem, nostack, preserves_flags));
    }
    acc
}

/// Lays a panel `[quads][groups][16][4]` out as `[octets][groups][16][8]`, the last octet filled up with zeros.
///
/// # Safety
/// The processor has NEON; `w` holds the panel and `out` has room for its octets.
#[target_feature(enable = "neon")]
unsafe fn interleave(w: &[u8], (quads, groups): (usize, usize), out: &mut [u8]) {
    for octet in 0..quads.div_ceil(2) {
        for group in 0..groups {
            let first = (2 * octet * groups + group) * QUAD_BYTES;
            let second = first + groups * QUAD_BYTES;
            let to = (octet * groups + group) * OCTET_BYTES;
            for v in 0..QUAD_BYTES / 16 {
                // SAFETY: the caller's promise; the second quad is read only where there is one.
                unsafe {
                    let a = vreinterpretq_u32_u8(vld1q_u8(w.as_ptr().add(first + 16 * v)));
                    let b = match 2 * octet + 1 < quads {
                        true => vreinterpretq_u32_u8(vld1q_u8(w.as_ptr().add(second + 16 * v))),
                        false => vdupq_n_u32(0),
                    };
                    let at = out.as_mut_ptr().add(to + 32 * v);
                    vst1q_u8(at, vreinterpretq_u8_u32(vzip1q_u32(a, b)));
                    vst1q_u8(at.add(16), vreinterpretq_u8_u32(vzip2q_u32(a, b)));
                }
            }
        }
    }
}

/// Byte products by `usmmla`: a lane has eight of them, two rows and two outputs in turn.
struct MatrixProduct;

impl ByteDot<Neon> for MatrixProduct {
    #[inline(always)]
    unsafe fn dot(sum: int32x4_t, w: int32x4_t, x: int32x4_t) -> int32x4_t {
        // SAFETY: the caller has the extension.
        unsafe { matrix_product(sum, vreinterpretq_u8_s32(w), vreinterpretq_s8_s32(x)) }
    }
}

/// # Safety
/// As [`PanelKernels::int8`]; the processor has `i8mm`.
#[target_feature(enable = "neon,i8mm")]
unsafe fn int8(t: &Int8Panel<'_>, c: &mut [i32]) {
    PANEL.with_borrow_mut(|buffer| {
        let octets = buffer.get(t.quads.div_ceil(2) * t.groups * OCTET_BYTES);
        // SAFETY: the caller's promise, and the line above.
        unsafe { interleave(t.w, (t.quads, t.groups), octets) };
        let (octets, c) = (octets.as_ptr(), c.as_mut_ptr());
        for group in 0..t.groups {
            for_row_tiles!(int8_tile, 8, t, (group, octets, c), [6, 5, 4, 3, 2, 1]);
        }
    });
}

/// Sixteen sums for each of `R` rows, two rows and two outputs to a register; an odd last row is taken twice.
///
/// # Safety
/// As [`PanelKernels::int8`]; the rows from `row` on and the group exist, `octets` is the panel as [`interleave`] lays it out; the processor has `i8mm`.
#[target_feature(enable = "neon,i8mm")]
unsafe fn int8_tile<const R: usize, const P: usize>(
    t: &Int8Panel<'_>,
    row: usize,
    (group, octets, c): (usize, *const u8, *mut i32),
) {
    const { assert!(P == OUTPUT_PAIRS && R <= 2 * ROW_PAIRS) };
    let width = t.groups * OUTPUT_GROUP;
    let pairs = R.div_ceil(2);
    let of = |pair: usize, i: usize| (2 * pair + i).min(R - 1);
    // SAFETY: the caller's promise.
    unsafe {
        let c = c.add(row * width + group * OUTPUT_GROUP);
        let begin = |r: usize, v: usize| match t.start {
            Some(start) => vdupq_n_s32(start[row + r]),
            None => vld1q_s32(c.add(r * width + 4 * v)),
        };
        let mut acc = [[vdupq_n_s32(0); P]; ROW_PAIRS];
        for p in 0..pairs {
            for v in 0..P / 2 {
                let (a, b) = (begin(of(p, 0), v), begin(of(p, 1), v));
                acc[p][2 * v] = vzip1q_s32(a, b);
                acc[p][2 * v + 1] = vzip2q_s32(a, b);
            }
        }
        let mut rows = [t.x.as_ptr(); R];
        for r in 0..R {
            rows[r] = t.x.as_ptr().add((row + r) * t.ldx);
        }
        let eight = |r: usize, octet: usize| match 2 * octet + 1 < t.quads {
            true => vld1_s8(rows[r].add(8 * octet)),
            false => {
                let four = rows[r].add(8 * octet).cast::<i32>().read_unaligned();
                vreinterpret_s8_s32(vset_lane_s32::<0>(four, vdup_n_s32(0)))
            }
        };
        for octet in 0..t.quads.div_ceil(2) {
            let mut x = [vdupq_n_s8(0); ROW_PAIRS];
            for p in 0..pairs {
                x[p] = vcombine_s8(eight(of(p, 0), octet), eight(of(p, 1), octet));
            }
            let w = octets.add((octet * t.groups + group) * OCTET_BYTES);
            for v in 0..P {
                let w = vld1q_u8(w.add(16 * v));
                for p in 0..pairs {
                    acc[p][v] = matrix_product(acc[p][v], w, x[p]);
                }
            }
        }
        for p in 0..pairs {
            for v in 0..P / 2 {
                let (a, b) = (acc[p][2 * v], acc[p][2 * v + 1]);
                vst1q_s32(c.add(of(p, 0) * width + 4 * v), vuzp1q_s32(a, b));
                vst1q_s32(c.add(of(p, 1) * width + 4 * v), vuzp2q_s32(a, b));
            }
        }
    }
}

/// Every instruction makes 32 products, eight to a lane.
///
/// # Safety
/// The processor has `i8mm`.
#[target_feature(enable = "neon,i8mm")]
unsafe fn int8_peak(rounds: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { registers::int8_peak::<Neon, MatrixProduct, PEAK_REGISTERS>(rounds) }
}
