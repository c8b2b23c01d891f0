//! Activations in front of a linear layer, written row by row in the form that its products take.

use crate::kernels::aligned::AlignedBuffer;
use crate::kernels::quant::{QuantisedRows, quantise_row};
use crate::profile;
use crate::threads::Threads;
use std::cell::RefCell;

/// Form in which a linear layer takes its activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivationFormat {
    /// f32.
    F32,
    /// int8 with one scale per token, for integer products.
    Int8,
    /// Quantised to int8 and back to f32: int8 activations in front of weights without integer products.
    SimulatedInt8,
}

/// Activations `[rows, k]` in one of the forms, reused from layer to layer.
#[derive(Debug, Default)]
pub struct ActivationBuffer {
    rows: usize,
    k: usize,
    float: AlignedBuffer<f32>,
    codes: QuantisedRows,
}

thread_local! {
    static ROW: RefCell<AlignedBuffer<f32>> = RefCell::new(AlignedBuffer::default());
}

/// Rows that one thread writes at a time.
const ROWS: usize = 16;

impl ActivationBuffer {
    /// Fills the buffer with `[rows, k]` values; `make(i, row)` writes row `i`.
    pub fn fill(
        &mut self,
        threads: &Threads,
        (rows, k): (usize, usize),
        form: ActivationFormat,
        make: impl Fn(usize, &mut [f32]) + Sync + Send,
    ) {
        if form != ActivationFormat::F32 {
            return self.quantise(threads, (rows, k), form, |i, codes| {
                ROW.with_borrow_mut(|row| {
                    let row = row.get(k);
                    make(i, row);
                    quantise_row(row, codes)
                })
            });
        }
        let _span = profile::start(profile::WorkKind::Preparation);
        (self.rows, self.k) = (rows, k);
        let out = self.float.get(rows * k);
        threads.for_each(out.chunks_mut(ROWS * k).enumerate(), |(i, out)| {
            for (j, row) in out.chunks_exact_mut(k).enumerate() {
                make(i * ROWS + j, row);
            }
        });
    }

    /// Fills the buffer with a copy of `x`, `[rows, k]`.
    pub fn copy(&mut self, threads: &Threads, x: &[f32], k: usize, form: ActivationFormat) {
        let rows = x.len() / k;
        match form {
            ActivationFormat::F32 => self.fill(threads, (rows, k), form, |i, row| {
                row.copy_from_slice(&x[i * k..][..k]);
            }),
            _ => self.quantise(threads, (rows, k), form, |i, codes| {
                quantise_row(&x[i * k..][..k], codes)
            }),
        }
    }

    /// Fills the codes of every row, which `make(i, codes)` writes; it returns scale and sum of the codes.
    fn quantise(
        &mut self,
        threads: &Threads,
        (rows, k): (usize, usize),
        form: ActivationFormat,
        make: impl Fn(usize, &mut [i8]) -> (f32, i32) + Sync + Send,
    ) {
        let _span = profile::start(profile::WorkKind::Preparation);
        (self.rows, self.k) = (rows, k);
        let stride = self.codes.reshape(rows, k);
        let (codes, scales, sums) = self.codes.parts_mut();
        let items = codes
            .chunks_mut(ROWS * stride)
            .zip(scales.chunks_mut(ROWS).zip(sums.chunks_mut(ROWS)));
        threads.for_each(items.enumerate(), |(i, (codes, (scales, sums)))| {
            let rows = codes.chunks_exact_mut(stride).zip(scales).zip(sums);
            for (j, ((codes, scale), sum)) in rows.enumerate() {
                (*scale, *sum) = make(i * ROWS + j, &mut codes[..k]);
            }
        });
        if form == ActivationFormat::SimulatedInt8 {
            self.codes.dequantise_into(self.float.get(rows * k));
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Length of a row.
    pub fn k(&self) -> usize {
        self.k
    }
    /// Rows in f32, `[rows, k]`; for [`ActivationFormat::F32`] and [`ActivationFormat::SimulatedInt8`].
    pub fn float(&self) -> &[f32] {
        self.float.view(self.rows * self.k)
    }
    /// Rows in int8; for [`ActivationFormat::Int8`].
    pub fn codes(&self) -> &QuantisedRows {
        &self.codes
    }
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.float.bytes() + self.codes.bytes()
    }
}
