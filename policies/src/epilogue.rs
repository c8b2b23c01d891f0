//! Epilogue of a product, while its sums are in the cache: scales, bias, activation function, gate, residual.

use crate::kernels::multiversion;
use crate::kernels::panel::{MAX_PANEL_GROUPS, OUTPUT_GROUP};
use crate::ops::{gelu_erf, gelu_tanh, silu};
use std::ops::Range;

/// Activation function, applied after the bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Identity.
    None,
    /// `max(x, 0)`.
    Relu,
    /// GELU, tanh approximation.
    GeluTanh,
    /// GELU with the error function.
    GeluErf,
}

/// Gate of a gated feed-forward layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// `relu(gate)^2 * up` (BitNet).
    SquaredRelu,
    /// `gate * sigmoid(gate) * up` (Llama).
    Silu,
}

/// Treatment of the old contents of the output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StoreMode<'a> {
    /// Overwritten.
    Overwrite,
    /// Added to: the residual stream.
    Accumulate,
    /// Added to, after multiplication by one factor per output, `[outputs]` (LayerScale).
    AccumulateScaled(&'a [f32]),
}

/// Operations that follow the product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Epilogue<'a> {
    /// Bias `[columns]`, added to every row.
    pub bias: Option<&'a [f32]>,
    /// Activation function of the sum.
    pub activation: Activation,
    /// Treatment of the old contents.
    pub store: StoreMode<'a>,
}

multiversion! {
    /// `sum * (scale of the output / scale of the row)`. Sums of fewer than 2^17 ternary products are below 2^24, exact in f32.
    pub(crate) fn dequantise_sums(sums: &[i32], rows: &[f32], outputs: &[f32], tile: &mut [f32]) {
        let width = outputs.len();
        for ((sums, tile), row) in sums.chunks_exact(width).zip(tile.chunks_exact_mut(width)).zip(rows) {
            let inverse = 1.0 / row;
            for ((y, sum), scale) in tile.iter_mut().zip(sums).zip(outputs) {
                *y = *sum as f32 * (scale * inverse);
            }
        }
    }
}

multiversion! {
    /// Applies the epilogue to a tile `[rows][width]`; its first columns become `columns` of the rows.
    pub(crate) fn apply_epilogue(tile: &[f32], width: usize, epilogue: Epilogue<'_>, rows: &mut [&mut [f32]], columns: Range<usize>) {
        let zero = [0f32; MAX_PANEL_GROUPS * OUTPUT_GROUP];
        let bias = epilogue.bias.unwrap_or(&zero[..columns.len()]);
        let mut row = [0f32; MAX_PANEL_GROUPS * OUTPUT_GROUP];
        for (tile, out) in tile.chunks_exact(width).zip(rows) {
            let out = &mut out[columns.clone()];
            match (epilogue.activation, epilogue.store) {
                (Activation::None, StoreMode::Overwrite) => {
                    for ((out, x), b) in out.iter_mut().zip(tile).zip(bias) {
                        *out = x + b;
                    }
                    continue;
                }
                (Activation::None, StoreMode::Accumulate) => {
                    for ((out, x), b) in out.iter_mut().zip(tile).zip(bias) {
                        *out += x + b;
                    }
                    continue;
                }
                _ => {}
            }
            let row = &mut row[..out.len()];
            for ((y, x), b) in row.iter_mut().zip(tile).zip(bias) {
                *y = x + b;
            }
            match epilogue.activation {
                Activation::None => {}
                Activation::Relu => for y in row.iter_mut() { *y = if *y > 0.0 { *y } else { 0.0 } },
                Activation::GeluTanh => for y in row.iter_mut() { *y = gelu_tanh(*y) },
                Activation::GeluErf => for y in row.iter_mut() { *y = gelu_erf(*y) },
            }
            match epilogue.store {
                StoreMode::Overwrite => for (out, y) in out.iter_mut().zip(row) { *out = *y },
                StoreMode::Accumulate => for (out, y) in out.iter_mut().zip(row) { *out += *y },
                StoreMode::AccumulateScaled(scale) => for ((out, y), s) in out.iter_mut().zip(row).zip(scale) { *out += *y * s },
            }
        }
    }
}

multiversion! {
    /// Combines the tiles `[rows][width]` of gate and up projection into `columns` of the rows.
    pub(crate) fn apply_gate(tiles: (&[f32], &[f32]), width: usize, how: Gate, rows: &mut [&mut [f32]], columns: Range<usize>) {
        let tiles = tiles.0.chunks_exact(width).zip(tiles.1.chunks_exact(width));
        for ((gate, up), out) in tiles.zip(rows) {
            let out = &mut out[columns.clone()];
            match how {
                Gate::SquaredRelu => for ((out, g), u) in out.iter_mut().zip(gate).zip(up) {
                    let r = if *g > 0.0 { *g } else { 0.0 };
                    *out = r * r * u;
                },
                Gate::Silu => for ((out, g), u) in out.iter_mut().zip(gate).zip(up) { *out = silu(*g) * u },
            }
        }
    }
}
