//! AVX2 paths: `vpmaddubsw` for ternary x int8 (products stay below 2 * 2 * 128, so nothing saturates), fused
//! multiply-add for f32.

use super::dense_f32::{PANEL, Panels};
use super::{BLOCK_BYTES, BLOCK_K, BLOCK_N, PackedTernary, QuantisedRows};
use std::arch::x86_64::*;

/// Sums of `(code + 1) * x`.
///
/// # Safety
/// The processor has AVX2; `out` holds `rows x padded_n`.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn ternary(x: &QuantisedRows, w: &PackedTernary, out: &mut [i32]) {
    let (rows, np) = (x.rows(), w.padded_n());
    assert!(out.len() >= rows * np);
    for group in 0..np / BLOCK_N {
        let mut row = 0;
        while row < rows {
            let count = if rows - row >= 4 { 4 } else { 1 };
            // SAFETY: rows row..row + count exist, and the caller vouches for AVX2.
            unsafe {
                match count {
                    4 => tile::<4>(x, w, group, row, out),
                    _ => tile::<1>(x, w, group, row, out),
                }
            }
            row += count;
        }
    }
}

#[target_feature(enable = "avx2")]
unsafe fn tile<const R: usize>(
    x: &QuantisedRows,
    w: &PackedTernary,
    group: usize,
    row: usize,
    out: &mut [i32],
) {
    let (steps, np, stride) = (w.steps(), w.padded_n(), x.stride());
    let mask = _mm256_set1_epi8(3);
    let ones = _mm256_set1_epi16(1);
    let mut acc = [[_mm256_setzero_si256(); 2]; R];
    // SAFETY: the packed weights have `steps` blocks in this group, rows have `steps * BLOCK_K` codes,
    // and `out` holds rows of `np`.
    unsafe {
        let weights = w.blocks.as_ptr().add(group * steps * BLOCK_BYTES);
        let codes = x.codes().as_ptr().add(row * stride);
        for step in 0..steps {
            for half in 0..2 {
                let packed = _mm256_loadu_si256(weights.add(step * BLOCK_BYTES + 32 * half).cast());
                let parts = [
                    _mm256_and_si256(packed, mask),
                    _mm256_and_si256(_mm256_srli_epi16::<2>(packed), mask),
                    _mm256_and_si256(_mm256_srli_epi16::<4>(packed), mask),
                    _mm256_and_si256(_mm256_srli_epi16::<6>(packed), mask),
                ];
                for (r, acc) in acc.iter_mut().enumerate() {
                    let four = codes.add(r * stride + step * BLOCK_K).cast::<i32>();
                    let mut sum = _mm256_setzero_si256();
                    for (quarter, part) in parts.into_iter().enumerate() {
                        let x = _mm256_set1_epi32(four.add(quarter).read_unaligned());
                        sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(part, x));
                    }
                    acc[half] = _mm256_add_epi32(acc[half], _mm256_madd_epi16(sum, ones));
                }
            }
        }
        for (r, acc) in acc.into_iter().enumerate() {
            let to = out.as_mut_ptr().add((row + r) * np + group * BLOCK_N);
            _mm256_storeu_si256(to.cast(), acc[0]);
            _mm256_storeu_si256(to.add(8).cast(), acc[1]);
        }
    }
}

/// f32 product, see the scalar twin.
///
/// # Safety
/// The processor has AVX2 and FMA; sizes as asserted by the dispatcher.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn dense(m: usize, a: &[f32], b: &Panels, c: &mut [f32]) {
    let panels = b.n().div_ceil(PANEL);
    let mut row = 0;
    while row < m {
        let rows = if m - row >= 4 { 4 } else { 1 };
        for panel in 0..panels {
            // SAFETY: rows and panels exist.
            unsafe {
                match rows {
                    4 => dense_tile::<4>(row, panel, a, b, c),
                    _ => dense_tile::<1>(row, panel, a, b, c),
                }
            }
        }
        row += rows;
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn dense_tile<const R: usize>(
    row: usize,
    panel: usize,
    a: &[f32],
    b: &Panels,
    c: &mut [f32],
) {
    let (n, k) = (b.n(), b.k());
    let mut acc = [[_mm256_setzero_ps(); 2]; R];
    // SAFETY: the panel holds `k * PANEL` values and `a` rows of k.
    unsafe {
        let weights = b.panel(panel).as_ptr();
        let a = a.as_ptr().add(row * k);
        for i in 0..k {
            let low = _mm256_loadu_ps(weights.add(i * PANEL));
            let high = _mm256_loadu_ps(weights.add(i * PANEL + 8));
            for (r, acc) in acc.iter_mut().enumerate() {
                let a = _mm256_set1_ps(*a.add(r * k + i));
                acc[0] = _mm256_fmadd_ps(a, low, acc[0]);
                acc[1] = _mm256_fmadd_ps(a, high, acc[1]);
            }
        }
    }
    for (r, acc) in acc.into_iter().enumerate() {
        let mut buffer = [0f32; PANEL];
        // SAFETY: the buffer holds two vectors.
        unsafe {
            _mm256_storeu_ps(buffer.as_mut_ptr(), acc[0]);
            _mm256_storeu_ps(buffer.as_mut_ptr().add(8), acc[1]);
        }
        let start = panel * PANEL;
        let count = (n - start).min(PANEL);
        c[(row + r) * n + start..][..count].copy_from_slice(&buffer[..count]);
    }
}
