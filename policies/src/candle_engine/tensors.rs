//! Weights of a source as candle tensors, and the layers over them.

use super::candle;
use crate::weight_source::{EmbeddingTable, MatrixRequest, RowStorage, WeightSource};
use crate::weights::WeightEncoding;
use crate::{LinearShape, MemoryLedger, PolicyError};
use candle_core::{D, DType, Device, Result as CandleResult, Tensor};

/// `y = x W^T + b`; W is outputs x inputs, bf16 or f32.
pub(super) struct CandleLinear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl CandleLinear {
    /// Width of an input row.
    pub fn inputs(&self) -> usize {
        self.weight.dims().last().copied().unwrap_or(0)
    }

    /// Weights in f32, outputs x inputs.
    pub fn weight(&self) -> CandleResult<Tensor> {
        self.weight.to_dtype(DType::F32)
    }

    /// Bias, where there is one.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// Rows of inputs to rows of outputs.
    pub fn forward(&self, x: &Tensor) -> CandleResult<Tensor> {
        let y = x.matmul(&self.weight()?.t()?)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }
}

/// `(x - mean) / sqrt(variance + eps) * weight + bias` along the last axis.
pub(super) struct CandleLayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl CandleLayerNorm {
    pub fn forward(&self, x: &Tensor) -> CandleResult<Tensor> {
        let x = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let deviation = (x.sqr()?.mean_keepdim(D::Minus1)? + self.eps)?.sqrt()?;
        x.broadcast_div(&deviation)?
            .broadcast_mul(&self.weight)?
            .broadcast_add(&self.bias)
    }
}

/// `x / sqrt(mean(x^2) + eps) * weight` along the last axis.
pub(super) struct CandleRmsNorm {
    weight: Tensor,
    eps: f64,
}

impl CandleRmsNorm {
    pub fn forward(&self, x: &Tensor) -> CandleResult<Tensor> {
        let root = (x.sqr()?.mean_keepdim(D::Minus1)? + self.eps)?.sqrt()?;
        x.broadcast_div(&root)?.broadcast_mul(&self.weight)
    }
}

/// Softmax attention over (heads, queries, dim) and (heads, keys, dim); `mask` (queries, keys) is added to the scores. Returns
/// (queries, heads * dim).
pub(super) fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    mask: Option<&Tensor>,
) -> CandleResult<Tensor> {
    let (heads, queries, dim) = q.dims3()?;
    let scores = (q.matmul(&k.t()?)? / (dim as f64).sqrt())?;
    let scores = match mask {
        Some(mask) => scores.broadcast_add(mask)?,
        None => scores,
    };
    let scores = scores
        .broadcast_sub(&scores.max_keepdim(D::Minus1)?)?
        .exp()?;
    let weights = scores.broadcast_div(&scores.sum_keepdim(D::Minus1)?)?;
    weights
        .matmul(v)?
        .transpose(0, 1)?
        .contiguous()?
        .reshape((queries, heads * dim))
}

/// Rows of `heads * dim` to (heads, rows, dim).
pub(super) fn split_heads(x: &Tensor, heads: usize) -> CandleResult<Tensor> {
    let (rows, width) = x.dims2()?;
    x.reshape((rows, heads, width / heads))?
        .transpose(0, 1)?
        .contiguous()
}

/// Reads tensors of a source and counts what they take.
pub(super) struct TensorLoader<'a> {
    source: &'a dyn WeightSource,
    linears: Vec<LinearShape>,
    ledger: MemoryLedger,
}

impl<'a> TensorLoader<'a> {
    pub fn new(source: &'a dyn WeightSource) -> TensorLoader<'a> {
        TensorLoader {
            source,
            linears: Vec::new(),
            ledger: MemoryLedger::default(),
        }
    }

    /// Layers and bytes that were read.
    pub fn finish(self) -> (Vec<LinearShape>, MemoryLedger) {
        (self.linears, self.ledger)
    }

    /// A vector of `len` values in f32, counted under `class`.
    pub fn vector(&mut self, class: &str, name: &str, len: usize) -> Result<Tensor, PolicyError> {
        let values = self.source.vector(name, len)?;
        self.ledger.add_owned(class, "f32", 4 * values.len());
        candle(Tensor::from_vec(values, len, &Device::Cpu))
    }

    /// A layer without a bias, counted under `class`.
    pub fn linear(
        &mut self,
        class: &'static str,
        name: &str,
        (outputs, inputs): (usize, usize),
    ) -> Result<CandleLinear, PolicyError> {
        let weights = self.source.weights(MatrixRequest {
            name,
            outputs,
            inputs,
            encoding: None,
        })?;
        let dtype = match weights.encoding() {
            WeightEncoding::F32 => DType::F32,
            WeightEncoding::Bf16 => DType::BF16,
            other => {
                return Err(PolicyError::Query {
                    policy: "candle".into(),
                    what: format!("{name} is stored as {}, expected bf16 or f32", other.name()),
                });
            }
        };
        self.linears.push(LinearShape {
            class,
            name: name.into(),
            outputs,
            inputs,
            integer: false,
            ternary: false,
        });
        let bytes = outputs * inputs * dtype.size_in_bytes();
        let encoding = weights.encoding().name();
        self.ledger.add_owned(class, encoding, bytes);
        let values = weights.row_major();
        drop(weights);
        let weight = Tensor::from_vec(values, (outputs, inputs), &Device::Cpu);
        Ok(CandleLinear {
            weight: candle(weight.and_then(|weight| weight.to_dtype(dtype)))?,
            bias: None,
        })
    }

    /// A layer with a bias, counted under `class`.
    pub fn biased(
        &mut self,
        class: &'static str,
        name: &str,
        size: (usize, usize),
    ) -> Result<CandleLinear, PolicyError> {
        let linear = self.linear(class, name, size)?;
        let bias = self.vector("norms and biases", &format!("{name}.bias"), size.0)?;
        Ok(CandleLinear {
            bias: Some(bias),
            ..linear
        })
    }

    /// Layers with biases and the widths between them.
    pub fn layers(
        &mut self,
        class: &'static str,
        names: &[&str],
        widths: &[usize],
    ) -> Result<Vec<CandleLinear>, PolicyError> {
        let layers = names.iter().zip(widths.windows(2));
        layers
            .map(|(name, w)| self.biased(class, name, (w[1], w[0])))
            .collect()
    }

    pub fn layer_norm(
        &mut self,
        name: &str,
        len: usize,
        eps: f64,
    ) -> Result<CandleLayerNorm, PolicyError> {
        Ok(CandleLayerNorm {
            weight: self.vector("norms and biases", &format!("{name}.weight"), len)?,
            bias: self.vector("norms and biases", &format!("{name}.bias"), len)?,
            eps,
        })
    }

    pub fn rms_norm(
        &mut self,
        name: &str,
        len: usize,
        eps: f64,
    ) -> Result<CandleRmsNorm, PolicyError> {
        Ok(CandleRmsNorm {
            weight: self.vector("norms and biases", &format!("{name}.weight"), len)?,
            eps,
        })
    }

    /// Counts the token embedding.
    pub fn count_table(&mut self, table: &EmbeddingTable) {
        let (class, dtype) = ("token embedding", table.dtype.name());
        match table.rows {
            RowStorage::InMemory(_) => self.ledger.add_owned(class, dtype, table.bytes()),
            RowStorage::InFile(_) => self.ledger.add_filed(class, dtype, table.bytes()),
        }
    }
}
