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

#[cfg(test)]
mod tests {
    //! Guarantee: every class of the memory ledger is listed with its encoding, and the codes take the bits that are stated.
    use crate::testing::write_tiny_checkpoint;
    use crate::{BitVla, Checkpoint, WeightFormat};

    #[test]
    fn classes_state_their_bits() {
        let dir = tempfile::tempdir().unwrap();
        write_tiny_checkpoint(dir.path()).unwrap();
        let checkpoint = Checkpoint::load(dir.path()).unwrap();
        for format in WeightFormat::ALL {
            let network = BitVla::new(&checkpoint, format).unwrap();
            let classes = network.tensor_classes();
            let ledger = network.memory();
            for entry in ledger
                .weights
                .iter()
                .filter(|e| e.class != crate::policy::ROTARY_TABLES)
            {
                let class = classes
                    .iter()
                    .find(|c| c.class == entry.class && entry.encoding.starts_with(c.encoding))
                    .unwrap();
                let bytes = class.weights * u64::from(class.bits_per_weight) / 8;
                assert!(bytes <= entry.bytes, "{entry:?} {class:?}");
            }
            let linears = classes
                .iter()
                .find(|c| c.class == "language linears")
                .unwrap();
            let bits = format.bits_per_weight().unwrap_or(16);
            assert_eq!(linears.bits_per_weight, bits, "{format}");
        }
    }
}
