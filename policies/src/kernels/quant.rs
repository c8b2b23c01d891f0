//! Quantisers and storage packings: `docs/reference/bitvla.md`, section 5.

use rayon::prelude::*;

/// Ternary weights of one tensor: `value = code * absmean`.
#[derive(Debug, Clone, PartialEq)]
pub struct TernaryWeights {
    /// Codes in {-1, 0, 1}, row-major.
    pub codes: Vec<i8>,
    /// `max(mean |w|, 1e-5)`.
    pub absmean: f32,
}

/// Weights whose magnitudes are summed sequentially before the sums are added.
const CHUNK: usize = 1 << 16;

/// Per-tensor absmean quantiser of weights; the mean is summed in f64, chunk by chunk, ties go to even.
pub fn quantise_weights(w: &[f32]) -> TernaryWeights {
    let sums: Vec<f64> = w.par_chunks(CHUNK).map(sum_of_magnitudes).collect();
    let sum: f64 = sums.iter().sum();
    let absmean = ((sum / w.len().max(1) as f64) as f32).max(1e-5);
    let mut codes = vec![0i8; w.len()];
    let parts = codes.par_chunks_mut(CHUNK).zip(w.par_chunks(CHUNK));
    parts.for_each(|(codes, w)| ternary_codes(w, 1.0 / absmean, codes));
    TernaryWeights { codes, absmean }
}

super::multiversion! {
    /// Sum of the magnitudes over eight lanes.
    fn sum_of_magnitudes(w: &[f32]) -> f64 {
        let (chunks, rest) = w.as_chunks::<8>();
        let mut lanes = [0f64; 8];
        for chunk in chunks {
            for (lane, v) in lanes.iter_mut().zip(chunk) {
                *lane += f64::from(v.abs());
            }
        }
        for (lane, v) in lanes.iter_mut().zip(rest) {
            *lane += f64::from(v.abs());
        }
        lanes.iter().sum()
    }
}

super::multiversion! {
    /// `round(clamp(w * inverse))`, equal to `clamp(round(w * inverse))`.
    fn ternary_codes(w: &[f32], inverse: f32, codes: &mut [i8]) {
        for (code, v) in codes.iter_mut().zip(w) {
            *code = round_even((v * inverse).clamp(-1.0, 1.0)) as i8;
        }
    }
}

impl TernaryWeights {
    /// Weights as floats, `code / (1 / absmean)` as in the reference.
    pub fn dequantise(&self) -> Vec<f32> {
        let inverse = 1.0 / self.absmean;
        self.codes.iter().map(|&c| f32::from(c) / inverse).collect()
    }
}

/// Activations in int8 `[rows, k]`, one scale per row, rows padded with zeros to a multiple of 16.
#[derive(Debug, Clone, Default)]
pub struct QuantisedRows {
    k: usize,
    stride: usize,
    codes: Vec<i8>,
    scales: Vec<f32>,
    sums: Vec<i32>,
}

impl QuantisedRows {
    /// Per-row absmax quantiser: `s = 127 / max(max |x|, 1e-5)`, `code = round(x s)`, ties to even.
    pub fn new(x: &[f32], k: usize) -> QuantisedRows {
        let mut rows = QuantisedRows::default();
        rows.refill(x, k);
        rows
    }

    /// Quantises into the existing buffers, see [`QuantisedRows::new`].
    pub fn refill(&mut self, x: &[f32], k: usize) {
        let stride = self.reshape(x.len() / k, k);
        let (codes, scales, sums) = self.parts_mut();
        let rows = codes.chunks_exact_mut(stride).zip(scales).zip(sums);
        for (x, ((codes, scale), sum)) in x.chunks_exact(k).zip(rows) {
            (*scale, *sum) = quantise_row(x, &mut codes[..k]);
        }
    }

    /// Resizes to `[rows, k]` with zero padding; codes are unspecified. Returns the stride.
    pub(crate) fn reshape(&mut self, rows: usize, k: usize) -> usize {
        let stride = k.next_multiple_of(super::BLOCK_K);
        if (self.k, self.stride) != (k, stride) {
            self.codes.clear();
        }
        (self.k, self.stride) = (k, stride);
        self.codes.resize(rows * stride, 0);
        self.scales.resize(rows, 0.0);
        self.sums.resize(rows, 0);
        stride
    }

    /// Codes `[rows, stride]`, scales `[rows]` and sums `[rows]`, to be written.
    pub(crate) fn parts_mut(&mut self) -> (&mut [i8], &mut [f32], &mut [i32]) {
        (&mut self.codes, &mut self.scales, &mut self.sums)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.codes.capacity() + 4 * (self.scales.capacity() + self.sums.capacity())
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.scales.len()
    }
    /// Length of a row without padding.
    pub fn k(&self) -> usize {
        self.k
    }
    /// Length of a row with padding.
    pub fn stride(&self) -> usize {
        self.stride
    }
    /// Codes of all rows, `[rows, stride]`.
    pub fn codes(&self) -> &[i8] {
        &self.codes
    }
    /// Codes of one row, `[k]`.
    pub fn row(&self, i: usize) -> &[i8] {
        &self.codes[i * self.stride..][..self.k]
    }
    /// `127 / absmax` of every row, `[rows]`.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }
    /// Sum of the codes of every row, `[rows]`.
    pub fn sums(&self) -> &[i32] {
        &self.sums
    }
    /// Activations as floats, `code / s`, `[rows, k]`.
    pub fn dequantise(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.rows() * self.k];
        self.dequantise_into(&mut out);
        out
    }

    /// Writes the activations as floats, `[rows, k]`.
    pub(crate) fn dequantise_into(&self, out: &mut [f32]) {
        for (i, out) in out.chunks_exact_mut(self.k.max(1)).enumerate() {
            for (out, code) in out.iter_mut().zip(self.row(i)) {
                *out = f32::from(*code) / self.scales[i];
            }
        }
    }
}

super::multiversion! {
    /// Quantises one row; returns its scale and the sum of the codes.
    pub(crate) fn quantise_row(row: &[f32], out: &mut [i8]) -> (f32, i32) {
        // The reference multiplies by the reciprocal, which may differ from the quotient by one unit.
        let scale = 127.0 * (1.0 / absmax(row).max(1e-5));
        let mut sum = 0i32;
        for (v, c) in row.iter().zip(out) {
            let code = round_even(v * scale);
            *c = code as i8;
            sum += code;
        }
        (scale, sum)
    }
}

/// Largest magnitude, whatever the order.
#[inline(always)]
fn absmax(row: &[f32]) -> f32 {
    let (chunks, rest) = row.as_chunks::<16>();
    let mut lanes = [0f32; 16];
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            let a = v.abs();
            *lane = if a > *lane { a } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(0f32, |m, v| m.max(v.abs()))
}

/// Rounds half to even for magnitudes below 2^22: the addition of 1.5 * 2^23 leaves the integer in the low bits.
#[inline(always)]
fn round_even(x: f32) -> i32 {
    const MAGIC: f32 = 12_582_912.0;
    ((x + MAGIC).to_bits() as i32).wrapping_sub(MAGIC.to_bits() as i32)
}

/// Packs codes as the published code does offline: row-major codes plus one, four to a byte, first in the low bits, tail padded with zero bits.
pub fn pack_int2(codes: &[i8]) -> Vec<u8> {
    codes
        .chunks(4)
        .map(|four| {
            four.iter()
                .enumerate()
                .fold(0, |byte, (i, c)| byte | ((c + 1) as u8) << (2 * i))
        })
        .collect()
}

/// First `count` codes of [`pack_int2`].
pub fn unpack_int2(bytes: &[u8], count: usize) -> Vec<i8> {
    (0..count)
        .map(|i| ((bytes[i / 4] >> (2 * (i % 4))) & 3) as i8 - 1)
        .collect()
}

/// Packs codes as in the published BitNet weights: byte (r, c) holds rows r, r + n/4, r + n/2, r + 3n/4. `n` divides by four.
pub fn pack_hf(n: usize, k: usize, codes: &[i8]) -> Vec<u8> {
    let quarter = n / 4;
    let mut out = vec![0u8; quarter * k];
    for (i, byte) in out.iter_mut().enumerate() {
        for block in 0..4 {
            *byte |= ((codes[block * quarter * k + i] + 1) as u8) << (2 * block);
        }
    }
    out
}

/// Codes of [`pack_hf`].
pub fn unpack_hf(n: usize, k: usize, bytes: &[u8]) -> Vec<i8> {
    let quarter = n / 4 * k;
    (0..n * k)
        .map(|i| ((bytes[i % quarter] >> (2 * (i / quarter))) & 3) as i8 - 1)
        .collect()
}
