//! BitNet language model without its vocabulary head (fact sheet of BitVLA, section 1.1): grouped-query attention,
//! rotary embedding, gated squared ReLU, sub-norms before the output and down projections, no biases.

use crate::checkpoint::{Stored, bf16_to_f32};
use crate::linear::{Linear, LinearFormat, add_weights, forward_shared};
use crate::ops::{Heads, Rope, add, attention, relu2_gate, rms_norm};
use crate::{Attention, Checkpoint, MemoryLedger, PolicyError, TextConfig, Trace, WeightFormat};
use std::ops::Range;

/// The model.
pub struct Language {
    config: TextConfig,
    embedding: Stored,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    rope: Rope,
    rope_positions: usize,
}

struct Layer {
    input_norm: Vec<f32>,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    attention_norm: Vec<f32>,
    post_norm: Vec<f32>,
    gate: Linear,
    up: Linear,
    down: Linear,
    ffn_norm: Vec<f32>,
}

impl Language {
    /// Takes it out of a checkpoint. The embedding stays as stored.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn load(checkpoint: &Checkpoint, format: WeightFormat) -> Result<Language, PolicyError> {
        let config = checkpoint.config().text_config.clone();
        let file = checkpoint.model();
        let format = match format {
            WeightFormat::Full => LinearFormat::Dense,
            WeightFormat::Ternary | WeightFormat::PtqTernary => {
                LinearFormat::Ternary { int8: true }
            }
        };
        let (w, wide) = (config.hidden_size, config.intermediate_size);
        let kv = config.num_key_value_heads * config.head_dim();
        let layers = (0..config.num_hidden_layers).map(|i| {
            let norm =
                |part: &str| file.f32(&format!("language_model.model.layers.{i}.{part}.weight"));
            let linear = |part: &str, outputs: usize, inputs: usize| {
                Ok::<_, PolicyError>(Linear::new(&norm(part)?, None, outputs, inputs, format))
            };
            Ok(Layer {
                input_norm: norm("input_layernorm")?,
                q: linear("self_attn.q_proj", w, w)?,
                k: linear("self_attn.k_proj", kv, w)?,
                v: linear("self_attn.v_proj", kv, w)?,
                o: linear("self_attn.o_proj", w, w)?,
                attention_norm: norm("self_attn.attn_sub_norm")?,
                post_norm: norm("post_attention_layernorm")?,
                gate: linear("mlp.gate_proj", wide, w)?,
                up: linear("mlp.up_proj", wide, w)?,
                down: linear("mlp.down_proj", w, wide)?,
                ffn_norm: norm("mlp.ffn_sub_norm")?,
            })
        });
        let layers = layers.collect::<Result<_, PolicyError>>()?;
        let rope_positions = config.max_position_embeddings.min(1024);
        Ok(Language {
            embedding: file.stored("language_model.model.embed_tokens.weight")?,
            norm: file.f32("language_model.model.norm.weight")?,
            rope: Rope::new(config.head_dim(), config.rope_theta, rope_positions),
            rope_positions,
            config,
            layers,
        })
    }

    /// Longest sequence.
    pub fn max_positions(&self) -> usize {
        self.rope_positions
    }

    /// Embeds one token into a row.
    pub fn embed(&self, token: u32, row: &mut [f32]) {
        let width = self.config.hidden_size;
        let range = token as usize * width..(token as usize + 1) * width;
        match &self.embedding {
            Stored::F32(values) => row.copy_from_slice(&values[range]),
            Stored::Bf16(values) => {
                for (to, from) in row.iter_mut().zip(&values[range]) {
                    *to = bf16_to_f32(*from);
                }
            }
        }
    }

    /// Rows of embeddings to the rows `wanted` after the final norm. The last layer computes no others.
    pub fn forward(
        &self,
        mut x: Vec<f32>,
        wanted: Range<usize>,
        mask: Attention,
        trace: &mut Trace<'_>,
    ) -> Vec<f32> {
        let c = &self.config;
        let width = c.hidden_size;
        let heads = Heads {
            query: c.num_attention_heads,
            key_value: c.num_key_value_heads,
            width: c.head_dim(),
            causal: mask == Attention::Causal,
        };
        let eps = c.rms_norm_eps;
        for (i, l) in self.layers.iter().enumerate() {
            let normed = rms_norm(&x, &l.input_norm, eps);
            let mut kv = forward_shared(&normed, &[&l.k, &l.v]);
            let mut first = 0;
            let mut queries = &normed[..];
            if i + 1 == self.layers.len() {
                first = wanted.start;
                queries = &normed[wanted.start * width..wanted.end * width];
                x = x[wanted.start * width..wanted.end * width].to_vec();
            }
            let mut q = l.q.forward(queries);
            self.rope.apply(&mut q, first, heads.query);
            self.rope.apply(&mut kv[0], 0, heads.key_value);
            let mixed = attention(&q, &kv[0], &kv[1], first, heads);
            add(
                &mut x,
                &l.o.forward(&rms_norm(&mixed, &l.attention_norm, eps)),
            );
            let normed = rms_norm(&x, &l.post_norm, eps);
            let mut gated = forward_shared(&normed, &[&l.gate, &l.up]);
            let up = gated.pop().unwrap_or_default();
            let mut gate = gated.pop().unwrap_or_default();
            relu2_gate(&mut gate, &up);
            add(&mut x, &l.down.forward(&rms_norm(&gate, &l.ffn_norm, eps)));
            trace(&format!("lm.layer_out.{i}"), &x);
        }
        rms_norm(&x, &self.norm, eps)
    }

    pub(crate) fn account(&self, ledger: &mut MemoryLedger) {
        let (encoding, bytes) = match &self.embedding {
            Stored::Bf16(values) => ("bf16", 2 * values.len()),
            Stored::F32(values) => ("f32", 4 * values.len()),
        };
        add_weights(ledger, "token embedding", encoding, bytes);
        let mut norms = self.norm.len();
        for l in &self.layers {
            for linear in [&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down] {
                linear.account("language linears", ledger);
            }
            norms +=
                l.input_norm.len() + l.attention_norm.len() + l.post_norm.len() + l.ffn_norm.len();
        }
        add_weights(ledger, "norms and biases", "f32", 4 * norms);
    }
}
