//! int8 with one scale per output (the W8A8 baseline). Packed layout `[n / 16, k / 4, 16, 4]` with `k` padded to a
//! multiple of 16, code plus 128.

use super::codec::{
    CodeError, CodeLayout, EncodedMatrix, Group, IntegerCodec, WeightCodec, find_code, group_rows,
    pack_groups,
};
use crate::kernels::panel::{OUTPUT_GROUP, PanelBytes, QUAD_BYTES};
use crate::kernels::ptq::SymmetricInt;
use crate::kernels::{BLOCK_K, multiversion};
use safetensors::tensor::Dtype;
use std::ops::Range;

/// int8 weights.
pub struct Int8Codec;

impl WeightCodec for Int8Codec {
    fn layout(&self, n: usize, k: usize) -> CodeLayout {
        CodeLayout {
            dtype: Dtype::U8,
            shape: vec![
                n.div_ceil(OUTPUT_GROUP),
                k.next_multiple_of(BLOCK_K) / 4,
                OUTPUT_GROUP,
                4,
            ],
            scales: n,
        }
    }

    fn encode(&self, w: &[f32], n: usize, k: usize) -> EncodedMatrix {
        let int8 = SymmetricInt::int8_rows(w, k);
        let codes = pack_groups(n, self.layout(n, k).group_bytes(), |group, out| {
            out.fill(128);
            for (i, row) in group_rows(group, n).enumerate() {
                for (column, code) in int8.codes[row * k..][..k].iter().enumerate() {
                    let at = column / 4 * QUAD_BYTES + 4 * i + column % 4;
                    out[at] = (i16::from(*code) + 128) as u8;
                }
            }
        });
        EncodedMatrix {
            codes,
            scales: int8.scales,
        }
    }
    fn unpack_f32(&self, group: Group<'_>, range: Range<usize>, stride: usize, out: &mut [f32]) {
        scale_codes(group.codes, range, &self.row_scales(group), stride, out);
    }
    fn check_codes(&self, codes: &[u8], _: (usize, usize)) -> Result<(), CodeError> {
        find_code(codes, |byte| byte == 0, "code -128, expected -127 to 127")
    }
    fn least_scale(&self) -> f32 {
        f32::MIN_POSITIVE
    }
    fn integer(&self) -> Option<&dyn IntegerCodec> {
        Some(self)
    }
}

impl IntegerCodec for Int8Codec {
    fn panel_bytes(&self) -> PanelBytes {
        PanelBytes::Int8
    }
    fn unpack(&self, group: Group<'_>, quads: Range<usize>, at: (usize, usize), out: &mut [u8]) {
        let (place, groups) = at;
        let from = &group.codes[quads.start * QUAD_BYTES..quads.end * QUAD_BYTES];
        let to = out.chunks_exact_mut(groups * QUAD_BYTES);
        for (from, to) in from.chunks_exact(QUAD_BYTES).zip(to) {
            to[place * QUAD_BYTES..][..QUAD_BYTES].copy_from_slice(from);
        }
    }
    fn row_scales(&self, group: Group<'_>) -> [f32; OUTPUT_GROUP] {
        let mut scales = [0.0; OUTPUT_GROUP];
        let rows = group_rows(group.index, group.n);
        scales[..rows.len()].copy_from_slice(&group.scales[rows]);
        scales
    }
}

multiversion! {
    fn scale_codes(bytes: &[u8], range: Range<usize>, scales: &[f32; OUTPUT_GROUP], stride: usize, out: &mut [f32]) {
        for (column, out) in range.zip(out.chunks_mut(stride)) {
            let quad = &bytes[column / 4 * QUAD_BYTES..][..QUAD_BYTES];
            for ((row, to), scale) in out[..OUTPUT_GROUP].iter_mut().enumerate().zip(scales) {
                *to = (f32::from(quad[4 * row + column % 4]) - 128.0) * scale;
            }
        }
    }
}
