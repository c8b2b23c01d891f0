//! Muon (Jordan, "Muon: an optimizer for hidden layers in neural networks", 2024), an optimiser of matrices: the step is the
//! averaged gradient with all its singular values brought near one, so that directions in which the gradient is small are
//! learned as fast as the others.

use crate::net::gemm_f32::{Dims, Mode, nn, nt};

/// Share of the momentum that is kept in a step.
const MOMENTUM: f32 = 0.95;
/// Number of Newton-Schulz iterations `X <- a X + b X Xᵀ X + c (X Xᵀ)² X`.
const ITERATIONS: usize = 5;
/// Their coefficients a, b and c; singular values between 0.01 and 1 end between 0.65 and 1.25.
const COEFFICIENTS: [f32; 3] = [3.4445, -4.7750, 2.0315];
/// Root mean square of an AdamW step as a share of its rate (Liu et al., arXiv 2502.16982, section 2.2).
const ADAMW_STEP_RMS: f64 = 0.2;

/// Factors of one update. The step is scaled to the root mean square of an AdamW step, so that rate and decay are AdamW's.
#[derive(Debug, Clone, Copy)]
pub struct MuonStep {
    lr: f64,
    decay: f32,
}

impl MuonStep {
    /// Factors at this rate and decoupled weight decay.
    pub fn new(lr: f64, decay: f64) -> MuonStep {
        MuonStep {
            lr,
            decay: (1.0 - lr * decay) as f32,
        }
    }

    /// Updates a matrix (rows, columns) with its gradient, multiplied by `scale` first; `momentum` is of the same shape.
    pub fn apply(
        &self,
        (rows, columns): (usize, usize),
        params: &mut [f32],
        grad: &[f32],
        scale: f32,
        momentum: &mut [f32],
    ) {
        let mut step = Vec::with_capacity(params.len());
        for (m, g) in momentum.iter_mut().zip(grad) {
            let g = g * scale;
            *m = MOMENTUM * *m + g;
            // Nesterov's form: the momentum as it will be after the same gradient once more.
            step.push(MOMENTUM * *m + g);
        }
        let step = if rows > columns {
            transpose(&orthogonalise(&transpose(&step, columns), columns), rows)
        } else {
            orthogonalise(&step, rows)
        };
        let rate = (self.lr * ADAMW_STEP_RMS * (rows.max(columns) as f64).sqrt()) as f32;
        for (p, s) in params.iter_mut().zip(step) {
            *p = *p * self.decay - rate * s;
        }
    }
}

/// Returns a matrix of `rows` rows, not more than columns, with its singular values brought near one.
fn orthogonalise(x: &[f32], rows: usize) -> Vec<f32> {
    let columns = x.len() / rows;
    let squares: f64 = x.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    let scale = (1.0 / (squares.sqrt() + 1e-7)) as f32;
    let mut x: Vec<f32> = x.iter().map(|x| x * scale).collect();
    let [a, b, c] = COEFFICIENTS;
    let of_gram = Dims {
        m: rows,
        n: rows,
        k: columns,
    };
    let of_square = Dims { k: rows, ..of_gram };
    let of_product = Dims {
        n: columns,
        ..of_square
    };
    let (mut gram, mut factor) = (vec![0.0; rows * rows], vec![0.0; rows * rows]);
    for _ in 0..ITERATIONS {
        let wide = (&x[..], columns);
        nt(of_gram, wide, wide, (&mut gram, rows), Mode::Set);
        let square = (&gram[..], rows);
        nn(of_square, square, square, (&mut factor, rows), Mode::Set);
        for (f, g) in factor.iter_mut().zip(&gram) {
            *f = b * g + c * *f;
        }
        let mut next: Vec<f32> = x.iter().map(|x| a * x).collect();
        let factor = (&factor[..], rows);
        nn(of_product, factor, wide, (&mut next, columns), Mode::Add);
        x = next;
    }
    x
}

/// Returns the transpose of a matrix with this number of columns.
fn transpose(x: &[f32], columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|j| x[j..].iter().step_by(columns).copied())
        .collect()
}

#[cfg(test)]
mod tests {
    //! Guarantees: a step is that of the formula in double precision; its singular values lie near one whatever those of the
    //! gradient; a matrix and its transpose are moved alike.
    use super::*;
    use nalgebra::DMatrix;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{RngCore, SeedableRng};

    const ROWS: usize = 12;
    const COLUMNS: usize = 30;

    /// Numbers between -1 and 1, rows smaller and smaller.
    fn gradient(seed: u64) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..ROWS * COLUMNS)
            .map(|i| (rng.next_u32() as f32 / 2.0f32.powi(31) - 1.0) / (1 + i / COLUMNS) as f32)
            .collect()
    }

    fn double(x: &[f32]) -> DMatrix<f64> {
        DMatrix::from_row_iterator(ROWS, COLUMNS, x.iter().map(|x| f64::from(*x)))
    }

    #[test]
    fn a_step_is_that_of_the_formula() {
        let (lr, decay) = (0.02, 0.1);
        let mut params = gradient(1);
        let mut momentum = vec![0.0; params.len()];
        let (mut p, mut m) = (double(&params), DMatrix::zeros(ROWS, COLUMNS));
        for seed in [2, 3, 4] {
            let grad = gradient(seed);
            let step = MuonStep::new(lr, decay);
            step.apply((ROWS, COLUMNS), &mut params, &grad, 0.5, &mut momentum);

            let g = double(&grad) * 0.5;
            m = m * 0.95 + &g;
            let mut x = &m * 0.95 + g;
            x /= x.norm();
            for _ in 0..5 {
                let a = &x * x.transpose();
                x = &x * 3.4445 + (&a * -4.7750 + &a * &a * 2.0315) * &x;
            }
            let values = x.singular_values();
            assert!(values.iter().all(|v| (0.65..1.25).contains(v)), "{values}");
            p = p * (1.0 - lr * decay) - x * (lr * 0.2 * (COLUMNS as f64).sqrt());
        }
        let off = (double(&params) - p).amax();
        assert!(off < 1e-6, "{off}");
    }

    #[test]
    fn a_transposed_matrix_is_moved_alike() {
        let (mut wide, grad) = (gradient(1), gradient(2));
        let mut tall = transpose(&wide, COLUMNS);
        let step = MuonStep::new(0.02, 0.1);
        let mut momentum = vec![0.0; wide.len()];
        step.apply((ROWS, COLUMNS), &mut wide, &grad, 1.0, &mut momentum);
        let mut momentum = vec![0.0; wide.len()];
        let grad = transpose(&grad, COLUMNS);
        step.apply((COLUMNS, ROWS), &mut tall, &grad, 1.0, &mut momentum);
        assert_eq!(transpose(&wide, COLUMNS), tall);
    }
}
