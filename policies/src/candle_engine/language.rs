//! BitNet language model (`docs/reference/bitvla.md`, section 1.1) on candle, without its vocabulary head: grouped-query
//! attention, rotary embedding, gated squared ReLU, norms before the output and down projections.

use super::candle;
use super::tensors::{CandleLinear, CandleRmsNorm, TensorLoader, attention, split_heads};
use super::vision::show;
use crate::language::LanguageArchitecture;
use crate::{AttentionMask, PolicyError, Threads, Trace};
use candle_core::{Device, Result as CandleResult, Tensor};
use std::ops::Range;

/// The model.
pub(super) struct CandleLanguageModel {
    shape: LanguageArchitecture,
    layers: Vec<CandleDecoderLayer>,
    norm: CandleRmsNorm,
}

struct CandleDecoderLayer {
    input_norm: CandleRmsNorm,
    q: CandleLinear,
    k: CandleLinear,
    v: CandleLinear,
    o: CandleLinear,
    attention_norm: CandleRmsNorm,
    post_norm: CandleRmsNorm,
    gate: CandleLinear,
    up: CandleLinear,
    down: CandleLinear,
    ffn_norm: CandleRmsNorm,
}

/// Tables that all layers of one query share.
struct AttentionTensors {
    /// Cosines and sines of the rotary embedding (tokens x head width).
    cos: Tensor,
    sin: Tensor,
    /// Added to the scores (tokens x tokens), of a causal model.
    mask: Option<Tensor>,
}

impl CandleDecoderLayer {
    fn load(
        loader: &mut TensorLoader<'_>,
        s: &LanguageArchitecture,
        i: usize,
    ) -> Result<CandleDecoderLayer, PolicyError> {
        let (w, wide, eps) = (s.hidden_size, s.intermediate_size, f64::from(s.norm_eps));
        let kv = s.key_value_heads * (w / s.heads);
        let name = |part: &str| format!("language_model.model.layers.{i}.{part}");
        let linear = |loader: &mut TensorLoader<'_>, part: &str, n, k| {
            loader.linear("language linears", &name(part), (n, k))
        };
        Ok(CandleDecoderLayer {
            input_norm: loader.rms_norm(&name("input_layernorm"), w, eps)?,
            q: linear(loader, "self_attn.q_proj", w, w)?,
            k: linear(loader, "self_attn.k_proj", kv, w)?,
            v: linear(loader, "self_attn.v_proj", kv, w)?,
            o: linear(loader, "self_attn.o_proj", w, w)?,
            attention_norm: loader.rms_norm(&name("self_attn.attn_sub_norm"), w, eps)?,
            post_norm: loader.rms_norm(&name("post_attention_layernorm"), w, eps)?,
            gate: linear(loader, "mlp.gate_proj", wide, w)?,
            up: linear(loader, "mlp.up_proj", wide, w)?,
            down: linear(loader, "mlp.down_proj", w, wide)?,
            ffn_norm: loader.rms_norm(&name("mlp.ffn_sub_norm"), wide, eps)?,
        })
    }

    /// Rows `rows` of the next residual stream; `x` is tokens x width.
    fn forward(
        &self,
        s: &LanguageArchitecture,
        x: &Tensor,
        rows: Range<usize>,
        sequence: &AttentionTensors,
    ) -> CandleResult<Tensor> {
        let cut = |x: &Tensor| x.narrow(0, rows.start, rows.len());
        let normed = self.input_norm.forward(x)?;
        let rotate = |x: Tensor, rows: Range<usize>| {
            let of = |table: &Tensor| table.narrow(0, rows.start, rows.len());
            rotate(&x, &of(&sequence.cos)?, &of(&sequence.sin)?)
        };
        let k = split_heads(&self.k.forward(&normed)?, s.key_value_heads)?;
        let v = split_heads(&self.v.forward(&normed)?, s.key_value_heads)?;
        let q = split_heads(&self.q.forward(&cut(&normed)?.contiguous()?)?, s.heads)?;
        let group = s.heads / s.key_value_heads;
        let k = repeat(&rotate(k, 0..x.dim(0)?)?, group)?;
        let v = repeat(&v, group)?;
        let mask = sequence.mask.as_ref().map(cut).transpose()?;
        let mixed = attention(&rotate(q, rows.clone())?, &k, &v, mask.as_ref())?;
        let mixed = self.attention_norm.forward(&mixed)?;
        let x = (cut(x)? + self.o.forward(&mixed)?)?;
        let normed = self.post_norm.forward(&x)?;
        let gate = self.gate.forward(&normed)?.relu()?.sqr()?;
        let gated = (gate * self.up.forward(&normed)?)?;
        x + self.down.forward(&self.ffn_norm.forward(&gated)?)?
    }
}

/// Rotary embedding of (heads, rows, dim), pairs (i, i + dim / 2).
fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> CandleResult<Tensor> {
    let half = x.dim(2)? / 2;
    let (low, high) = (x.narrow(2, 0, half)?, x.narrow(2, half, half)?);
    let turned = Tensor::cat(&[&high.neg()?, &low], 2)?;
    x.broadcast_mul(cos)? + turned.broadcast_mul(sin)?
}

/// Every head `group` times in a row.
fn repeat(x: &Tensor, group: usize) -> CandleResult<Tensor> {
    let (heads, rows, dim) = x.dims3()?;
    x.unsqueeze(1)?
        .broadcast_as((heads, group, rows, dim))?
        .contiguous()?
        .reshape((heads * group, rows, dim))
}

impl CandleLanguageModel {
    pub fn load(
        loader: &mut TensorLoader<'_>,
        shape: LanguageArchitecture,
    ) -> Result<CandleLanguageModel, PolicyError> {
        let layers = (0..shape.layers).map(|i| CandleDecoderLayer::load(loader, &shape, i));
        let layers = layers.collect::<Result<_, _>>()?;
        let eps = f64::from(shape.norm_eps);
        Ok(CandleLanguageModel {
            layers,
            norm: loader.rms_norm("language_model.model.norm", shape.hidden_size, eps)?,
            shape,
        })
    }

    /// Embeddings (tokens x width) to the rows `wanted` after the final norm. As in the native engine, the last layer
    /// computes no other rows.
    pub fn forward(
        &self,
        threads: &Threads,
        mut x: Tensor,
        wanted: Range<usize>,
        mask: AttentionMask,
        trace: &mut Trace<'_>,
    ) -> Result<Tensor, PolicyError> {
        let tokens = candle(x.dim(0))?;
        let sequence = candle(AttentionTensors::new(&self.shape, tokens, mask))?;
        for (i, layer) in self.layers.iter().enumerate() {
            let last = i + 1 == self.layers.len();
            let rows = if last { wanted.clone() } else { 0..tokens };
            let next = || candle(layer.forward(&self.shape, &x, rows, &sequence));
            x = threads.install(next)??;
            show(trace, &format!("lm.layer_out.{i}"), &x)?;
        }
        if self.layers.is_empty() {
            x = candle(x.narrow(0, wanted.start, wanted.len()))?;
        }
        candle(self.norm.forward(&x))
    }
}

impl AttentionTensors {
    fn new(
        s: &LanguageArchitecture,
        tokens: usize,
        mask: AttentionMask,
    ) -> CandleResult<AttentionTensors> {
        let dim = s.hidden_size / s.heads;
        let angle = |token: usize, i: usize| {
            // In f32, as the reference.
            let exponent = (2 * (i % (dim / 2))) as f32 / dim as f32;
            token as f32 * (1.0 / libm::powf(s.rope_theta, exponent))
        };
        let angles = (0..tokens).flat_map(|token| (0..dim).map(move |i| angle(token, i)));
        let angles: Vec<f32> = angles.collect();
        let angles = Tensor::from_vec(angles, (tokens, dim), &Device::Cpu)?;
        let mask = match mask {
            AttentionMask::Bidirectional => None,
            AttentionMask::Causal => {
                let hidden = |i: usize| match i % tokens > i / tokens {
                    true => f32::NEG_INFINITY,
                    false => 0.0,
                };
                let values: Vec<f32> = (0..tokens * tokens).map(hidden).collect();
                Some(Tensor::from_vec(values, (tokens, tokens), &Device::Cpu)?)
            }
        };
        Ok(AttentionTensors {
            cos: angles.cos()?,
            sin: angles.sin()?,
            mask,
        })
    }
}
