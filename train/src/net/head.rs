//! MLP-ResNet action head and the two-layer projectors, forward and backward (fact sheet, sections 1.3 to 1.5).

use super::gemm_f32::Mode;
use super::layout::{Layout, Lin};
use super::ops::{self, sized};

const EPS: f32 = 1e-5;

/// Two linears with an exact GELU between them: connector and proprioception projector.
#[derive(Default)]
pub struct Projector {
    x: Vec<f32>,
    mid: Vec<f32>,
    act: Vec<f32>,
    /// Output, (tokens, width).
    pub y: Vec<f32>,
    d: Vec<f32>,
    t: usize,
}

impl Projector {
    /// Runs `x (t, in)`.
    pub fn forward(&mut self, l: &[Lin; 2], eff: &[f32], x: &[f32]) {
        self.t = x.len() / l[0].n_in;
        self.x.clear();
        self.x.extend_from_slice(x);
        let mid = sized(&mut self.mid, self.t * l[0].n_out);
        l[0].forward(eff, x, mid);
        let act = sized(&mut self.act, self.t * l[0].n_out);
        ops::gelu_erf(mid, act);
        l[1].forward(eff, act, sized(&mut self.y, self.t * l[1].n_out));
    }

    /// From the output's gradient; `dx` is overwritten where wanted.
    pub fn backward(
        &mut self,
        l: &[Lin; 2],
        eff: &[f32],
        dy: &[f32],
        dx: Option<&mut [f32]>,
        grad: &mut [f32],
    ) {
        let n = self.t * l[0].n_out;
        l[1].backward_params(&self.act[..n], dy, grad);
        let d = sized(&mut self.d, n);
        l[1].backward_input(eff, dy, d, Mode::Set);
        ops::gelu_erf_back(&self.mid[..n], d);
        l[0].backward_params(&self.x, d, grad);
        if let Some(dx) = dx {
            l[0].backward_input(eff, d, dx, Mode::Set);
        }
    }
}

#[derive(Default)]
struct Block {
    x: Vec<f32>,
    stats: Vec<f32>,
    normed: Vec<f32>,
    y: Vec<f32>,
}

/// Activations of the action head; a row is one time step.
#[derive(Default)]
pub struct Head {
    x: Vec<f32>,
    stats1: Vec<f32>,
    normed1: Vec<f32>,
    fc1: Vec<f32>,
    blocks: [Block; 2],
    last: Vec<f32>,
    stats2: Vec<f32>,
    normed2: Vec<f32>,
    /// Normalised actions, (steps, 7).
    pub y: Vec<f32>,
    rows: usize,
}

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

impl Head {
    /// Runs `x (steps, 7 * width)`.
    pub fn forward(&mut self, l: &Layout, eff: &[f32], x: &[f32]) {
        let (n, w) = (l.head_norm1.n, l.head_fc1.n_out);
        let r = x.len() / n;
        self.rows = r;
        self.x.clear();
        self.x.extend_from_slice(x);
        let normed = sized(&mut self.normed1, r * n);
        l.head_norm1
            .layer(eff, EPS, x, normed, sized(&mut self.stats1, 2 * r));
        let y = sized(&mut self.fc1, r * w);
        l.head_fc1.forward(eff, normed, y);
        relu(y);
        let mut now = y.to_vec();
        for (block, (norm, fc)) in self.blocks.iter_mut().zip(&l.head_blocks) {
            block.x.clone_from(&now);
            let normed = sized(&mut block.normed, r * w);
            norm.layer(eff, EPS, &now, normed, sized(&mut block.stats, 2 * r));
            let y = sized(&mut block.y, r * w);
            fc.forward(eff, normed, y);
            relu(y);
            ops::add(y, &mut now);
        }
        let normed = sized(&mut self.normed2, r * w);
        l.head_norm2
            .layer(eff, EPS, &now, normed, sized(&mut self.stats2, 2 * r));
        self.last = now;
        l.head_fc2
            .forward(eff, normed, sized(&mut self.y, r * l.head_fc2.n_out));
    }

    /// From the gradient of the actions to that of the input (overwritten).
    pub fn backward(
        &mut self,
        l: &Layout,
        eff: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        grad: &mut [f32],
    ) {
        let (n, w, r) = (l.head_norm1.n, l.head_fc1.n_out, self.rows);
        let mut tmp = vec![0.0; r * w];
        let mut d = vec![0.0; r * w];
        l.head_fc2.backward_params(&self.normed2[..r * w], dy, grad);
        l.head_fc2.backward_input(eff, dy, &mut tmp, Mode::Set);
        l.head_norm2
            .layer_back(eff, &self.last, &self.stats2, &tmp, &mut d, grad);
        for (block, (norm, fc)) in self.blocks.iter().zip(&l.head_blocks).rev() {
            let mut inner = d.clone();
            relu_back(&block.y, &mut inner);
            fc.backward_params(&block.normed[..r * w], &inner, grad);
            fc.backward_input(eff, &inner, &mut tmp, Mode::Set);
            norm.layer_back(eff, &block.x, &block.stats, &tmp, &mut d, grad);
        }
        relu_back(&self.fc1, &mut d);
        l.head_fc1.backward_params(&self.normed1[..r * n], &d, grad);
        let mut wide = vec![0.0; r * n];
        l.head_fc1.backward_input(eff, &d, &mut wide, Mode::Set);
        dx.fill(0.0);
        l.head_norm1
            .layer_back(eff, &self.x, &self.stats1, &wide, dx, grad);
    }
}
