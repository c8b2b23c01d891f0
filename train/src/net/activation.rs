//! Activation functions, forward and backward.

use super::reductions::exp;
use bitvla_policies::multiversion;

/// Constants of the tanh form: sqrt(2 / pi) and the cubic coefficient (Hendrycks, Gimpel 2016).
const GELU_A: f32 = 0.797_884_6;
const GELU_B: f32 = 0.044_715;

#[inline(always)]
fn tanh(x: f32) -> f32 {
    let e = exp(2.0 * x);
    1.0 - 2.0 / (e + 1.0)
}

multiversion! {
    /// GELU in its tanh form, element by element.
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

/// GELU in its exact form, with the error function, element by element.
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
    /// `y = relu(gate)^2 * up` (t, n), where a row of `x` (t, 2 n) is gate then up.
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
    /// Gradient of [`relu2_glu`]: overwrites `dx` (t, 2 n) from `dy` (t, n).
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
