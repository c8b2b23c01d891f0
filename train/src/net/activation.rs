//! Activation functions, forward and backward.

use super::reductions::exp;
use bitvla_policies::multiversion;

/// Constants of the tanh form: sqrt(2 / pi) and the cubic coefficient (Hendrycks, Gimpel 2016).
const GELU_A: f32 = 0.797_884_6;
const GELU_B: f32 = 0.044_715;

/// Distance from zero from which the normal density, 8e-23 and less, counts as zero: products of smaller numbers with gradients would be subnormal,
/// each of which costs a processor a hundred cycles.
const DENSITY_ENDS: f32 = 10.0;
/// Input of the exact form below which its gradient may leak: there it is all but zero, and a unit that is always there would stay there.
pub const LEAK_BELOW: f32 = -1.5;

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

/// Multiplies `d` by the derivative of the exact form at `x`; by `leak`, if it is above zero, where `x` is below [`LEAK_BELOW`].
pub fn gelu_erf_back(x: &[f32], leak: f32, d: &mut [f32]) {
    for (d, x) in d.iter_mut().zip(x) {
        if leak > 0.0 && *x < LEAK_BELOW {
            *d *= leak;
            continue;
        }
        let cdf = 0.5 * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2));
        let density = match x.abs() < DENSITY_ENDS {
            true => 0.398_942_3 * exp(-0.5 * x * x),
            false => 0.0,
        };
        *d *= cdf + x * density;
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

#[cfg(test)]
mod tests {
    //! Guarantee: the gradient of the exact GELU is its derivative, but where a leak is asked for, and never a subnormal number.
    use super::{LEAK_BELOW, gelu_erf, gelu_erf_back};

    #[test]
    fn the_exact_form_has_its_derivative_and_a_leak_on_demand() {
        let gelu = |x: f32| {
            let mut y = [0.0];
            gelu_erf(&[x], &mut y);
            y[0]
        };
        for i in -600..600 {
            let x = 0.025 * i as f32;
            let (mut exact, mut leaking) = ([1e-8], [1e-8]);
            gelu_erf_back(&[x], 0.0, &mut exact);
            gelu_erf_back(&[x], 0.25, &mut leaking);
            let step = 0.01;
            let difference = (gelu(x + step) - gelu(x - step)) / (2.0 * step);
            assert!((exact[0] * 1e8 - difference).abs() < 1e-3, "at {x}");
            assert!(!exact[0].is_subnormal(), "at {x}");
            let expected = if x < LEAK_BELOW { 2.5e-9 } else { exact[0] };
            assert_eq!(leaking[0], expected, "at {x}");
        }
    }
}
