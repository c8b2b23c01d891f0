//! Action head, an MLP-ResNet on the action hidden states (fact sheet of BitVLA, section 1.5).

use crate::linear::{Linear, LinearFormat, add_weights};
use crate::ops::add;
use crate::vision::{Norm, biased};
use crate::{Checkpoint, MemoryLedger, PolicyError};

const EPS: f32 = 1e-5;

/// The head.
pub struct ActionHead {
    norm1: Norm,
    fc1: Linear,
    blocks: Vec<(Norm, Linear)>,
    norm2: Norm,
    fc2: Linear,
}

impl ActionHead {
    /// Takes it out of a checkpoint. Never quantised.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn load(checkpoint: &Checkpoint) -> Result<ActionHead, PolicyError> {
        let (config, file) = (checkpoint.config(), checkpoint.head());
        let (w, dim) = (config.text_config.hidden_size, config.action_dim);
        let blocks = (0..2).map(|i| {
            let name = format!("model.mlp_resnet_blocks.{i}.ffn");
            let norm = Norm::load(file, &format!("{name}.0"), EPS)?;
            Ok((
                norm,
                biased(file, &format!("{name}.1"), w, w, LinearFormat::Dense)?,
            ))
        });
        Ok(ActionHead {
            norm1: Norm::load(file, "model.layer_norm1", EPS)?,
            fc1: biased(file, "model.fc1", w, dim * w, LinearFormat::Dense)?,
            blocks: blocks.collect::<Result<_, PolicyError>>()?,
            norm2: Norm::load(file, "model.layer_norm2", EPS)?,
            fc2: biased(file, "model.fc2", dim, w, LinearFormat::Dense)?,
        })
    }

    /// Hidden states of consecutive positions, as many as an action has numbers per row, to normalised actions.
    pub fn forward(&self, hidden: &[f32]) -> Vec<f32> {
        let mut x = self.fc1.forward(&self.norm1.forward(hidden));
        relu(&mut x);
        for (norm, linear) in &self.blocks {
            let mut y = linear.forward(&norm.forward(&x));
            relu(&mut y);
            add(&mut x, &y);
        }
        self.fc2.forward(&self.norm2.forward(&x))
    }

    pub(crate) fn account(&self, ledger: &mut MemoryLedger) {
        let norms = self
            .blocks
            .iter()
            .map(|(norm, _)| norm)
            .chain([&self.norm1, &self.norm2]);
        add_weights(
            ledger,
            "norms and biases",
            "f32",
            norms.map(Norm::bytes).sum(),
        );
        for linear in self
            .blocks
            .iter()
            .map(|(_, linear)| linear)
            .chain([&self.fc1, &self.fc2])
        {
            linear.account("action head", ledger);
        }
    }
}

fn relu(x: &mut [f32]) {
    for v in x {
        *v = if *v > 0.0 { *v } else { 0.0 };
    }
}
