//! BitNet language model with sub-norms, forward and backward (docs/reference/bitvla.md, section 1.1).

use super::activation::{relu2_glu, relu2_glu_back};
use super::attention::{AttentionShape, Rope};
use super::config::{NetConfig, QuantConfig};
use super::layout::{LanguageLayer, Layout};
use super::linear::{add, sized};
use super::ternary_linear::{LinearArithmetic, TernaryBuffers};

/// Epsilon of the norms.
const EPS: f32 = 1e-5;

/// Activations of one layer that the backward pass needs; t tokens, w width, f feed-forward width.
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
    /// Input and output of every layer, each (tokens, width); the first is the embedding, filled by the caller.
    pub hidden: Vec<Vec<f32>>,
    /// Output of the final norm, (tokens, width).
    pub states: Vec<f32>,
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
    /// Sets the sequence lengths and returns the embedding buffer, (tokens, width).
    pub fn start(&mut self, c: &NetConfig, lens: &[usize]) -> &mut [f32] {
        self.lens = lens.to_vec();
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
        let t = self.tokens();
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
        let x = &before[i][..t * w];
        let y = sized(&mut after[0], t * w);
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

    /// Backward pass from `dstates` (tokens, width), the gradient of `states`; overwrites `d` (tokens, width) with the
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
        let (t, w, f) = (self.tokens(), c.width, c.ffn);
        let ew = effective_weights;
        d.fill(0.0);
        let saved = (&self.hidden[c.layers][..t * w], &self.final_norm_inv[..]);
        l.final_norm.backward(ew, saved, dstates, d, grad);
        for (i, l) in l.language.iter().enumerate().rev() {
            let s = &self.layers[i];
            let x = &self.hidden[i][..t * w];
            let scratch = sized(&mut self.scratch, t * w.max(f));
            let dnormed = &mut scratch[..t * f];
            l.down
                .backward(ew, (&s.down_input[..t * f], d), dnormed, grad);
            let dglu = sized(&mut self.dglu, t * f);
            dglu.fill(0.0);
            let saved = (&s.glu[..t * f], &s.ffn_norm_inv[..]);
            l.ffn_norm.backward(ew, saved, dnormed, dglu, grad);
            let dgate_up = sized(&mut self.dgate_up, t * 2 * f);
            relu2_glu_back(&s.gate_up[..t * 2 * f], f, dglu, dgate_up);
            let dx = &mut scratch[..t * w];
            let saved = (&s.gate_up_input[..t * w], &*dgate_up);
            l.gate_up.backward(ew, saved, dx, grad);
            let saved = (&s.after_attention[..t * w], &s.norm2_inv[..]);
            l.norm2.backward(ew, saved, dx, d, grad);

            l.out.backward(ew, (&s.out_input[..t * w], d), dx, grad);
            let dheads = &mut dgate_up[..t * w];
            dheads.fill(0.0);
            let saved = (&s.attention_output[..t * w], &s.attn_norm_inv[..]);
            l.attn_norm.backward(ew, saved, dx, dheads, grad);
            let dqkv = sized(&mut self.dqkv, t * l.qkv.n_out);
            let saved = (&s.qkv[..], &s.attention_probs[..]);
            attention(c).backward(&self.lens, saved, dheads, dqkv, &mut self.dattention);
            self.rope.apply(&attention(c), &self.lens, dqkv, true);
            l.qkv.backward(ew, (&s.qkv_input[..t * w], dqkv), dx, grad);
            l.norm1.backward(ew, (x, &s.norm1_inv), dx, d, grad);
        }
    }
}
