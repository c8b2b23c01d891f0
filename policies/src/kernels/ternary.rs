//! Packed ternary weights: two bits each, and their exact products with int8 activations.

use super::aligned::AlignedBuffer;
use super::gemm::int8_panel;
use super::panel::{Int8Panel, OUTPUT_GROUP, PanelBytes, QUAD_BYTES, panels};
use super::quant::QuantisedRows;
use super::{Isa, multiversion};
use std::cell::RefCell;

/// Outputs of one block of packed weights.
pub const BLOCK_N: usize = 16;
/// Inputs of one block of packed weights.
pub const BLOCK_K: usize = 16;
/// Bytes of one block.
pub const BLOCK_BYTES: usize = BLOCK_N * BLOCK_K / 4;

/// Ternary weights `[n, k]`, four to a byte. Blocks of 16 outputs x 16 inputs take 64 bytes: byte `4 j + t` holds the
/// codes plus one of output `j` and inputs `t`, `4 + t`, `8 + t`, `12 + t` in ascending bit pairs, so that a shift and a
/// mask give 16 outputs x 4 inputs, the operand of `vpdpbusd`. Blocks of one group of outputs are adjacent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PackedTernary {
    n: usize,
    k: usize,
    blocks: Vec<u8>,
}

impl PackedTernary {
    /// Packs codes in {-1, 0, 1}, row-major `[n, k]`. Padding is multiplied by padding only.
    pub fn pack(n: usize, k: usize, codes: &[i8]) -> PackedTernary {
        assert_eq!(codes.len(), n * k, "codes of a {n} x {k} matrix");
        let (groups, steps) = (n.div_ceil(BLOCK_N), k.div_ceil(BLOCK_K));
        let mut blocks = vec![0u8; groups * steps * BLOCK_BYTES];
        pack_codes(codes, k, &mut blocks);
        PackedTernary { n, k, blocks }
    }

    /// Packs the signs of row-major weights `[n, k]` into the existing buffer.
    pub fn refill(&mut self, n: usize, k: usize, w: &[f32]) {
        assert_eq!(w.len(), n * k, "a {n} x {k} matrix");
        let (groups, steps) = (n.div_ceil(BLOCK_N), k.div_ceil(BLOCK_K));
        (self.n, self.k) = (n, k);
        self.blocks.clear();
        self.blocks.resize(groups * steps * BLOCK_BYTES, 0);
        pack_signs(w, k, &mut self.blocks);
    }

    /// Number of outputs.
    pub fn n(&self) -> usize {
        self.n
    }
    /// Number of inputs.
    pub fn k(&self) -> usize {
        self.k
    }
    /// Number of outputs with padding.
    pub fn padded_n(&self) -> usize {
        self.n.next_multiple_of(BLOCK_N)
    }
    /// Bytes of the packed codes.
    pub fn bytes(&self) -> usize {
        self.blocks.len()
    }
    fn steps(&self) -> usize {
        self.k.div_ceil(BLOCK_K)
    }
    /// Code of an output and an input.
    pub fn code(&self, row: usize, col: usize) -> i8 {
        let base = ((row / BLOCK_N) * self.steps() + col / BLOCK_K) * BLOCK_BYTES;
        let byte = self.blocks[base + 4 * (row % BLOCK_N) + col % 4];
        ((byte >> (2 * ((col % BLOCK_K) / 4))) & 3) as i8 - 1
    }
}

/// Packs rows; the expression gives the code plus one of an entry.
macro_rules! packer {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($ty:ty), $code:expr) => {
        multiversion! {
            $(#[$meta])*
            $vis fn $name(w: &[$ty], k: usize, blocks: &mut [u8]) {
                let steps = k.div_ceil(BLOCK_K);
                for (row, w) in w.chunks_exact(k).enumerate() {
                    let start = (row / BLOCK_N) * steps * BLOCK_BYTES + 4 * (row % BLOCK_N);
                    let (full, rest) = w.as_chunks::<BLOCK_K>();
                    for (step, w) in full.iter().enumerate() {
                        let mut bits = [0u32; BLOCK_K];
                        for i in 0..BLOCK_K {
                            bits[i] = $code(w[i]) << (8 * (i % 4) + 2 * (i / 4));
                        }
                        let word = bits.iter().fold(0, |word, b| word | b);
                        let at = start + step * BLOCK_BYTES;
                        blocks[at..at + 4].copy_from_slice(&word.to_le_bytes());
                    }
                    for (i, w) in rest.iter().enumerate() {
                        let at = start + full.len() * BLOCK_BYTES + i % 4;
                        blocks[at] |= ($code(*w) as u8) << (2 * (i / 4));
                    }
                }
            }
        }
    };
}
packer!(
    /// Blocks as [`PackedTernary`] describes them, from the signs of rows of `k`.
    fn pack_signs(f32),
    |w: f32| -> u32 { if w > 0.0 { 2 } else if w < 0.0 { 0 } else { 1 } }
);
packer!(
    /// Blocks as [`PackedTernary`] describes them, from rows of `k` codes in {-1, 0, 1}.
    pub(crate) fn pack_codes(i8),
    |w: i8| -> u32 { (w + 1) as u32 }
);

multiversion! {
    /// Codes plus one of a group, as group `g` of the `count` groups of a panel `[quads][count][16][4]`.
    pub(crate) fn unpack_codes(blocks: &[u8], quads: usize, g: usize, count: usize, out: &mut [u8]) {
        let blocks = blocks.as_chunks::<BLOCK_BYTES>().0;
        let out = out[..quads * count * QUAD_BYTES].as_chunks_mut::<QUAD_BYTES>().0;
        for (block, out) in blocks.iter().zip(out.chunks_mut(4 * count)) {
            unpack_quad::<0>(block, out.get_mut(g));
            unpack_quad::<2>(block, out.get_mut(count + g));
            unpack_quad::<4>(block, out.get_mut(2 * count + g));
            unpack_quad::<6>(block, out.get_mut(3 * count + g));
        }
    }
}

/// One of the four codes of every byte; nothing where the panel ends before.
#[inline(always)]
fn unpack_quad<const SHIFT: u32>(block: &[u8; BLOCK_BYTES], out: Option<&mut [u8; QUAD_BYTES]>) {
    if let Some(out) = out {
        for (to, from) in out.iter_mut().zip(block) {
            *to = (from >> SHIFT) & 3;
        }
    }
}

/// Computes the exact sums `sum_k code_w * code_x` into `[rows, w.padded_n()]`; padded outputs are unspecified.
pub fn ternary_gemm(isa: Isa, x: &QuantisedRows, w: &PackedTernary, out: &mut Vec<i32>) {
    assert_eq!(x.k(), w.k, "inputs of activations and weights");
    let (rows, n) = (x.rows(), w.padded_n());
    out.resize(rows * n, 0);
    // The panel holds codes plus one.
    let starts: Vec<i32> = x.sums().iter().map(|total| -total).collect();
    SCRATCH.with_borrow_mut(|(panel, sums)| {
        for (first, count) in panels(n / BLOCK_N) {
            let width = count * OUTPUT_GROUP;
            let panel = panel.get(4 * w.steps() * count * QUAD_BYTES);
            for g in 0..count {
                let bytes = w.steps() * BLOCK_BYTES;
                let blocks = &w.blocks[(first + g) * bytes..][..bytes];
                unpack_codes(blocks, 4 * w.steps(), g, count, panel);
            }
            let sums = sums.get(rows * width);
            let tile = Int8Panel {
                rows,
                x: x.codes(),
                ldx: x.stride(),
                quads: 4 * w.steps(),
                w: panel,
                groups: count,
                bytes: PanelBytes::Ternary,
                start: Some(&starts),
            };
            int8_panel(isa, &tile, sums);
            let out = out.chunks_exact_mut(n).zip(sums.chunks_exact(width));
            for (out, sums) in out {
                out[first * OUTPUT_GROUP..][..width].copy_from_slice(sums);
            }
        }
    });
}

thread_local! {
    static SCRATCH: RefCell<(AlignedBuffer<u8>, AlignedBuffer<i32>)> = RefCell::new((AlignedBuffer::default(), AlignedBuffer::default()));
}

#[cfg(test)]
mod tests {
    //! Guarantee: every instruction set gives the bits of the scalar twin, and that is the plain sum.
    use super::*;
    use crate::testing::{PUBLISHED_LAYERS, SplitMix64};
    use proptest::prelude::*;

    #[test]
    fn layers_of_the_published_model_agree_bit_for_bit() {
        let mut random = SplitMix64::new(5);
        for (n, k) in PUBLISHED_LAYERS {
            let codes: Vec<i8> = (0..n * k)
                .map(|_| (random.next_u64() % 3) as i8 - 1)
                .collect();
            let w = PackedTernary::pack(n, k, &codes);
            // Whole tiles of every kernel and a rest.
            let x: Vec<f32> = (0..7 * k).map(|_| random.normal()).collect();
            let x = QuantisedRows::new(&x, k);
            let mut want = Vec::new();
            ternary_gemm(Isa::Scalar, &x, &w, &mut want);
            for isa in Isa::available() {
                let mut out = Vec::new();
                ternary_gemm(isa, &x, &w, &mut out);
                assert!(out == want, "{isa:?}, {n} x {k}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn ternary_paths_agree_bit_for_bit(m in 1usize..20, n in 1usize..50, k in 1usize..90, seed in any::<u64>()) {
            let mut random = SplitMix64::new(seed);
            let codes: Vec<i8> = (0..n * k).map(|_| (random.next_u64() % 3) as i8 - 1).collect();
            let x: Vec<f32> = (0..m * k).map(|_| random.normal()).collect();
            let w = PackedTernary::pack(n, k, &codes);
            let mut again = PackedTernary::pack(1, 3, &[0, 1, -1]);
            let signs: Vec<f32> = codes.iter().map(|c| f32::from(*c) * 0.3).collect();
            again.refill(n, k, &signs);
            prop_assert_eq!(&again, &w);
            for (i, code) in codes.iter().enumerate() {
                prop_assert_eq!(w.code(i / k, i % k), *code);
            }
            let x = QuantisedRows::new(&x, k);
            for isa in Isa::available() {
                let mut out = Vec::new();
                ternary_gemm(isa, &x, &w, &mut out);
                for i in 0..m {
                    for j in 0..n {
                        let plain: i32 = (0..k).map(|c| i32::from(codes[j * k + c]) * i32::from(x.row(i)[c])).sum();
                        prop_assert_eq!(out[i * w.padded_n() + j], plain, "{:?} row {} output {}", isa, i, j);
                    }
                }
            }
        }
    }
}
