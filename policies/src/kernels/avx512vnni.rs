//! AVX-512 paths: `vpdpbusd` for ternary x int8, fused multiply-add for f32.

use super::dense_f32::{PANEL, Panels};
use super::{BLOCK_BYTES, BLOCK_K, BLOCK_N, PackedTernary, QuantisedRows};
use std::arch::x86_64::*;

/// Sums of `(code + 1) * x`.
///
/// # Safety
/// The processor has AVX-512 F, BW and VNNI; `out` holds `rows x padded_n`.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn ternary(x: &QuantisedRows, w: &PackedTernary, out: &mut [i32]) {
    let (rows, np) = (x.rows(), w.padded_n());
    assert!(out.len() >= rows * np);
    for group in 0..np / BLOCK_N {
        let mut row = 0;
        while row < rows {
            // SAFETY: rows row..row + R exist, and the caller vouches for the features.
            unsafe {
                match rows - row {
                    12.. => tile::<12>(x, w, group, row, out),
                    8..12 => tile::<8>(x, w, group, row, out),
                    4..8 => tile::<4>(x, w, group, row, out),
                    2..4 => tile::<2>(x, w, group, row, out),
                    _ => tile::<1>(x, w, group, row, out),
                }
            }
            row += match rows - row {
                12.. => 12,
                8..12 => 8,
                4..8 => 4,
                2..4 => 2,
                _ => 1,
            };
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn tile<const R: usize>(
    x: &QuantisedRows,
    w: &PackedTernary,
    group: usize,
    row: usize,
    out: &mut [i32],
) {
    let (steps, np, stride) = (w.steps(), w.padded_n(), x.stride());
    let mask = _mm512_set1_epi8(3);
    let mut acc = [_mm512_setzero_si512(); R];
    // SAFETY: the packed weights have `steps` blocks in this group, rows have `steps * BLOCK_K` codes,
    // and `out` holds rows of `np`.
    unsafe {
        let weights = w.blocks.as_ptr().add(group * steps * BLOCK_BYTES);
        let codes = x.codes().as_ptr().add(row * stride);
        for step in 0..steps {
            let packed = _mm512_loadu_si512(weights.add(step * BLOCK_BYTES).cast());
            let parts = [
                _mm512_and_si512(packed, mask),
                _mm512_and_si512(_mm512_srli_epi16::<2>(packed), mask),
                _mm512_and_si512(_mm512_srli_epi16::<4>(packed), mask),
                _mm512_and_si512(_mm512_srli_epi16::<6>(packed), mask),
            ];
            for (quarter, part) in parts.into_iter().enumerate() {
                for (r, acc) in acc.iter_mut().enumerate() {
                    let four = codes
                        .add(r * stride + step * BLOCK_K + 4 * quarter)
                        .cast::<i32>()
                        .read_unaligned();
                    *acc = _mm512_dpbusd_epi32(*acc, part, _mm512_set1_epi32(four));
                }
            }
        }
        for (r, acc) in acc.into_iter().enumerate() {
            _mm512_storeu_si512(
                out.as_mut_ptr()
                    .add((row + r) * np + group * BLOCK_N)
                    .cast(),
                acc,
            );
        }
    }
}

/// f32 product, see the scalar twin.
///
/// # Safety
/// The processor has AVX-512 F; sizes as asserted by the dispatcher.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn dense(m: usize, a: &[f32], b: &Panels, c: &mut [f32]) {
    let panels = b.n().div_ceil(PANEL);
    let mut row = 0;
    while row < m {
        let rows = if m - row >= 8 { 8 } else { 1 };
        let mut panel = 0;
        while panel < panels {
            // SAFETY: rows and panels exist.
            unsafe {
                match (rows, panels - panel) {
                    (8, 2..) => dense_tile::<8, 2>(row, panel, a, b, c),
                    (8, _) => dense_tile::<8, 1>(row, panel, a, b, c),
                    (_, 2..) => dense_tile::<1, 2>(row, panel, a, b, c),
                    _ => dense_tile::<1, 1>(row, panel, a, b, c),
                }
            }
            panel += if panels - panel >= 2 { 2 } else { 1 };
        }
        row += rows;
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn dense_tile<const R: usize, const P: usize>(
    row: usize,
    panel: usize,
    a: &[f32],
    b: &Panels,
    c: &mut [f32],
) {
    let (n, k) = (b.n(), b.k());
    let mut acc = [[_mm512_setzero_ps(); P]; R];
    // SAFETY: panels hold `k * PANEL` values, `a` rows of k, `c` rows of n; the store is masked to n.
    unsafe {
        let panels: [*const f32; P] = std::array::from_fn(|p| b.panel(panel + p).as_ptr());
        let a = a.as_ptr().add(row * k);
        for i in 0..k {
            let b: [__m512; P] = std::array::from_fn(|p| _mm512_loadu_ps(panels[p].add(i * PANEL)));
            for (r, acc) in acc.iter_mut().enumerate() {
                let a = _mm512_set1_ps(*a.add(r * k + i));
                for p in 0..P {
                    acc[p] = _mm512_fmadd_ps(a, b[p], acc[p]);
                }
            }
        }
        for (r, acc) in acc.into_iter().enumerate() {
            for (p, acc) in acc.into_iter().enumerate() {
                let start = (panel + p) * PANEL;
                let mask = (((1u32 << (n - start).min(PANEL)) - 1) & 0xffff) as u16;
                _mm512_mask_storeu_ps(c.as_mut_ptr().add((row + r) * n + start), mask, acc);
            }
        }
    }
}
