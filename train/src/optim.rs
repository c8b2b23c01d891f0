//! AdamW with warm-up and cosine (fact sheet of BitVLA, section 9.3) and optional clipping of the gradient norm.

use serde::{Deserialize, Serialize};

/// Learning rate over steps: `lr * step / warmup`, then a cosine to zero at `steps`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Peak.
    pub lr: f64,
    /// Steps of the linear start; the first step has rate zero.
    pub warmup: u64,
    /// Step at which the rate is zero again.
    pub steps: u64,
}

impl Schedule {
    /// Rate of a step, counted from 0.
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
    /// First moments.
    pub m: Vec<f32>,
    /// Second moments.
    pub v: Vec<f32>,
    /// Updates done.
    pub updates: u64,
}

impl AdamW {
    /// For a number of parameters.
    pub fn new(n: usize) -> AdamW {
        AdamW {
            m: vec![0.0; n],
            v: vec![0.0; n],
            updates: 0,
        }
    }

    /// One update.
    pub fn update(&mut self, params: &mut [f32], grad: &[f32], lr: f64, decay: f64) {
        self.updates += 1;
        let n = self.updates as f64;
        let first = 1.0 - libm::pow(0.9, n);
        let second = (1.0 - libm::pow(0.999, n)).sqrt();
        let step = (lr / first) as f32;
        let keep = (1.0 - lr * decay) as f32;
        let second = second as f32;
        for (((p, g), m), v) in params
            .iter_mut()
            .zip(grad)
            .zip(&mut self.m)
            .zip(&mut self.v)
        {
            *p *= keep;
            *m = 0.9 * *m + 0.1 * g;
            *v = 0.999 * *v + 0.001 * g * g;
            *p -= step * *m / (v.sqrt() / second + 1e-8);
        }
    }
}

/// Scales a gradient down to a norm; returns the norm before.
pub fn clip(grad: &mut [f32], limit: f64) -> f64 {
    let norm = grad
        .iter()
        .map(|g| f64::from(*g) * f64::from(*g))
        .sum::<f64>()
        .sqrt();
    if norm > limit {
        let scale = (limit / norm) as f32;
        for g in grad {
            *g *= scale;
        }
    }
    norm
}
