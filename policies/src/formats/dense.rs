//! Weights as floats: f32, or bf16 rounded half to even (nothing is lost of weights that were stored so). Packed
//! layout `[n / 16, k, 16]`, no scales.

use super::codec::{CodeError, CodeLayout, EncodedMatrix, Group, WeightCodec, pack_columns};
use crate::float_type::{bf16_to_f32, f32_to_bf16};
use crate::kernels::multiversion;
use crate::kernels::panel::OUTPUT_GROUP;
use safetensors::tensor::Dtype;
use std::ops::Range;

/// Refuses the first number of `SIZE` bytes that is not finite.
fn finite<const SIZE: usize>(
    codes: &[u8],
    is_finite: impl Fn([u8; SIZE]) -> bool,
) -> Result<(), CodeError> {
    let numbers = codes.as_chunks::<SIZE>().0;
    match numbers.iter().position(|bytes| !is_finite(*bytes)) {
        Some(i) => Err(CodeError {
            byte: i * SIZE,
            found: codes[i * SIZE],
            what: "no finite number",
        }),
        None => Ok(()),
    }
}

/// Weights as f32.
pub struct F32Codec;

impl WeightCodec for F32Codec {
    fn layout(&self, n: usize, k: usize) -> CodeLayout {
        CodeLayout {
            dtype: Dtype::F32,
            shape: vec![n.div_ceil(OUTPUT_GROUP), k, OUTPUT_GROUP],
            scales: 0,
        }
    }

    fn encode(&self, w: &[f32], n: usize, k: usize) -> EncodedMatrix {
        EncodedMatrix {
            codes: pack_columns(w, (n, k), f32::to_le_bytes),
            scales: Vec::new(),
        }
    }
    fn check_codes(&self, codes: &[u8], _: (usize, usize)) -> Result<(), CodeError> {
        finite::<4>(codes, |b| f32::from_le_bytes(b).is_finite())
    }
    fn unpack_f32(&self, group: Group<'_>, range: Range<usize>, stride: usize, out: &mut [f32]) {
        widen_f32(&group.codes[range.start * 64..range.end * 64], stride, out);
    }
}

/// Weights as bf16.
pub struct Bf16Codec;

impl WeightCodec for Bf16Codec {
    fn layout(&self, n: usize, k: usize) -> CodeLayout {
        CodeLayout {
            dtype: Dtype::BF16,
            shape: vec![n.div_ceil(OUTPUT_GROUP), k, OUTPUT_GROUP],
            scales: 0,
        }
    }

    fn encode(&self, w: &[f32], n: usize, k: usize) -> EncodedMatrix {
        EncodedMatrix {
            codes: pack_columns(w, (n, k), |v| f32_to_bf16(v).to_le_bytes()),
            scales: Vec::new(),
        }
    }
    fn check_codes(&self, codes: &[u8], _: (usize, usize)) -> Result<(), CodeError> {
        finite::<2>(codes, |b| bf16_to_f32(u16::from_le_bytes(b)).is_finite())
    }
    fn unpack_f32(&self, group: Group<'_>, range: Range<usize>, stride: usize, out: &mut [f32]) {
        widen_bf16(&group.codes[range.start * 32..range.end * 32], stride, out);
    }
}

multiversion! {
    fn widen_f32(bytes: &[u8], stride: usize, out: &mut [f32]) {
        for (from, to) in bytes.as_chunks::<64>().0.iter().zip(out.chunks_mut(stride)) {
            for (from, to) in from.as_chunks::<4>().0.iter().zip(to) {
                *to = f32::from_le_bytes(*from);
            }
        }
    }
}

multiversion! {
    fn widen_bf16(bytes: &[u8], stride: usize, out: &mut [f32]) {
        for (from, to) in bytes.as_chunks::<32>().0.iter().zip(out.chunks_mut(stride)) {
            for (from, to) in from.as_chunks::<2>().0.iter().zip(to) {
                *to = f32::from_bits(u32::from(u16::from_le_bytes(*from)) << 16);
            }
        }
    }
}
