//! Linear layers over the flat parameters, forward and backward, and the activation quantiser.

use super::gemm_f32::{self, Dims, Mode};
use super::layout::LinearParams;
use super::reductions::{max_abs, round};
use bitvla_policies::multiversion;
use std::ops::Range;

impl LinearParams {
    /// Range of the weight in the flat buffer.
    pub(super) fn weight_range(&self) -> Range<usize> {
        self.weight..self.weight + self.n_in * self.n_out
    }

    /// `y (t, n_out) = x (t, n_in) Wᵀ + b`.
    pub fn forward(&self, effective_weights: &[f32], x: &[f32], y: &mut [f32]) {
        let m = x.len() / self.n_in;
        let w = &effective_weights[self.weight_range()];
        let mode = match self.bias {
            Some(b) => {
                let bias = &effective_weights[b..b + self.n_out];
                for row in y.chunks_exact_mut(self.n_out) {
                    row.copy_from_slice(bias);
                }
                Mode::Add
            }
            None => Mode::Set,
        };
        let dims = Dims {
            m,
            n: self.n_out,
            k: self.n_in,
        };
        gemm_f32::nt(dims, (x, self.n_in), (w, self.n_in), (y, self.n_out), mode);
    }

    /// Adds the gradients of weight and bias from input `x` (t, n_in) and output gradient `dy` (t, n_out).
    pub fn backward_params(&self, x: &[f32], dy: &[f32], grad: &mut [f32]) {
        let k = x.len() / self.n_in;
        let dims = Dims {
            m: self.n_out,
            n: self.n_in,
            k,
        };
        let dw = &mut grad[self.weight_range()];
        gemm_f32::tn(
            dims,
            (dy, self.n_out),
            (x, self.n_in),
            (dw, self.n_in),
            Mode::Add,
        );
        if let Some(b) = self.bias {
            add_rows(dy, &mut grad[b..b + self.n_out]);
        }
    }

    /// `dx (t, n_in) = dy (t, n_out) W`, set or added.
    pub fn backward_input(
        &self,
        effective_weights: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        mode: Mode,
    ) {
        let w = &effective_weights[self.weight_range()];
        let dims = Dims {
            m: dy.len() / self.n_out,
            n: self.n_in,
            k: self.n_out,
        };
        gemm_f32::nn(
            dims,
            (dy, self.n_out),
            (w, self.n_in),
            (dx, self.n_in),
            mode,
        );
    }

    /// Backward pass from input `x` (t, n_in) and output gradient `dy` (t, n_out): adds the gradients of weight and bias and
    /// overwrites `dx` (t, n_in).
    pub fn backward(
        &self,
        effective_weights: &[f32],
        (x, dy): (&[f32], &[f32]),
        dx: &mut [f32],
        grad: &mut [f32],
    ) {
        self.backward_params(x, dy, grad);
        self.backward_input(effective_weights, dy, dx, Mode::Set);
    }
}

multiversion! {
    /// Adds the rows of a matrix (t, n) to a vector (n).
    pub fn add_rows(rows: &[f32], sum: &mut [f32]) {
        for row in rows.chunks_exact(sum.len()) {
            for (s, x) in sum.iter_mut().zip(row) {
                *s += x;
            }
        }
    }
}

multiversion! {
    /// Adds a vector (n) to every row of a matrix (t, n).
    pub fn add_to_rows(x: &[f32], rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(x.len()) {
            for (y, x) in row.iter_mut().zip(x) {
                *y += x;
            }
        }
    }
}

multiversion! {
    /// `y += x`, element by element.
    pub fn add(x: &[f32], y: &mut [f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y += x;
        }
    }
}

multiversion! {
    /// Fake-quantises rows (t, width) to int8 (docs/reference/bitvla.md, section 5): `s = 127 / max(max|x|, 1e-5)` per row,
    /// `y = round(x s) / s`.
    pub fn quantise_rows(x: &[f32], width: usize, y: &mut [f32]) {
        for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
            let s = 127.0 / max_abs(x).max(1e-5);
            for (y, x) in y.iter_mut().zip(x) {
                *y = round(x * s) / s;
            }
        }
    }
}

/// Returns the first `n` elements of a buffer, grown where it is shorter; old values stay.
pub fn sized(buffer: &mut Vec<f32>, n: usize) -> &mut [f32] {
    if buffer.len() < n {
        buffer.resize(n, 0.0);
    }
    &mut buffer[..n]
}
