//! The one linear layer of the network, over every weight format: dense f32 or packed ternary.

use crate::MemoryLedger;
use crate::kernels::dense_f32::{self, Panels};
use crate::kernels::quant::{QuantisedRows, quantise_weights};
use crate::kernels::{Isa, PackedTernary, multiversion, ternary_gemm};
use crate::ops::add;

/// How a linear layer computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinearFormat {
    /// f32 weights and activations.
    Dense,
    /// Ternary weights (fact sheet, section 5); `int8` activations make it integer arithmetic, without them
    /// the dequantised weights are multiplied in f32.
    Ternary {
        /// Quantise the activations too.
        int8: bool,
    },
    /// f32 weights, activations rounded to int8 and back.
    DenseInt8,
}

/// `y = x W^T + b`.
#[derive(Debug, Clone)]
pub struct Linear {
    weights: Weights,
    bias: Option<Vec<f32>>,
    inputs: usize,
    outputs: usize,
}

#[derive(Debug, Clone)]
enum Weights {
    Dense {
        panels: Panels,
        int8_activations: bool,
    },
    Ternary {
        packed: PackedTernary,
        absmean: f32,
    },
}

impl Linear {
    /// From row-major master weights (outputs x inputs).
    pub fn new(
        weight: &[f32],
        bias: Option<Vec<f32>>,
        outputs: usize,
        inputs: usize,
        format: LinearFormat,
    ) -> Linear {
        let dense = |values: &[f32], int8_activations| Weights::Dense {
            panels: Panels::pack(outputs, inputs, values),
            int8_activations,
        };
        let weights = match format {
            LinearFormat::Dense => dense(weight, false),
            LinearFormat::DenseInt8 => dense(weight, true),
            LinearFormat::Ternary { int8 } => {
                let ternary = quantise_weights(weight);
                if int8 {
                    let packed = PackedTernary::pack(outputs, inputs, &ternary.codes);
                    Weights::Ternary {
                        packed,
                        absmean: ternary.absmean,
                    }
                } else {
                    dense(&ternary.dequantise(), false)
                }
            }
        };
        Linear {
            weights,
            bias,
            inputs,
            outputs,
        }
    }

    /// Width of an input row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }
    /// Width of an output row.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Applies to rows of `inputs()`.
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        forward_shared(x, &[self]).pop().unwrap_or_default()
    }

    fn dense(&self, x: &[f32], panels: &Panels) -> Vec<f32> {
        let rows = x.len() / self.inputs;
        let mut y = vec![0f32; rows * self.outputs];
        dense_f32::gemm(Isa::active(), rows, x, panels, &mut y);
        if let Some(bias) = &self.bias {
            for row in y.chunks_exact_mut(self.outputs) {
                add(row, bias);
            }
        }
        y
    }

    /// `sum * absmean / s + bias`.
    fn ternary(
        &self,
        x: &QuantisedRows,
        packed: &PackedTernary,
        absmean: f32,
        sums: &mut Vec<i32>,
    ) -> Vec<f32> {
        ternary_gemm(Isa::active(), x, packed, sums);
        let mut y = vec![0f32; x.rows() * self.outputs];
        let rows = y
            .chunks_exact_mut(self.outputs)
            .zip(sums.chunks_exact(packed.padded_n()));
        for ((row, sums), scale) in rows.zip(x.scales()) {
            scale_sums(row, sums, absmean, *scale);
            if let Some(bias) = &self.bias {
                add(row, bias);
            }
        }
        y
    }

    /// Adds the layer to a ledger under `class`; biases count as f32.
    pub fn account(&self, class: &str, ledger: &mut MemoryLedger) {
        match &self.weights {
            Weights::Dense { panels, .. } => add_weights(ledger, class, "f32", panels.bytes()),
            Weights::Ternary { packed, .. } => {
                add_weights(ledger, class, "ternary 2-bit", packed.bytes() + 4)
            }
        }
        if let Some(bias) = &self.bias {
            add_weights(ledger, "norms and biases", "f32", 4 * bias.len());
        }
    }
}

multiversion! {
    /// `sum * absmean / scale`.
    fn scale_sums(out: &mut [f32], sums: &[i32], absmean: f32, scale: f32) {
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = *sum as f32 * absmean / scale;
        }
    }
}

/// Applies several layers to the same rows; the activations are quantised once.
pub fn forward_shared(x: &[f32], layers: &[&Linear]) -> Vec<Vec<f32>> {
    let mut quantised = None;
    let mut rounded = None;
    let mut sums = Vec::new();
    let mut out = Vec::with_capacity(layers.len());
    for layer in layers {
        out.push(match &layer.weights {
            Weights::Dense {
                panels,
                int8_activations: false,
            } => layer.dense(x, panels),
            Weights::Dense { panels, .. } => {
                let x =
                    rounded.get_or_insert_with(|| QuantisedRows::new(x, layer.inputs).dequantise());
                layer.dense(x, panels)
            }
            Weights::Ternary { packed, absmean } => {
                let x = quantised.get_or_insert_with(|| QuantisedRows::new(x, layer.inputs));
                layer.ternary(x, packed, *absmean, &mut sums)
            }
        });
    }
    out
}

/// Adds bytes to the entry of a class and an encoding.
pub fn add_weights(ledger: &mut MemoryLedger, class: &str, encoding: &str, bytes: usize) {
    let bytes = bytes as u64;
    match ledger
        .weights
        .iter_mut()
        .find(|(c, e, _)| c == class && e == encoding)
    {
        Some(entry) => entry.2 += bytes,
        None => ledger.weights.push((class.into(), encoding.into(), bytes)),
    }
}
