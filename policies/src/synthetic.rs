//! Synthetic weights from a seed, for the speed and memory of networks without usable published weights. About normal with the inverse root of the inputs as deviation, so that absmean rounding gives 31 % zeros (the
//! trained checkpoint that ships has 27 to 33 %); norms one, biases zero. Every tensor has its own stream, so that it
//! does not depend on the others.

use crate::PolicyError;
use crate::float_type::{FloatType, f32_to_bf16};
use crate::formats::WeightEncoding;
use crate::testing::SplitMix64;
use crate::weight_source::{EmbeddingTable, MatrixRequest, RowStorage, WeightSource};
use crate::weights::Weights;
use rayon::prelude::*;

/// Source of synthetic weights.
#[derive(Debug, Clone, Copy)]
pub struct SyntheticWeights {
    /// Seed.
    pub seed: u64,
    /// Encoding of what is not quantised: bf16 as published, or f32.
    pub stored: WeightEncoding,
}

/// Numbers of one stream.
const CHUNK: usize = 1 << 16;

impl SyntheticWeights {
    /// Stream of a tensor: FNV-1a of the name, and the seed.
    fn stream(&self, name: &str) -> u64 {
        let start = 0xcbf2_9ce4_8422_2325 ^ self.seed;
        name.bytes().fold(start, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    /// Approximately normal numbers: sums of four uniform numbers of 16 bits, all from one draw.
    fn normal(&self, name: &str, len: usize, deviation: f32) -> Vec<f32> {
        let stream = self.stream(name);
        // Four uniforms have the deviation sqrt(4 / 12) of their range.
        let scale = deviation * 3f32.sqrt() / 65_536.0;
        let mut values = vec![0f32; len];
        values
            .par_chunks_mut(CHUNK)
            .enumerate()
            .for_each(|(i, values)| {
                let mut random = SplitMix64::new(stream.wrapping_add(i as u64));
                random.next_u64();
                let mut random = SplitMix64::new(random.next_u64());
                for value in values {
                    let bits = random.next_u64();
                    let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xffff).sum();
                    *value = (sum as f32 - 131_070.0) * scale;
                }
            });
        values
    }
}

impl WeightSource for SyntheticWeights {
    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, PolicyError> {
        Ok(match name {
            name if name.ends_with("norm.weight") || name.contains("norm1.weight") => {
                vec![1.0; len]
            }
            name if name.contains("norm2.weight") || name.ends_with("ffn.0.weight") => {
                vec![1.0; len]
            }
            name if name.ends_with("bias") => vec![0.0; len],
            name if name.contains("layer_scale") => vec![0.1; len],
            name => self.normal(name, len, 0.02),
        })
    }

    fn weights(&self, request: MatrixRequest<'_>) -> Result<Weights, PolicyError> {
        let (n, k) = (request.outputs, request.inputs);
        let values = self.normal(request.name, n * k, 1.0 / (k as f32).sqrt());
        Ok(Weights::encode(
            &values,
            n,
            k,
            request.encoding.unwrap_or(self.stored),
        ))
    }

    fn table(
        &self,
        name: &str,
        (count, width): (usize, usize),
    ) -> Result<EmbeddingTable, PolicyError> {
        let values = self.normal(name, count * width, 0.02);
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|v| f32_to_bf16(*v).to_le_bytes())
            .collect();
        Ok(EmbeddingTable {
            name: name.into(),
            dtype: FloatType::Bf16,
            rows: RowStorage::InMemory(bytes.into()),
            count,
            width,
        })
    }
}
