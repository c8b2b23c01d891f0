//! Linear layers with an erf GELU between: the connector of the vision features (fact sheet of BitVLA, section 1.3; three
//! layers in OpenVLA) and the proprioception projector (section 1.4). Never quantised.

use crate::PolicyError;
use crate::linear::{Activation, ActivationBuffer, Linear, StoreMode};
use crate::threads::Threads;
use crate::weight_source::{
    LayerFormat, Parameter, Parameters, WeightSource, load_linear_with_bias,
};

/// The layers.
pub struct Mlp {
    class: &'static str,
    layers: Vec<Linear>,
}

impl Mlp {
    /// Layers `names` with the widths between them, counted under `class`.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn load(
        source: &dyn WeightSource,
        class: &'static str,
        names: &[&str],
        widths: &[usize],
    ) -> Result<Mlp, PolicyError> {
        let layer = |(name, w): (&&str, &[usize])| {
            load_linear_with_bias(source, name, (w[1], w[0]), LayerFormat::STORED)
        };
        let layers = names.iter().zip(widths.windows(2)).map(layer);
        Ok(Mlp {
            class,
            layers: layers.collect::<Result<_, _>>()?,
        })
    }

    /// Width of an output row.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, Linear::outputs)
    }

    /// Rows into rows of [`Mlp::outputs`]; `between` holds what is between the layers.
    pub fn forward(
        &self,
        threads: &Threads,
        inputs: &mut ActivationBuffer,
        x: &[f32],
        between: &mut [f32],
        out: &mut [f32],
    ) {
        let Some((last, before)) = self.layers.split_last() else {
            return;
        };
        let columns = self.layers[0].inputs();
        let rows = x.len() / columns;
        inputs.copy(threads, x, columns, last.activations());
        for linear in before {
            let wide = &mut between[..rows * linear.outputs()];
            linear.apply(
                threads,
                inputs,
                Activation::GeluErf,
                StoreMode::Overwrite,
                wide,
            );
            inputs.copy(threads, wide, linear.outputs(), linear.activations());
        }
        last.apply(threads, inputs, Activation::None, StoreMode::Overwrite, out);
    }

    /// Numbers that `between` must have room for, per row.
    pub fn between(&self) -> usize {
        self.layers.iter().map(Linear::outputs).max().unwrap_or(0)
    }

    pub(crate) fn parameters<'a>(&'a self, list: &mut Parameters<'a>) {
        for linear in &self.layers {
            list.push((self.class, Parameter::Linear(linear)));
        }
    }
}
