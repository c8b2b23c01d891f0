//! The plain twins that every other path is compared with.

use super::dense_f32::{PANEL, Panels};
use super::{BLOCK_BYTES, BLOCK_K, BLOCK_N, PackedTernary, QuantisedRows};

/// Sums of `(code + 1) * x`.
pub(super) fn ternary(x: &QuantisedRows, w: &PackedTernary, out: &mut [i32]) {
    let (steps, np) = (w.steps(), w.padded_n());
    for (row, out) in x
        .codes()
        .chunks_exact(x.stride())
        .zip(out.chunks_exact_mut(np))
    {
        for (group, out) in out.chunks_exact_mut(BLOCK_N).enumerate() {
            let mut acc = [0i32; BLOCK_N];
            for step in 0..steps {
                let block = &w.blocks[(group * steps + step) * BLOCK_BYTES..][..BLOCK_BYTES];
                let x = &row[step * BLOCK_K..][..BLOCK_K];
                for (acc, bytes) in acc.iter_mut().zip(block.chunks_exact(4)) {
                    for quarter in 0..4 {
                        for t in 0..4 {
                            let code = i32::from((bytes[t] >> (2 * quarter)) & 3);
                            *acc += code * i32::from(x[4 * quarter + t]);
                        }
                    }
                }
            }
            out.copy_from_slice(&acc);
        }
    }
}

/// f32 product; every output is one chain of fused multiply-adds over ascending k.
pub(super) fn dense(m: usize, a: &[f32], b: &Panels, c: &mut [f32]) {
    let (n, k) = (b.n(), b.k());
    for i in 0..m {
        for (panel, out) in c[i * n..][..n].chunks_mut(PANEL).enumerate() {
            let mut acc = [0f32; PANEL];
            for (a, b) in a[i * k..][..k]
                .iter()
                .zip(b.panel(panel).chunks_exact(PANEL))
            {
                for (acc, b) in acc.iter_mut().zip(b) {
                    *acc = a.mul_add(*b, *acc);
                }
            }
            out.copy_from_slice(&acc[..out.len()]);
        }
    }
}
