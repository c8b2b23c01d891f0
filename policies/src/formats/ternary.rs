//! Absmean ternary weights, two bits each with one scale per tensor (`docs/reference/bitvla.md`, section 5). Packed layout
//! `[n / 16, k / 16, 64]`, see [`crate::kernels::PackedTernary`].

use super::codec::{
    CodeError, CodeLayout, EncodedMatrix, Group, IntegerCodec, WeightCodec, find_code, group_rows,
    pack_groups,
};
use crate::kernels::panel::{OUTPUT_GROUP, PanelBytes};
use crate::kernels::quant::quantise_weights;
use crate::kernels::{BLOCK_BYTES, BLOCK_K, multiversion, pack_codes, unpack_codes};
use safetensors::tensor::Dtype;
use std::ops::Range;

/// Ternary weights.
pub struct TernaryCodec;

/// Refuses the first byte with a code of 3 among its four bit pairs, which is none.
pub(crate) fn find_ternary_code(codes: &[u8]) -> Result<(), CodeError> {
    let holds_three = |byte: u8| byte & (byte >> 1) & 0x55 != 0;
    find_code(codes, holds_three, "a code of 3, expected 0, 1 or 2")
}

impl WeightCodec for TernaryCodec {
    fn layout(&self, n: usize, k: usize) -> CodeLayout {
        CodeLayout {
            dtype: Dtype::U8,
            shape: vec![n.div_ceil(OUTPUT_GROUP), k.div_ceil(BLOCK_K), BLOCK_BYTES],
            scales: 1,
        }
    }

    fn encode(&self, w: &[f32], n: usize, k: usize) -> EncodedMatrix {
        let ternary = quantise_weights(w);
        encode_codes(&ternary.codes, (n, k), ternary.absmean)
    }
    fn unpack_f32(&self, group: Group<'_>, range: Range<usize>, stride: usize, out: &mut [f32]) {
        let inverse = 1.0 / group.scales[0];
        let values = [-1.0 / inverse, 0.0, 1.0 / inverse, 0.0];
        look_up(group.codes, range, values, stride, out);
    }
    fn check_codes(&self, codes: &[u8], _: (usize, usize)) -> Result<(), CodeError> {
        find_ternary_code(codes)
    }
    fn least_scale(&self) -> f32 {
        f32::MIN_POSITIVE
    }
    fn integer(&self) -> Option<&dyn IntegerCodec> {
        Some(self)
    }
}

/// Encodes codes `[n, k]` in {-1, 0, 1} with their scale.
pub(crate) fn encode_codes(codes: &[i8], (n, k): (usize, usize), absmean: f32) -> EncodedMatrix {
    let bytes = TernaryCodec.layout(n, k).group_bytes();
    EncodedMatrix {
        codes: pack_groups(n, bytes, |group, out| {
            let rows = group_rows(group, n);
            pack_codes(&codes[rows.start * k..rows.end * k], k, out);
        }),
        scales: vec![absmean],
    }
}

impl IntegerCodec for TernaryCodec {
    fn panel_bytes(&self) -> PanelBytes {
        PanelBytes::Ternary
    }
    fn unpack(&self, group: Group<'_>, quads: Range<usize>, at: (usize, usize), out: &mut [u8]) {
        let (place, groups) = at;
        debug_assert!(quads.start.is_multiple_of(4));
        let blocks = &group.codes[quads.start / 4 * BLOCK_BYTES..];
        unpack_codes(blocks, quads.len(), place, groups, out);
    }
    fn row_scales(&self, group: Group<'_>) -> [f32; OUTPUT_GROUP] {
        let mut scales = [0.0; OUTPUT_GROUP];
        scales[..group_rows(group.index, group.n).len()].fill(group.scales[0]);
        scales
    }
}

multiversion! {
    fn look_up(bytes: &[u8], range: Range<usize>, values: [f32; 4], stride: usize, out: &mut [f32]) {
        for (column, out) in range.zip(out.chunks_mut(stride)) {
            let block = &bytes[column / BLOCK_K * BLOCK_BYTES..][..BLOCK_BYTES];
            let (byte, shift) = (column % 4, column % BLOCK_K / 4 * 2);
            for (row, to) in out[..OUTPUT_GROUP].iter_mut().enumerate() {
                *to = values[usize::from(block[4 * row + byte] >> shift & 3)];
            }
        }
    }
}
