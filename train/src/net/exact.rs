//! Ternary weights times int8 activations while training: the integer products that inference computes.

use super::layout::Lin;
use super::ops::{self};
use bitvla_policies::kernels::quant::QuantisedRows;
use bitvla_policies::kernels::{Isa, PackedTernary, ternary_gemm};
use bitvla_policies::multiversion;

/// How a linear layer sees its input and its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Full-precision activations.
    Dense,
    /// int8 activations, full-precision weights.
    Quantised,
    /// int8 activations, ternary weights (values of [`super::Layout::effective`]).
    Exact,
}

impl Product {
    /// From what is quantised.
    pub fn of(weights: bool, activations: bool) -> Product {
        match (weights, activations) {
            (_, false) => Product::Dense,
            (false, true) => Product::Quantised,
            (true, true) => Product::Exact,
        }
    }
}

/// Buffers of the integer products; one per thread and network part, reused.
#[derive(Default)]
pub struct Exact {
    rows: QuantisedRows,
    packed: PackedTernary,
    magnitudes: Vec<f32>,
    sums: Vec<i32>,
}

impl Lin {
    /// `y (t, out)` of `x (t, in)`; `seen` becomes the input as the weight sees it.
    pub fn forward_as(
        &self,
        how: Product,
        eff: &[f32],
        x: &[f32],
        (seen, y): (&mut [f32], &mut [f32]),
        exact: &mut Exact,
    ) {
        match how {
            Product::Dense => seen.copy_from_slice(x),
            Product::Quantised => ops::quantise(x, self.n_in, seen),
            Product::Exact => return self.forward_exact(eff, x, (seen, y), exact),
        }
        self.forward(eff, seen, y);
    }

    fn forward_exact(
        &self,
        eff: &[f32],
        x: &[f32],
        (seen, y): (&mut [f32], &mut [f32]),
        exact: &mut Exact,
    ) {
        let w = &eff[self.w..self.w + self.n_in * self.n_out];
        exact.rows.refill(x, self.n_in);
        exact.packed.refill(self.n_out, self.n_in, w);
        exact.magnitudes.clear();
        let rows = w.chunks_exact(self.n_in);
        exact.magnitudes.extend(rows.map(magnitude));
        ternary_gemm(Isa::active(), &exact.rows, &exact.packed, &mut exact.sums);
        let (codes, scales) = (exact.rows.codes(), exact.rows.scales());
        restore(codes, exact.rows.stride(), scales, self.n_in, seen);
        let padded = exact.packed.padded_n();
        rescale(&exact.sums, padded, scales, &exact.magnitudes, y);
        if let Some(b) = self.b {
            ops::add_to_rows(&eff[b..b + self.n_out], y);
        }
    }
}

/// Magnitude of the codes of one output (stacked matrices have their own each): that of the first which is not zero.
fn magnitude(row: &[f32]) -> f32 {
    row.iter().find(|x| **x != 0.0).map_or(0.0, |x| x.abs())
}

multiversion! {
    /// `y = codes / scale`, row by row.
    pub fn restore(codes: &[i8], stride: usize, scales: &[f32], width: usize, y: &mut [f32]) {
        for ((codes, s), y) in codes.chunks_exact(stride).zip(scales).zip(y.chunks_exact_mut(width)) {
            for (y, c) in y.iter_mut().zip(codes) {
                *y = f32::from(*c) / s;
            }
        }
    }
}

multiversion! {
    /// `y = sums * magnitude of the output / scale of the row`.
    pub fn rescale(sums: &[i32], stride: usize, scales: &[f32], magnitudes: &[f32], y: &mut [f32]) {
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
            let mut eff = noise(n_in * n_out, 1);
            let half = n_out / 2 * n_in;
            eff[..half].iter_mut().for_each(|x| *x *= 3.0);
            layout::ternarise(&mut eff[..half]);
            layout::ternarise(&mut eff[half..]);
            eff.extend(noise(n_out, 2));
            let b = Some(n_in * n_out);
            let lin = Lin {
                w: 0,
                b,
                n_in,
                n_out,
            };
            let x = noise(t * n_in, 3);
            let run = |how| {
                let (mut seen, mut y) = (vec![0.0; t * n_in], vec![0.0; t * n_out]);
                lin.forward_as(how, &eff, &x, (&mut seen, &mut y), &mut Exact::default());
                (seen, y)
            };
            let (exact, float) = (run(Product::Exact), run(Product::Quantised));
            for (a, b) in exact.0.iter().zip(&float.0) {
                assert!((a - b).abs() < 1e-6, "input: {a} {b}");
            }
            for (a, b) in exact.1.iter().zip(&float.1) {
                assert!((a - b).abs() < 1e-5, "{t} x {n_in} x {n_out}: {a} {b}");
            }
        }
    }
}
