//! AdamW (Loshchilov, Hutter 2019), its schedule with warm-up and cosine (docs/reference/bitvla.md, section 9.3) and
//! clipping of the gradient norm.

use serde::{Deserialize, Serialize};

/// Learning rate over steps: `lr * step / warmup`, then a cosine to zero at `steps`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LearningRateSchedule {
    /// Peak learning rate.
    pub lr: f64,
    /// Number of steps of the linear start; the first step has rate zero.
    pub warmup: u64,
    /// Step at which the rate is zero again.
    pub steps: u64,
}

impl LearningRateSchedule {
    /// Returns the learning rate of a step, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.lr * step as f64 / self.warmup as f64;
        }
        let length = self.steps.saturating_sub(self.warmup).max(1) as f64;
        let x = ((step - self.warmup) as f64 / length).min(1.0);
        0.5 * self.lr * (1.0 + libm::cos(std::f64::consts::PI * x))
    }
}

/// AdamW with decoupled decay, betas 0.9 and 0.999, epsilon 1e-8.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AdamW {
    /// First moments, one per parameter.
    pub m: Vec<f32>,
    /// Second moments, one per parameter.
    pub v: Vec<f32>,
    /// Number of updates done.
    pub updates: u64,
}

/// Factors of one update, the same for every parameter.
#[derive(Debug, Clone, Copy)]
pub struct AdamWStep {
    /// Step size, corrected for the bias of the first moment.
    step_size: f32,
    /// Factor of the decoupled weight decay.
    decay: f32,
    /// Correction of the second moment.
    second: f32,
}

impl AdamW {
    /// Builds the state of `n` parameters.
    pub fn new(n: usize) -> AdamW {
        AdamW {
            m: vec![0.0; n],
            v: vec![0.0; n],
            updates: 0,
        }
    }

    /// Counts an update and returns its factors.
    pub fn begin(&mut self, lr: f64, decay: f64) -> AdamWStep {
        self.updates += 1;
        let n = self.updates as f64;
        let first = 1.0 - libm::pow(0.9, n);
        let second = (1.0 - libm::pow(0.999, n)).sqrt();
        AdamWStep {
            step_size: (lr / first) as f32,
            decay: (1.0 - lr * decay) as f32,
            second: second as f32,
        }
    }

    /// Updates all parameters, (n) as `grad`.
    pub fn update(&mut self, params: &mut [f32], grad: &[f32], lr: f64, decay: f64) {
        let step = self.begin(lr, decay);
        step.apply(params, grad, 1.0, &mut self.m, &mut self.v);
    }
}

impl AdamWStep {
    /// Updates a range of parameters with their gradients, each multiplied by `scale` first.
    pub fn apply(
        &self,
        params: &mut [f32],
        grad: &[f32],
        scale: f32,
        m: &mut [f32],
        v: &mut [f32],
    ) {
        for (((p, g), m), v) in params.iter_mut().zip(grad).zip(m).zip(v) {
            let g = g * scale;
            *p *= self.decay;
            *m = 0.9 * *m + 0.1 * g;
            *v = 0.999 * *v + 0.001 * g * g;
            *p -= self.step_size * *m / (v.sqrt() / self.second + 1e-8);
        }
    }
}

/// Returns the factor that brings a gradient of this norm down to at most `limit`.
pub fn clip_scale(norm: f64, limit: f64) -> f32 {
    if norm > limit {
        (limit / norm) as f32
    } else {
        1.0
    }
}
