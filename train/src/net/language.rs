//! BitNet language model with sub-norms, forward and backward (fact sheet of BitVLA, section 1.1).

use super::attention::{Attention, Rope};
use super::config::{NetConfig, Quant};
use super::exact::{Exact, Product};
use super::gemm_f32::Mode;
use super::layout::{LanguageLayer, Layout};
use super::ops::{self, sized};

const EPS: f32 = 1e-5;

/// What one layer keeps for the way back.
#[derive(Default)]
struct Kept {
    inv1: Vec<f32>,
    a: Vec<f32>,
    qkv: Vec<f32>,
    probs: Vec<f32>,
    heads: Vec<f32>,
    inv_attn: Vec<f32>,
    o: Vec<f32>,
    mid: Vec<f32>,
    inv2: Vec<f32>,
    h: Vec<f32>,
    gate_up: Vec<f32>,
    glu: Vec<f32>,
    inv_ffn: Vec<f32>,
    g: Vec<f32>,
}

/// Activations of the language model for ragged sequences.
#[derive(Default)]
pub struct Language {
    layers: Vec<Kept>,
    /// Input and output of every layer, (tokens, width); the first is the embedding, filled by the caller.
    pub hidden: Vec<Vec<f32>>,
    /// Final norm, (tokens, width).
    pub states: Vec<f32>,
    inv: Vec<f32>,
    /// Length of every sequence.
    pub lens: Vec<usize>,
    rope: Rope,
    tmp: Vec<f32>,
    wide: Vec<f32>,
    wider: Vec<f32>,
    dqkv: Vec<f32>,
    scratch: Vec<f32>,
    exact: Exact,
}

fn attention(c: &NetConfig) -> Attention {
    Attention {
        heads: c.heads,
        kv_heads: c.kv_heads,
        dim: c.head_dim(),
        causal: c.causal,
    }
}

impl Language {
    /// Sets the sequence lengths and hands out the embedding buffer.
    pub fn start(&mut self, c: &NetConfig, lens: &[usize]) -> &mut [f32] {
        self.lens = lens.to_vec();
        self.layers.resize_with(c.layers, Kept::default);
        self.hidden.resize_with(c.layers + 1, Vec::new);
        let longest = lens.iter().copied().max().unwrap_or(0);
        if self.rope.len() < longest {
            self.rope = Rope::new(longest, c.head_dim(), c.rope_theta);
        }
        let t = self.tokens();
        sized(&mut self.hidden[0], t * c.width)
    }

    /// Tokens of all sequences.
    pub fn tokens(&self) -> usize {
        self.lens.iter().sum()
    }

    /// Runs all layers and the final norm.
    pub fn forward(&mut self, c: &NetConfig, l: &Layout, quant: Quant, eff: &[f32]) {
        let how = Product::of(quant.language, quant.language);
        for i in 0..c.layers {
            self.layer(c, &l.language[i], how, eff, i);
        }
        let t = self.tokens();
        let x = &self.hidden[c.layers][..t * c.width];
        l.final_norm.rms(
            eff,
            EPS,
            x,
            sized(&mut self.states, t * c.width),
            sized(&mut self.inv, t),
        );
    }

    fn layer(&mut self, c: &NetConfig, l: &LanguageLayer, q: Product, eff: &[f32], i: usize) {
        let (t, w, f) = (self.tokens(), c.width, c.ffn);
        let (before, after) = self.hidden.split_at_mut(i + 1);
        let x = &before[i][..t * w];
        let y = sized(&mut after[0], t * w);
        let k = &mut self.layers[i];
        let tmp = sized(&mut self.tmp, t * w.max(f));
        l.norm1
            .rms(eff, EPS, x, &mut tmp[..t * w], sized(&mut k.inv1, t));
        let a = sized(&mut k.a, t * w);
        let qkv = sized(&mut k.qkv, t * l.qkv.n_out);
        l.qkv
            .forward_as(q, eff, &tmp[..t * w], (a, qkv), &mut self.exact);
        self.rope.apply(&attention(c), &self.lens, qkv, false);
        let heads = sized(&mut k.heads, t * w);
        attention(c).forward(&self.lens, qkv, &mut k.probs, heads);
        l.attn_norm.rms(
            eff,
            EPS,
            heads,
            &mut tmp[..t * w],
            sized(&mut k.inv_attn, t),
        );
        let o = sized(&mut k.o, t * w);
        let mid = sized(&mut k.mid, t * w);
        l.out
            .forward_as(q, eff, &tmp[..t * w], (o, mid), &mut self.exact);
        ops::add(x, mid);
        l.norm2
            .rms(eff, EPS, mid, &mut tmp[..t * w], sized(&mut k.inv2, t));
        let h = sized(&mut k.h, t * w);
        let gate_up = sized(&mut k.gate_up, t * 2 * f);
        l.gate_up
            .forward_as(q, eff, &tmp[..t * w], (h, gate_up), &mut self.exact);
        let glu = sized(&mut k.glu, t * f);
        ops::relu2_glu(gate_up, f, glu);
        l.ffn_norm
            .rms(eff, EPS, glu, &mut tmp[..t * f], sized(&mut k.inv_ffn, t));
        let g = sized(&mut k.g, t * f);
        l.down
            .forward_as(q, eff, &tmp[..t * f], (g, y), &mut self.exact);
        ops::add(mid, y);
    }

    /// Goes back from `dstates`, the gradient of the final norm's output, to the embeddings' gradient `d`.
    pub fn backward(
        &mut self,
        c: &NetConfig,
        l: &Layout,
        eff: &[f32],
        dstates: &[f32],
        d: &mut [f32],
        grad: &mut [f32],
    ) {
        let (t, w, f) = (self.tokens(), c.width, c.ffn);
        d.fill(0.0);
        l.final_norm.rms_back(
            eff,
            &self.hidden[c.layers][..t * w],
            &self.inv,
            dstates,
            d,
            grad,
        );
        for (i, l) in l.language.iter().enumerate().rev() {
            let k = &self.layers[i];
            let x = &self.hidden[i][..t * w];
            let tmp = &mut sized(&mut self.tmp, t * w.max(f))[..];
            let wide = sized(&mut self.wide, t * f);
            l.down.backward_params(&k.g[..t * f], d, grad);
            l.down.backward_input(eff, d, &mut tmp[..t * f], Mode::Set);
            wide.fill(0.0);
            l.ffn_norm
                .rms_back(eff, &k.glu[..t * f], &k.inv_ffn, &tmp[..t * f], wide, grad);
            let wider = sized(&mut self.wider, t * 2 * f);
            ops::relu2_glu_back(&k.gate_up[..t * 2 * f], f, wide, wider);
            l.gate_up.backward_params(&k.h[..t * w], wider, grad);
            let tmp = &mut tmp[..t * w];
            l.gate_up.backward_input(eff, wider, tmp, Mode::Set);
            l.norm2
                .rms_back(eff, &k.mid[..t * w], &k.inv2, tmp, d, grad);
            l.out.backward_params(&k.o[..t * w], d, grad);
            l.out.backward_input(eff, d, tmp, Mode::Set);
            let dheads = &mut wider[..t * w];
            dheads.fill(0.0);
            l.attn_norm
                .rms_back(eff, &k.heads[..t * w], &k.inv_attn, tmp, dheads, grad);
            let dqkv = sized(&mut self.dqkv, t * l.qkv.n_out);
            attention(c).backward(
                &self.lens,
                &k.qkv,
                &k.probs,
                dheads,
                dqkv,
                &mut self.scratch,
            );
            self.rope.apply(&attention(c), &self.lens, dqkv, true);
            l.qkv.backward_params(&k.a[..t * w], dqkv, grad);
            l.qkv.backward_input(eff, dqkv, tmp, Mode::Set);
            l.norm1.rms_back(eff, x, &k.inv1, tmp, d, grad);
        }
    }
}
