//! Operations between the linear layers: norms, activation functions, softmax, rotary embedding
//! (`docs/reference/bitvla.md`, sections 1.1 to 1.5). Sums run over 16 lanes in a fixed order, exp is our own polynomial:
//! the same bits on every processor.

use crate::kernels::multiversion;

const LANES: usize = 16;

#[inline(always)]
fn sum_over_lanes(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0f32; LANES];
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane += f(*v);
        }
    }
    for (lane, v) in lanes.iter_mut().zip(rest) {
        *lane += f(*v);
    }
    sum_lanes(lanes)
}

/// Sum of the lanes, by halving.
#[inline(always)]
fn sum_lanes(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

multiversion! {
    /// Layer norm of one row `[hidden]`, biased variance.
    pub fn layer_norm(row: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
        let width = weight.len() as f32;
        let mean = sum_over_lanes(row, |v| v) / width;
        let variance = sum_over_lanes(row, |v| (v - mean) * (v - mean)) / width;
        let scale = 1.0 / (variance + eps).sqrt();
        for (((out, v), w), b) in out.iter_mut().zip(row).zip(weight).zip(bias) {
            *out = (v - mean) * scale * w + b;
        }
    }
}

multiversion! {
    /// RMS norm of one row `[hidden]`.
    pub fn rms_norm(row: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
        let scale = 1.0 / (sum_over_lanes(row, |v| v * v) / weight.len() as f32 + eps).sqrt();
        for ((out, v), w) in out.iter_mut().zip(row).zip(weight) {
            *out = w * (v * scale);
        }
    }
}

/// `e^x` by range reduction and a polynomial of degree 6 (relative error below 4e-7), branch-free.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, MAGIC);
    let n = shifted - MAGIC;
    let r = n.mul_add(2.121_944_4e-4, n.mul_add(-0.693_359_4, x));
    let mut p = 1.0 / 720.0;
    for c in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = r.mul_add(p, c);
    }
    // The integer n is in the low bits of `shifted`.
    p * f32::from_bits(
        shifted
            .to_bits()
            .wrapping_sub(MAGIC.to_bits())
            .wrapping_add(127)
            << 23,
    )
}

/// `tanh` through [`exp`].
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (exp(2.0 * x) + 1.0)
}

/// GELU, tanh approximation (vision tower).
#[inline(always)]
pub fn gelu_tanh(x: f32) -> f32 {
    0.5 * x * (1.0 + tanh(0.797_884_6 * (x + 0.044_715 * x * x * x)))
}

/// GELU with the error function (connector, proprioception projector).
pub fn gelu_erf(x: f32) -> f32 {
    0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// `x` times its logistic (Llama).
#[inline(always)]
pub fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

multiversion! {
    /// Replaces a row by `exp(x - max)`; returns the inverse of their sum.
    pub fn softmax_numerators(row: &mut [f32]) -> f32 {
        let mut lanes = [f32::NEG_INFINITY; LANES];
        let (chunks, rest) = row.as_chunks_mut::<LANES>();
        for chunk in chunks.iter() {
            for (lane, v) in lanes.iter_mut().zip(chunk) {
                *lane = if *v > *lane { *v } else { *lane };
            }
        }
        for (lane, v) in lanes.iter_mut().zip(rest.iter()) {
            *lane = if *v > *lane { *v } else { *lane };
        }
        let max = lanes.iter().fold(f32::NEG_INFINITY, |m, &v| if v > m { v } else { m });
        let mut sums = [0f32; LANES];
        for chunk in chunks {
            for (sum, v) in sums.iter_mut().zip(chunk) {
                *v = exp(*v - max);
                *sum += *v;
            }
        }
        for (sum, v) in sums.iter_mut().zip(rest) {
            *v = exp(*v - max);
            *sum += *v;
        }
        1.0 / sum_lanes(sums)
    }
}

multiversion! {
    /// Writes `to = factor * from`.
    pub fn scale_into(from: &[f32], factor: f32, to: &mut [f32]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = factor * from;
        }
    }
}

/// Rotary embedding of the pairs `(i, i + half)`: cosines and sines `[positions, half]`.
#[derive(Debug, Clone)]
pub struct RotaryEmbedding {
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl RotaryEmbedding {
    /// Computes the tables for a number of positions.
    pub fn new(head_dim: usize, theta: f32, positions: usize) -> RotaryEmbedding {
        let half = head_dim / 2;
        let angle = |position: usize, i: usize| {
            let frequency = 1.0 / libm::powf(theta, (2 * i) as f32 / head_dim as f32);
            position as f32 * frequency
        };
        let table = |f: fn(f32) -> f32| {
            (0..positions * half)
                .map(|i| f(angle(i / half, i % half)))
                .collect()
        };
        RotaryEmbedding {
            half,
            cos: table(libm::cosf),
            sin: table(libm::sinf),
        }
    }

    /// Rotates one head `[head_dim]` at a position, in place.
    pub fn rotate(&self, head: &mut [f32], position: usize) {
        let half = self.half;
        let cos = &self.cos[position * half..][..half];
        let sin = &self.sin[position * half..][..half];
        rotate(head, cos, sin);
    }

    /// Bytes of the tables.
    pub fn bytes(&self) -> usize {
        4 * (self.cos.len() + self.sin.len())
    }
}

multiversion! {
    fn rotate(head: &mut [f32], cos: &[f32], sin: &[f32]) {
        let (low, high) = head.split_at_mut(cos.len());
        for (((a, b), c), s) in low.iter_mut().zip(high).zip(cos).zip(sin) {
            (*a, *b) = (*a * c - *b * s, *b * c + *a * s);
        }
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: our exp and tanh are as good as the library's to a few units in the last place.
    use super::*;

    #[test]
    fn exp_and_tanh_are_accurate() {
        for i in -8700..8800 {
            let x = i as f32 / 100.0 + 0.003;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 4e-7, "exp({x})");
            let exact = f64::from(x).tanh();
            assert!((f64::from(tanh(x)) - exact).abs() < 3e-7, "tanh({x})");
        }
    }
}
