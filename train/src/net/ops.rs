//! Layers without structure, forward and backward: linear, norms, activations, the activation quantiser.
//!
//! Loops are plain and vectorised by the compiler, once per instruction set (`multiversion!`); they contain no fused
//! operations and sum in sixteen fixed lanes, so every instruction set gives the same bits.

use super::gemm_f32::{self, Dims, Mode};
use super::layout::{Lin, Norm};
use bitvla_policies::multiversion;

/// Lanes of a sum.
pub(crate) const LANES: usize = 16;

#[inline(always)]
pub(crate) fn fold(mut s: [f32; LANES]) -> f32 {
    let mut n = LANES / 2;
    while n > 0 {
        for i in 0..n {
            s[i] += s[i + n];
        }
        n /= 2;
    }
    s[0]
}

/// Sum of `f(a, b)` over two equally long slices, in sixteen lanes.
#[inline(always)]
pub(crate) fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut s = [0.0; LANES];
    let (ca, ra) = a.as_chunks::<LANES>();
    let (cb, rb) = b.as_chunks::<LANES>();
    for (x, y) in ca.iter().zip(cb) {
        for i in 0..LANES {
            s[i] += f(x[i], y[i]);
        }
    }
    for (i, (x, y)) in ra.iter().zip(rb).enumerate() {
        s[i] += f(*x, *y);
    }
    fold(s)
}

#[inline(always)]
fn max_abs(a: &[f32]) -> f32 {
    let mut s = [0.0f32; LANES];
    let (chunks, rest) = a.as_chunks::<LANES>();
    for x in chunks {
        for i in 0..LANES {
            s[i] = if x[i].abs() > s[i] { x[i].abs() } else { s[i] };
        }
    }
    for (i, x) in rest.iter().enumerate() {
        s[i] = s[i].max(x.abs());
    }
    s.iter().fold(0.0, |m, x| m.max(*x))
}

/// `exp(x)` to 2 units in the last place, by arithmetic only: the same on every machine.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 5e-1;
    let y = p * (r * r) + r + 1.0;
    // The low bits of `shifted` are n.
    f32::from_bits(
        shifted
            .to_bits()
            .wrapping_sub(MAGIC.to_bits())
            .wrapping_add(127)
            << 23,
    ) * y
}

/// 1.5 * 2^23: adding it leaves the nearest integer in the low bits.
const MAGIC: f32 = 12_582_912.0;

/// Replaces every entry by `f`, sixteen at a time; the tail goes through a full register as well.
#[inline(always)]
pub(crate) fn map(row: &mut [f32], f: impl Fn(f32) -> f32) {
    let (chunks, rest) = row.as_chunks_mut::<LANES>();
    for x in chunks {
        for x in x {
            *x = f(*x);
        }
    }
    if !rest.is_empty() {
        let mut tail = [0.0; LANES];
        tail[..rest.len()].copy_from_slice(rest);
        for x in &mut tail {
            *x = f(*x);
        }
        rest.copy_from_slice(&tail[..rest.len()]);
    }
}

/// Sum of `f(a, b, c)` in sixteen lanes.
#[inline(always)]
fn sum3(a: &[f32], b: &[f32], c: &[f32], f: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut s = [0.0; LANES];
    let (ca, ra) = a.as_chunks::<LANES>();
    let (cb, rb) = b.as_chunks::<LANES>();
    let (cc, rc) = c.as_chunks::<LANES>();
    for ((x, y), z) in ca.iter().zip(cb).zip(cc) {
        for i in 0..LANES {
            s[i] += f(x[i], y[i], z[i]);
        }
    }
    for (i, ((x, y), z)) in ra.iter().zip(rb).zip(rc).enumerate() {
        s[i] += f(*x, *y, *z);
    }
    fold(s)
}

/// Rounds half to even for magnitudes below 2^22.
#[inline(always)]
fn round(x: f32) -> f32 {
    (x + MAGIC) - MAGIC
}

/// Gives a buffer a length without clearing what is there.
pub fn sized(buffer: &mut Vec<f32>, n: usize) -> &mut [f32] {
    if buffer.len() < n {
        buffer.resize(n, 0.0);
    }
    &mut buffer[..n]
}

impl Lin {
    /// `y (t, out) = x (t, in) Wᵀ + b`.
    pub fn forward(&self, eff: &[f32], x: &[f32], y: &mut [f32]) {
        let m = x.len() / self.n_in;
        let w = &eff[self.w..self.w + self.n_in * self.n_out];
        let mode = match self.b {
            Some(b) => {
                let bias = &eff[b..b + self.n_out];
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

    /// Adds the gradients of weight and bias.
    pub fn backward_params(&self, x: &[f32], dy: &[f32], grad: &mut [f32]) {
        let k = x.len() / self.n_in;
        let dims = Dims {
            m: self.n_out,
            n: self.n_in,
            k,
        };
        let dw = &mut grad[self.w..self.w + self.n_in * self.n_out];
        gemm_f32::tn(
            dims,
            (dy, self.n_out),
            (x, self.n_in),
            (dw, self.n_in),
            Mode::Add,
        );
        if let Some(b) = self.b {
            add_rows(dy, &mut grad[b..b + self.n_out]);
        }
    }

    /// `dx (t, in) = dy (t, out) W`.
    pub fn backward_input(&self, eff: &[f32], dy: &[f32], dx: &mut [f32], mode: Mode) {
        let w = &eff[self.w..self.w + self.n_in * self.n_out];
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
}

multiversion! {
    /// Adds the rows of a matrix to a vector.
    pub fn add_rows(rows: &[f32], sum: &mut [f32]) {
        for row in rows.chunks_exact(sum.len()) {
            for (s, x) in sum.iter_mut().zip(row) {
                *s += x;
            }
        }
    }
}

multiversion! {
    /// Adds a vector to every row of a matrix.
    pub fn add_to_rows(x: &[f32], rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(x.len()) {
            for (y, x) in row.iter_mut().zip(x) {
                *y += x;
            }
        }
    }
}

multiversion! {
    /// `y += x`.
    pub fn add(x: &[f32], y: &mut [f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y += x;
        }
    }
}

multiversion! {
    /// Per row: `s = 127 / max(|x|, 1e-5)`, `y = round(x s) / s`.
    pub fn quantise(x: &[f32], width: usize, y: &mut [f32]) {
        for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
            let s = 127.0 / max_abs(x).max(1e-5);
            for (y, x) in y.iter_mut().zip(x) {
                *y = round(x * s) / s;
            }
        }
    }
}

multiversion! {
    /// Root-mean-square norm; keeps the reciprocal root per row.
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
    /// Adds to `dx` and `dw`.
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
    /// Layer norm; keeps mean and reciprocal deviation per row.
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
    /// Adds to `dx`, `dw` and `db`.
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

impl Norm {
    /// Layer norm.
    pub fn layer(&self, eff: &[f32], eps: f32, x: &[f32], y: &mut [f32], stats: &mut [f32]) {
        let b = self.b.unwrap_or(self.w);
        layer_forward(
            x,
            &eff[self.w..self.w + self.n],
            &eff[b..b + self.n],
            eps,
            y,
            stats,
        );
    }

    /// Layer norm, backward; adds to `dx`.
    pub fn layer_back(
        &self,
        eff: &[f32],
        x: &[f32],
        stats: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        grad: &mut [f32],
    ) {
        // The bias of a norm lies right behind its weight.
        let (dw, db) = grad[self.w..self.w + 2 * self.n].split_at_mut(self.n);
        layer_backward(x, &eff[self.w..self.w + self.n], stats, dy, dx, dw, db);
    }

    /// RMS norm.
    pub fn rms(&self, eff: &[f32], eps: f32, x: &[f32], y: &mut [f32], inv: &mut [f32]) {
        rms_forward(x, &eff[self.w..self.w + self.n], eps, y, inv);
    }

    /// RMS norm, backward; adds to `dx`.
    pub fn rms_back(
        &self,
        eff: &[f32],
        x: &[f32],
        inv: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        grad: &mut [f32],
    ) {
        rms_backward(
            x,
            &eff[self.w..self.w + self.n],
            inv,
            dy,
            dx,
            &mut grad[self.w..self.w + self.n],
        );
    }
}

const GELU_A: f32 = 0.797_884_6;
const GELU_B: f32 = 0.044_715;

#[inline(always)]
fn tanh(x: f32) -> f32 {
    let e = exp(2.0 * x);
    1.0 - 2.0 / (e + 1.0)
}

multiversion! {
    /// GELU, tanh form.
    pub fn gelu_tanh(x: &[f32], y: &mut [f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = 0.5 * x * (1.0 + tanh(GELU_A * (x + GELU_B * x * x * x)));
        }
    }
}

multiversion! {
    /// Multiplies `d` by the derivative of the tanh form at `x`.
    pub fn gelu_tanh_back(x: &[f32], d: &mut [f32]) {
        for (d, x) in d.iter_mut().zip(x) {
            let t = tanh(GELU_A * (x + GELU_B * x * x * x));
            let inner = GELU_A * (1.0 + 3.0 * GELU_B * x * x);
            *d *= 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner;
        }
    }
}

/// GELU, exact form.
pub fn gelu_erf(x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = 0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2));
    }
}

/// Multiplies `d` by the derivative of the exact form at `x`.
pub fn gelu_erf_back(x: &[f32], d: &mut [f32]) {
    for (d, x) in d.iter_mut().zip(x) {
        let cdf = 0.5 * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2));
        *d *= cdf + x * 0.398_942_3 * exp(-0.5 * x * x);
    }
}

multiversion! {
    /// `y = relu(gate)^2 * up`, where a row of `x` is gate then up.
    pub fn relu2_glu(x: &[f32], n: usize, y: &mut [f32]) {
        for (x, y) in x.chunks_exact(2 * n).zip(y.chunks_exact_mut(n)) {
            let (gate, up) = x.split_at(n);
            for i in 0..n {
                let g = if gate[i] > 0.0 { gate[i] } else { 0.0 };
                y[i] = g * g * up[i];
            }
        }
    }
}

multiversion! {
    /// Gradient of [`relu2_glu`].
    pub fn relu2_glu_back(x: &[f32], n: usize, dy: &[f32], dx: &mut [f32]) {
        for ((x, dy), dx) in x.chunks_exact(2 * n).zip(dy.chunks_exact(n)).zip(dx.chunks_exact_mut(2 * n)) {
            let (gate, up) = x.split_at(n);
            let (dgate, dup) = dx.split_at_mut(n);
            for i in 0..n {
                let g = if gate[i] > 0.0 { gate[i] } else { 0.0 };
                dgate[i] = 2.0 * g * up[i] * dy[i];
                dup[i] = g * g * dy[i];
            }
        }
    }
}
