//! int4 with one scale per output and [`INT4_GROUP`] inputs (W4A16). Packed layout `[n / 16, k, 8]`, two codes plus
//! eight to a byte; scales `[n / 16, k / 128, 16]`.

use super::codec::{CodeError, CodeLayout, EncodedMatrix, Group, WeightCodec, pack_nibbles};
use crate::kernels::multiversion;
use crate::kernels::panel::OUTPUT_GROUP;
use crate::kernels::ptq::SymmetricInt;
use safetensors::tensor::Dtype;
use std::ops::Range;

/// Inputs that share a scale.
pub const INT4_GROUP: usize = 128;

/// int4 weights.
pub struct Int4Codec;

impl WeightCodec for Int4Codec {
    fn layout(&self, n: usize, k: usize) -> CodeLayout {
        CodeLayout {
            dtype: Dtype::U8,
            shape: vec![n.div_ceil(OUTPUT_GROUP), k, OUTPUT_GROUP / 2],
            scales: n.next_multiple_of(OUTPUT_GROUP) * k.div_ceil(INT4_GROUP),
        }
    }

    fn encode(&self, w: &[f32], n: usize, k: usize) -> EncodedMatrix {
        let int4 = SymmetricInt::int4_groups(w, k, INT4_GROUP);
        let per_row = k.div_ceil(INT4_GROUP);
        let mut scales = Vec::new();
        for group in 0..n.div_ceil(OUTPUT_GROUP) {
            for part in 0..per_row {
                let rows = group * OUTPUT_GROUP..(group + 1) * OUTPUT_GROUP;
                scales.extend(rows.map(|row| match row < n {
                    true => int4.scales[row * per_row + part],
                    false => 0.0,
                }));
            }
        }
        EncodedMatrix {
            codes: pack_nibbles((n, k), |r, c| (int4.codes[r * k + c] + 8) as u8),
            scales,
        }
    }
    fn check_codes(&self, codes: &[u8], (n, k): (usize, usize)) -> Result<(), CodeError> {
        const HALF: usize = OUTPUT_GROUP / 2;
        // Outputs behind the last one are padding, which is zero.
        let wrong = |(i, byte): (usize, &u8)| {
            let output = i / (HALF * k) * OUTPUT_GROUP + i % HALF;
            (output < n && byte & 15 == 0) || (output + HALF < n && byte >> 4 == 0)
        };
        match codes.iter().enumerate().position(wrong) {
            Some(byte) => Err(CodeError {
                byte,
                found: codes[byte],
                what: "code -8, expected -7 to 7",
            }),
            None => Ok(()),
        }
    }
    fn unpack_f32(&self, group: Group<'_>, range: Range<usize>, stride: usize, out: &mut [f32]) {
        let len = group.k.div_ceil(INT4_GROUP) * OUTPUT_GROUP;
        let scales = &group.scales[group.index * len..][..len];
        scale_codes(group.codes, range, scales, stride, out);
    }
}

multiversion! {
    fn scale_codes(bytes: &[u8], range: Range<usize>, scales: &[f32], stride: usize, out: &mut [f32]) {
        let scales = scales.as_chunks::<OUTPUT_GROUP>().0;
        let codes = bytes.as_chunks::<{ OUTPUT_GROUP / 2 }>().0;
        for (column, out) in range.zip(out.chunks_mut(stride)) {
            let (codes, scales) = (&codes[column], &scales[column / INT4_GROUP]);
            let (low, high) = out[..OUTPUT_GROUP].split_at_mut(OUTPUT_GROUP / 2);
            for j in 0..OUTPUT_GROUP / 2 {
                low[j] = (f32::from(codes[j] & 15) - 8.0) * scales[j];
                high[j] = (f32::from(codes[j] >> 4) - 8.0) * scales[j + OUTPUT_GROUP / 2];
            }
        }
    }
}
