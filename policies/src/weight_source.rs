//! Sources of the network's tensors: a checkpoint folder, a packed file, or a seed. Names are those of the published
//! checkpoint; those of the action head and the proprioception projector have a prefix.

use crate::PolicyError;
use crate::error::file_error;
use crate::float_type::FloatType;
use crate::formats::{LinearFormat, WeightEncoding};
use crate::linear::Linear;
use crate::weights::Weights;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Prefix of the tensor names of the action head.
pub const ACTION_HEAD_PREFIX: &str = "action_head.";
/// Prefix of the tensor names of the proprioception projector.
pub const PROPRIO_PREFIX: &str = "proprio_projector.";

/// Request for the weights of one linear layer.
#[derive(Debug, Clone, Copy)]
pub struct MatrixRequest<'a> {
    /// Name of the layer: the tensor is `NAME.weight`, `[outputs, inputs]`.
    pub name: &'a str,
    /// Number of outputs.
    pub outputs: usize,
    /// Number of inputs.
    pub inputs: usize,
    /// Encoding; `None`: as stored.
    pub encoding: Option<WeightEncoding>,
}

/// Supplies tensors by name.
pub trait WeightSource {
    /// Values of a small tensor, `[len]`.
    ///
    /// # Errors
    /// Names file and tensor.
    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, PolicyError>;

    /// Weights of a linear layer in an encoding, or as they are stored.
    ///
    /// # Errors
    /// Names file and tensor.
    fn weights(&self, request: MatrixRequest<'_>) -> Result<Weights, PolicyError>;

    /// Table `[rows, columns]` whose rows are read one at a time.
    ///
    /// # Errors
    /// Names file and tensor.
    fn table(&self, name: &str, size: (usize, usize)) -> Result<EmbeddingTable, PolicyError>;
}

/// Loads a linear layer `NAME.weight`, and `NAME.bias` where it is `biased`.
///
/// # Errors
/// Names file and tensor.
pub fn load_linear(
    source: &dyn WeightSource,
    name: &str,
    (outputs, inputs): (usize, usize),
    format: LinearFormat,
    biased: bool,
) -> Result<Linear, PolicyError> {
    let weights = source.weights(MatrixRequest {
        name,
        outputs,
        inputs,
        encoding: format.encoding,
    })?;
    let bias = || source.vector(&format!("{name}.bias"), outputs);
    let bias = biased.then(bias).transpose()?;
    Ok(Linear::from_weights(
        name,
        weights,
        bias,
        format.activations,
    ))
}

/// Vector of parameters with its name.
#[derive(Debug, Clone)]
pub struct VectorParameter {
    /// Name in the checkpoint.
    pub name: String,
    /// Values.
    pub values: Vec<f32>,
}

impl VectorParameter {
    /// Loads a vector `[len]` from a source.
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

/// Table of embeddings `[count, width]`, decoded row by row.
#[derive(Debug, Clone)]
pub struct EmbeddingTable {
    /// Name in the checkpoint.
    pub name: String,
    /// Type of the entries.
    pub dtype: FloatType,
    /// Storage of the rows.
    pub rows: RowStorage,
    /// Number of rows.
    pub count: usize,
    /// Length of a row.
    pub width: usize,
}

/// Storage of the rows of a table.
#[derive(Debug, Clone)]
pub enum RowStorage {
    /// In memory.
    InMemory(Arc<[u8]>),
    /// In a file, from an offset on. They are read, not mapped: a map would page in everything around a row.
    InFile(Arc<RowFile>),
}

/// Rows in an open file.
#[derive(Debug)]
pub struct RowFile {
    path: PathBuf,
    file: Mutex<File>,
    start: u64,
}

impl RowFile {
    /// Opens a file whose rows begin at byte `start`.
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

    /// Decodes one row, `[width]`.
    ///
    /// # Errors
    /// Names the file when it cannot be read any more.
    pub fn row(&self, row: usize, out: &mut [f32]) -> Result<(), PolicyError> {
        let size = self.width * self.dtype.bytes();
        let mut own = Vec::new();
        let bytes = self.part(row * size..(row + 1) * size, &mut own)?;
        self.dtype.decode_into(bytes, out);
        Ok(())
    }

    /// Bytes of a range, read into `own` if they are in a file.
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

/// One parameter tensor of a network.
#[derive(Debug, Clone, Copy)]
pub enum Parameter<'a> {
    /// A linear layer.
    Linear(&'a Linear),
    /// Weights of a norm, positions and the like.
    Vector(&'a VectorParameter),
    /// An embedding table.
    Table(&'a EmbeddingTable),
}

/// Parameters with their classes of tensors.
pub type Parameters<'a> = Vec<(&'static str, Parameter<'a>)>;
