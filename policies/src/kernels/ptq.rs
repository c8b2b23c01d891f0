//! Post-training quantisers of a dense weight `[n, k]` (row-major, one row per output): the usual
//! alternatives to ternary training.

/// Symmetric integers with one scale per chunk of a row: codes `-top..=top`, scale absmax / `top`.
#[derive(Debug, Clone, PartialEq)]
pub struct SymmetricInt {
    /// `[n, k]`, one code a byte.
    pub codes: Vec<i8>,
    /// `[n, k / chunk]`, rounded up.
    pub scales: Vec<f32>,
    k: usize,
    chunk: usize,
}

/// Lower bound of the absolute maximum, so that zeros have a scale.
const LEAST: f32 = 1e-8;

impl SymmetricInt {
    /// Quantises to int8, codes -127..=127, one scale per row of `k` numbers.
    pub fn int8_rows(w: &[f32], k: usize) -> SymmetricInt {
        SymmetricInt::new(w, k, k, 127.0)
    }

    /// Quantises to int4, codes -7..=7, one scale per `group` inputs of a row; the last group of a row may be shorter.
    pub fn int4_groups(w: &[f32], k: usize, group: usize) -> SymmetricInt {
        SymmetricInt::new(w, k, group, 7.0)
    }

    /// Rounds half to even.
    fn new(w: &[f32], k: usize, chunk: usize, top: f32) -> SymmetricInt {
        let mut codes = Vec::with_capacity(w.len());
        let mut scales = Vec::with_capacity(w.len() / chunk);
        for part in w.chunks(k).flat_map(|row| row.chunks(chunk)) {
            let scale = part.iter().fold(LEAST, |m, v| m.max(v.abs())) / top;
            let code = |v: &f32| (v / scale).round_ties_even().clamp(-top, top) as i8;
            codes.extend(part.iter().map(code));
            scales.push(scale);
        }
        SymmetricInt {
            codes,
            scales,
            k,
            chunk,
        }
    }

    /// Weights as floats, `[n, k]`.
    pub fn dequantise(&self) -> Vec<f32> {
        let rows = self.codes.chunks(self.k);
        let parts = rows.flat_map(|row| row.chunks(self.chunk));
        parts
            .zip(&self.scales)
            .flat_map(|(codes, scale)| codes.iter().map(move |c| f32::from(*c) * scale))
            .collect()
    }
}

/// Sixteen values of NF4: quantiles of a normal distribution, scaled to -1..=1 (QLoRA, arXiv 2305.14314,
/// appendix E).
pub const NF4: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// NF4 as bitsandbytes stores it: blocks of 64 numbers with their absolute maximum, two codes a byte, the first in
/// the high nibble, no double quantisation.
#[derive(Debug, Clone, PartialEq)]
pub struct Nf4Blocks {
    /// Two codes to a byte, the first in the high nibble.
    pub packed: Vec<u8>,
    /// Absolute maximum of every block.
    pub absmax: Vec<f32>,
}

impl Nf4Blocks {
    /// Weights of a block.
    pub const BLOCK: usize = 64;

    /// Quantises a weight with an even number of elements.
    pub fn new(w: &[f32]) -> Nf4Blocks {
        let absmax: Vec<f32> = w
            .chunks(Self::BLOCK)
            .map(|block| block.iter().fold(0.0f32, |m, v| m.max(v.abs())))
            .collect();
        let code = |i: usize| {
            let top = absmax[i / Self::BLOCK];
            let x = if top > 0.0 { w[i] / top } else { 0.0 };
            // The nearest value: one more for each midpoint below.
            NF4.windows(2).filter(|p| x > 0.5 * (p[0] + p[1])).count() as u8
        };
        let packed = (0..w.len() / 2)
            .map(|i| code(2 * i) << 4 | code(2 * i + 1))
            .collect();
        Nf4Blocks { packed, absmax }
    }

    /// Weights as floats.
    pub fn dequantise(&self) -> Vec<f32> {
        let codes = self.packed.iter().flat_map(|b| [b >> 4, b & 15]);
        codes
            .enumerate()
            .map(|(i, c)| NF4[usize::from(c)] * self.absmax[i / Self::BLOCK])
            .collect()
    }
}
