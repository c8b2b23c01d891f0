//! What a query needs beside the weights, kept from one query to the next: threads and activations.

use crate::attention::{self, Packed};
use crate::kernels::tiles::Aligned;
use crate::linear::{self, Activations, Staged};
use crate::threads::Threads;

/// Buffers of one query at a time.
#[derive(Debug, Default)]
pub struct Workspace {
    /// Who works.
    pub threads: Threads,
    /// Inputs of the layer at hand.
    pub staged: Staged,
    /// Keys and values of the attention at hand.
    pub packed: Packed,
    /// Residual stream.
    pub x: Aligned<f32>,
    /// Queries, keys, values and their mixture, the wide rows of a feed-forward part, or image features in the width of
    /// the language model.
    pub arena: Aligned<f32>,
    /// Bytes that every thread holds.
    each: usize,
}

impl Workspace {
    /// For a number of threads.
    pub fn new(threads: Threads) -> Workspace {
        Workspace {
            threads,
            ..Workspace::default()
        }
    }

    /// Remembers what the threads hold after layers of `rows` rows and up to `k` inputs, and an attention.
    pub(crate) fn saw(
        &mut self,
        (rows, k, form): (usize, usize, Activations),
        (tokens, head): (usize, usize),
    ) {
        let linear = linear::scratch_bytes(rows, k, form);
        self.each = self
            .each
            .max(linear + attention::scratch_bytes(tokens, head));
    }

    /// Bytes of all buffers, those of the threads included.
    pub fn bytes(&self) -> usize {
        let own = self.staged.bytes() + self.packed.bytes() + self.x.bytes() + self.arena.bytes();
        own + self.threads.count() * self.each
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
