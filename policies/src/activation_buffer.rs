//! Inputs of a linear layer, made row by row in the form that its weights want.

use crate::kernels::panel::AlignedBuffer;
use crate::kernels::quant::{QuantisedRows, quantise_row};
use crate::profile;
use crate::threads::Threads;
use std::cell::RefCell;

/// How a layer sees its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivationFormat {
    /// As they are.
    F32,
    /// int8 with one scale per token, for integer products.
    Int8,
    /// Rounded to int8 and back to f32: what weights without integer products see of int8.
    SimulatedInt8,
}

/// Rows of inputs.
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

/// Rows of one item of work.
const ROWS: usize = 16;

impl ActivationBuffer {
    /// Makes `rows` rows of `k`; `make` writes row `i`.
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

    /// Takes rows of `k` as they are.
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

    /// Codes of every row, which `make` writes; it gives scale and sum.
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

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Width of a row.
    pub fn k(&self) -> usize {
        self.k
    }
    /// In f32; for [`ActivationFormat::F32`] and [`ActivationFormat::SimulatedInt8`].
    pub fn float(&self) -> &[f32] {
        self.float.view(self.rows * self.k)
    }
    /// In int8; for [`ActivationFormat::Int8`].
    pub fn codes(&self) -> &QuantisedRows {
        &self.codes
    }
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.float.bytes() + self.codes.bytes()
    }
}
