//! The one linear layer of the network, over every weight format. Outputs are cut into blocks of rows and columns for the
//! threads; in each block the weights are unpacked a panel at a time, met by all its rows and finished (scale, bias,
//! activation, residual) while the sums are in the cache. Neither the blocks nor the threads reach a result.

pub use crate::activation_buffer::{ActivationBuffer, ActivationFormat};
pub use crate::epilogue::{Activation, Gate, StoreMode};
use crate::epilogue::{Epilogue, apply_epilogue, apply_gate, dequantise_sums};
use crate::kernels::panel::{
    AlignedBuffer, F32Panel, Int8Panel, MAX_PANEL_GROUPS, OUTPUT_GROUP, QUAD_BYTES, float, int8,
    panels,
};
use crate::kernels::{BLOCK_K, Isa};
use crate::partition::{OutputBlock, partition_matrix, partition_range};
use crate::profile;
use crate::threads::Threads;
use crate::weights::{WeightEncoding, Weights};
use std::cell::RefCell;
use std::ops::Range;

/// How a linear layer computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinearFormat {
    /// How its weights are kept.
    pub encoding: WeightEncoding,
    /// How it sees its inputs.
    pub activations: ActivationFormat,
}

impl LinearFormat {
    /// Ternary weights and int8 activations: integer products.
    pub const TERNARY: LinearFormat =
        LinearFormat::new(WeightEncoding::Ternary, ActivationFormat::Int8);
    /// f32 weights and activations.
    pub const F32: LinearFormat = LinearFormat::new(WeightEncoding::F32, ActivationFormat::F32);

    /// Both.
    pub const fn new(encoding: WeightEncoding, activations: ActivationFormat) -> LinearFormat {
        LinearFormat {
            encoding,
            activations,
        }
    }
}

/// `y = x W^T + b`.
#[derive(Debug, Clone)]
pub struct Linear {
    name: String,
    weights: Weights,
    bias: Option<Vec<f32>>,
    activations: ActivationFormat,
}

/// Inputs that an f32 panel is deep: 32 KiB, two thirds of a first-level cache.
const FLOAT_DEPTH: usize = 128;
/// Rows of integer sums that are finished together.
const ROWS_AT_ONCE: usize = 24;
/// Most rows of a block.
const MOST_ROWS: usize = 384;

/// A panel of weights and what comes of some rows that meet it.
#[derive(Default)]
struct TileScratch {
    bytes: AlignedBuffer<u8>,
    floats: AlignedBuffer<f32>,
    sums: AlignedBuffer<i32>,
    tile: AlignedBuffer<f32>,
}

thread_local! {
    static SCRATCH: RefCell<[TileScratch; 2]> = RefCell::default();
}

/// Bytes of scratch that a thread holds after products of `rows` rows with `k` inputs.
pub fn scratch_bytes(rows: usize, k: usize, form: ActivationFormat) -> usize {
    let block = MOST_ROWS.min(rows);
    let width = MAX_PANEL_GROUPS * OUTPUT_GROUP;
    2 * match form {
        ActivationFormat::Int8 => width * (k + 8 * ROWS_AT_ONCE),
        _ => 4 * width * (FLOAT_DEPTH + block),
    }
}

/// How the outputs of a layer are cut for the threads.
struct OutputPartition {
    n: usize,
    panels: Vec<(usize, usize)>,
    parts: Vec<Range<usize>>,
}

impl OutputPartition {
    fn new(threads: &Threads, weights: &Weights, rows: usize) -> OutputPartition {
        let panels: Vec<(usize, usize)> = panels(weights.groups()).collect();
        OutputPartition {
            n: weights.n(),
            parts: partition_range(threads, panels.len(), rows.div_ceil(MOST_ROWS)),
            panels,
        }
    }

    /// Columns of a panel.
    fn columns(&self, (first, count): (usize, usize)) -> Range<usize> {
        first * OUTPUT_GROUP..self.n.min((first + count) * OUTPUT_GROUP)
    }

    /// Panels of a part and its first column.
    fn part(&self, part: usize) -> (&[(usize, usize)], usize) {
        let panels = &self.panels[self.parts[part].clone()];
        (
            panels,
            panels.first().map_or(0, |panel| panel.0 * OUTPUT_GROUP),
        )
    }

    fn blocks<'a>(&self, out: &'a mut [f32]) -> Vec<OutputBlock<'a>> {
        let width = |part: &Range<usize>| {
            let panels = &self.panels[part.clone()];
            panels.iter().map(|panel| self.columns(*panel).len()).sum()
        };
        let widths: Vec<usize> = self.parts.iter().map(width).collect();
        partition_matrix(out, &widths, (6, MOST_ROWS))
    }
}

impl Linear {
    /// From row-major master weights (outputs x inputs).
    pub fn new(
        name: &str,
        weight: &[f32],
        bias: Option<Vec<f32>>,
        (outputs, inputs): (usize, usize),
        format: LinearFormat,
    ) -> Linear {
        let weights = Weights::encode(weight, outputs, inputs, format.encoding);
        Linear::from_weights(name, weights, bias, format.activations)
    }

    /// From encoded weights.
    pub fn from_weights(
        name: &str,
        weights: Weights,
        bias: Option<Vec<f32>>,
        activations: ActivationFormat,
    ) -> Linear {
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
    /// Width of an input row.
    pub fn inputs(&self) -> usize {
        self.weights.k()
    }
    /// Width of an output row.
    pub fn outputs(&self) -> usize {
        self.weights.n()
    }
    /// The weights.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }
    /// The bias.
    pub fn bias(&self) -> Option<&[f32]> {
        self.bias.as_deref()
    }
    /// How inputs are to be staged.
    pub fn activations(&self) -> ActivationFormat {
        self.activations
    }

    /// Applies to rows of `inputs()` on this thread; for tests and small things.
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        let threads = Threads::single();
        let mut staged = ActivationBuffer::default();
        staged.copy(&threads, x, self.inputs(), self.activations);
        let mut y = vec![0.0; staged.rows() * self.outputs()];
        self.apply(
            &threads,
            &staged,
            Activation::None,
            StoreMode::Overwrite,
            &mut y,
        );
        y
    }

    /// Applies to staged rows; `out` is rows x outputs.
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
        Linear::each_tile(
            &[self],
            threads,
            x,
            out,
            |[done, _], width, columns, rows, here| {
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
                let tile = done.tile.view(rows.len() * width);
                apply_epilogue(tile, width, epilogue, rows, here);
            },
        );
    }

    /// `gate(x W_gate^T, x W_up^T)`; both layers have no bias, `out` is rows x outputs.
    pub fn gated(
        gate: &Linear,
        up: &Linear,
        threads: &Threads,
        x: &ActivationBuffer,
        how: Gate,
        out: &mut [f32],
    ) {
        let _span = profile::start(profile::WorkKind::Linear);
        let (rows, n) = (x.rows(), gate.outputs());
        assert_eq!(up.outputs(), n, "{}: outputs", up.name);
        assert_eq!(out.len(), rows * n, "{}: outputs", gate.name);
        Linear::each_tile(
            &[gate, up],
            threads,
            x,
            out,
            |[one, other], width, _, rows, here| {
                let size = rows.len() * width;
                apply_gate(
                    (one.tile.view(size), other.tile.view(size)),
                    width,
                    how,
                    rows,
                    here,
                );
            },
        );
    }

    /// Computes one or two layers of the same size tile by tile: `done` gets the tiles, their width, the columns that they
    /// are, and the rows with the columns in them where the outputs go.
    fn each_tile(
        layers: &[&Linear],
        threads: &Threads,
        x: &ActivationBuffer,
        out: &mut [f32],
        done: impl Fn(&[TileScratch; 2], usize, Range<usize>, &mut [&mut [f32]], Range<usize>)
        + Sync
        + Send,
    ) {
        let partition = OutputPartition::new(threads, &layers[0].weights, x.rows());
        threads.for_each(partition.blocks(out).into_iter(), |block| {
            let OutputBlock {
                first,
                part,
                mut rows,
            } = block;
            SCRATCH.with_borrow_mut(|scratch| {
                let (panels, start) = partition.part(part);
                for panel in panels {
                    let columns = partition.columns(*panel);
                    let here = columns.start - start..columns.end - start;
                    for (layer, scratch) in layers.iter().zip(scratch.iter_mut()) {
                        layer.unpack(scratch, *panel);
                    }
                    let step = layers[0].rows_at_once(rows.len());
                    for (j, rows) in rows.chunks_mut(step).enumerate() {
                        let range = first + j * step..first + j * step + rows.len();
                        for (layer, scratch) in layers.iter().zip(scratch.iter_mut()) {
                            layer.product(scratch, x, range.clone(), *panel);
                        }
                        done(
                            scratch,
                            panel.1 * OUTPUT_GROUP,
                            columns.clone(),
                            rows,
                            here.clone(),
                        );
                    }
                }
            });
        });
    }

    /// Rows whose outputs are finished together. Integer sums are complete after one panel, so a few rows at a time go to
    /// memory while the next are computed; f32 panels are cut in depth and met by all rows first.
    fn rows_at_once(&self, rows: usize) -> usize {
        match self.activations {
            ActivationFormat::Int8 => ROWS_AT_ONCE,
            _ => rows.max(1),
        }
    }

    /// Unpacks a panel of integer weights whole; f32 panels are unpacked in [`Linear::product`], part by part.
    fn unpack(&self, scratch: &mut TileScratch, (first, count): (usize, usize)) {
        if self.activations == ActivationFormat::Int8 {
            let quads = self.inputs().next_multiple_of(BLOCK_K) / 4;
            let panel = scratch.bytes.get(quads * count * QUAD_BYTES);
            self.weights.unpack_int8((first, count), 0..quads, panel);
        }
    }

    /// The product of some rows and a panel of outputs into the tile, `[rows][count * OUTPUT_GROUP]`, without the bias.
    fn product(
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
        if self.activations != ActivationFormat::Int8 {
            let a = &x.float()[rows.start * k..rows.end * k];
            let panel = floats.get(FLOAT_DEPTH.min(k) * width);
            for start in (0..k).step_by(FLOAT_DEPTH) {
                let range = start..k.min(start + FLOAT_DEPTH);
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
                float(isa, &t, tile, width);
            }
            return;
        }
        let codes = x.codes();
        let (quads, ldx) = (codes.stride() / 4, codes.stride());
        let zero = self.weights.zero_point();
        let (sums, starts) = sums
            .get(rows.len() * (width + 1))
            .split_at_mut(rows.len() * width);
        for (start, total) in starts.iter_mut().zip(&codes.sums()[rows.clone()]) {
            *start = -zero * total;
        }
        let t = Int8Panel {
            rows: rows.len(),
            x: &codes.codes()[rows.start * ldx..rows.end * ldx],
            ldx,
            quads,
            w: bytes.view(quads * count * QUAD_BYTES),
            groups: count,
            full_range: self.weights.encoding() == WeightEncoding::Int8,
            start: Some(starts),
        };
        int8(isa, &t, sums);
        let mut scales = [0f32; MAX_PANEL_GROUPS * OUTPUT_GROUP];
        for g in 0..count {
            scales[g * OUTPUT_GROUP..][..OUTPUT_GROUP]
                .copy_from_slice(&self.weights.row_scales(first + g));
        }
        dequantise_sums(sums, &codes.scales()[rows], &scales[..width], tile);
    }
}
