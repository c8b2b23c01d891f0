//! Softmax attention over ragged sequences, forward and backward, with grouped queries and an optional causal mask.

use super::gemm_f32::{self, Dims, Mode};
use super::linear::sized;
use super::reductions::{SUM_LANES, exp, map, sum2};
use bitvla_policies::multiversion;

/// Shape of an attention; a row of `qkv` (tokens, row) holds all query heads, then key heads, then value heads.
#[derive(Debug, Clone, Copy)]
pub struct AttentionShape {
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub dim: usize,
    /// True if a token attends to itself and earlier ones only.
    pub causal: bool,
}

/// Probability below which one is zero: it adds nothing to a sum in f32, and its products with gradients would be subnormal numbers, each of
/// which costs a processor a hundred cycles.
const SMALLEST_PROBABILITY: f32 = 1e-12;

multiversion! {
    /// Row-wise softmax of `scale * s` (n, n), over the first `row + 1` entries where causal.
    pub fn softmax(s: &mut [f32], n: usize, scale: f32, causal: bool) {
        for (i, row) in s.chunks_exact_mut(n).enumerate() {
            let seen = if causal { i + 1 } else { n };
            let (row, hidden) = row.split_at_mut(seen);
            hidden.fill(0.0);
            let mut top = [f32::MIN; SUM_LANES];
            let (chunks, rest) = row.as_chunks::<SUM_LANES>();
            for x in chunks {
                for l in 0..SUM_LANES {
                    top[l] = if x[l] > top[l] { x[l] } else { top[l] };
                }
            }
            let max = rest.iter().chain(&top).fold(f32::MIN, |m, x| m.max(*x));
            map(row, |x| exp((x - max) * scale));
            let r = 1.0 / sum2(row, row, |a, _| a);
            map(row, |x| {
                let p = x * r;
                if p < SMALLEST_PROBABILITY { 0.0 } else { p }
            });
        }
    }
}

multiversion! {
    /// Gradient of [`softmax`]: `ds = p * (dp - sum(dp * p)) * scale` (n, n), in place of `dp`.
    pub fn softmax_back(p: &[f32], dp: &mut [f32], n: usize, scale: f32) {
        for (p, dp) in p.chunks_exact(n).zip(dp.chunks_exact_mut(n)) {
            let c = sum2(p, dp, |a, b| a * b);
            for (dp, p) in dp.iter_mut().zip(p) {
                *dp = p * (*dp - c) * scale;
            }
        }
    }
}

impl AttentionShape {
    /// Width of a row of `qkv`: (heads + 2 kv_heads) * dim.
    pub fn row(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.dim
    }

    fn scale(&self) -> f32 {
        1.0 / (self.dim as f32).sqrt()
    }

    /// Returns the first columns of query head `h`, its key head and its value head.
    fn columns(&self, h: usize) -> [usize; 3] {
        let kv = h / (self.heads / self.kv_heads);
        [h, self.heads + kv, self.heads + self.kv_heads + kv].map(|head| head * self.dim)
    }

    /// Computes `out` (t, heads * dim) of `qkv` (t, row), sequences of lengths `lens` one behind the other; keeps the
    /// probabilities, (n, n) per sequence and head, for the backward pass.
    pub fn forward(&self, lens: &[usize], qkv: &[f32], probs: &mut Vec<f32>, out: &mut [f32]) {
        let (ld, lo) = (self.row(), self.heads * self.dim);
        let need: usize = lens.iter().map(|n| n * n * self.heads).sum();
        let mut probs = sized(probs, need);
        let (mut t, dim) = (0, self.dim);
        for &n in lens {
            for h in 0..self.heads {
                let (p, rest) = probs.split_at_mut(n * n);
                probs = rest;
                let [q, k, v] = self.columns(h).map(|c| &qkv[t * ld + c..]);
                gemm_f32::nt(
                    Dims { m: n, n, k: dim },
                    (q, ld),
                    (k, ld),
                    (p, n),
                    Mode::Set,
                );
                softmax(p, n, self.scale(), self.causal);
                let o = &mut out[t * lo + h * dim..];
                gemm_f32::nn(
                    Dims { m: n, n: dim, k: n },
                    (p, n),
                    (v, ld),
                    (o, lo),
                    Mode::Set,
                );
            }
            t += n;
        }
    }

    /// Backward pass from `dout` (t, heads * dim) with `qkv` and probabilities of the forward pass; overwrites `dqkv`
    /// (t, row).
    pub fn backward(
        &self,
        lens: &[usize],
        (qkv, probs): (&[f32], &[f32]),
        dout: &[f32],
        dqkv: &mut [f32],
        scratch: &mut Vec<f32>,
    ) {
        let (ld, lo, dim) = (self.row(), self.heads * self.dim, self.dim);
        let group = self.heads / self.kv_heads;
        let (mut t, mut at) = (0, 0);
        for &n in lens {
            for h in 0..self.heads {
                let p = &probs[at..at + n * n];
                at += n * n;
                let [cq, ck, cv] = self.columns(h);
                let mode = if h % group == 0 { Mode::Set } else { Mode::Add };
                let dout = &dout[t * lo + h * dim..];
                let base = t * ld;
                let dp = sized(scratch, n * n);
                gemm_f32::nt(
                    Dims { m: n, n, k: dim },
                    (dout, lo),
                    (&qkv[base + cv..], ld),
                    (dp, n),
                    Mode::Set,
                );
                let deep = Dims { m: n, n: dim, k: n };
                gemm_f32::tn(deep, (p, n), (dout, lo), (&mut dqkv[base + cv..], ld), mode);
                softmax_back(p, dp, n, self.scale());
                gemm_f32::nn(
                    deep,
                    (dp, n),
                    (&qkv[base + ck..], ld),
                    (&mut dqkv[base + cq..], ld),
                    Mode::Set,
                );
                gemm_f32::tn(
                    deep,
                    (dp, n),
                    (&qkv[base + cq..], ld),
                    (&mut dqkv[base + ck..], ld),
                    mode,
                );
            }
            t += n;
        }
    }
}

/// Cosines and sines of the rotary position embedding, (positions, dim / 2).
#[derive(Debug, Clone, Default)]
pub struct Rope {
    half: usize,
    table: Vec<(f32, f32)>,
}

impl Rope {
    /// Builds the table for positions `0..len` and heads of width `dim`.
    pub fn new(len: usize, dim: usize, theta: f32) -> Rope {
        let half = dim / 2;
        let mut table = Vec::with_capacity(len * half);
        for pos in 0..len {
            for i in 0..half {
                let inv = 1.0 / libm::powf(theta, (2 * i) as f32 / dim as f32);
                let angle = pos as f32 * inv;
                table.push((libm::cosf(angle), libm::sinf(angle)));
            }
        }
        Rope { half, table }
    }

    /// Number of positions.
    pub fn len(&self) -> usize {
        // An empty table has width 0.
        self.table.len().checked_div(self.half).unwrap_or(0)
    }

    /// Returns true if it has no position.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Rotates query and key heads of `qkv` (t, row) in place; `back` rotates the other way, which is the gradient.
    pub fn apply(&self, a: &AttentionShape, lens: &[usize], qkv: &mut [f32], back: bool) {
        let mut rows = qkv.chunks_exact_mut(a.row());
        for &n in lens {
            for (pos, row) in rows.by_ref().take(n).enumerate() {
                let turn = &self.table[pos * self.half..(pos + 1) * self.half];
                for head in row[..(a.heads + a.kv_heads) * a.dim].chunks_exact_mut(a.dim) {
                    let (lo, hi) = head.split_at_mut(self.half);
                    for ((x, y), &(c, s)) in lo.iter_mut().zip(hi).zip(turn) {
                        let s = if back { -s } else { s };
                        (*x, *y) = (*x * c - *y * s, *y * c + *x * s);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: probabilities of a softmax sum to one, and none is a subnormal number.
    use super::softmax;

    #[test]
    fn no_probability_is_subnormal() {
        let n = 120;
        let mut rows: Vec<f32> = (0..n * n).map(|i| -((i % n) as f32)).collect();
        softmax(&mut rows, n, 1.0, false);
        for row in rows.chunks_exact(n) {
            let sum: f32 = row.iter().sum();
            assert!((sum - 1.0).abs() < 1e-6, "{sum}");
            assert!(row.iter().all(|p| !p.is_subnormal()));
            assert!(row[..20].iter().all(|p| *p > 0.0));
        }
    }
}
