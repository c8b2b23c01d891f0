//! Everything between the linear layers: norms, activations, softmax, rotary embedding, attention
//! (fact sheet of BitVLA, sections 1.1 to 1.5). Sums run over 16 lanes in a fixed order, exp is our own polynomial:
//! the same bits on every processor.

use crate::kernels::Isa;
use crate::kernels::dense_f32::{Panels, gemm};
use crate::kernels::multiversion;

const LANES: usize = 16;

#[inline(always)]
fn lane_sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
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
    /// Layer norm of every row, biased variance.
    pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32) -> Vec<f32> {
        let width = weight.len();
        let mut out = vec![0f32; x.len()];
        for (row, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            let mean = lane_sum(row, |v| v) / width as f32;
            let variance = lane_sum(row, |v| (v - mean) * (v - mean)) / width as f32;
            let scale = 1.0 / (variance + eps).sqrt();
            for (((out, v), w), b) in out.iter_mut().zip(row).zip(weight).zip(bias) {
                *out = (v - mean) * scale * w + b;
            }
        }
        out
    }
}

multiversion! {
    /// RMS norm of every row.
    pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32) -> Vec<f32> {
        let width = weight.len();
        let mut out = vec![0f32; x.len()];
        for (row, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            let scale = 1.0 / (lane_sum(row, |v| v * v) / width as f32 + eps).sqrt();
            for ((out, v), w) in out.iter_mut().zip(row).zip(weight) {
                *out = w * (v * scale);
            }
        }
        out
    }
}

/// `e^x` by range reduction and a polynomial of degree 6 (relative error below 4e-7), branch-free.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let mut p = 1.0 / 720.0;
    for c in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p * r + c;
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

multiversion! {
    /// GELU, tanh approximation (vision tower).
    pub fn gelu_tanh(x: &mut [f32]) {
        for v in x {
            let inner = 0.797_884_6 * (*v + 0.044_715 * *v * *v * *v);
            *v = 0.5 * *v * (1.0 + tanh(inner));
        }
    }
}

/// GELU with the error function (connector, proprioception projector).
pub fn gelu_erf(x: &mut [f32]) {
    for v in x {
        *v = 0.5 * *v * (1.0 + libm::erff(*v * std::f32::consts::FRAC_1_SQRT_2));
    }
}

multiversion! {
    /// `relu(gate)^2 * up`, into `gate`.
    pub fn relu2_gate(gate: &mut [f32], up: &[f32]) {
        for (g, u) in gate.iter_mut().zip(up) {
            let r = if *g > 0.0 { *g } else { 0.0 };
            *g = r * r * u;
        }
    }
}

multiversion! {
    /// Scales one row and takes its softmax, in place.
    pub fn softmax(row: &mut [f32], scale: f32) {
        let mut lanes = [f32::NEG_INFINITY; LANES];
        let (chunks, rest) = row.as_chunks_mut::<LANES>();
        for chunk in chunks.iter_mut() {
            for (lane, v) in lanes.iter_mut().zip(chunk) {
                *v *= scale;
                *lane = if *v > *lane { *v } else { *lane };
            }
        }
        for (lane, v) in lanes.iter_mut().zip(rest) {
            *v *= scale;
            *lane = if *v > *lane { *v } else { *lane };
        }
        let max = lanes.iter().fold(f32::NEG_INFINITY, |m, &v| if v > m { v } else { m });
        for v in row.iter_mut() {
            *v = exp(*v - max);
        }
        let sum = lane_sum(row, |v| v);
        for v in row {
            *v /= sum;
        }
    }
}

multiversion! {
    /// Adds in place.
    pub fn add(x: &mut [f32], y: &[f32]) {
        for (x, y) in x.iter_mut().zip(y) {
            *x += y;
        }
    }
}

/// Rotary embedding, pairs (i, i + half): cosines and sines of positions 0.. .
#[derive(Debug, Clone)]
pub struct Rope {
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rope {
    /// Tables for a number of positions.
    pub fn new(head_dim: usize, theta: f32, positions: usize) -> Rope {
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
        Rope {
            half,
            cos: table(libm::cosf),
            sin: table(libm::sinf),
        }
    }

    /// Rotates rows of heads in place; row r is position `first + r`.
    pub fn apply(&self, x: &mut [f32], first: usize, heads: usize) {
        let half = self.half;
        for (row, position) in x.chunks_exact_mut(heads * 2 * half).zip(first..) {
            let cos = &self.cos[position * half..][..half];
            let sin = &self.sin[position * half..][..half];
            for head in row.chunks_exact_mut(2 * half) {
                let (low, high) = head.split_at_mut(half);
                for (((a, b), c), s) in low.iter_mut().zip(high).zip(cos).zip(sin) {
                    (*a, *b) = (*a * c - *b * s, *b * c + *a * s);
                }
            }
        }
    }
}

/// Shape of an attention.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    /// Query heads.
    pub query: usize,
    /// Key and value heads; query head h uses `h / (query / key_value)`.
    pub key_value: usize,
    /// Width of a head.
    pub width: usize,
    /// Whether a row only sees itself and what is before it.
    pub causal: bool,
}

/// `softmax(q k^T / sqrt(width)) v` over one sequence; rows are concatenated heads. The queries may be some
/// consecutive rows only, the first of which is `first`.
pub fn attention(q: &[f32], k: &[f32], v: &[f32], first: usize, heads: Heads) -> Vec<f32> {
    let Heads {
        query,
        key_value,
        width,
        causal,
    } = heads;
    let isa = Isa::active();
    let (qw, kw) = (query * width, key_value * width);
    let (rows, seen) = (q.len() / qw, k.len() / kw);
    let scale = 1.0 / (width as f32).sqrt();
    let mut out = vec![0f32; q.len()];
    let mut q_head = vec![0f32; rows * width];
    let mut scores = vec![0f32; rows * seen];
    let mut mixed = vec![0f32; rows * width];
    let group = query / key_value;
    for kv in 0..key_value {
        let keys = Panels::pack_strided(seen, width, &k[kv * width..], kw, 1);
        let values = Panels::pack_strided(width, seen, &v[kv * width..], 1, kw);
        for head in kv * group..(kv + 1) * group {
            for (from, to) in q.chunks_exact(qw).zip(q_head.chunks_exact_mut(width)) {
                to.copy_from_slice(&from[head * width..][..width]);
            }
            gemm(isa, rows, &q_head, &keys, &mut scores);
            for (i, row) in scores.chunks_exact_mut(seen).enumerate() {
                let visible = if causal { first + i + 1 } else { seen };
                let (visible, hidden) = row.split_at_mut(visible);
                softmax(visible, scale);
                hidden.fill(0.0);
            }
            gemm(isa, rows, &scores, &values, &mut mixed);
            for (from, to) in mixed.chunks_exact(width).zip(out.chunks_exact_mut(qw)) {
                to[head * width..][..width].copy_from_slice(from);
            }
        }
    }
    out
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
