//! The language model without its vocabulary head: BitNet (`docs/reference/bitvla.md`, section 1.1) with grouped-query
//! attention, rotary embedding, gated squared ReLU and norms before the output and down projections; or Llama, which
//! has SiLU and no such norms. No biases.

use crate::attention::{AttentionInputs, AttentionShape, attention};
use crate::formats::LinearFormat;
use crate::linear::{Activation, ActivationFormat, Gate, Linear, StoreMode};
use crate::ops::{RotaryEmbedding, rms_norm};
use crate::scratch_buffers::{ScratchBuffers, split_buffer};
use crate::weight_source::{
    EmbeddingTable, Parameter, Parameters, VectorParameter, WeightSource, load_linear,
};
use crate::{AttentionMask, PolicyError, TextConfig, Trace};
use std::ops::Range;

/// Largest number of tokens of a query. A published one has some 630 (512 of them patches), so that tables for all the
/// positions that a config allows (4096) would only take memory. A longer query is refused with an error
/// ([`crate::BitVla::forward`]).
pub(crate) const MAX_QUERY_TOKENS: usize = 1024;

/// Sizes and kind of a language model.
#[derive(Debug, Clone, PartialEq)]
pub struct LanguageArchitecture {
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Length of a row of the residual stream.
    pub hidden_size: usize,
    /// Length of a row of the feed-forward part.
    pub intermediate_size: usize,
    /// Number of layers.
    pub layers: usize,
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads.
    pub key_value_heads: usize,
    /// Epsilon of the norms.
    pub norm_eps: f32,
    /// Base of the rotary embedding.
    pub rope_theta: f32,
    /// Largest number of tokens of a query.
    pub max_positions: usize,
    /// Gate of the feed-forward part; the squared ReLU of BitNet comes with sub-norms.
    pub gate: Gate,
}

impl From<&TextConfig> for LanguageArchitecture {
    fn from(c: &TextConfig) -> LanguageArchitecture {
        LanguageArchitecture {
            vocab_size: c.vocab_size,
            hidden_size: c.hidden_size,
            intermediate_size: c.intermediate_size,
            layers: c.num_hidden_layers,
            heads: c.num_attention_heads,
            key_value_heads: c.num_key_value_heads,
            norm_eps: c.rms_norm_eps,
            rope_theta: c.rope_theta,
            max_positions: c.max_position_embeddings.min(MAX_QUERY_TOKENS),
            gate: Gate::SquaredRelu,
        }
    }
}

/// The language model without its vocabulary head.
pub struct LanguageModel {
    shape: LanguageArchitecture,
    embedding: EmbeddingTable,
    layers: Vec<DecoderLayer>,
    norm: VectorParameter,
    rope: RotaryEmbedding,
}

struct DecoderLayer {
    input_norm: VectorParameter,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    attention_norm: Option<VectorParameter>,
    post_norm: VectorParameter,
    gate: Linear,
    up: Linear,
    down: Linear,
    ffn_norm: Option<VectorParameter>,
}

impl DecoderLayer {
    fn load(
        source: &dyn WeightSource,
        shape: &LanguageArchitecture,
        i: usize,
        format: LinearFormat,
    ) -> Result<DecoderLayer, PolicyError> {
        let (w, wide) = (shape.hidden_size, shape.intermediate_size);
        let kv = shape.key_value_heads * (w / shape.heads);
        let name = |part: &str| format!("language_model.model.layers.{i}.{part}");
        let norm =
            |part: &str, len| VectorParameter::load(source, &name(&format!("{part}.weight")), len);
        let linear = |part: &str, n, k| load_linear(source, &name(part), (n, k), format, false);
        let sub = shape.gate == Gate::SquaredRelu;
        let sub_norm = |part, len| sub.then(|| norm(part, len)).transpose();
        Ok(DecoderLayer {
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

impl LanguageModel {
    /// Loads the model from a source, layer by layer.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn load(
        source: &dyn WeightSource,
        shape: LanguageArchitecture,
        format: LinearFormat,
    ) -> Result<LanguageModel, PolicyError> {
        let size = (shape.vocab_size, shape.hidden_size);
        let embedding = source.table("language_model.model.embed_tokens.weight", size)?;
        let layers = (0..shape.layers).map(|i| DecoderLayer::load(source, &shape, i, format));
        let layers = layers.collect::<Result<_, PolicyError>>()?;
        Ok(LanguageModel {
            embedding,
            layers,
            norm: VectorParameter::load(
                source,
                "language_model.model.norm.weight",
                shape.hidden_size,
            )?,
            rope: RotaryEmbedding::new(
                shape.hidden_size / shape.heads,
                shape.rope_theta,
                shape.max_positions,
            ),
            shape,
        })
    }

    /// Longest sequence.
    pub fn max_positions(&self) -> usize {
        self.shape.max_positions
    }

    /// Writes the embedding of a token, `[hidden_size]`.
    ///
    /// # Errors
    /// Names the file when it cannot be read any more.
    pub fn embed(&self, token: u32, row: &mut [f32]) -> Result<(), PolicyError> {
        self.embedding.row(token as usize, row)
    }

    /// Final hidden states `[wanted, hidden_size]` of the embeddings in `buffers.residual` (`[tokens, hidden_size]`), after
    /// the final norm. The last layer computes only the rows `wanted`.
    pub fn forward(
        &self,
        buffers: &mut ScratchBuffers,
        tokens: usize,
        wanted: Range<usize>,
        mask: AttentionMask,
        trace: &mut Trace<'_>,
    ) -> Vec<f32> {
        let s = &self.shape;
        let width = s.hidden_size;
        let heads = AttentionShape {
            query_heads: s.heads,
            key_value_heads: s.key_value_heads,
            head_dim: width / s.heads,
            causal: mask == AttentionMask::Causal,
        };
        let form = self
            .layers
            .first()
            .map_or(ActivationFormat::F32, |l| l.k.activations());
        buffers.record_thread_scratch(
            (tokens, s.intermediate_size, form),
            (tokens, heads.head_dim),
        );
        let kv_width = heads.key_value_heads * heads.head_dim;
        let (threads, inputs, key_values, residual, scratch) = buffers.split();
        let scratch = scratch.get(tokens * (2 * width + 2 * kv_width).max(s.intermediate_size));
        let mut x = residual.get(tokens * width);
        let mut first = 0;
        for (i, l) in self.layers.iter().enumerate() {
            let last = i + 1 == self.layers.len();
            let kept = if last { wanted.clone() } else { 0..tokens };
            let rows = kept.len();
            let [q, k, v, attended] = split_buffer(
                scratch,
                [
                    rows * width,
                    tokens * kv_width,
                    tokens * kv_width,
                    rows * width,
                ],
            );
            let norm = |x: &[f32], norm: &VectorParameter, row: usize, out: &mut [f32]| {
                let len = norm.values.len();
                rms_norm(&x[row * len..][..len], &norm.values, s.norm_eps, out);
            };
            let form = l.k.activations();
            inputs.fill(threads, (tokens, width), form, |row, out| {
                norm(x, &l.input_norm, row, out);
            });
            l.k.apply(threads, inputs, Activation::None, StoreMode::Overwrite, k);
            l.v.apply(threads, inputs, Activation::None, StoreMode::Overwrite, v);
            if last {
                first = kept.start;
                x = &mut std::mem::take(&mut x)[kept.start * width..kept.end * width];
                inputs.fill(threads, (rows, width), form, |row, out| {
                    norm(x, &l.input_norm, row, out);
                });
            }
            l.q.apply(threads, inputs, Activation::None, StoreMode::Overwrite, q);
            let rope = Some(&self.rope);
            let sequence = AttentionInputs {
                q,
                first,
                k,
                v,
                rope,
            };
            attention(threads, key_values, sequence, heads, attended);
            inputs.fill(threads, (rows, width), form, |row, out| {
                match &l.attention_norm {
                    Some(sub) => norm(attended, sub, row, out),
                    None => out.copy_from_slice(&attended[row * width..][..width]),
                }
            });
            l.o.apply(threads, inputs, Activation::None, StoreMode::Accumulate, x);
            inputs.fill(threads, (rows, width), form, |row, out| {
                norm(x, &l.post_norm, row, out);
            });
            let wide = &mut scratch[..rows * s.intermediate_size];
            Linear::gated(&l.gate, &l.up, threads, inputs, s.gate, wide);
            inputs.fill(
                threads,
                (rows, s.intermediate_size),
                form,
                |row, out| match &l.ffn_norm {
                    Some(sub) => norm(wide, sub, row, out),
                    None => out
                        .copy_from_slice(&wide[row * s.intermediate_size..][..s.intermediate_size]),
                },
            );
            l.down
                .apply(threads, inputs, Activation::None, StoreMode::Accumulate, x);
            trace(&format!("lm.layer_out.{i}"), x);
        }
        let mut out = vec![0f32; x.len()];
        for (out, row) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
            rms_norm(row, &self.norm.values, s.norm_eps, out);
        }
        out
    }

    pub(crate) fn parameters<'a>(&'a self, list: &mut Parameters<'a>) {
        list.push(("token embedding", Parameter::Table(&self.embedding)));
        for l in &self.layers {
            for linear in [&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down] {
                list.push(("language linears", Parameter::Linear(linear)));
            }
            let sub = l.attention_norm.iter().chain(&l.ffn_norm);
            for norm in [&l.input_norm, &l.post_norm].into_iter().chain(sub) {
                list.push(("norms and biases", Parameter::Vector(norm)));
            }
        }
        list.push(("norms and biases", Parameter::Vector(&self.norm)));
    }

    /// Bytes of the tables that are computed when the model is built.
    pub(crate) fn tables(&self) -> usize {
        self.rope.bytes()
    }
}
