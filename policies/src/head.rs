//! Action head, an MLP-ResNet on the action hidden states (fact sheet of BitVLA, section 1.5). Never quantised.

use crate::PolicyError;
use crate::linear::{Activation, Activations, Dest, Linear, Staged};
use crate::source::{Format, HEAD, Part, Parts, Source, biased};
use crate::threads::Threads;
use crate::vision::Norm;

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
    /// Takes it out of a source: states of `width`, actions of `dim` numbers.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn load(source: &dyn Source, width: usize, dim: usize) -> Result<ActionHead, PolicyError> {
        let name = |part: &str| format!("{HEAD}model.{part}");
        let linear = |part: &str, n, k| biased(source, &name(part), (n, k), Format::STORED);
        let norm = |part: &str, len| Norm::load(source, &name(part), len, EPS);
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

    /// Hidden states of consecutive positions, as many as an action has numbers per row, to normalised actions.
    pub fn forward(&self, threads: &Threads, staged: &mut Staged, hidden: &[f32]) -> Vec<f32> {
        let rows = hidden.len() / self.fc1.inputs();
        let mut step = |norm: &Norm, x: &[f32], linear: &Linear, activation, out: &mut [f32]| {
            let size = (rows, linear.inputs());
            staged.fill(threads, size, Activations::Float, |row, out| {
                norm.row(x, row, out)
            });
            linear.apply(threads, staged, activation, Dest::Set, out);
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

    pub(crate) fn parts<'a>(&'a self, see: &mut Parts<'a>) {
        self.norm1.parts(see);
        see.push(("action head", Part::Linear(&self.fc1)));
        for (norm, linear) in &self.blocks {
            norm.parts(see);
            see.push(("action head", Part::Linear(linear)));
        }
        self.norm2.parts(see);
        see.push(("action head", Part::Linear(&self.fc2)));
    }
}
