//! AVX-512: `vpdpbusd` for bytes, fused multiply-add for f32. A tile keeps up to 24 of the 32 registers for sums and
//! meets every vector of the panel with a broadcast of each row, which costs a load and no shuffle.

// Registers are met by their place in the tile.
#![allow(clippy::needless_range_loop)]

use super::panel::{F32Panel, Int8Panel, OUTPUT_GROUP, QUAD_BYTES};
use std::arch::x86_64::*;

/// Steps of an unrolled loop: pointers move once for all of them, so that little beside the products wants a port.
const STEPS: usize = 4;

/// Runs `tile::<ROWS, GROUPS>` down all rows, the tallest tile first.
macro_rules! for_row_tiles {
    ($tile:ident, $groups:literal, $t:ident, $to:expr, [$($rows:literal),*]) => {{
        let mut row = 0;
        while row < $t.rows {
            $(if $t.rows - row >= $rows {
                // SAFETY: the rows exist; the rest is the caller's promise.
                unsafe { $tile::<$rows, $groups>($t, row, $to) };
                row += $rows;
                continue;
            })*
        }
    }};
}
pub(super) use for_row_tiles;

/// `c += x w` in integers, see the scalar twin.
///
/// # Safety
/// The processor has AVX-512 F, BW and VNNI; sizes as [`super::panel::int8`] checks them.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn int8(t: &Int8Panel<'_>, c: &mut [i32]) {
    let c = c.as_mut_ptr();
    match t.groups {
        4 => for_row_tiles!(int8_tile, 4, t, c, [6, 5, 4, 3, 2, 1]),
        3 => for_row_tiles!(int8_tile, 3, t, c, [8, 6, 4, 2, 1]),
        2 => for_row_tiles!(int8_tile, 2, t, c, [12, 6, 3, 2, 1]),
        _ => for_row_tiles!(int8_tile, 1, t, c, [12, 6, 3, 2, 1]),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn int8_tile<const R: usize, const G: usize>(t: &Int8Panel<'_>, row: usize, c: *mut i32) {
    let width = G * OUTPUT_GROUP;
    let mut acc = [[_mm512_setzero_si512(); G]; R];
    // SAFETY: rows row..row + R, `quads` of the panel and the tile of sums exist.
    unsafe {
        let c = c.add(row * width);
        for r in 0..R {
            for g in 0..G {
                acc[r][g] = match t.start {
                    Some(start) => _mm512_set1_epi32(start[row + r]),
                    None => _mm512_loadu_si512(c.add(r * width + g * OUTPUT_GROUP).cast()),
                };
            }
        }
        let x = t.x.as_ptr().add(row * t.ldx);
        let rows: [*const i8; R] = std::array::from_fn(|r| x.add(r * t.ldx));
        let w = t.w.as_ptr();
        let mut quad = 0;
        while quad + STEPS <= t.quads {
            for step in 0..STEPS {
                int8_step(&mut acc, &rows, w, quad, step);
            }
            quad += STEPS;
        }
        while quad < t.quads {
            int8_step(&mut acc, &rows, w, quad, 0);
            quad += 1;
        }
        for r in 0..R {
            for g in 0..G {
                _mm512_storeu_si512(c.add(r * width + g * OUTPUT_GROUP).cast(), acc[r][g]);
            }
        }
    }
}

/// Four inputs of every row.
///
/// # Safety
/// As [`int8`]; rows and panel have the inputs `4 * (quad + step)` and the three behind.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn int8_step<const R: usize, const G: usize>(
    acc: &mut [[__m512i; G]; R],
    rows: &[*const i8; R],
    w: *const u8,
    quad: usize,
    step: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let w = w.add(quad * G * QUAD_BYTES);
        let w: [__m512i; G] =
            std::array::from_fn(|g| _mm512_loadu_si512(w.add((step * G + g) * QUAD_BYTES).cast()));
        for r in 0..R {
            let four = rows[r].add(4 * quad).add(4 * step).cast::<i32>();
            let x = _mm512_set1_epi32(four.read_unaligned());
            for g in 0..G {
                acc[r][g] = _mm512_dpbusd_epi32(acc[r][g], w[g], x);
            }
        }
    }
}

/// `c += a b` in f32, see the scalar twin.
///
/// # Safety
/// The processor has AVX-512 F; sizes as [`super::panel::float`] checks them.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn float(t: &F32Panel<'_>, c: &mut [f32], ldc: usize) {
    let c = c.as_mut_ptr();
    match t.groups {
        4 => for_row_tiles!(float_tile, 4, t, (c, ldc), [6, 5, 4, 3, 2, 1]),
        3 => for_row_tiles!(float_tile, 3, t, (c, ldc), [8, 6, 4, 2, 1]),
        2 => for_row_tiles!(float_tile, 2, t, (c, ldc), [12, 6, 3, 2, 1]),
        _ => for_row_tiles!(float_tile, 1, t, (c, ldc), [12, 6, 3, 2, 1]),
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn float_tile<const R: usize, const G: usize>(
    t: &F32Panel<'_>,
    row: usize,
    (c, ldc): (*mut f32, usize),
) {
    let mut acc = [[_mm512_setzero_ps(); G]; R];
    // SAFETY: rows row..row + R, `k` rows of the panel and the tile of outputs exist.
    unsafe {
        let c = c.add(row * ldc);
        for r in 0..R {
            for g in 0..G {
                if !t.overwrite {
                    acc[r][g] = _mm512_loadu_ps(c.add(r * ldc + g * OUTPUT_GROUP));
                }
            }
        }
        let a = t.a.as_ptr().add(row * t.lda);
        let rows: [*const f32; R] = std::array::from_fn(|r| a.add(r * t.lda));
        let mut b = t.b.as_ptr();
        let mut i = 0;
        while i + STEPS <= t.k {
            for step in 0..STEPS {
                float_step(&mut acc, &rows, b, i, step);
                b = b.wrapping_add(t.ldb);
            }
            i += STEPS;
        }
        while i < t.k {
            float_step(&mut acc, &rows, b, i, 0);
            b = b.wrapping_add(t.ldb);
            i += 1;
        }
        for r in 0..R {
            for g in 0..G {
                _mm512_storeu_ps(c.add(r * ldc + g * OUTPUT_GROUP), acc[r][g]);
            }
        }
    }
}

/// One input of every row.
///
/// # Safety
/// As [`float`]; rows have the input `i + step`, `b` is its row of the panel.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn float_step<const R: usize, const G: usize>(
    acc: &mut [[__m512; G]; R],
    rows: &[*const f32; R],
    b: *const f32,
    i: usize,
    step: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let w: [__m512; G] = std::array::from_fn(|g| _mm512_loadu_ps(b.add(g * OUTPUT_GROUP)));
        for r in 0..R {
            let a = _mm512_set1_ps(*rows[r].add(i).add(step));
            for g in 0..G {
                acc[r][g] = _mm512_fmadd_ps(a, w[g], acc[r][g]);
            }
        }
    }
}

/// Byte dot products at the peak of the processor: `rounds` times 24 of them, registers only.
///
/// # Safety
/// The processor has AVX-512 F, BW and VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn int8_peak(rounds: usize) -> i32 {
    let mut acc = [_mm512_setzero_si512(); 24];
    let (w, x) = (_mm512_set1_epi8(2), _mm512_set1_epi8(1));
    for _ in 0..rounds {
        for acc in &mut acc {
            *acc = _mm512_dpbusd_epi32(*acc, w, x);
        }
    }
    acc.into_iter().map(|acc| _mm512_cvtsi512_si32(acc)).sum()
}

/// f32 multiply-adds at the peak of the processor: `rounds` times 24 of them, registers only.
///
/// # Safety
/// The processor has AVX-512 F.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn float_peak(rounds: usize) -> f32 {
    let mut acc = [_mm512_setzero_ps(); 24];
    let (w, x) = (_mm512_set1_ps(0.5), _mm512_set1_ps(2.0));
    for _ in 0..rounds {
        for acc in &mut acc {
            *acc = _mm512_fmadd_ps(x, w, *acc);
        }
    }
    acc.into_iter().map(|acc| _mm512_cvtss_f32(acc)).sum()
}
