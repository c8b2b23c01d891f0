//! What happens to the sums of a product while they are in the cache: scales, bias, activation, gate, residual.

use crate::kernels::multiversion;
use crate::kernels::panel::{MAX_PANEL_GROUPS, OUTPUT_GROUP};
use crate::ops::{gelu_erf, gelu_tanh, silu};
use std::ops::Range;

/// What is done to an output after the bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `max(x, 0)`.
    Relu,
    /// GELU, tanh approximation.
    GeluTanh,
    /// GELU with the error function.
    GeluErf,
}

/// How a gate and its partner become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// `relu(gate)^2 * up` (BitNet).
    SquaredRelu,
    /// `gate * sigmoid(gate) * up` (Llama).
    Silu,
}

/// Where outputs go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StoreMode<'a> {
    /// Over what is there.
    Overwrite,
    /// Added to what is there: the residual stream.
    Accumulate,
    /// Multiplied by a number per output, then added (LayerScale).
    AccumulateScaled(&'a [f32]),
}

/// All that follows the product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Epilogue<'a> {
    /// Added to every row.
    pub bias: Option<&'a [f32]>,
    /// Applied to the sum.
    pub activation: Activation,
    /// Where it goes.
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
    /// The tail of a tile of `width` columns, the first of which become `columns` of the rows.
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
    /// Gate and partner into `columns` of the rows.
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
