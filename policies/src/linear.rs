//! The one linear layer of the network, over every weight format. Outputs are partitioned into blocks of rows and columns
//! for the threads; in each block the weights are unpacked a panel at a time, multiplied by all its rows and finished by
//! the epilogue (scale, bias, activation, residual) while the sums are in the cache. Neither the blocks nor the threads
//! change a result.

pub use crate::activation_buffer::{ActivationBuffer, ActivationFormat};
pub use crate::epilogue::{Activation, Gate, StoreMode};
pub use crate::formats::LinearFormat;

use crate::epilogue::{Epilogue, apply_epilogue, apply_gate, dequantise_sums};
use crate::formats::WeightEncoding;
use crate::kernels::aligned::AlignedBuffer;
use crate::kernels::gemm::{f32_panel, int8_panel};
use crate::kernels::panel::{
    F32Panel, Int8Panel, MAX_PANEL_GROUPS, OUTPUT_GROUP, QUAD_BYTES, panels,
};
use crate::kernels::{BLOCK_K, Isa};
use crate::partition::{OutputBlock, partition_matrix, partition_range};
use crate::profile;
use crate::threads::Threads;
use crate::weights::Weights;
use std::cell::RefCell;
use std::ops::Range;

/// `y = x W^T + b`: `[rows, inputs]` to `[rows, outputs]`.
#[derive(Debug, Clone)]
pub struct Linear {
    name: String,
    weights: Weights,
    bias: Option<Vec<f32>>,
    activations: ActivationFormat,
}

/// Inputs of an f32 panel: 32 KiB of weights, two thirds of a first-level cache.
const F32_PANEL_DEPTH: usize = 128;
/// Rows of integer sums that go through the epilogue together.
const INT8_TILE_ROWS: usize = 24;
/// Largest number of rows of a block.
const MAX_BLOCK_ROWS: usize = 384;

/// Scratch of one thread: a panel of weights and its products with some rows.
#[derive(Default)]
struct TileScratch {
    bytes: AlignedBuffer<u8>,
    floats: AlignedBuffer<f32>,
    sums: AlignedBuffer<i32>,
    /// Products in f32, `[rows][groups * 16]`.
    tile: AlignedBuffer<f32>,
}

thread_local! {
    static SCRATCH: RefCell<[TileScratch; 2]> = RefCell::default();
}

/// Bytes of scratch that a thread holds after products of `rows` rows with `k` inputs.
pub(crate) fn scratch_bytes(rows: usize, k: usize, form: ActivationFormat) -> usize {
    let block = MAX_BLOCK_ROWS.min(rows);
    let width = MAX_PANEL_GROUPS * OUTPUT_GROUP;
    2 * match form {
        ActivationFormat::Int8 => width * (k + 8 * INT8_TILE_ROWS),
        _ => 4 * width * (F32_PANEL_DEPTH + block),
    }
}

/// Partition of the outputs of a layer into panels, and of the panels into parts for the threads.
struct OutputPartition {
    outputs: usize,
    /// First group and number of groups of every panel.
    panels: Vec<(usize, usize)>,
    parts: Vec<Range<usize>>,
}

impl OutputPartition {
    fn new(threads: &Threads, weights: &Weights, rows: usize) -> OutputPartition {
        let panels: Vec<(usize, usize)> = panels(weights.groups()).collect();
        OutputPartition {
            outputs: weights.n(),
            parts: partition_range(threads, panels.len(), rows.div_ceil(MAX_BLOCK_ROWS)),
            panels,
        }
    }

    /// Columns of a panel.
    fn columns(&self, (first, count): (usize, usize)) -> Range<usize> {
        first * OUTPUT_GROUP..self.outputs.min((first + count) * OUTPUT_GROUP)
    }

    /// Panels of a part and its first column.
    fn part(&self, part: usize) -> (&[(usize, usize)], usize) {
        let panels = &self.panels[self.parts[part].clone()];
        let first = panels.first().map_or(0, |panel| panel.0 * OUTPUT_GROUP);
        (panels, first)
    }

    fn blocks<'a>(&self, out: &'a mut [f32]) -> Vec<OutputBlock<'a>> {
        let width = |part: &Range<usize>| {
            let panels = &self.panels[part.clone()];
            panels.iter().map(|panel| self.columns(*panel).len()).sum()
        };
        let widths: Vec<usize> = self.parts.iter().map(width).collect();
        partition_matrix(out, &widths, (6, MAX_BLOCK_ROWS))
    }
}

impl Linear {
    /// Encodes row-major master weights `[outputs, inputs]`.
    ///
    /// # Panics
    /// If their number does not fit, or the encoding has no products with int8 activations and the format asks for
    /// them.
    pub fn new(
        name: &str,
        weight: &[f32],
        bias: Option<Vec<f32>>,
        (outputs, inputs): (usize, usize),
        format: LinearFormat,
    ) -> Linear {
        // Master weights are stored as f32.
        let encoding = format.encoding.unwrap_or(WeightEncoding::F32);
        let weights = Weights::encode(weight, outputs, inputs, encoding);
        Linear::from_weights(name, weights, bias, format.activations)
    }

    /// A layer over encoded weights.
    ///
    /// # Panics
    /// If the encoding has no products with int8 activations and `activations` asks for them.
    pub fn from_weights(
        name: &str,
        weights: Weights,
        bias: Option<Vec<f32>>,
        activations: ActivationFormat,
    ) -> Linear {
        assert!(
            activations != ActivationFormat::Int8 || weights.integer().is_some(),
            "{name}: {} has no integer products",
            weights.encoding().name()
        );
        Linear {
            name: name.into(),
            weights,
            bias,
            activations,
        }
    }

    /// Name in the checkpoint, without `.weight`.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Length of an input row.
    pub fn inputs(&self) -> usize {
        self.weights.k()
    }
    /// Length of an output row.
    pub fn outputs(&self) -> usize {
        self.weights.n()
    }
    /// Encoded weights `[outputs, inputs]`.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }
    /// Bias `[outputs]`.
    pub fn bias(&self) -> Option<&[f32]> {
        self.bias.as_deref()
    }
    /// Form in which the layer takes its activations.
    pub fn activations(&self) -> ActivationFormat {
        self.activations
    }

    /// Applies the layer on this thread: `[rows, inputs]` to `[rows, outputs]`. For tests.
    #[doc(hidden)]
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        let threads = Threads::single();
        let mut inputs = ActivationBuffer::default();
        inputs.copy(&threads, x, self.inputs(), self.activations);
        let mut y = vec![0.0; inputs.rows() * self.outputs()];
        self.apply(
            &threads,
            &inputs,
            Activation::None,
            StoreMode::Overwrite,
            &mut y,
        );
        y
    }

    /// Applies the layer to the rows of a buffer `[rows, inputs]`; `out` is `[rows, outputs]`.
    ///
    /// # Panics
    /// If a size does not fit.
    pub fn apply(
        &self,
        threads: &Threads,
        x: &ActivationBuffer,
        activation: Activation,
        store: StoreMode<'_>,
        out: &mut [f32],
    ) {
        let _span = profile::start(profile::WorkKind::Linear);
        let (rows, n) = (x.rows(), self.outputs());
        assert_eq!(x.k(), self.inputs(), "{}: inputs", self.name);
        assert_eq!(out.len(), rows * n, "{}: outputs", self.name);
        Linear::for_each_tile(
            &[self],
            threads,
            x,
            out,
            |[scratch, _], width, columns, rows, place| {
                let epilogue = Epilogue {
                    bias: self.bias.as_deref().map(|b| &b[columns.clone()]),
                    activation,
                    store: match store {
                        StoreMode::AccumulateScaled(scale) => {
                            StoreMode::AccumulateScaled(&scale[columns])
                        }
                        other => other,
                    },
                };
                let tile = scratch.tile.view(rows.len() * width);
                apply_epilogue(tile, width, epilogue, rows, place);
            },
        );
    }

    /// `gate(x W_gate^T, x W_up^T)` of a buffer `[rows, inputs]`; both layers have no bias, `out` is `[rows, outputs]`.
    ///
    /// # Panics
    /// If a size does not fit.
    pub fn gated(
        gate: &Linear,
        up: &Linear,
        threads: &Threads,
        x: &ActivationBuffer,
        kind: Gate,
        out: &mut [f32],
    ) {
        let _span = profile::start(profile::WorkKind::Linear);
        let (rows, n) = (x.rows(), gate.outputs());
        assert_eq!(up.outputs(), n, "{}: outputs", up.name);
        assert_eq!(out.len(), rows * n, "{}: outputs", gate.name);
        Linear::for_each_tile(
            &[gate, up],
            threads,
            x,
            out,
            |[gate, up], width, _, rows, place| {
                let size = rows.len() * width;
                let tiles = (gate.tile.view(size), up.tile.view(size));
                apply_gate(tiles, width, kind, rows, place);
            },
        );
    }

    /// Computes one or two layers of the same size tile by tile: `epilogue` gets the tiles, their width, the columns that
    /// they are, and the rows with the columns in them that the outputs are written to.
    fn for_each_tile(
        layers: &[&Linear],
        threads: &Threads,
        x: &ActivationBuffer,
        out: &mut [f32],
        epilogue: impl Fn(&[TileScratch; 2], usize, Range<usize>, &mut [&mut [f32]], Range<usize>)
        + Sync
        + Send,
    ) {
        let partition = OutputPartition::new(threads, &layers[0].weights, x.rows());
        let block = |mut block: OutputBlock<'_>| {
            SCRATCH.with_borrow_mut(|scratch| {
                let (panels, start) = partition.part(block.part);
                for panel in panels {
                    let columns = partition.columns(*panel);
                    let place = columns.start - start..columns.end - start;
                    for (layer, scratch) in layers.iter().zip(scratch.iter_mut()) {
                        layer.unpack_int8(scratch, *panel);
                    }
                    let step = layers[0].tile_rows(block.rows.len());
                    for (j, rows) in block.rows.chunks_mut(step).enumerate() {
                        let first = block.first + j * step;
                        let range = first..first + rows.len();
                        for (layer, scratch) in layers.iter().zip(scratch.iter_mut()) {
                            layer.multiply(scratch, x, range.clone(), *panel);
                        }
                        let width = panel.1 * OUTPUT_GROUP;
                        epilogue(scratch, width, columns.clone(), rows, place.clone());
                    }
                }
            });
        };
        threads.for_each(partition.blocks(out).into_iter(), block);
    }

    /// Rows that go through the epilogue together. Integer sums are complete after one panel, so that a few rows at a time
    /// go to memory while the next are computed; f32 panels are split in depth and multiplied by all rows first.
    fn tile_rows(&self, rows: usize) -> usize {
        match self.activations {
            ActivationFormat::Int8 => INT8_TILE_ROWS,
            _ => rows.max(1),
        }
    }

    /// Unpacks a panel of integer weights whole; f32 panels are unpacked part by part in [`Linear::multiply`].
    fn unpack_int8(&self, scratch: &mut TileScratch, (first, count): (usize, usize)) {
        if self.activations == ActivationFormat::Int8 {
            let quads = self.inputs().next_multiple_of(BLOCK_K) / 4;
            let panel = scratch.bytes.get(quads * count * QUAD_BYTES);
            self.weights.unpack_int8((first, count), 0..quads, panel);
        }
    }

    /// Products of some rows and a panel of outputs into the tile `[rows][count * 16]`, without the bias.
    fn multiply(
        &self,
        scratch: &mut TileScratch,
        x: &ActivationBuffer,
        rows: Range<usize>,
        (first, count): (usize, usize),
    ) {
        let TileScratch {
            bytes,
            floats,
            sums,
            tile,
        } = scratch;
        let (isa, k) = (Isa::active(), self.inputs());
        let width = count * OUTPUT_GROUP;
        let tile = tile.get(rows.len() * width);
        let integer = match self.activations {
            ActivationFormat::Int8 => self.weights.integer(),
            _ => None,
        };
        let Some(integer) = integer else {
            let a = &x.float()[rows.start * k..rows.end * k];
            let panel = floats.get(F32_PANEL_DEPTH.min(k) * width);
            for start in (0..k).step_by(F32_PANEL_DEPTH) {
                let range = start..k.min(start + F32_PANEL_DEPTH);
                self.weights
                    .unpack_f32((first, count), range.clone(), panel);
                let t = F32Panel {
                    rows: rows.len(),
                    k: range.len(),
                    a: &a[start..],
                    lda: k,
                    b: panel,
                    ldb: width,
                    groups: count,
                    overwrite: start == 0,
                };
                f32_panel(isa, &t, tile, width);
            }
            return;
        };
        let codes = x.codes();
        let (quads, ldx) = (codes.stride() / 4, codes.stride());
        let zero_point = integer.panel_bytes().zero_point();
        let (sums, starts) = sums
            .get(rows.len() * (width + 1))
            .split_at_mut(rows.len() * width);
        for (start, total) in starts.iter_mut().zip(&codes.sums()[rows.clone()]) {
            *start = -zero_point * total;
        }
        let t = Int8Panel {
            rows: rows.len(),
            x: &codes.codes()[rows.start * ldx..rows.end * ldx],
            ldx,
            quads,
            w: bytes.view(quads * count * QUAD_BYTES),
            groups: count,
            bytes: integer.panel_bytes(),
            start: Some(starts),
        };
        int8_panel(isa, &t, sums);
        let mut scales = [0f32; MAX_PANEL_GROUPS * OUTPUT_GROUP];
        for g in 0..count {
            scales[g * OUTPUT_GROUP..][..OUTPUT_GROUP]
                .copy_from_slice(&self.weights.row_scales(first + g));
        }
        dequantise_sums(sums, &codes.scales()[rows], &scales[..width], tile);
    }
}
