//! SigLIP vision tower, forward and backward (fact sheet of BitVLA, section 1.2).

use super::attention::Attention;
use super::config::{NetConfig, Quant};
use super::exact::{Exact, Product};
use super::gemm_f32::Mode;
use super::layout::{Layout, VisionLayer};
use super::ops::{self, sized};

const EPS: f32 = 1e-6;

/// What one layer keeps for the way back.
#[derive(Default)]
struct Kept {
    stats1: Vec<f32>,
    a: Vec<f32>,
    qkv: Vec<f32>,
    probs: Vec<f32>,
    o: Vec<f32>,
    mid: Vec<f32>,
    stats2: Vec<f32>,
    h: Vec<f32>,
    f: Vec<f32>,
    g: Vec<f32>,
}

/// Activations of the tower for some images.
#[derive(Default)]
pub struct Vision {
    patches: Vec<f32>,
    layers: Vec<Kept>,
    /// Output of the embedding and of every layer, (images * patches, width).
    pub hidden: Vec<Vec<f32>>,
    lens: Vec<usize>,
    tokens: usize,
    tmp: Vec<f32>,
    wide: Vec<f32>,
    dqkv: Vec<f32>,
    scratch: Vec<f32>,
    exact: Exact,
}

fn attention(c: &NetConfig) -> Attention {
    let dim = c.vision_width / c.vision_heads;
    Attention {
        heads: c.vision_heads,
        kv_heads: c.vision_heads,
        dim,
        causal: false,
    }
}

impl Vision {
    /// Tokens of the last forward pass.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Runs images, each 3 x size x size.
    pub fn forward(
        &mut self,
        c: &NetConfig,
        l: &Layout,
        quant: Quant,
        eff: &[f32],
        images: &[&[f32]],
    ) {
        let (n, v) = (c.patches(), c.vision_width);
        let t = images.len() * n;
        (self.tokens, self.lens) = (t, vec![n; images.len()]);
        self.layers.resize_with(c.vision_layers, Kept::default);
        self.hidden.resize_with(c.vision_layers + 1, Vec::new);
        let patches = sized(&mut self.patches, t * l.patch.n_in);
        for (image, out) in images
            .iter()
            .zip(patches.chunks_exact_mut(n * l.patch.n_in))
        {
            patchify(c, image, out);
        }
        let x = sized(&mut self.hidden[0], t * v);
        l.patch.forward(eff, patches, x);
        for rows in x.chunks_exact_mut(n * v) {
            ops::add(&eff[l.position..l.position + n * v], rows);
        }
        let how = Product::of(quant.vision_weights, quant.vision_activations);
        for i in 0..c.vision_layers {
            self.layer(c, &l.vision[i], how, eff, i);
        }
    }

    fn layer(&mut self, c: &NetConfig, l: &VisionLayer, q: Product, eff: &[f32], i: usize) {
        let (t, v, f) = (self.tokens, c.vision_width, c.vision_ffn);
        let (before, after) = self.hidden.split_at_mut(i + 1);
        let x = &before[i][..t * v];
        let y = sized(&mut after[0], t * v);
        let k = &mut self.layers[i];
        let tmp = sized(&mut self.tmp, t * v.max(f));
        l.norm1
            .layer(eff, EPS, x, &mut tmp[..t * v], sized(&mut k.stats1, 2 * t));
        let a = sized(&mut k.a, t * v);
        let qkv = sized(&mut k.qkv, t * 3 * v);
        l.qkv
            .forward_as(q, eff, &tmp[..t * v], (a, qkv), &mut self.exact);
        attention(c).forward(&self.lens, qkv, &mut k.probs, &mut tmp[..t * v]);
        let o = sized(&mut k.o, t * v);
        let mid = sized(&mut k.mid, t * v);
        l.out
            .forward_as(q, eff, &tmp[..t * v], (o, mid), &mut self.exact);
        ops::add(x, mid);
        l.norm2.layer(
            eff,
            EPS,
            mid,
            &mut tmp[..t * v],
            sized(&mut k.stats2, 2 * t),
        );
        let h = sized(&mut k.h, t * v);
        let up = sized(&mut k.f, t * f);
        l.fc1
            .forward_as(q, eff, &tmp[..t * v], (h, up), &mut self.exact);
        ops::gelu_tanh(up, &mut tmp[..t * f]);
        let g = sized(&mut k.g, t * f);
        l.fc2
            .forward_as(q, eff, &tmp[..t * f], (g, y), &mut self.exact);
        ops::add(mid, y);
    }

    /// Goes back from `d`, the gradient of the last layer's output (destroyed); `aux` adds the gradient of the
    /// output of layer `i` (1-based) to its argument.
    pub fn backward(
        &mut self,
        c: &NetConfig,
        l: &Layout,
        eff: &[f32],
        d: &mut [f32],
        grad: &mut [f32],
        mut aux: impl FnMut(usize, &[f32], &mut [f32]),
    ) {
        let (t, v, f) = (self.tokens, c.vision_width, c.vision_ffn);
        for (i, l) in l.vision.iter().enumerate().rev() {
            aux(i + 1, &self.hidden[i + 1][..t * v], d);
            let k = &self.layers[i];
            let x = &self.hidden[i][..t * v];
            let wide = sized(&mut self.wide, t * f);
            l.fc2.backward_params(&k.g[..t * f], d, grad);
            l.fc2.backward_input(eff, d, wide, Mode::Set);
            ops::gelu_tanh_back(&k.f[..t * f], wide);
            l.fc1.backward_params(&k.h[..t * v], wide, grad);
            let tmp = &mut sized(&mut self.tmp, t * v.max(f))[..t * v];
            l.fc1.backward_input(eff, wide, tmp, Mode::Set);
            l.norm2
                .layer_back(eff, &k.mid[..t * v], &k.stats2, tmp, d, grad);
            l.out.backward_params(&k.o[..t * v], d, grad);
            l.out.backward_input(eff, d, tmp, Mode::Set);
            let dqkv = sized(&mut self.dqkv, t * 3 * v);
            attention(c).backward(&self.lens, &k.qkv, &k.probs, tmp, dqkv, &mut self.scratch);
            l.qkv.backward_params(&k.a[..t * v], dqkv, grad);
            l.qkv.backward_input(eff, dqkv, tmp, Mode::Set);
            l.norm1.layer_back(eff, x, &k.stats1, tmp, d, grad);
        }
        l.patch
            .backward_params(&self.patches[..t * l.patch.n_in], d, grad);
        ops::add_rows(d, &mut grad[l.position..l.position + c.patches() * v]);
    }
}

/// Cuts a 3 x size x size image into rows of 3 x patch x patch.
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
