//! Connector and the like: two linear layers with an erf GELU between (fact sheet of BitVLA, section 1.3).

use crate::linear::{Linear, LinearFormat};
use crate::ops::gelu_erf;
use crate::vision::biased;
use crate::{Checkpoint, MemoryLedger, PolicyError};

/// Projects vision features into the language model.
pub struct Connector {
    linear_1: Linear,
    linear_2: Linear,
}

impl Connector {
    /// Takes it out of a checkpoint. Never quantised.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn load(checkpoint: &Checkpoint) -> Result<Connector, PolicyError> {
        let (config, file) = (checkpoint.config(), checkpoint.model());
        let (w, v) = (
            config.text_config.hidden_size,
            config.vision_config.hidden_size,
        );
        Ok(Connector {
            linear_1: biased(
                file,
                "multi_modal_projector.linear_1",
                w,
                v,
                LinearFormat::Dense,
            )?,
            linear_2: biased(
                file,
                "multi_modal_projector.linear_2",
                w,
                w,
                LinearFormat::Dense,
            )?,
        })
    }

    /// Rows of vision features to rows of embeddings.
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        let mut hidden = self.linear_1.forward(x);
        gelu_erf(&mut hidden);
        self.linear_2.forward(&hidden)
    }

    pub(crate) fn account(&self, ledger: &mut MemoryLedger) {
        self.linear_1.account("connector", ledger);
        self.linear_2.account("connector", ledger);
    }
}
