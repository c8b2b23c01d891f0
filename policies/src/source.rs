//! Where the network's tensors come from: a checkpoint folder, a packed file, or a seed. Names are those of the
//! published checkpoint, those of the action head and the proprioception projector behind a prefix.

use crate::PolicyError;
use crate::checkpoint::{bf16_to_f32, f16_to_f32};
use crate::linear::{Activations, Linear};
use crate::pt::FloatType;
use crate::weights::{Bytes, Encoding, Weights};

/// In front of the names of the action head.
pub const HEAD: &str = "action_head.";
/// In front of the names of the proprioception projector.
pub const PROPRIO: &str = "proprio_projector.";

/// Gives tensors by name.
pub trait Source {
    /// Values of a small tensor.
    ///
    /// # Errors
    /// Names file and tensor.
    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, PolicyError>;

    /// Weights of a linear layer (`NAME.weight`, outputs x inputs) in an encoding, or as they are stored.
    ///
    /// # Errors
    /// Names file and tensor.
    fn weights(
        &self,
        name: &str,
        size: (usize, usize),
        encoding: Option<Encoding>,
    ) -> Result<Weights, PolicyError>;

    /// Rows that are read one at a time.
    ///
    /// # Errors
    /// Names file and tensor.
    fn table(&self, name: &str, size: (usize, usize)) -> Result<Table, PolicyError>;
}

/// What a linear layer is to be: an encoding of its weights, or as they are stored, and the form of its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Encoding of the weights, as stored where there is none.
    pub encoding: Option<Encoding>,
    /// Form of the inputs.
    pub activations: Activations,
}

impl Format {
    /// Weights as stored, f32 inputs.
    pub const STORED: Format = Format {
        encoding: None,
        activations: Activations::Float,
    };

    /// Weights in an encoding.
    pub const fn of(encoding: Encoding, activations: Activations) -> Format {
        Format {
            encoding: Some(encoding),
            activations,
        }
    }
}

/// A layer `NAME.weight` without a bias.
///
/// # Errors
/// Names file and tensor.
pub fn linear(
    source: &dyn Source,
    name: &str,
    size: (usize, usize),
    format: Format,
) -> Result<Linear, PolicyError> {
    let weights = source.weights(name, size, format.encoding)?;
    Ok(Linear::of(name, weights, None, format.activations))
}

/// A layer `NAME.weight` and `NAME.bias`.
///
/// # Errors
/// Names file and tensor.
pub fn biased(
    source: &dyn Source,
    name: &str,
    size: (usize, usize),
    format: Format,
) -> Result<Linear, PolicyError> {
    let weights = source.weights(name, size, format.encoding)?;
    let bias = source.vector(&format!("{name}.bias"), size.0)?;
    Ok(Linear::of(name, weights, Some(bias), format.activations))
}

/// Values with their name.
#[derive(Debug, Clone)]
pub struct Vector {
    /// Name in the checkpoint.
    pub name: String,
    /// The values.
    pub values: Vec<f32>,
}

impl Vector {
    /// From a source.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn load(source: &dyn Source, name: &str, len: usize) -> Result<Vector, PolicyError> {
        Ok(Vector {
            name: name.into(),
            values: source.vector(name, len)?,
        })
    }
}

/// Rows of floats, decoded when they are asked for.
#[derive(Debug, Clone)]
pub struct Table {
    /// Name in the checkpoint.
    pub name: String,
    /// Type of the entries.
    pub dtype: FloatType,
    /// All rows.
    pub bytes: Bytes,
    /// Entries of a row.
    pub width: usize,
}

impl Table {
    /// Decodes one row.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let size = self.dtype.bytes();
        let bytes = &self.bytes[row * self.width * size..][..self.width * size];
        let halves = bytes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|b| u16::from_le_bytes(*b));
        match self.dtype {
            FloatType::Bf16 => out
                .iter_mut()
                .zip(halves)
                .for_each(|(o, b)| *o = bf16_to_f32(b)),
            FloatType::F16 => out
                .iter_mut()
                .zip(halves)
                .for_each(|(o, b)| *o = f16_to_f32(b)),
            FloatType::F32 => {
                let whole = bytes.as_chunks::<4>().0.iter();
                out.iter_mut()
                    .zip(whole)
                    .for_each(|(o, b)| *o = f32::from_le_bytes(*b));
            }
        }
    }
}

/// A part of the network, for those who count or write them all.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// A linear layer.
    Linear(&'a Linear),
    /// Norms, biases and the like.
    Vector(&'a Vector),
    /// Rows read one at a time.
    Table(&'a Table),
}

/// Parts with the classes they are counted under.
pub type Parts<'a> = Vec<(&'static str, Part<'a>)>;
