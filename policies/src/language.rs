//! The language model without its vocabulary head: BitNet (fact sheet of BitVLA, section 1.1) with grouped-query
//! attention, rotary embedding, gated squared ReLU and norms before the output and down projections; or Llama, which
//! has SiLU and no such norms. No biases.

use crate::attention::{Heads, Sequence, attention};
use crate::linear::{Activation, Activations, Dest, Gate, Linear};
use crate::ops::{Rope, rms_norm};
use crate::source::{Format, Part, Parts, Source, Table, Vector, linear};
use crate::workspace::{Workspace, split};
use crate::{Attention, PolicyError, TextConfig, Trace};
use std::ops::Range;

/// Sizes and kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Rows of the embedding.
    pub vocabulary: usize,
    /// Width.
    pub width: usize,
    /// Width of the feed-forward part.
    pub wide: usize,
    /// Layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub key_value_heads: usize,
    /// Epsilon of the norms.
    pub eps: f32,
    /// Base of the rotary embedding.
    pub theta: f32,
    /// Longest sequence.
    pub positions: usize,
    /// BitNet's gate comes with sub-norms.
    pub gate: Gate,
}

impl From<&TextConfig> for Shape {
    fn from(c: &TextConfig) -> Shape {
        Shape {
            vocabulary: c.vocab_size,
            width: c.hidden_size,
            wide: c.intermediate_size,
            layers: c.num_hidden_layers,
            heads: c.num_attention_heads,
            key_value_heads: c.num_key_value_heads,
            eps: c.rms_norm_eps,
            theta: c.rope_theta,
            positions: c.max_position_embeddings.min(1024),
            gate: Gate::SquaredRelu,
        }
    }
}

/// The model.
pub struct Language {
    shape: Shape,
    embedding: Table,
    layers: Vec<Layer>,
    norm: Vector,
    rope: Rope,
}

struct Layer {
    input_norm: Vector,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    attention_norm: Option<Vector>,
    post_norm: Vector,
    gate: Linear,
    up: Linear,
    down: Linear,
    ffn_norm: Option<Vector>,
}

impl Layer {
    fn load(
        source: &dyn Source,
        shape: &Shape,
        i: usize,
        format: Format,
    ) -> Result<Layer, PolicyError> {
        let (w, wide) = (shape.width, shape.wide);
        let kv = shape.key_value_heads * (w / shape.heads);
        let name = |part: &str| format!("language_model.model.layers.{i}.{part}");
        let norm = |part: &str, len| Vector::load(source, &name(&format!("{part}.weight")), len);
        let linear = |part: &str, n, k| linear(source, &name(part), (n, k), format);
        let sub = shape.gate == Gate::SquaredRelu;
        let sub_norm = |part, len| sub.then(|| norm(part, len)).transpose();
        Ok(Layer {
            input_norm: norm("input_layernorm", w)?,
            q: linear("self_attn.q_proj", w, w)?,
            k: linear("self_attn.k_proj", kv, w)?,
            v: linear("self_attn.v_proj", kv, w)?,
            o: linear("self_attn.o_proj", w, w)?,
            attention_norm: sub_norm("self_attn.attn_sub_norm", w)?,
            post_norm: norm("post_attention_layernorm", w)?,
            gate: linear("mlp.gate_proj", wide, w)?,
            up: linear("mlp.up_proj", wide, w)?,
            down: linear("mlp.down_proj", w, wide)?,
            ffn_norm: sub_norm("mlp.ffn_sub_norm", wide)?,
        })
    }
}

impl Language {
    /// Takes it out of a source, layer by layer.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn load(
        source: &dyn Source,
        shape: Shape,
        format: Format,
    ) -> Result<Language, PolicyError> {
        let size = (shape.vocabulary, shape.width);
        let embedding = source.table("language_model.model.embed_tokens.weight", size)?;
        let layers = (0..shape.layers).map(|i| Layer::load(source, &shape, i, format));
        let layers = layers.collect::<Result<_, PolicyError>>()?;
        Ok(Language {
            embedding,
            layers,
            norm: Vector::load(source, "language_model.model.norm.weight", shape.width)?,
            rope: Rope::new(shape.width / shape.heads, shape.theta, shape.positions),
            shape,
        })
    }

    /// Longest sequence.
    pub fn max_positions(&self) -> usize {
        self.shape.positions
    }

    /// Embeds one token into a row.
    ///
    /// # Errors
    /// Names the file when it cannot be read any more.
    pub fn embed(&self, token: u32, row: &mut [f32]) -> Result<(), PolicyError> {
        self.embedding.row(token as usize, row)
    }

    /// Rows of embeddings in `work.x` to the rows `wanted` after the final norm. The last layer computes no others.
    pub fn forward(
        &self,
        work: &mut Workspace,
        tokens: usize,
        wanted: Range<usize>,
        mask: Attention,
        trace: &mut Trace<'_>,
    ) -> Vec<f32> {
        let s = &self.shape;
        let width = s.width;
        let heads = Heads {
            query: s.heads,
            key_value: s.key_value_heads,
            width: width / s.heads,
            causal: mask == Attention::Causal,
        };
        let form = self
            .layers
            .first()
            .map_or(Activations::Float, |l| l.k.activations());
        work.saw((tokens, s.wide, form), (tokens, heads.width));
        let kv_width = heads.key_value * heads.width;
        let Workspace {
            threads,
            staged,
            packed,
            x,
            arena,
            ..
        } = work;
        let threads = &*threads;
        let arena = arena.get(tokens * (2 * width + 2 * kv_width).max(s.wide));
        let mut x = x.get(tokens * width);
        let mut first = 0;
        for (i, l) in self.layers.iter().enumerate() {
            let last = i + 1 == self.layers.len();
            let kept = if last { wanted.clone() } else { 0..tokens };
            let rows = kept.len();
            let [q, k, v, mixed] = split(
                arena,
                [
                    rows * width,
                    tokens * kv_width,
                    tokens * kv_width,
                    rows * width,
                ],
            );
            let norm = |x: &[f32], norm: &Vector, row: usize, out: &mut [f32]| {
                let len = norm.values.len();
                rms_norm(&x[row * len..][..len], &norm.values, s.eps, out);
            };
            let form = l.k.activations();
            staged.fill(threads, (tokens, width), form, |row, out| {
                norm(x, &l.input_norm, row, out);
            });
            l.k.apply(threads, staged, Activation::None, Dest::Set, k);
            l.v.apply(threads, staged, Activation::None, Dest::Set, v);
            if last {
                first = kept.start;
                x = &mut std::mem::take(&mut x)[kept.start * width..kept.end * width];
                staged.fill(threads, (rows, width), form, |row, out| {
                    norm(x, &l.input_norm, row, out);
                });
            }
            l.q.apply(threads, staged, Activation::None, Dest::Set, q);
            let rope = Some(&self.rope);
            let sequence = Sequence {
                q,
                first,
                k,
                v,
                rope,
            };
            attention(threads, packed, sequence, heads, mixed);
            staged.fill(threads, (rows, width), form, |row, out| {
                match &l.attention_norm {
                    Some(sub) => norm(mixed, sub, row, out),
                    None => out.copy_from_slice(&mixed[row * width..][..width]),
                }
            });
            l.o.apply(threads, staged, Activation::None, Dest::Add, x);
            staged.fill(threads, (rows, width), form, |row, out| {
                norm(x, &l.post_norm, row, out);
            });
            let wide = &mut arena[..rows * s.wide];
            Linear::gated(&l.gate, &l.up, threads, staged, s.gate, wide);
            staged.fill(threads, (rows, s.wide), form, |row, out| {
                match &l.ffn_norm {
                    Some(sub) => norm(wide, sub, row, out),
                    None => out.copy_from_slice(&wide[row * s.wide..][..s.wide]),
                }
            });
            l.down
                .apply(threads, staged, Activation::None, Dest::Add, x);
            trace(&format!("lm.layer_out.{i}"), x);
        }
        let mut out = vec![0f32; x.len()];
        for (out, row) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
            rms_norm(row, &self.norm.values, s.eps, out);
        }
        out
    }

    pub(crate) fn parts<'a>(&'a self, see: &mut Parts<'a>) {
        see.push(("token embedding", Part::Table(&self.embedding)));
        for l in &self.layers {
            for linear in [&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down] {
                see.push(("language linears", Part::Linear(linear)));
            }
            let sub = l.attention_norm.iter().chain(&l.ffn_norm);
            for norm in [&l.input_norm, &l.post_norm].into_iter().chain(sub) {
                see.push(("norms and biases", Part::Vector(norm)));
            }
        }
        see.push(("norms and biases", Part::Vector(&self.norm)));
    }

    /// Bytes of what is computed when the model is built.
    pub(crate) fn tables(&self) -> usize {
        self.rope.bytes()
    }
}
