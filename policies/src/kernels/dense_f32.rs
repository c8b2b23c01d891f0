//! f32 matrix product with weights packed once: `c = a b^T`. Every output is one chain of fused multiply-adds
//! over ascending k, whatever the instruction set, so that results do not depend on the processor.

use super::{Isa, scalar};

/// Outputs side by side in one panel.
pub const PANEL: usize = 16;

/// A row-major n x k matrix as panels of 16 outputs, k-major inside.
#[derive(Debug, Clone, PartialEq)]
pub struct Panels {
    n: usize,
    k: usize,
    values: Vec<f32>,
}

impl Panels {
    /// Packs; the last panel is padded with zeros.
    pub fn pack(n: usize, k: usize, b: &[f32]) -> Panels {
        Panels::pack_strided(n, k, b, k, 1)
    }

    /// Packs element (row, column) from `b[row * row_stride + column * column_stride]`.
    pub fn pack_strided(
        n: usize,
        k: usize,
        b: &[f32],
        row_stride: usize,
        column_stride: usize,
    ) -> Panels {
        let mut values = vec![0f32; n.div_ceil(PANEL) * PANEL * k];
        for (panel, out) in values.chunks_exact_mut((PANEL * k).max(1)).enumerate() {
            let first = panel * PANEL;
            let rows = PANEL.min(n - first);
            for (column, out) in out.chunks_exact_mut(PANEL).enumerate() {
                for (row, out) in out[..rows].iter_mut().enumerate() {
                    *out = b[(first + row) * row_stride + column * column_stride];
                }
            }
        }
        Panels { n, k, values }
    }

    /// Outputs.
    pub fn n(&self) -> usize {
        self.n
    }
    /// Inputs.
    pub fn k(&self) -> usize {
        self.k
    }
    /// Bytes.
    pub fn bytes(&self) -> usize {
        self.values.len() * 4
    }
    /// One panel, `k x PANEL`.
    pub fn panel(&self, i: usize) -> &[f32] {
        &self.values[i * PANEL * self.k..][..PANEL * self.k]
    }
}

/// `c (m x n) = a (m x k) b^T`.
pub fn gemm(isa: Isa, m: usize, a: &[f32], b: &Panels, c: &mut [f32]) {
    assert_eq!(a.len(), m * b.k, "left matrix of {m} x {}", b.k);
    assert_eq!(c.len(), m * b.n, "product of {m} x {}", b.n);
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `supported` and the sizes were checked.
        Isa::Avx512Vnni if isa.supported() => unsafe { super::avx512vnni::dense(m, a, b, c) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 if isa.supported() => unsafe { super::avx2::dense(m, a, b, c) },
        _ => scalar::dense(m, a, b, c),
    }
}
