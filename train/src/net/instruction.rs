//! Auxiliary loss: which of the instructions of the recipe a sample has must be told from its action states. Where one scene has many
//! instructions, the error of the actions alone teaches a network which words matter only slowly: until then it goes for the middle of
//! two goals. The mean action state of a sample is projected onto one fixed random direction per task; cross-entropy of the softmax. No
//! parameters are added, and a query does not compute it.

use super::linear::add_to_rows;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Seed of the directions.
const SEED: u64 = 0x1257_ac70;

/// Returns one random direction per task, each entry the inverse root of the width or its negative, (tasks, width).
pub fn directions(tasks: usize, width: usize) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let entry = 1.0 / (width as f32).sqrt();
    (0..tasks * width)
        .map(|_| {
            if random.next_u32() & 1 == 0 {
                entry
            } else {
                -entry
            }
        })
        .collect()
}

/// The loss with its weight.
#[derive(Clone, Copy)]
pub struct InstructionLoss<'a> {
    /// Result of [`directions`], (tasks, width).
    pub directions: &'a [f32],
    /// Weight of the loss.
    pub weight: f32,
}

impl InstructionLoss<'_> {
    /// Cross-entropy of a sample of task `task` with the action states `states`, (rows, `width`), without the weight; adds the gradient
    /// times the weight and `share`, that of the sample in the batch, to `dstates`.
    pub fn backward(
        &self,
        task: usize,
        (states, width): (&[f32], usize),
        share: f32,
        dstates: &mut [f32],
    ) -> f64 {
        let rows = (states.len() / width) as f32;
        let mut mean = vec![0.0f32; width];
        for row in states.chunks_exact(width) {
            mean.iter_mut().zip(row).for_each(|(m, v)| *m += v / rows);
        }
        let directions = self.directions.chunks_exact(width);
        let dot = |d: &[f32]| d.iter().zip(&mean).map(|(a, b)| a * b).sum::<f32>();
        let logits: Vec<f32> = directions.clone().map(dot).collect();
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f32> = logits.iter().map(|l| libm::expf(l - most)).collect();
        let sum: f32 = powers.iter().sum();
        let mut dmean = vec![0.0f32; width];
        for (k, (direction, power)) in directions.zip(&powers).enumerate() {
            let error = power / sum - if k == task { 1.0 } else { 0.0 };
            let error = error * self.weight * share / rows;
            dmean
                .iter_mut()
                .zip(direction)
                .for_each(|(d, v)| *d += error * v);
        }
        add_to_rows(&dmean, dstates);
        f64::from(libm::logf(sum) + most - logits[task])
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: the gradient of the loss is its slope, and directions of different tasks are nearly orthogonal.
    use super::*;

    #[test]
    fn the_gradient_is_the_slope() {
        let (tasks, width, rows, task) = (5, 64, 3, 2);
        let directions = directions(tasks, width);
        let loss = InstructionLoss {
            directions: &directions,
            weight: 0.5,
        };
        let mut states: Vec<f32> = (0..rows * width)
            .map(|i| libm::sinf(0.7 * i as f32))
            .collect();
        let mut gradient = vec![0.0; states.len()];
        let value = loss.backward(task, (&states, width), 0.25, &mut gradient);
        assert!(value > 0.0);
        for i in [0, 17, 64, 191] {
            let step = 0.05f32;
            let old = states[i];
            let mut at = |x: f32| {
                states[i] = x;
                loss.backward(task, (&states, width), 0.0, &mut vec![0.0; rows * width])
            };
            let slope = (at(old + step) - at(old - step)) / f64::from(2.0 * step);
            at(old);
            let wanted = 0.5 * 0.25 * slope;
            assert!(
                (f64::from(gradient[i]) - wanted).abs() < 1e-5,
                "{i}: {} {wanted}",
                gradient[i]
            );
        }
    }

    #[test]
    fn directions_differ() {
        let width = 128;
        let all = directions(40, width);
        for (i, a) in all.chunks_exact(width).enumerate() {
            for b in all.chunks_exact(width).skip(i + 1) {
                let cosine: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                assert!(cosine.abs() < 0.5, "{cosine}");
            }
        }
    }
}
