//! The one linear layer of the network, over every weight format. Outputs are cut into blocks of rows and columns for the
//! threads; in each block the weights are unpacked a panel at a time, met by all its rows and finished (scale, bias,
//! activation, residual) while the sums are in the cache. Neither the blocks nor the threads reach a result.

use crate::blocks::{Block, blocks, parts};
pub use crate::finish::{Activation, Dest, Gate};
use crate::finish::{Tail, finish, join, rescale};
use crate::kernels::tiles::{
    Aligned, FloatTile, GROUP, IntTile, MAX_GROUPS, QUAD, float, int8, panels,
};
use crate::kernels::{BLOCK_K, Isa};
use crate::profile;
pub use crate::staged::{Activations, Staged};
use crate::threads::Threads;
use crate::weights::{Encoding, Weights};
use std::cell::RefCell;
use std::ops::Range;

/// How a linear layer computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinearFormat {
    /// How its weights are kept.
    pub encoding: Encoding,
    /// How it sees its inputs.
    pub activations: Activations,
}

impl LinearFormat {
    /// Ternary weights and int8 activations: integer products.
    pub const TERNARY: LinearFormat = LinearFormat::new(Encoding::Ternary, Activations::Int8);
    /// f32 weights and activations.
    pub const F32: LinearFormat = LinearFormat::new(Encoding::F32, Activations::Float);

    /// Both.
    pub const fn new(encoding: Encoding, activations: Activations) -> LinearFormat {
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
    activations: Activations,
}

/// Inputs that an f32 panel is deep: 32 KiB, two thirds of a first-level cache.
const FLOAT_DEPTH: usize = 128;
/// Rows of integer sums that are finished together.
const ROWS_AT_ONCE: usize = 24;
/// Most rows of a block.
const MOST_ROWS: usize = 384;

/// A panel of weights and what comes of some rows that meet it.
#[derive(Default)]
struct Scratch {
    bytes: Aligned<u8>,
    floats: Aligned<f32>,
    sums: Aligned<i32>,
    tile: Aligned<f32>,
}

thread_local! {
    static SCRATCH: RefCell<[Scratch; 2]> = RefCell::default();
}

/// Bytes of scratch that a thread holds after products of `rows` rows with `k` inputs.
pub fn scratch_bytes(rows: usize, k: usize, form: Activations) -> usize {
    let block = MOST_ROWS.min(rows);
    let width = MAX_GROUPS * GROUP;
    2 * match form {
        Activations::Int8 => width * (k + 8 * ROWS_AT_ONCE),
        _ => 4 * width * (FLOAT_DEPTH + block),
    }
}

/// How the outputs of a layer are cut for the threads.
struct Cut {
    n: usize,
    panels: Vec<(usize, usize)>,
    parts: Vec<Range<usize>>,
}

impl Cut {
    fn of(threads: &Threads, weights: &Weights, rows: usize) -> Cut {
        let panels: Vec<(usize, usize)> = panels(weights.groups()).collect();
        Cut {
            n: weights.n(),
            parts: parts(threads, panels.len(), rows.div_ceil(MOST_ROWS)),
            panels,
        }
    }

    /// Columns of a panel.
    fn columns(&self, (first, count): (usize, usize)) -> Range<usize> {
        first * GROUP..self.n.min((first + count) * GROUP)
    }

    /// Panels of a part and its first column.
    fn part(&self, part: usize) -> (&[(usize, usize)], usize) {
        let panels = &self.panels[self.parts[part].clone()];
        (panels, panels.first().map_or(0, |panel| panel.0 * GROUP))
    }

    fn blocks<'a>(&self, out: &'a mut [f32]) -> Vec<Block<'a>> {
        let width = |part: &Range<usize>| {
            let panels = &self.panels[part.clone()];
            panels.iter().map(|panel| self.columns(*panel).len()).sum()
        };
        let widths: Vec<usize> = self.parts.iter().map(width).collect();
        blocks(out, &widths, (6, MOST_ROWS))
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
        Linear::of(name, weights, bias, format.activations)
    }

    /// From encoded weights.
    pub fn of(
        name: &str,
        weights: Weights,
        bias: Option<Vec<f32>>,
        activations: Activations,
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
    pub fn activations(&self) -> Activations {
        self.activations
    }

    /// Applies to rows of `inputs()` on this thread; for tests and small things.
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        let threads = Threads::one();
        let mut staged = Staged::default();
        staged.copy(&threads, x, self.inputs(), self.activations);
        let mut y = vec![0.0; staged.rows() * self.outputs()];
        self.apply(&threads, &staged, Activation::None, Dest::Set, &mut y);
        y
    }

    /// Applies to staged rows; `out` is rows x outputs.
    pub fn apply(
        &self,
        threads: &Threads,
        x: &Staged,
        activation: Activation,
        dest: Dest<'_>,
        out: &mut [f32],
    ) {
        let _span = profile::begin(profile::Work::Linear);
        let (rows, n) = (x.rows(), self.outputs());
        assert_eq!(x.k(), self.inputs(), "{}: inputs", self.name);
        assert_eq!(out.len(), rows * n, "{}: outputs", self.name);
        Linear::each_tile(
            &[self],
            threads,
            x,
            out,
            |[done, _], width, columns, rows, here| {
                let tail = Tail {
                    bias: self.bias.as_deref().map(|b| &b[columns.clone()]),
                    activation,
                    dest: match dest {
                        Dest::AddScaled(scale) => Dest::AddScaled(&scale[columns]),
                        other => other,
                    },
                };
                let tile = done.tile.view(rows.len() * width);
                finish(tile, width, tail, rows, here);
            },
        );
    }

    /// `gate(x W_gate^T, x W_up^T)`; both layers have no bias, `out` is rows x outputs.
    pub fn gated(
        gate: &Linear,
        up: &Linear,
        threads: &Threads,
        x: &Staged,
        how: Gate,
        out: &mut [f32],
    ) {
        let _span = profile::begin(profile::Work::Linear);
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
                join(
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
        x: &Staged,
        out: &mut [f32],
        done: impl Fn(&[Scratch; 2], usize, Range<usize>, &mut [&mut [f32]], Range<usize>) + Sync + Send,
    ) {
        let cut = Cut::of(threads, &layers[0].weights, x.rows());
        threads.each(cut.blocks(out).into_iter(), |block| {
            let Block {
                first,
                part,
                mut rows,
            } = block;
            SCRATCH.with_borrow_mut(|scratch| {
                let (panels, start) = cut.part(part);
                for panel in panels {
                    let columns = cut.columns(*panel);
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
                            panel.1 * GROUP,
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
            Activations::Int8 => ROWS_AT_ONCE,
            _ => rows.max(1),
        }
    }

    /// Unpacks a panel of integer weights whole; f32 panels are unpacked in [`Linear::product`], part by part.
    fn unpack(&self, scratch: &mut Scratch, (first, count): (usize, usize)) {
        if self.activations == Activations::Int8 {
            let quads = self.inputs().next_multiple_of(BLOCK_K) / 4;
            let panel = scratch.bytes.get(quads * count * QUAD);
            self.weights.integers((first, count), 0..quads, panel);
        }
    }

    /// The product of some rows and a panel of outputs into the tile, `[rows][count * GROUP]`, without the bias.
    fn product(
        &self,
        scratch: &mut Scratch,
        x: &Staged,
        rows: Range<usize>,
        (first, count): (usize, usize),
    ) {
        let Scratch {
            bytes,
            floats,
            sums,
            tile,
        } = scratch;
        let (isa, k) = (Isa::active(), self.inputs());
        let width = count * GROUP;
        let tile = tile.get(rows.len() * width);
        if self.activations != Activations::Int8 {
            let a = &x.float()[rows.start * k..rows.end * k];
            let panel = floats.get(FLOAT_DEPTH.min(k) * width);
            for start in (0..k).step_by(FLOAT_DEPTH) {
                let range = start..k.min(start + FLOAT_DEPTH);
                self.weights.floats((first, count), range.clone(), panel);
                let t = FloatTile {
                    rows: rows.len(),
                    k: range.len(),
                    a: &a[start..],
                    lda: k,
                    b: panel,
                    ldb: width,
                    groups: count,
                    fresh: start == 0,
                };
                float(isa, &t, tile, width);
            }
            return;
        }
        let codes = x.codes();
        let (quads, ldx) = (codes.stride() / 4, codes.stride());
        let zero = self.weights.zero();
        let (sums, starts) = sums
            .get(rows.len() * (width + 1))
            .split_at_mut(rows.len() * width);
        for (start, total) in starts.iter_mut().zip(&codes.sums()[rows.clone()]) {
            *start = -zero * total;
        }
        let t = IntTile {
            rows: rows.len(),
            x: &codes.codes()[rows.start * ldx..rows.end * ldx],
            ldx,
            quads,
            w: bytes.view(quads * count * QUAD),
            groups: count,
            high: self.weights.encoding() == Encoding::Int8,
            start: Some(starts),
        };
        int8(isa, &t, sums);
        let mut scales = [0f32; MAX_GROUPS * GROUP];
        for g in 0..count {
            scales[g * GROUP..][..GROUP].copy_from_slice(&self.weights.row_scales(first + g));
        }
        rescale(sums, &codes.scales()[rows], &scales[..width], tile);
    }
}
