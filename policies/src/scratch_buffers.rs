//! What a query needs beside the weights, kept from one query to the next: threads and activations.

use crate::attention::{self, PackedKeyValues};
use crate::kernels::panel::AlignedBuffer;
use crate::linear::{self, ActivationBuffer, ActivationFormat};
use crate::threads::Threads;

/// Buffers of one query at a time.
#[derive(Debug, Default)]
pub struct ScratchBuffers {
    /// Who works.
    pub threads: Threads,
    /// Inputs of the layer at hand.
    pub inputs: ActivationBuffer,
    /// Keys and values of the attention at hand.
    pub key_values: PackedKeyValues,
    /// Residual stream.
    pub x: AlignedBuffer<f32>,
    /// Queries, keys, values and their mixture, the wide rows of a feed-forward part, or image features in the width of
    /// the language model.
    pub scratch: AlignedBuffer<f32>,
    /// Bytes that every thread holds.
    bytes_per_thread: usize,
}

impl ScratchBuffers {
    /// For a number of threads.
    pub fn new(threads: Threads) -> ScratchBuffers {
        ScratchBuffers {
            threads,
            ..ScratchBuffers::default()
        }
    }

    /// Remembers what the threads hold after layers of `rows` rows and up to `k` inputs, and an attention.
    pub(crate) fn record_thread_scratch(
        &mut self,
        (rows, k, form): (usize, usize, ActivationFormat),
        (tokens, head): (usize, usize),
    ) {
        let linear = linear::scratch_bytes(rows, k, form);
        self.bytes_per_thread = self
            .bytes_per_thread
            .max(linear + attention::scratch_bytes(tokens, head));
    }

    /// Bytes of all buffers, those of the threads included.
    pub fn bytes(&self) -> usize {
        let own =
            self.inputs.bytes() + self.key_values.bytes() + self.x.bytes() + self.scratch.bytes();
        own + self.threads.count() * self.bytes_per_thread
    }
}

/// Parts of a buffer one after another.
pub(crate) fn split<const N: usize>(buffer: &mut [f32], sizes: [usize; N]) -> [&mut [f32]; N] {
    let mut rest = buffer;
    sizes.map(|size| {
        let (part, other) = std::mem::take(&mut rest).split_at_mut(size);
        rest = other;
        part
    })
}
