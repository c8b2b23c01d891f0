//! Post-training quantisers of a dense weight `[n, k]` (row-major, one row per output): what others would do to a
//! full-precision policy instead of training it ternary.

/// Symmetric int8 with one scale per output row: codes -127..=127, scale absmax / 127.
#[derive(Debug, Clone, PartialEq)]
pub struct Int8Rows {
    /// `[n, k]`.
    pub codes: Vec<i8>,
    /// `[n]`.
    pub scales: Vec<f32>,
}

impl Int8Rows {
    /// Quantises rows of `k` numbers.
    pub fn new(w: &[f32], k: usize) -> Int8Rows {
        let (codes, scales) = symmetric(w, k, 127.0);
        Int8Rows { codes, scales }
    }

    /// `[n, k]` again.
    pub fn dequantise(&self) -> Vec<f32> {
        dequantise(&self.codes, &self.scales)
    }
}

/// Symmetric int4 with one scale per group of inputs of a row: codes -7..=7, scale absmax / 7.
#[derive(Debug, Clone, PartialEq)]
pub struct Int4Groups {
    /// `[n, k]`, one code a byte.
    pub codes: Vec<i8>,
    /// `[n, k / group]`.
    pub scales: Vec<f32>,
}

impl Int4Groups {
    /// Quantises groups of `group` inputs; the rows must be whole groups.
    pub fn new(w: &[f32], group: usize) -> Int4Groups {
        let (codes, scales) = symmetric(w, group, 7.0);
        Int4Groups { codes, scales }
    }

    /// `[n, k]` again.
    pub fn dequantise(&self) -> Vec<f32> {
        dequantise(&self.codes, &self.scales)
    }
}

/// Least absolute maximum, so that zeros have a scale.
const LEAST: f32 = 1e-8;

/// Codes and scales of chunks, each with its absolute maximum at code `top`; halves go to the even code.
fn symmetric(w: &[f32], chunk: usize, top: f32) -> (Vec<i8>, Vec<f32>) {
    let mut codes = Vec::with_capacity(w.len());
    let mut scales = Vec::with_capacity(w.len() / chunk.max(1));
    for part in w.chunks(chunk) {
        let scale = part.iter().fold(LEAST, |m, v| m.max(v.abs())) / top;
        let code = |v: &f32| (v / scale).round_ties_even().clamp(-top, top) as i8;
        codes.extend(part.iter().map(code));
        scales.push(scale);
    }
    (codes, scales)
}

fn dequantise(codes: &[i8], scales: &[f32]) -> Vec<f32> {
    let chunk = codes.len() / scales.len().max(1);
    codes
        .chunks(chunk.max(1))
        .zip(scales)
        .flat_map(|(codes, scale)| codes.iter().map(move |c| f32::from(*c) * scale))
        .collect()
}

/// The sixteen values of NF4: quantiles of a normal distribution, scaled to -1..=1 (QLoRA, arXiv 2305.14314,
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
    /// Half as many bytes as numbers.
    pub packed: Vec<u8>,
    /// One per block.
    pub absmax: Vec<f32>,
}

impl Nf4Blocks {
    /// Numbers of a block.
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

    /// The numbers again.
    pub fn dequantise(&self) -> Vec<f32> {
        let codes = self.packed.iter().flat_map(|b| [b >> 4, b & 15]);
        codes
            .enumerate()
            .map(|(i, c)| NF4[usize::from(c)] * self.absmax[i / Self::BLOCK])
            .collect()
    }
}
