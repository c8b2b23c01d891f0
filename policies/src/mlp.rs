//! Linear layers with an erf GELU between: the connector of the vision features (`docs/reference/bitvla.md`, section 1.3; three
//! layers in OpenVLA) and the proprioception projector (section 1.4). Never quantised.

use crate::PolicyError;
use crate::formats::LinearFormat;
use crate::linear::{Activation, ActivationBuffer, Linear, StoreMode};
use crate::threads::Threads;
use crate::weight_source::{Parameter, Parameters, WeightSource, load_linear};

/// Layers with GELU between them.
pub struct Mlp {
    class: &'static str,
    layers: Vec<Linear>,
}

impl Mlp {
    /// Loads the layers `names`; layer `i` is `[widths[i + 1], widths[i]]`; `class` is their class of tensors.
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
            load_linear(source, name, (w[1], w[0]), LinearFormat::STORED, true)
        };
        let layers = names.iter().zip(widths.windows(2)).map(layer);
        Ok(Mlp {
            class,
            layers: layers.collect::<Result<_, _>>()?,
        })
    }

    /// Length of an output row.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, Linear::outputs)
    }

    /// Applies the layers: `x` is `[rows, inputs]`, `out` `[rows, outputs]`; `between` is scratch of at least
    /// `rows *` [`Mlp::between`] values.
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

    /// Largest length of a row between the layers.
    pub fn between(&self) -> usize {
        self.layers.iter().map(Linear::outputs).max().unwrap_or(0)
    }

    pub(crate) fn parameters<'a>(&'a self, list: &mut Parameters<'a>) {
        for linear in &self.layers {
            list.push((self.class, Parameter::Linear(linear)));
        }
    }
}
