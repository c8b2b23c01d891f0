//! Threads and activation buffers of one worker, kept from one query to the next.

use crate::attention::{self, PackedKeyValues};
use crate::kernels::aligned::AlignedBuffer;
use crate::linear::{self, ActivationBuffer, ActivationFormat};
use crate::threads::Threads;

/// Buffers of one query at a time.
#[derive(Debug, Default)]
pub struct ScratchBuffers {
    /// Threads of a query.
    pub threads: Threads,
    /// Activations in front of the current linear layer.
    pub(crate) inputs: ActivationBuffer,
    /// Keys and values of the current attention.
    pub(crate) key_values: PackedKeyValues,
    /// Residual stream, `[tokens, hidden_size]`.
    pub(crate) residual: AlignedBuffer<f32>,
    /// Queries, keys, values and their weighted sums; the rows `[tokens, intermediate_size]` of a feed-forward part; or
    /// image features `[patches, hidden_size]` of the language model.
    pub(crate) scratch: AlignedBuffer<f32>,
    /// Bytes of scratch of every thread.
    bytes_per_thread: usize,
}

impl ScratchBuffers {
    /// Empty buffers for these threads.
    pub fn new(threads: Threads) -> ScratchBuffers {
        ScratchBuffers {
            threads,
            ..ScratchBuffers::default()
        }
    }

    /// Records the scratch that the threads hold after layers of `rows` rows and up to `k` inputs, and an attention.
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

    /// Threads, activations, keys and values, residual stream and scratch, borrowed side by side.
    #[allow(clippy::type_complexity)]
    pub(crate) fn split(
        &mut self,
    ) -> (
        &Threads,
        &mut ActivationBuffer,
        &mut PackedKeyValues,
        &mut AlignedBuffer<f32>,
        &mut AlignedBuffer<f32>,
    ) {
        (
            &self.threads,
            &mut self.inputs,
            &mut self.key_values,
            &mut self.residual,
            &mut self.scratch,
        )
    }

    /// Bytes of all buffers, those of the threads included.
    pub fn bytes(&self) -> usize {
        let own = self.inputs.bytes()
            + self.key_values.bytes()
            + self.residual.bytes()
            + self.scratch.bytes();
        own + self.threads.count() * self.bytes_per_thread
    }
}

/// Splits the front of a buffer into consecutive parts of these sizes.
pub(crate) fn split_buffer<const N: usize>(
    buffer: &mut [f32],
    sizes: [usize; N],
) -> [&mut [f32]; N] {
    let mut rest = buffer;
    sizes.map(|size| {
        let (part, other) = std::mem::take(&mut rest).split_at_mut(size);
        rest = other;
        part
    })
}
