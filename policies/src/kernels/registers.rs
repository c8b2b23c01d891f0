//! The register tiles of the panel products, written once over vector registers. An instruction set gives its
//! [`Registers`] and its [`ByteDot`]; the bodies here are inlined into its entry points, which carry the target features.

// Registers are addressed by their position in the tile.
#![allow(clippy::needless_range_loop)]

use super::panel::{F32Panel, Int8Panel};

/// Vector registers of one width, with the operations that a tile needs.
///
/// # Safety
/// Every function needs the instruction set of the implementor; pointers are valid for one register, unaligned.
pub(super) trait Registers {
    /// [`Registers::LANES`] f32.
    type F32: Copy;
    /// [`Registers::LANES`] i32, or four times as many bytes.
    type I32: Copy;
    /// 32-bit lanes of a register.
    const LANES: usize;
    /// Steps along the inner dimension of an unrolled loop: pointers move once for all of them.
    const UNROLL: usize;

    unsafe fn load_f32(from: *const f32) -> Self::F32;
    unsafe fn store_f32(to: *mut f32, v: Self::F32);
    unsafe fn splat_f32(v: f32) -> Self::F32;
    /// `a * b + c`, rounded once.
    unsafe fn fma(a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    unsafe fn first_f32(v: Self::F32) -> f32;

    unsafe fn load_i32(from: *const i32) -> Self::I32;
    unsafe fn store_i32(to: *mut i32, v: Self::I32);
    unsafe fn splat_i32(v: i32) -> Self::I32;
    unsafe fn first_i32(v: Self::I32) -> i32;
}

/// The product of unsigned and signed bytes over registers `V`.
///
/// # Safety
/// As [`Registers`].
pub(super) trait ByteDot<V: Registers> {
    /// Returns `w`, of which the compiler knows nothing where it would otherwise do a product of constants once for many.
    #[inline(always)]
    unsafe fn opaque(w: V::I32) -> V::I32 {
        w
    }

    /// Per 32-bit lane: `sum + w0 x0 + w1 x1 + w2 x2 + w3 x3`, `w` unsigned, `x` signed bytes, exact.
    unsafe fn dot(sum: V::I32, w: V::I32, x: V::I32) -> V::I32;
}

/// Runs `tile::<ROWS, PARAMETER>(panel, row, to)` down all rows of a panel, the tallest tile first.
macro_rules! for_row_tiles {
    ($tile:ident, $parameter:literal, $panel:ident, $to:expr, [$($rows:literal),*]) => {{
        let mut row = 0;
        while row < $panel.rows {
            $(if $panel.rows - row >= $rows {
                // SAFETY: the rows exist; the rest is the caller's promise.
                unsafe { $tile::<$rows, $parameter>($panel, row, $to) };
                row += $rows;
                continue;
            })*
        }
    }};
}
pub(super) use for_row_tiles;

/// Products of `R` rows from `row` on and `H` registers of outputs from `column` on; `width` outputs are in a row of
/// the panel and of `c`.
///
/// # Safety
/// As [`Registers`]; the panel is as `super::gemm::int8_panel` checks it, `c` holds `[rows][width]`, and the rows and columns
/// of the tile exist.
#[inline(always)]
pub(super) unsafe fn int8_tile<V: Registers, D: ByteDot<V>, const R: usize, const H: usize>(
    t: &Int8Panel<'_>,
    (row, column, width): (usize, usize, usize),
    c: *mut i32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut acc = [[V::splat_i32(0); H]; R];
        let c = c.add(row * width + column);
        for r in 0..R {
            for h in 0..H {
                acc[r][h] = match t.start {
                    Some(start) => V::splat_i32(start[row + r]),
                    None => V::load_i32(c.add(r * width + V::LANES * h)),
                };
            }
        }
        let mut rows = [t.x.as_ptr(); R];
        for r in 0..R {
            rows[r] = t.x.as_ptr().add((row + r) * t.ldx);
        }
        // Every output has four bytes.
        let w = t.w.as_ptr().add(4 * column);
        let mut quad = 0;
        while quad + V::UNROLL <= t.quads {
            for step in 0..V::UNROLL {
                int8_step::<V, D, R, H>(&mut acc, &rows, w, (quad, step, width));
            }
            quad += V::UNROLL;
        }
        while quad < t.quads {
            int8_step::<V, D, R, H>(&mut acc, &rows, w, (quad, 0, width));
            quad += 1;
        }
        for r in 0..R {
            for h in 0..H {
                V::store_i32(c.add(r * width + V::LANES * h), acc[r][h]);
            }
        }
    }
}

/// Four inputs of every row.
///
/// # Safety
/// As [`int8_tile`]; rows and panel have the inputs `4 * (quad + step)` to `4 * (quad + step) + 3`.
#[inline(always)]
unsafe fn int8_step<V: Registers, D: ByteDot<V>, const R: usize, const H: usize>(
    acc: &mut [[V::I32; H]; R],
    rows: &[*const i8; R],
    w: *const u8,
    (quad, step, width): (usize, usize, usize),
) {
    // SAFETY: the caller's promise.
    unsafe {
        let from = w.add(4 * quad * width);
        let mut w = [V::splat_i32(0); H];
        for h in 0..H {
            w[h] = V::load_i32(from.add(4 * (step * width + V::LANES * h)).cast());
        }
        for r in 0..R {
            let four = rows[r].add(4 * quad).add(4 * step).cast::<i32>();
            let x = V::splat_i32(four.read_unaligned());
            for h in 0..H {
                acc[r][h] = D::dot(acc[r][h], w[h], x);
            }
        }
    }
}

/// Products of `R` rows from `row` on and `H` registers of outputs from `column` on; rows of `c` at the stride `ldc`.
///
/// # Safety
/// As [`Registers`]; the panel is as `super::gemm::f32_panel` checks it, and the rows and columns of the tile exist.
#[inline(always)]
pub(super) unsafe fn f32_tile<V: Registers, const R: usize, const H: usize>(
    t: &F32Panel<'_>,
    (row, column): (usize, usize),
    (c, ldc): (*mut f32, usize),
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut acc = [[V::splat_f32(0.0); H]; R];
        let c = c.add(row * ldc + column);
        if !t.overwrite {
            for r in 0..R {
                for h in 0..H {
                    acc[r][h] = V::load_f32(c.add(r * ldc + V::LANES * h));
                }
            }
        }
        let mut rows = [t.a.as_ptr(); R];
        for r in 0..R {
            rows[r] = t.a.as_ptr().add((row + r) * t.lda);
        }
        let mut b = t.b.as_ptr().wrapping_add(column);
        let mut i = 0;
        while i + V::UNROLL <= t.k {
            for step in 0..V::UNROLL {
                f32_step::<V, R, H>(&mut acc, &rows, b, i, step);
                b = b.wrapping_add(t.ldb);
            }
            i += V::UNROLL;
        }
        while i < t.k {
            f32_step::<V, R, H>(&mut acc, &rows, b, i, 0);
            b = b.wrapping_add(t.ldb);
            i += 1;
        }
        for r in 0..R {
            for h in 0..H {
                V::store_f32(c.add(r * ldc + V::LANES * h), acc[r][h]);
            }
        }
    }
}

/// One input of every row.
///
/// # Safety
/// As [`f32_tile`]; rows have the input `i + step`, `b` is its row of the panel.
#[inline(always)]
unsafe fn f32_step<V: Registers, const R: usize, const H: usize>(
    acc: &mut [[V::F32; H]; R],
    rows: &[*const f32; R],
    b: *const f32,
    i: usize,
    step: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut w = [V::splat_f32(0.0); H];
        for h in 0..H {
            w[h] = V::load_f32(b.add(V::LANES * h));
        }
        for r in 0..R {
            let a = V::splat_f32(*rows[r].add(i).add(step));
            for h in 0..H {
                acc[r][h] = V::fma(a, w[h], acc[r][h]);
            }
        }
    }
}

/// `rounds` times `N` registers of byte products `2 * 1`, in registers only; the sum of the first lanes.
///
/// # Safety
/// As [`Registers`].
#[inline(always)]
pub(super) unsafe fn int8_peak<V: Registers, D: ByteDot<V>, const N: usize>(rounds: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe {
        let mut acc = [V::splat_i32(0); N];
        let (mut w, x) = (V::splat_i32(0x0202_0202), V::splat_i32(0x0101_0101));
        for _ in 0..rounds {
            for i in 0..N {
                w = D::opaque(w);
                acc[i] = D::dot(acc[i], w, x);
            }
        }
        let mut sum = 0;
        for i in 0..N {
            sum += V::first_i32(acc[i]);
        }
        sum
    }
}

/// `rounds` times `N` registers of fused multiply-adds `2 * 0.5`, in registers only; the sum of the first lanes.
///
/// # Safety
/// As [`Registers`].
#[inline(always)]
pub(super) unsafe fn f32_peak<V: Registers, const N: usize>(rounds: usize) -> f32 {
    // SAFETY: the caller's promise.
    unsafe {
        let mut acc = [V::splat_f32(0.0); N];
        // Opaque, so that no product is known before the loop.
        let (w, x) = std::hint::black_box((0.5, 2.0));
        let (w, x) = (V::splat_f32(w), V::splat_f32(x));
        for _ in 0..rounds {
            for i in 0..N {
                acc[i] = V::fma(x, w, acc[i]);
            }
        }
        let mut sum = 0.0;
        for i in 0..N {
            sum += V::first_f32(acc[i]);
        }
        sum
    }
}
