//! Precision of a network, class by class: which tensors are stored in how many bits.

use crate::BitVla;
use crate::weight_source::Parameter;

/// Tensors of one class that are stored in the same encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorClass {
    /// Class, for example `language linears`, as in the memory ledger.
    pub class: &'static str,
    /// Encoding, for example `ternary 2-bit`, as in the memory ledger.
    pub encoding: &'static str,
    /// Bits of the code of one weight, scales not counted.
    pub bits_per_weight: u32,
    /// Number of weights.
    pub weights: u64,
}

impl BitVla {
    /// Every class of tensors with its encoding and its bits per weight, in the order of the network. The bias of a linear
    /// layer counts as `norms and biases`.
    pub fn tensor_classes(&self) -> Vec<TensorClass> {
        let mut classes: Vec<TensorClass> = Vec::new();
        let mut add = |class, encoding, bits_per_weight, weights: usize| {
            let same = |c: &&mut TensorClass| c.class == class && c.encoding == encoding;
            match classes.iter_mut().find(same) {
                Some(found) => found.weights += weights as u64,
                None => classes.push(TensorClass {
                    class,
                    encoding,
                    bits_per_weight,
                    weights: weights as u64,
                }),
            }
        };
        for (class, parameter) in self.parameters() {
            match parameter {
                Parameter::Linear(linear) => {
                    let encoding = linear.weights().encoding();
                    let count = linear.inputs() * linear.outputs();
                    add(class, encoding.name(), encoding.bits_per_weight(), count);
                    if let Some(bias) = linear.bias() {
                        add("norms and biases", "f32", 32, bias.len());
                    }
                }
                Parameter::Vector(vector) => add(class, "f32", 32, vector.values.len()),
                Parameter::Table(table) => {
                    let bits = 8 * table.dtype.bytes() as u32;
                    add(class, table.dtype.name(), bits, table.count * table.width);
                }
            }
        }
        classes
    }
}
