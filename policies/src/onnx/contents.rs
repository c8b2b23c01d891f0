//! What an ONNX file really holds, whatever its name says: element types and bytes of its weights, operators, inputs and outputs.

use super::proto::{FLOAT, INT8, INT32, INT64, ModelProto, TypeProto, UINT8, ValueInfoProto};
use crate::error::file_error;
use crate::{MemoryLedger, PolicyError};
use prost::Message;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Weights of one element type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OnnxTensors {
    /// Number of tensors.
    pub count: usize,
    /// Number of elements of all of them.
    pub elements: u64,
    /// Their bytes, in the file or beside it.
    pub bytes: u64,
}

/// Contents of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnnxContents {
    /// Weights by element type, for example `float32`.
    pub weights: BTreeMap<String, OnnxTensors>,
    /// Operators and how often they occur.
    pub operators: BTreeMap<String, usize>,
    /// Inputs.
    pub inputs: Vec<OnnxValue>,
    /// Outputs.
    pub outputs: Vec<OnnxValue>,
}

/// An input or output of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnnxValue {
    /// Name.
    pub name: String,
    /// Element type, for example `float32`; empty for what is no tensor.
    pub element: String,
    /// Sizes of the axes.
    pub dims: Vec<OnnxDim>,
}

/// Size of an axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnnxDim {
    /// Always this.
    Fixed(usize),
    /// Any; with a name, or `?`.
    Any(String),
}

impl OnnxDim {
    /// True if the axis can have this size.
    pub fn takes(&self, size: usize) -> bool {
        match self {
            OnnxDim::Fixed(fixed) => *fixed == size,
            OnnxDim::Any(_) => true,
        }
    }
}

impl fmt::Display for OnnxValue {
    /// For example `images float32 [2, 3, side, side]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.element.is_empty() {
            return write!(f, "{} no tensor", self.name);
        }
        let dims = self.dims.iter().map(|dim| match dim {
            OnnxDim::Fixed(size) => size.to_string(),
            OnnxDim::Any(name) => name.clone(),
        });
        let dims: Vec<String> = dims.collect();
        write!(f, "{} {} [{}]", self.name, self.element, dims.join(", "))
    }
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnnxFile {
    path: PathBuf,
    /// What it holds.
    pub contents: OnnxContents,
}

impl OnnxFile {
    /// Reads a file.
    ///
    /// # Errors
    /// As [`OnnxContents::read`].
    pub fn read(path: &Path) -> Result<OnnxFile, PolicyError> {
        Ok(OnnxFile {
            contents: OnnxContents::read(path)?,
            path: path.into(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Folder with the small files of its checkpoint.
    pub fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }
}

impl OnnxContents {
    /// Reads a file.
    ///
    /// # Errors
    /// Names the file if it cannot be read or is no ONNX model.
    pub fn read(path: &Path) -> Result<OnnxContents, PolicyError> {
        let bytes = std::fs::read(path).map_err(|e| file_error(path, e))?;
        OnnxContents::parse(&bytes).map_err(|what| file_error(path, what))
    }

    /// Parses the bytes of a file.
    ///
    /// # Errors
    /// In words, if it is no ONNX model.
    pub fn parse(bytes: &[u8]) -> Result<OnnxContents, String> {
        let model = ModelProto::decode(bytes).map_err(|e| format!("no ONNX model: {e}"))?;
        let graph = model.graph.ok_or("no ONNX model: it has no graph")?;
        let mut contents = OnnxContents::default();
        for tensor in &graph.initializer {
            let elements = tensor.dims.iter().try_fold(1u64, |n, dim| {
                let dim = u64::try_from(*dim).ok()?;
                n.checked_mul(dim)
            });
            let elements = elements.ok_or_else(|| {
                format!(
                    "tensor `{}`: found the shape {:?}",
                    tensor.name, tensor.dims
                )
            })?;
            let (name, size) = element(tensor.data_type);
            let entry = contents.weights.entry(name).or_default();
            entry.count += 1;
            entry.elements = entry.elements.saturating_add(elements);
            entry.bytes = entry.bytes.saturating_add(elements.saturating_mul(size));
        }
        for node in &graph.node {
            *contents.operators.entry(node.op_type.clone()).or_default() += 1;
        }
        // Older files list their weights among the inputs.
        let weight = |name: &str| graph.initializer.iter().any(|t| t.name == name);
        let inputs = graph.input.iter().filter(|input| !weight(&input.name));
        contents.inputs = inputs.map(describe).collect();
        contents.outputs = graph.output.iter().map(describe).collect();
        Ok(contents)
    }

    /// True if activations are quantised.
    pub fn is_quantised(&self) -> bool {
        let operators = ["QuantizeLinear", "DynamicQuantizeLinear", "MatMulInteger"];
        operators.iter().any(|op| self.operators.contains_key(*op))
    }

    /// Bytes of all weights.
    pub fn weight_bytes(&self) -> u64 {
        self.weights.values().map(|tensors| tensors.bytes).sum()
    }

    /// The weights as they are counted in every policy.
    pub(super) fn ledger(&self) -> MemoryLedger {
        let mut ledger = MemoryLedger::default();
        for (kind, tensors) in &self.weights {
            ledger.add_owned("all", kind, tensors.bytes as usize);
        }
        ledger
    }

    /// Element types of the weights with their bytes, the largest first, in words.
    pub fn describe_weights(&self) -> String {
        let mut kinds: Vec<_> = self.weights.iter().collect();
        kinds.sort_by_key(|(_, tensors)| std::cmp::Reverse(tensors.bytes));
        let kinds = kinds.iter().map(|(kind, tensors)| {
            let megabytes = tensors.bytes as f64 / 1e6;
            format!("{kind} {megabytes:.2} MB in {} tensors", tensors.count)
        });
        kinds.collect::<Vec<_>>().join(", ")
    }
}

/// Name of an element type, and bytes of an element.
fn element(kind: i32) -> (String, u64) {
    let (name, size) = match kind {
        FLOAT => ("float32", 4),
        UINT8 => ("uint8", 1),
        INT8 => ("int8", 1),
        4 => ("uint16", 2),
        5 => ("int16", 2),
        INT32 => ("int32", 4),
        INT64 => ("int64", 8),
        8 => ("string", 0),
        9 => ("bool", 1),
        10 => ("float16", 2),
        11 => ("float64", 8),
        12 => ("uint32", 4),
        13 => ("uint64", 8),
        16 => ("bfloat16", 2),
        17..=20 => ("float8", 1),
        // Two of them are in a byte.
        21 | 22 => ("int4", 1),
        other => return (format!("type {other}"), 0),
    };
    (name.to_owned(), size)
}

fn describe(value: &ValueInfoProto) -> OnnxValue {
    let name = value.name.clone();
    let Some(TypeProto {
        tensor_type: Some(tensor),
    }) = &value.r#type
    else {
        return OnnxValue {
            name,
            element: String::new(),
            dims: Vec::new(),
        };
    };
    let dims = tensor.shape.iter().flat_map(|shape| &shape.dim);
    let dims = dims.map(|dim| match (dim.dim_value, &dim.dim_param) {
        (Some(n), _) if n >= 0 => OnnxDim::Fixed(usize::try_from(n).unwrap_or(usize::MAX)),
        (_, Some(name)) if !name.is_empty() => OnnxDim::Any(name.clone()),
        _ => OnnxDim::Any("?".to_owned()),
    });
    OnnxValue {
        name,
        element: element(tensor.elem_type).0,
        dims: dims.collect(),
    }
}
