//! SigLIP vision tower, forward and backward (docs/reference/bitvla.md, section 1.2).

use super::activation::{gelu_tanh, gelu_tanh_back};
use super::attention::AttentionShape;
use super::config::{NetConfig, QuantConfig};
use super::layout::{Layout, VisionLayer};
use super::linear::{add, add_rows, sized};
use super::ternary_linear::{LinearArithmetic, TernaryBuffers};

/// Epsilon of the norms.
const EPS: f32 = 1e-6;

/// Activations of one layer that the backward pass needs; t tokens, v vision width, f feed-forward width.
#[derive(Default)]
struct SavedActivations {
    /// (t, 2)
    norm1_stats: Vec<f32>,
    /// (t, v)
    qkv_input: Vec<f32>,
    /// (t, 3 v)
    qkv: Vec<f32>,
    /// Per image and head (tokens, tokens).
    attention_probs: Vec<f32>,
    /// (t, v)
    out_input: Vec<f32>,
    /// Residual stream after attention, (t, v).
    after_attention: Vec<f32>,
    /// (t, 2)
    norm2_stats: Vec<f32>,
    /// (t, v)
    fc1_input: Vec<f32>,
    /// (t, f)
    fc1_output: Vec<f32>,
    /// (t, f)
    fc2_input: Vec<f32>,
}

/// Activations of the tower for some images; reused from one forward pass to the next.
#[derive(Default)]
pub struct VisionActivations {
    patches: Vec<f32>,
    layers: Vec<SavedActivations>,
    /// Output of the embedding and of every layer, each (images * patches, width).
    pub hidden: Vec<Vec<f32>>,
    lens: Vec<usize>,
    tokens: usize,
    scratch: Vec<f32>,
    dfc1: Vec<f32>,
    dqkv: Vec<f32>,
    dattention: Vec<f32>,
    ternary: TernaryBuffers,
}

fn attention(c: &NetConfig) -> AttentionShape {
    AttentionShape {
        heads: c.vision_heads,
        kv_heads: c.vision_heads,
        dim: c.vision_width / c.vision_heads,
        causal: false,
    }
}

impl VisionActivations {
    /// Number of tokens of the last forward pass: images * patches.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Runs images, each (3, size, size); the result is the last of `hidden`.
    pub fn forward(
        &mut self,
        c: &NetConfig,
        l: &Layout,
        quant: QuantConfig,
        effective_weights: &[f32],
        images: &[&[f32]],
    ) {
        let (n, v) = (c.patches(), c.vision_width);
        let t = images.len() * n;
        (self.tokens, self.lens) = (t, vec![n; images.len()]);
        self.layers
            .resize_with(c.vision_layers, SavedActivations::default);
        self.hidden.resize_with(c.vision_layers + 1, Vec::new);
        let patches = sized(&mut self.patches, t * l.patch.n_in);
        let rows = patches.chunks_exact_mut(n * l.patch.n_in);
        for (image, out) in images.iter().zip(rows) {
            patchify(c, image, out);
        }
        let x = sized(&mut self.hidden[0], t * v);
        l.patch.forward(effective_weights, patches, x);
        for rows in x.chunks_exact_mut(n * v) {
            add(&effective_weights[l.position..l.position + n * v], rows);
        }
        let arithmetic = LinearArithmetic::of(quant.vision_weights, quant.vision_activations);
        for i in 0..c.vision_layers {
            self.layer(c, &l.vision[i], arithmetic, effective_weights, i);
        }
    }

    fn layer(
        &mut self,
        c: &NetConfig,
        l: &VisionLayer,
        arithmetic: LinearArithmetic,
        effective_weights: &[f32],
        i: usize,
    ) {
        let (t, v, f) = (self.tokens, c.vision_width, c.vision_ffn);
        let (before, after) = self.hidden.split_at_mut(i + 1);
        let x = &before[i][..t * v];
        let y = sized(&mut after[0], t * v);
        let s = &mut self.layers[i];
        let scratch = sized(&mut self.scratch, t * v.max(f));
        let mut linear = self.ternary.of(arithmetic, effective_weights);

        let normed = &mut scratch[..t * v];
        let stats = sized(&mut s.norm1_stats, 2 * t);
        l.norm1.forward(effective_weights, EPS, x, normed, stats);
        let qkv = sized(&mut s.qkv, t * 3 * v);
        linear.forward(&l.qkv, normed, sized(&mut s.qkv_input, t * v), qkv);
        attention(c).forward(&self.lens, qkv, &mut s.attention_probs, normed);
        let middle = sized(&mut s.after_attention, t * v);
        linear.forward(&l.out, normed, sized(&mut s.out_input, t * v), middle);
        add(x, middle);

        let stats = sized(&mut s.norm2_stats, 2 * t);
        l.norm2
            .forward(effective_weights, EPS, middle, normed, stats);
        let up = sized(&mut s.fc1_output, t * f);
        linear.forward(&l.fc1, normed, sized(&mut s.fc1_input, t * v), up);
        let activated = &mut scratch[..t * f];
        gelu_tanh(up, activated);
        linear.forward(&l.fc2, activated, sized(&mut s.fc2_input, t * f), y);
        add(middle, y);
    }

    /// Backward pass from `d` (tokens, width), the gradient of the last layer's output, which is destroyed; adds to
    /// `grad`. `aux(i, output, d)` adds the gradient of an extra loss at the output of layer `i`, counted from 1.
    pub fn backward(
        &mut self,
        c: &NetConfig,
        l: &Layout,
        effective_weights: &[f32],
        d: &mut [f32],
        grad: &mut [f32],
        mut aux: impl FnMut(usize, &[f32], &mut [f32]),
    ) {
        let (t, v, f) = (self.tokens, c.vision_width, c.vision_ffn);
        let ew = effective_weights;
        for (i, l) in l.vision.iter().enumerate().rev() {
            aux(i + 1, &self.hidden[i + 1][..t * v], d);
            let s = &self.layers[i];
            let x = &self.hidden[i][..t * v];
            let dfc1 = sized(&mut self.dfc1, t * f);
            l.fc2.backward(ew, (&s.fc2_input[..t * f], d), dfc1, grad);
            gelu_tanh_back(&s.fc1_output[..t * f], dfc1);
            let dx = sized(&mut self.scratch, t * v);
            l.fc1.backward(ew, (&s.fc1_input[..t * v], dfc1), dx, grad);
            let saved = (&s.after_attention[..t * v], &s.norm2_stats[..]);
            l.norm2.backward(ew, saved, dx, d, grad);
            l.out.backward(ew, (&s.out_input[..t * v], d), dx, grad);
            let dqkv = sized(&mut self.dqkv, t * 3 * v);
            let saved = (&s.qkv[..], &s.attention_probs[..]);
            attention(c).backward(&self.lens, saved, dx, dqkv, &mut self.dattention);
            l.qkv.backward(ew, (&s.qkv_input[..t * v], dqkv), dx, grad);
            l.norm1.backward(ew, (x, &s.norm1_stats), dx, d, grad);
        }
        let patches = &self.patches[..t * l.patch.n_in];
        l.patch.backward_params(patches, d, grad);
        add_rows(d, &mut grad[l.position..l.position + c.patches() * v]);
    }
}

/// Cuts an image (3, size, size) into rows (patches, 3 * patch * patch).
fn patchify(c: &NetConfig, image: &[f32], out: &mut [f32]) {
    let (s, p) = (c.image_size, c.patch);
    let side = s / p;
    for (i, row) in out.chunks_exact_mut(3 * p * p).enumerate() {
        let (py, px) = (i / side * p, i % side * p);
        for (j, line) in row.chunks_exact_mut(p).enumerate() {
            let (channel, y) = (j / p, j % p);
            let at = (channel * s + py + y) * s + px;
            line.copy_from_slice(&image[at..at + p]);
        }
    }
}
