//! Action head, an MLP-ResNet on the action hidden states (`docs/reference/bitvla.md`, section 1.5). As stored, unless int8 is asked for.

use crate::PolicyError;
use crate::formats::LinearFormat;
use crate::linear::{Activation, ActivationBuffer, Linear, StoreMode};
use crate::threads::Threads;
use crate::vision::LayerNorm;
use crate::weight_source::{ACTION_HEAD_PREFIX, Parameter, Parameters, WeightSource, load_linear};

const EPS: f32 = 1e-5;

/// Action head.
pub struct ActionHead {
    norm1: LayerNorm,
    fc1: Linear,
    blocks: Vec<(LayerNorm, Linear)>,
    norm2: LayerNorm,
    fc2: Linear,
}

impl ActionHead {
    /// Loads the head for hidden states of length `width` and actions of `dim` numbers, its linear layers in a format.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn load(
        source: &dyn WeightSource,
        (width, dim): (usize, usize),
        format: LinearFormat,
    ) -> Result<ActionHead, PolicyError> {
        let name = |part: &str| format!("{ACTION_HEAD_PREFIX}model.{part}");
        let linear = |part: &str, n, k| load_linear(source, &name(part), (n, k), format, true);
        let norm = |part: &str, len| LayerNorm::load(source, &name(part), len, EPS);
        let blocks = (0..2).map(|i| {
            let part = |j: usize| format!("mlp_resnet_blocks.{i}.ffn.{j}");
            Ok((norm(&part(0), width)?, linear(&part(1), width, width)?))
        });
        Ok(ActionHead {
            norm1: norm("layer_norm1", dim * width)?,
            fc1: linear("fc1", width, dim * width)?,
            blocks: blocks.collect::<Result<_, PolicyError>>()?,
            norm2: norm("layer_norm2", width)?,
            fc2: linear("fc2", dim, width)?,
        })
    }

    /// Normalised actions `[action_chunk, action_dim]` of the hidden states `[action_chunk * action_dim, hidden_size]`.
    pub fn forward(
        &self,
        threads: &Threads,
        inputs: &mut ActivationBuffer,
        hidden: &[f32],
    ) -> Vec<f32> {
        let rows = hidden.len() / self.fc1.inputs();
        let mut step =
            |norm: &LayerNorm, x: &[f32], linear: &Linear, activation, out: &mut [f32]| {
                let size = (rows, linear.inputs());
                inputs.fill(threads, size, linear.activations(), |row, out| {
                    norm.row(x, row, out)
                });
                linear.apply(threads, inputs, activation, StoreMode::Overwrite, out);
            };
        let mut x = vec![0f32; rows * self.fc1.outputs()];
        step(&self.norm1, hidden, &self.fc1, Activation::Relu, &mut x);
        let mut y = vec![0f32; x.len()];
        for (norm, linear) in &self.blocks {
            step(norm, &x, linear, Activation::Relu, &mut y);
            x.iter_mut().zip(&y).for_each(|(x, y)| *x += y);
        }
        let mut actions = vec![0f32; rows * self.fc2.outputs()];
        step(&self.norm2, &x, &self.fc2, Activation::None, &mut actions);
        actions
    }

    pub(crate) fn parameters<'a>(&'a self, list: &mut Parameters<'a>) {
        self.norm1.parameters(list);
        list.push(("action head", Parameter::Linear(&self.fc1)));
        for (norm, linear) in &self.blocks {
            norm.parameters(list);
            list.push(("action head", Parameter::Linear(linear)));
        }
        self.norm2.parameters(list);
        list.push(("action head", Parameter::Linear(&self.fc2)));
    }
}
