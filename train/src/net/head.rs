//! MLP-ResNet action head and the two-layer projectors, forward and backward (docs/reference/bitvla.md, sections 1.3 to 1.5).

use super::activation::{gelu_erf, gelu_erf_back};
use super::layout::{Layout, LinearParams};
use super::linear::{add, sized};

/// Epsilon of the norms.
const EPS: f32 = 1e-5;

/// Activations of two linear layers with an exact GELU between them: connector and proprioception projector.
#[derive(Default)]
pub struct ProjectorActivations {
    x: Vec<f32>,
    mid: Vec<f32>,
    act: Vec<f32>,
    /// Output, (tokens, width).
    pub y: Vec<f32>,
    d: Vec<f32>,
    t: usize,
}

impl ProjectorActivations {
    /// Runs `x` (t, n_in); the result is `y`.
    pub fn forward(&mut self, l: &[LinearParams; 2], effective_weights: &[f32], x: &[f32]) {
        self.t = x.len() / l[0].n_in;
        self.x.clear();
        self.x.extend_from_slice(x);
        let mid = sized(&mut self.mid, self.t * l[0].n_out);
        l[0].forward(effective_weights, x, mid);
        let act = sized(&mut self.act, self.t * l[0].n_out);
        gelu_erf(mid, act);
        l[1].forward(
            effective_weights,
            act,
            sized(&mut self.y, self.t * l[1].n_out),
        );
    }

    /// Backward pass from `dy` (t, width), with slope `leak` below [`LEAK_BELOW`](super::activation::LEAK_BELOW); adds to `grad` and overwrites `dx`
    /// (t, n_in) where it is given.
    pub fn backward(
        &mut self,
        (l, leak): (&[LinearParams; 2], f32),
        effective_weights: &[f32],
        dy: &[f32],
        dx: Option<&mut [f32]>,
        grad: &mut [f32],
    ) {
        let n = self.t * l[0].n_out;
        let d = sized(&mut self.d, n);
        l[1].backward(effective_weights, (&self.act[..n], dy), d, grad);
        gelu_erf_back(&self.mid[..n], leak, d);
        match dx {
            Some(dx) => l[0].backward(effective_weights, (&self.x, d), dx, grad),
            None => l[0].backward_params(&self.x, d, grad),
        }
    }
}

/// Activations of a residual block, each (steps, width).
#[derive(Default)]
struct BlockActivations {
    x: Vec<f32>,
    stats: Vec<f32>,
    normed: Vec<f32>,
    y: Vec<f32>,
}

/// Activations of the action head; a row is one time step.
#[derive(Default)]
pub struct HeadActivations {
    x: Vec<f32>,
    stats1: Vec<f32>,
    normed1: Vec<f32>,
    fc1: Vec<f32>,
    blocks: [BlockActivations; 2],
    last: Vec<f32>,
    stats2: Vec<f32>,
    normed2: Vec<f32>,
    /// Normalised actions, (steps, 7).
    pub y: Vec<f32>,
    rows: usize,
}

/// Rectifies in place.
fn relu(x: &mut [f32]) {
    for x in x {
        *x = x.max(0.0);
    }
}

/// Zeroes the gradient where the rectified output is zero.
fn relu_back(y: &[f32], d: &mut [f32]) {
    for (d, y) in d.iter_mut().zip(y) {
        if *y <= 0.0 {
            *d = 0.0;
        }
    }
}

impl HeadActivations {
    /// Runs `x` (steps, 7 * width); the result is `y`.
    pub fn forward(&mut self, l: &Layout, effective_weights: &[f32], x: &[f32]) {
        let (n, w) = (l.head_norm1.width, l.head_fc1.n_out);
        let ew = effective_weights;
        let r = x.len() / n;
        self.rows = r;
        self.x.clear();
        self.x.extend_from_slice(x);
        let normed = sized(&mut self.normed1, r * n);
        let stats = sized(&mut self.stats1, 2 * r);
        l.head_norm1.forward(ew, EPS, x, normed, stats);
        let y = sized(&mut self.fc1, r * w);
        l.head_fc1.forward(ew, normed, y);
        relu(y);
        let mut now = y.to_vec();
        for (block, (norm, fc)) in self.blocks.iter_mut().zip(&l.head_blocks) {
            block.x.clone_from(&now);
            let normed = sized(&mut block.normed, r * w);
            norm.forward(ew, EPS, &now, normed, sized(&mut block.stats, 2 * r));
            let y = sized(&mut block.y, r * w);
            fc.forward(ew, normed, y);
            relu(y);
            add(y, &mut now);
        }
        let normed = sized(&mut self.normed2, r * w);
        let stats = sized(&mut self.stats2, 2 * r);
        l.head_norm2.forward(ew, EPS, &now, normed, stats);
        self.last = now;
        let y = sized(&mut self.y, r * l.head_fc2.n_out);
        l.head_fc2.forward(ew, normed, y);
    }

    /// Backward pass from `dy` (steps, 7); adds to `grad` and overwrites `dx` (steps, 7 * width).
    pub fn backward(
        &mut self,
        l: &Layout,
        effective_weights: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        grad: &mut [f32],
    ) {
        let (n, w, r) = (l.head_norm1.width, l.head_fc1.n_out, self.rows);
        let ew = effective_weights;
        let mut dnormed = vec![0.0; r * w];
        let mut d = vec![0.0; r * w];
        let saved = (&self.normed2[..r * w], dy);
        l.head_fc2.backward(ew, saved, &mut dnormed, grad);
        let saved = (&self.last[..], &self.stats2[..]);
        l.head_norm2.backward(ew, saved, &dnormed, &mut d, grad);
        for (block, (norm, fc)) in self.blocks.iter().zip(&l.head_blocks).rev() {
            let mut inner = d.clone();
            relu_back(&block.y, &mut inner);
            let saved = (&block.normed[..r * w], &inner[..]);
            fc.backward(ew, saved, &mut dnormed, grad);
            norm.backward(ew, (&block.x, &block.stats), &dnormed, &mut d, grad);
        }
        relu_back(&self.fc1, &mut d);
        let mut dnormed = vec![0.0; r * n];
        let saved = (&self.normed1[..r * n], &d[..]);
        l.head_fc1.backward(ew, saved, &mut dnormed, grad);
        dx.fill(0.0);
        let saved = (&self.x[..], &self.stats1[..]);
        l.head_norm1.backward(ew, saved, &dnormed, dx, grad);
    }
}
