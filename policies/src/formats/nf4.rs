//! NF4 in blocks of 64 as bitsandbytes does it (QLoRA, arXiv 2305.14314). Packed layout `[n / 16, k, 8]`, two codes to
//! a byte; one scale per 64 numbers of the row-major matrix.

use super::codec::{CodeLayout, EncodedMatrix, Group, WeightCodec, pack_nibbles};
use crate::kernels::panel::OUTPUT_GROUP;
use crate::kernels::ptq::{NF4, Nf4Blocks};
use safetensors::tensor::Dtype;
use std::ops::Range;

/// NF4 weights.
pub struct Nf4Codec;

impl WeightCodec for Nf4Codec {
    fn layout(&self, n: usize, k: usize) -> CodeLayout {
        CodeLayout {
            dtype: Dtype::U8,
            shape: vec![n.div_ceil(OUTPUT_GROUP), k, OUTPUT_GROUP / 2],
            scales: (n * k).div_ceil(Nf4Blocks::BLOCK),
        }
    }

    fn encode(&self, w: &[f32], n: usize, k: usize) -> EncodedMatrix {
        let nf4 = Nf4Blocks::new(w);
        let code = |i: usize| (nf4.packed[i / 2] >> (4 * (1 - i % 2))) & 15;
        EncodedMatrix {
            codes: pack_nibbles((n, k), |r, c| code(r * k + c)),
            scales: nf4.absmax,
        }
    }
    fn unpack_f32(&self, group: Group<'_>, range: Range<usize>, stride: usize, out: &mut [f32]) {
        let block_scales = |column: usize| {
            std::array::from_fn(|row| {
                let at = ((group.index * OUTPUT_GROUP + row) * group.k + column) / Nf4Blocks::BLOCK;
                // Only outputs that pad the last group may have no scale; nobody reads their products.
                group.scales.get(at).copied().unwrap_or(0.0)
            })
        };
        let aligned = group.k.is_multiple_of(Nf4Blocks::BLOCK);
        let mut scales: [f32; OUTPUT_GROUP] = [0.0; OUTPUT_GROUP];
        for (i, (column, out)) in range.zip(out.chunks_mut(stride)).enumerate() {
            // Scales are looked up again where a block may begin.
            if i == 0 || !aligned || column.is_multiple_of(Nf4Blocks::BLOCK) {
                scales = block_scales(column);
            }
            let codes = &group.codes[column * (OUTPUT_GROUP / 2)..][..OUTPUT_GROUP / 2];
            let (low, high) = out[..OUTPUT_GROUP].split_at_mut(OUTPUT_GROUP / 2);
            for j in 0..OUTPUT_GROUP / 2 {
                low[j] = NF4[usize::from(codes[j] & 15)] * scales[j];
                high[j] = NF4[usize::from(codes[j] >> 4)] * scales[j + OUTPUT_GROUP / 2];
            }
        }
    }
}
