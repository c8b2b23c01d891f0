//! BitNet language model with sub-norms, forward and backward (docs/reference/bitvla.md, section 1.1).

use super::activation::{relu2_glu, relu2_glu_back};
use super::attention::{AttentionShape, Rope};
use super::config::{NetConfig, QuantConfig};
use super::layout::{LanguageLayer, Layout};
use super::linear::{add, sized};
use super::ternary_linear::{LinearArithmetic, TernaryBuffers};

/// Epsilon of the norms.
const EPS: f32 = 1e-5;

/// Activations of one layer that the backward pass needs; t tokens, w width, f feed-forward width. In the last layer t is the
/// number of kept tokens from `attention_output` on.
#[derive(Default)]
struct SavedActivations {
    /// (t)
    norm1_inv: Vec<f32>,
    /// (t, w)
    qkv_input: Vec<f32>,
    /// (t, w + 2 kv_heads * head_dim), rotated.
    qkv: Vec<f32>,
    /// Per sequence and head (tokens, tokens).
    attention_probs: Vec<f32>,
    /// (t, w)
    attention_output: Vec<f32>,
    /// (t)
    attn_norm_inv: Vec<f32>,
    /// (t, w)
    out_input: Vec<f32>,
    /// Residual stream after attention, (t, w).
    after_attention: Vec<f32>,
    /// (t)
    norm2_inv: Vec<f32>,
    /// (t, w)
    gate_up_input: Vec<f32>,
    /// (t, 2 f)
    gate_up: Vec<f32>,
    /// (t, f)
    glu: Vec<f32>,
    /// (t)
    ffn_norm_inv: Vec<f32>,
    /// (t, f)
    down_input: Vec<f32>,
}

/// Activations of the language model for ragged sequences; reused from one forward pass to the next.
#[derive(Default)]
pub struct LanguageActivations {
    layers: Vec<SavedActivations>,
    /// Input and output of every layer, each (tokens, width), the last output (kept tokens, width); the first is the
    /// embedding, filled by the caller.
    pub hidden: Vec<Vec<f32>>,
    /// Output of the final norm, (kept tokens, width).
    pub states: Vec<f32>,
    /// Tokens whose states are wanted, in increasing order: behind its attention, the last layer computes no other.
    kept: Vec<usize>,
    /// Input of the last layer, (kept tokens, width).
    kept_input: Vec<f32>,
    final_norm_inv: Vec<f32>,
    /// Length of every sequence.
    pub lens: Vec<usize>,
    rope: Rope,
    scratch: Vec<f32>,
    dglu: Vec<f32>,
    dgate_up: Vec<f32>,
    dqkv: Vec<f32>,
    dattention: Vec<f32>,
    ternary: TernaryBuffers,
}

fn attention(c: &NetConfig) -> AttentionShape {
    AttentionShape {
        heads: c.heads,
        kv_heads: c.kv_heads,
        dim: c.head_dim(),
        causal: c.causal,
    }
}

impl LanguageActivations {
    /// Sets the sequence lengths and the tokens whose states are wanted, in increasing order; returns the embedding buffer,
    /// (tokens, width).
    pub fn start(&mut self, c: &NetConfig, lens: &[usize], kept: Vec<usize>) -> &mut [f32] {
        self.lens = lens.to_vec();
        self.kept = kept;
        self.layers.resize_with(c.layers, SavedActivations::default);
        self.hidden.resize_with(c.layers + 1, Vec::new);
        let longest = lens.iter().copied().max().unwrap_or(0);
        if self.rope.len() < longest {
            self.rope = Rope::new(longest, c.head_dim(), c.rope_theta);
        }
        let t = self.tokens();
        sized(&mut self.hidden[0], t * c.width)
    }

    /// Number of tokens of all sequences.
    pub fn tokens(&self) -> usize {
        self.lens.iter().sum()
    }

    /// Runs all layers and the final norm on the embeddings; the result is `states`.
    pub fn forward(
        &mut self,
        c: &NetConfig,
        l: &Layout,
        quant: QuantConfig,
        effective_weights: &[f32],
    ) {
        let arithmetic = LinearArithmetic::of(quant.language, quant.language);
        for i in 0..c.layers {
            self.layer(c, &l.language[i], arithmetic, effective_weights, i);
        }
        let t = self.kept.len();
        let x = &self.hidden[c.layers][..t * c.width];
        let inv = sized(&mut self.final_norm_inv, t);
        let states = sized(&mut self.states, t * c.width);
        l.final_norm.forward(effective_weights, EPS, x, states, inv);
    }

    fn layer(
        &mut self,
        c: &NetConfig,
        l: &LanguageLayer,
        arithmetic: LinearArithmetic,
        effective_weights: &[f32],
        i: usize,
    ) {
        let (t, w, f) = (self.tokens(), c.width, c.ffn);
        let ew = effective_weights;
        let (before, after) = self.hidden.split_at_mut(i + 1);
        let mut x = &before[i][..t * w];
        let s = &mut self.layers[i];
        let scratch = sized(&mut self.scratch, t * w.max(f));
        let mut linear = self.ternary.of(arithmetic, ew);

        let normed = &mut scratch[..t * w];
        l.norm1
            .forward(ew, EPS, x, normed, sized(&mut s.norm1_inv, t));
        let qkv = sized(&mut s.qkv, t * l.qkv.n_out);
        linear.forward(&l.qkv, normed, sized(&mut s.qkv_input, t * w), qkv);
        self.rope.apply(&attention(c), &self.lens, qkv, false);
        let heads = sized(&mut s.attention_output, t * w);
        attention(c).forward(&self.lens, qkv, &mut s.attention_probs, heads);

        let t = if i + 1 < c.layers {
            t
        } else {
            gather_rows(&self.kept, w, heads);
            let input = sized(&mut self.kept_input, t * w);
            input.copy_from_slice(x);
            gather_rows(&self.kept, w, input);
            x = &input[..self.kept.len() * w];
            self.kept.len()
        };
        let (heads, normed) = (&heads[..t * w], &mut scratch[..t * w]);
        let y = sized(&mut after[0], t * w);
        let inv = sized(&mut s.attn_norm_inv, t);
        l.attn_norm.forward(ew, EPS, heads, normed, inv);
        let middle = sized(&mut s.after_attention, t * w);
        linear.forward(&l.out, normed, sized(&mut s.out_input, t * w), middle);
        add(x, middle);

        let inv = sized(&mut s.norm2_inv, t);
        l.norm2.forward(ew, EPS, middle, normed, inv);
        let gate_up = sized(&mut s.gate_up, t * 2 * f);
        let input = sized(&mut s.gate_up_input, t * w);
        linear.forward(&l.gate_up, normed, input, gate_up);
        let glu = sized(&mut s.glu, t * f);
        relu2_glu(gate_up, f, glu);
        let normed = &mut scratch[..t * f];
        let inv = sized(&mut s.ffn_norm_inv, t);
        l.ffn_norm.forward(ew, EPS, glu, normed, inv);
        linear.forward(&l.down, normed, sized(&mut s.down_input, t * f), y);
        add(middle, y);
    }

    /// Backward pass from `dstates` (kept tokens, width), the gradient of `states`; overwrites `d` (tokens, width) with the
    /// gradient of the embeddings and adds to `grad`.
    pub fn backward(
        &mut self,
        c: &NetConfig,
        l: &Layout,
        effective_weights: &[f32],
        dstates: &[f32],
        d: &mut [f32],
        grad: &mut [f32],
    ) {
        let (tokens, w, f) = (self.tokens(), c.width, c.ffn);
        let ew = effective_weights;
        let all = d;
        all.fill(0.0);
        let t = self.kept.len();
        let saved = (&self.hidden[c.layers][..t * w], &self.final_norm_inv[..]);
        let last = &mut all[..t * w];
        l.final_norm.backward(ew, saved, dstates, last, grad);
        for (i, l) in l.language.iter().enumerate().rev() {
            let is_last = i + 1 == c.layers;
            let t = if is_last { self.kept.len() } else { tokens };
            let d = &mut all[..t * w];
            let s = &self.layers[i];
            let x = &self.hidden[i][..tokens * w];
            let scratch = sized(&mut self.scratch, tokens * w.max(f));
            let dnormed = &mut scratch[..t * f];
            l.down
                .backward(ew, (&s.down_input[..t * f], d), dnormed, grad);
            let dglu = sized(&mut self.dglu, t * f);
            dglu.fill(0.0);
            let saved = (&s.glu[..t * f], &s.ffn_norm_inv[..]);
            l.ffn_norm.backward(ew, saved, dnormed, dglu, grad);
            let gradients = sized(&mut self.dgate_up, tokens * w.max(2 * f));
            let dgate_up = &mut gradients[..t * 2 * f];
            relu2_glu_back(&s.gate_up[..t * 2 * f], f, dglu, dgate_up);
            let dx = &mut scratch[..t * w];
            let saved = (&s.gate_up_input[..t * w], &*dgate_up);
            l.gate_up.backward(ew, saved, dx, grad);
            let saved = (&s.after_attention[..t * w], &s.norm2_inv[..]);
            l.norm2.backward(ew, saved, dx, d, grad);

            l.out.backward(ew, (&s.out_input[..t * w], d), dx, grad);
            let dheads = &mut gradients[..t * w];
            dheads.fill(0.0);
            let saved = (&s.attention_output[..t * w], &s.attn_norm_inv[..]);
            l.attn_norm.backward(ew, saved, dx, dheads, grad);
            let (t, d, dheads) = (tokens, &mut *all, &mut gradients[..tokens * w]);
            if is_last {
                scatter_rows(&self.kept, w, d);
                scatter_rows(&self.kept, w, dheads);
            }
            let dx = &mut scratch[..t * w];
            let dqkv = sized(&mut self.dqkv, t * l.qkv.n_out);
            let saved = (&s.qkv[..], &s.attention_probs[..]);
            attention(c).backward(&self.lens, saved, dheads, dqkv, &mut self.dattention);
            self.rope.apply(&attention(c), &self.lens, dqkv, true);
            l.qkv.backward(ew, (&s.qkv_input[..t * w], dqkv), dx, grad);
            l.norm1.backward(ew, (x, &s.norm1_inv), dx, d, grad);
        }
    }
}

/// Moves the rows `kept` (in increasing order) of a matrix (rows, width) to its beginning.
fn gather_rows(kept: &[usize], width: usize, rows: &mut [f32]) {
    for (to, &from) in kept.iter().enumerate() {
        rows.copy_within(from * width..(from + 1) * width, to * width);
    }
}

/// Moves the first rows of a matrix (rows, width) to the places `kept` (in increasing order); zero elsewhere.
fn scatter_rows(kept: &[usize], width: usize, rows: &mut [f32]) {
    let mut end = rows.len();
    for (from, &to) in kept.iter().enumerate().rev() {
        rows.copy_within(from * width..(from + 1) * width, to * width);
        rows[(to + 1) * width..end].fill(0.0);
        end = to * width;
    }
    rows[..end].fill(0.0);
}
