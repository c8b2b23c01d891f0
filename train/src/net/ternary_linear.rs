//! Ternary weights times int8 activations during training: the integer products that inference computes.

use super::layout::LinearParams;
use super::linear::{add_to_rows, quantise_rows};
use bitvla_policies::kernels::quant::QuantisedRows;
use bitvla_policies::kernels::{Isa, PackedTernary, ternary_gemm};
use bitvla_policies::multiversion;

/// Arithmetic of a linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinearArithmetic {
    /// Full-precision activations and weights.
    Dense,
    /// int8 activations, full-precision weights.
    Int8Activations,
    /// int8 activations, ternary weights (values of [`super::Layout::effective_weights`]).
    TernaryInt8,
}

impl LinearArithmetic {
    /// Returns the arithmetic for quantised or unquantised weights and activations; ternary weights with unquantised
    /// activations are dense.
    pub fn of(weights: bool, activations: bool) -> LinearArithmetic {
        match (weights, activations) {
            (_, false) => LinearArithmetic::Dense,
            (false, true) => LinearArithmetic::Int8Activations,
            (true, true) => LinearArithmetic::TernaryInt8,
        }
    }
}

/// Buffers of the integer products; one per thread and part of the network, reused.
#[derive(Default)]
pub struct TernaryBuffers {
    rows: QuantisedRows,
    packed: PackedTernary,
    magnitudes: Vec<f32>,
    sums: Vec<i32>,
}

impl TernaryBuffers {
    /// Returns the products of one forward pass.
    pub fn of<'a>(
        &'a mut self,
        arithmetic: LinearArithmetic,
        effective_weights: &'a [f32],
    ) -> LinearProducts<'a> {
        LinearProducts {
            arithmetic,
            effective_weights,
            buffers: self,
        }
    }
}

/// Linear products of one forward pass in one arithmetic.
pub struct LinearProducts<'a> {
    arithmetic: LinearArithmetic,
    effective_weights: &'a [f32],
    buffers: &'a mut TernaryBuffers,
}

impl LinearProducts<'_> {
    /// Computes `y` (t, n_out) of `x` (t, n_in); `input` (t, n_in) becomes the input after quantisation, which the backward
    /// pass needs.
    pub fn forward(&mut self, l: &LinearParams, x: &[f32], input: &mut [f32], y: &mut [f32]) {
        match self.arithmetic {
            LinearArithmetic::Dense => input.copy_from_slice(x),
            LinearArithmetic::Int8Activations => quantise_rows(x, l.n_in, input),
            LinearArithmetic::TernaryInt8 => return self.forward_ternary(l, x, input, y),
        }
        l.forward(self.effective_weights, input, y);
    }

    fn forward_ternary(&mut self, l: &LinearParams, x: &[f32], input: &mut [f32], y: &mut [f32]) {
        let w = &self.effective_weights[l.weight_range()];
        let b = &mut *self.buffers;
        b.rows.refill(x, l.n_in);
        b.packed.refill(l.n_out, l.n_in, w);
        b.magnitudes.clear();
        b.magnitudes.extend(w.chunks_exact(l.n_in).map(magnitude));
        ternary_gemm(Isa::active(), &b.rows, &b.packed, &mut b.sums);
        let (codes, scales) = (b.rows.codes(), b.rows.scales());
        dequantise_rows(codes, b.rows.stride(), scales, l.n_in, input);
        rescale_sums(&b.sums, b.packed.padded_n(), scales, &b.magnitudes, y);
        if let Some(bias) = l.bias {
            add_to_rows(&self.effective_weights[bias..bias + l.n_out], y);
        }
    }
}

/// Returns the magnitude of the codes of one output (stacked matrices have their own each): that of the first which is not
/// zero; zero for a row of zeros.
fn magnitude(row: &[f32]) -> f32 {
    row.iter().find(|x| **x != 0.0).map_or(0.0, |x| x.abs())
}

multiversion! {
    /// `y = codes / scale` (rows, width), row by row; a row of `codes` has `stride` entries.
    pub fn dequantise_rows(codes: &[i8], stride: usize, scales: &[f32], width: usize, y: &mut [f32]) {
        for ((codes, s), y) in codes.chunks_exact(stride).zip(scales).zip(y.chunks_exact_mut(width)) {
            for (y, c) in y.iter_mut().zip(codes) {
                *y = f32::from(*c) / s;
            }
        }
    }
}

multiversion! {
    /// `y = sums * magnitude of the output / scale of the row` (rows, n_out); a row of `sums` has `stride` entries.
    pub fn rescale_sums(sums: &[i32], stride: usize, scales: &[f32], magnitudes: &[f32], y: &mut [f32]) {
        for ((sums, s), y) in sums.chunks_exact(stride).zip(scales).zip(y.chunks_exact_mut(magnitudes.len())) {
            let inverse = 1.0 / s;
            for ((y, sum), a) in y.iter_mut().zip(sums).zip(magnitudes) {
                // Sums of fewer than 2^17 products are below 2^24, exact in f32.
                *y = *sum as f32 * (a * inverse);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: the integer product is the f32 product of effective weights and quantised activations.
    use super::*;
    use crate::net::layout;

    fn noise(n: usize, seed: u32) -> Vec<f32> {
        let mut s = seed;
        let next = |_| {
            s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (s >> 8) as f32 / 8_388_608.0 - 1.0
        };
        (0..n).map(next).collect()
    }

    #[test]
    fn integer_product_equals_the_f32_product() {
        for (t, n_in, n_out) in [(1, 16, 16), (7, 40, 33), (29, 128, 256)] {
            let mut effective_weights = noise(n_in * n_out, 1);
            let half = n_out / 2 * n_in;
            effective_weights[..half].iter_mut().for_each(|x| *x *= 3.0);
            layout::ternarise(&mut effective_weights[..half]);
            layout::ternarise(&mut effective_weights[half..]);
            effective_weights.extend(noise(n_out, 2));
            let lin = LinearParams {
                weight: 0,
                bias: Some(n_in * n_out),
                n_in,
                n_out,
            };
            let x = noise(t * n_in, 3);
            let run = |arithmetic| {
                let (mut input, mut y) = (vec![0.0; t * n_in], vec![0.0; t * n_out]);
                let mut buffers = TernaryBuffers::default();
                let mut products = buffers.of(arithmetic, &effective_weights);
                products.forward(&lin, &x, &mut input, &mut y);
                (input, y)
            };
            let (ternary, float) = (
                run(LinearArithmetic::TernaryInt8),
                run(LinearArithmetic::Int8Activations),
            );
            for (a, b) in ternary.0.iter().zip(&float.0) {
                assert!((a - b).abs() < 1e-6, "input: {a} {b}");
            }
            for (a, b) in ternary.1.iter().zip(&float.1) {
                assert!((a - b).abs() < 1e-5, "{t} x {n_in} x {n_out}: {a} {b}");
            }
        }
    }
}
