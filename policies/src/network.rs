//! Seam between the policy and an engine: anything that turns prompt tokens, images and a state into normalised
//! actions. [`BitVla`] is the engine of this crate.

use crate::linear::ActivationFormat;
use crate::weight_source::Parameter;
use crate::{
    Architecture, BitVla, MemoryLedger, NetworkInput, PhaseTimes, PolicyError, ScratchBuffers,
    Trace,
};

/// Size of a linear layer, for counting operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinearShape {
    /// Class of tensors, as in the memory ledger.
    pub class: &'static str,
    /// Name in the checkpoint, without `.weight`.
    pub name: String,
    /// Width of an output row.
    pub outputs: usize,
    /// Width of an input row.
    pub inputs: usize,
    /// True if it multiplies bytes, false if f32.
    pub integer: bool,
}

/// A vision-language-action network with parallel decoding.
pub trait VlaNetwork: Send + Sync {
    /// Sizes.
    fn architecture(&self) -> &Architecture;
    /// What is multiplied, see [`crate::WeightFormat::arithmetic`].
    fn arithmetic(&self) -> String;
    /// All linear layers.
    fn linears(&self) -> Vec<LinearShape>;
    /// Normalised actions (`action_chunk` x `action_dim`). Times of vision, language and head are added to `times`; named
    /// intermediate values go to `trace`.
    ///
    /// # Errors
    /// When the numbers of image tokens, images or state values do not fit, or there is no head.
    fn forward(
        &self,
        scratch: &mut ScratchBuffers,
        prompt: NetworkInput<'_>,
        times: &mut PhaseTimes,
        trace: &mut Trace<'_>,
    ) -> Result<Vec<f32>, PolicyError>;
    /// Memory of the weights, and of the activations of the queries that were answered with `scratch`.
    fn ledger(&self, scratch: &ScratchBuffers) -> MemoryLedger;
}

impl VlaNetwork for BitVla {
    fn architecture(&self) -> &Architecture {
        BitVla::architecture(self)
    }

    fn arithmetic(&self) -> String {
        BitVla::arithmetic(self)
    }

    fn linears(&self) -> Vec<LinearShape> {
        let shape = |(class, part)| match part {
            Parameter::Linear(linear) => Some(LinearShape {
                class,
                name: linear.name().into(),
                outputs: linear.outputs(),
                inputs: linear.inputs(),
                integer: linear.activations() == ActivationFormat::Int8,
            }),
            _ => None,
        };
        self.parameters().into_iter().filter_map(shape).collect()
    }

    fn forward(
        &self,
        scratch: &mut ScratchBuffers,
        prompt: NetworkInput<'_>,
        times: &mut PhaseTimes,
        trace: &mut Trace<'_>,
    ) -> Result<Vec<f32>, PolicyError> {
        BitVla::forward(self, scratch, prompt, times, trace)
    }

    fn ledger(&self, scratch: &ScratchBuffers) -> MemoryLedger {
        BitVla::ledger(self, scratch)
    }
}
