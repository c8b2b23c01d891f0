//! Layer norm and root-mean-square norm, forward and backward.

use super::layout::{LayerNormParams, RmsNormParams};
use super::reductions::{sum2, sum3};
use bitvla_policies::multiversion;

multiversion! {
    /// Root-mean-square norm of `x` (rows, width); `inv` (rows) keeps the reciprocal root.
    pub fn rms_forward(x: &[f32], w: &[f32], eps: f32, y: &mut [f32], inv: &mut [f32]) {
        let n = w.len();
        for ((x, y), inv) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)).zip(inv) {
            let r = 1.0 / (sum2(x, x, |a, b| a * b) / n as f32 + eps).sqrt();
            *inv = r;
            for i in 0..n {
                y[i] = w[i] * (x[i] * r);
            }
        }
    }
}

multiversion! {
    /// Gradient of [`rms_forward`]; adds to `dx` (rows, width) and `dw` (width).
    pub fn rms_backward(x: &[f32], w: &[f32], inv: &[f32], dy: &[f32], dx: &mut [f32], dw: &mut [f32]) {
        let n = w.len();
        let rows = x.chunks_exact(n).zip(dy.chunks_exact(n)).zip(dx.chunks_exact_mut(n)).zip(inv);
        for (((x, dy), dx), r) in rows {
            let c = sum3(x, w, dy, |x, w, d| x * w * d) * r * r / n as f32;
            let (x, dy, dx, dw) = (&x[..n], &dy[..n], &mut dx[..n], &mut dw[..n]);
            for i in 0..n {
                dw[i] += dy[i] * (x[i] * r);
                dx[i] += r * (w[i] * dy[i] - x[i] * c);
            }
        }
    }
}

multiversion! {
    /// Layer norm of `x` (rows, width); `stats` (rows, 2) keeps mean and reciprocal deviation.
    pub fn layer_forward(x: &[f32], w: &[f32], b: &[f32], eps: f32, y: &mut [f32], stats: &mut [f32]) {
        let n = w.len();
        for ((x, y), st) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)).zip(stats.chunks_exact_mut(2)) {
            let mean = sum2(x, x, |a, _| a) / n as f32;
            let r = 1.0 / (sum2(x, x, |a, _| (a - mean) * (a - mean)) / n as f32 + eps).sqrt();
            st[0] = mean;
            st[1] = r;
            for i in 0..n {
                y[i] = (x[i] - mean) * r * w[i] + b[i];
            }
        }
    }
}

multiversion! {
    /// Gradient of [`layer_forward`]; adds to `dx` (rows, width), `dw` and `db` (width).
    pub fn layer_backward(x: &[f32], w: &[f32], stats: &[f32], dy: &[f32], dx: &mut [f32], dw: &mut [f32], db: &mut [f32]) {
        let n = w.len();
        let rows = x.chunks_exact(n).zip(dy.chunks_exact(n)).zip(dx.chunks_exact_mut(n)).zip(stats.chunks_exact(2));
        for (((x, dy), dx), st) in rows {
            let (mean, r) = (st[0], st[1]);
            let c = sum3(x, w, dy, |x, w, d| (x - mean) * w * d) * r * r / n as f32;
            let m = sum2(w, dy, |a, b| a * b) / n as f32;
            let (x, dy, dx) = (&x[..n], &dy[..n], &mut dx[..n]);
            let (dw, db) = (&mut dw[..n], &mut db[..n]);
            for i in 0..n {
                dw[i] += dy[i] * ((x[i] - mean) * r);
                db[i] += dy[i];
                dx[i] += r * (w[i] * dy[i] - m - (x[i] - mean) * c);
            }
        }
    }
}

impl LayerNormParams {
    /// Layer norm of `x` (rows, width); `stats` (rows, 2) keeps mean and reciprocal deviation.
    pub fn forward(
        &self,
        effective_weights: &[f32],
        eps: f32,
        x: &[f32],
        y: &mut [f32],
        stats: &mut [f32],
    ) {
        let both = &effective_weights[self.weight..self.weight + 2 * self.width];
        let (w, b) = both.split_at(self.width);
        layer_forward(x, w, b, eps, y, stats);
    }

    /// Backward pass; adds to `dx` (rows, width) and to the gradients of weight and bias.
    pub fn backward(
        &self,
        effective_weights: &[f32],
        (x, stats): (&[f32], &[f32]),
        dy: &[f32],
        dx: &mut [f32],
        grad: &mut [f32],
    ) {
        let w = &effective_weights[self.weight..self.weight + self.width];
        let both = &mut grad[self.weight..self.weight + 2 * self.width];
        let (dw, db) = both.split_at_mut(self.width);
        layer_backward(x, w, stats, dy, dx, dw, db);
    }
}

impl RmsNormParams {
    /// Root-mean-square norm of `x` (rows, width); `inv` (rows) keeps the reciprocal root.
    pub fn forward(
        &self,
        effective_weights: &[f32],
        eps: f32,
        x: &[f32],
        y: &mut [f32],
        inv: &mut [f32],
    ) {
        let w = &effective_weights[self.weight..self.weight + self.width];
        rms_forward(x, w, eps, y, inv);
    }

    /// Backward pass; adds to `dx` (rows, width) and to the gradient of the weight.
    pub fn backward(
        &self,
        effective_weights: &[f32],
        (x, inv): (&[f32], &[f32]),
        dy: &[f32],
        dx: &mut [f32],
        grad: &mut [f32],
    ) {
        let range = self.weight..self.weight + self.width;
        rms_backward(
            x,
            &effective_weights[range.clone()],
            inv,
            dy,
            dx,
            &mut grad[range],
        );
    }
}
