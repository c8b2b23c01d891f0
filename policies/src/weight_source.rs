//! Where the network's tensors come from: a checkpoint folder, a packed file, or a seed. Names are those of the
//! published checkpoint, those of the action head and the proprioception projector behind a prefix.

use crate::PolicyError;
use crate::checkpoint::{bf16_to_f32, f16_to_f32, file_error};
use crate::linear::{ActivationFormat, Linear};
use crate::torch_checkpoint::FloatType;
use crate::weights::{WeightEncoding, Weights};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// In front of the names of the action head.
pub const ACTION_HEAD_PREFIX: &str = "action_head.";
/// In front of the names of the proprioception projector.
pub const PROPRIO_PREFIX: &str = "proprio_projector.";

/// Gives tensors by name.
pub trait WeightSource {
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
        encoding: Option<WeightEncoding>,
    ) -> Result<Weights, PolicyError>;

    /// Rows that are read one at a time.
    ///
    /// # Errors
    /// Names file and tensor.
    fn table(&self, name: &str, size: (usize, usize)) -> Result<EmbeddingTable, PolicyError>;
}

/// What a linear layer is to be: an encoding of its weights, or as they are stored, and the form of its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerFormat {
    /// Encoding of the weights, as stored where there is none.
    pub encoding: Option<WeightEncoding>,
    /// Form of the inputs.
    pub activations: ActivationFormat,
}

impl LayerFormat {
    /// Weights as stored, f32 inputs.
    pub const STORED: LayerFormat = LayerFormat {
        encoding: None,
        activations: ActivationFormat::F32,
    };

    /// Weights in an encoding.
    pub const fn of(encoding: WeightEncoding, activations: ActivationFormat) -> LayerFormat {
        LayerFormat {
            encoding: Some(encoding),
            activations,
        }
    }
}

/// A layer `NAME.weight` without a bias.
///
/// # Errors
/// Names file and tensor.
pub fn load_linear(
    source: &dyn WeightSource,
    name: &str,
    size: (usize, usize),
    format: LayerFormat,
) -> Result<Linear, PolicyError> {
    let weights = source.weights(name, size, format.encoding)?;
    Ok(Linear::from_weights(
        name,
        weights,
        None,
        format.activations,
    ))
}

/// A layer `NAME.weight` and `NAME.bias`.
///
/// # Errors
/// Names file and tensor.
pub fn load_linear_with_bias(
    source: &dyn WeightSource,
    name: &str,
    size: (usize, usize),
    format: LayerFormat,
) -> Result<Linear, PolicyError> {
    let weights = source.weights(name, size, format.encoding)?;
    let bias = source.vector(&format!("{name}.bias"), size.0)?;
    Ok(Linear::from_weights(
        name,
        weights,
        Some(bias),
        format.activations,
    ))
}

/// Values with their name.
#[derive(Debug, Clone)]
pub struct VectorParameter {
    /// Name in the checkpoint.
    pub name: String,
    /// The values.
    pub values: Vec<f32>,
}

impl VectorParameter {
    /// From a source.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn load(
        source: &dyn WeightSource,
        name: &str,
        len: usize,
    ) -> Result<VectorParameter, PolicyError> {
        Ok(VectorParameter {
            name: name.into(),
            values: source.vector(name, len)?,
        })
    }
}

/// Rows of floats, decoded when they are asked for.
#[derive(Debug, Clone)]
pub struct EmbeddingTable {
    /// Name in the checkpoint.
    pub name: String,
    /// Type of the entries.
    pub dtype: FloatType,
    /// All rows.
    pub rows: RowStorage,
    /// How many.
    pub count: usize,
    /// Entries of a row.
    pub width: usize,
}

/// Where the rows of a table are.
#[derive(Debug, Clone)]
pub enum RowStorage {
    /// In memory.
    InMemory(Arc<[u8]>),
    /// In a file, from a place on. They are read, not mapped: a map would bring in everything around a row.
    InFile(Arc<RowFile>),
}

/// Rows in a file.
#[derive(Debug)]
pub struct RowFile {
    path: PathBuf,
    file: Mutex<File>,
    start: u64,
}

impl RowFile {
    /// Rows from `start` on.
    ///
    /// # Errors
    /// Names the file when it cannot be opened.
    pub fn open(path: &Path, start: u64) -> Result<RowFile, PolicyError> {
        Ok(RowFile {
            path: path.into(),
            file: Mutex::new(File::open(path).map_err(|e| file_error(path, e))?),
            start,
        })
    }

    fn read(&self, at: u64, bytes: &mut [u8]) -> Result<(), PolicyError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.start + at))
            .and_then(|_| file.read_exact(bytes))
            .map_err(|e| file_error(&self.path, e))
    }
}

impl EmbeddingTable {
    /// Bytes of all rows.
    pub fn bytes(&self) -> usize {
        self.count * self.width * self.dtype.bytes()
    }

    /// Decodes one row.
    ///
    /// # Errors
    /// Names the file when it cannot be read any more.
    pub fn row(&self, row: usize, out: &mut [f32]) -> Result<(), PolicyError> {
        let size = self.width * self.dtype.bytes();
        let mut own = Vec::new();
        let bytes = self.part(row * size..(row + 1) * size, &mut own)?;
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
        Ok(())
    }

    /// Some bytes, read into `own` where they are in a file.
    ///
    /// # Errors
    /// Names the file when it cannot be read any more.
    pub fn part<'a>(
        &'a self,
        range: Range<usize>,
        own: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], PolicyError> {
        match &self.rows {
            RowStorage::InMemory(bytes) => Ok(&bytes[range]),
            RowStorage::InFile(file) => {
                own.resize(range.len(), 0);
                file.read(range.start as u64, own)?;
                Ok(own)
            }
        }
    }
}

/// A part of the network, for those who count or write them all.
#[derive(Debug, Clone, Copy)]
pub enum Parameter<'a> {
    /// A linear layer.
    Linear(&'a Linear),
    /// Norms, biases and the like.
    VectorParameter(&'a VectorParameter),
    /// Rows read one at a time.
    EmbeddingTable(&'a EmbeddingTable),
}

/// Parts with the classes they are counted under.
pub type Parameters<'a> = Vec<(&'static str, Parameter<'a>)>;
