//! Proprioception projector: one token from the normalised robot state (fact sheet of BitVLA, section 1.4).

use crate::linear::{Linear, LinearFormat};
use crate::ops::gelu_erf;
use crate::vision::biased;
use crate::{Checkpoint, MemoryLedger, PolicyError};

/// The projector.
pub struct Proprio {
    fc1: Linear,
    fc2: Linear,
}

impl Proprio {
    /// Takes it out of a checkpoint. Never quantised.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn load(checkpoint: &Checkpoint) -> Result<Proprio, PolicyError> {
        let (config, file) = (checkpoint.config(), checkpoint.proprio());
        let w = config.text_config.hidden_size;
        Ok(Proprio {
            fc1: biased(file, "fc1", w, config.proprio_dim, LinearFormat::Dense)?,
            fc2: biased(file, "fc2", w, w, LinearFormat::Dense)?,
        })
    }

    /// The normalised state to one embedding.
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        let mut hidden = self.fc1.forward(x);
        gelu_erf(&mut hidden);
        self.fc2.forward(&hidden)
    }

    pub(crate) fn account(&self, ledger: &mut MemoryLedger) {
        self.fc1.account("proprio projector", ledger);
        self.fc2.account("proprio projector", ledger);
    }
}
