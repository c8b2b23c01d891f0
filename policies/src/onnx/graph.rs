//! Builder of an ONNX graph: operators by name, constants, weights inside the file or beside it.

use super::proto::{
    AttributeProto, DimensionProto, FLOAT, GraphProto, INT64, ModelProto, NodeProto,
    OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto,
    TypeProto, ValueInfoProto,
};
use crate::PolicyError;
use crate::error::file_error;
use prost::Message;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Version of the operators: LayerNormalization and Gelu are among them.
const OPSET: i64 = 20;
/// Version of the file format.
const IR_VERSION: i64 = 10;

/// Name of a value of the graph.
pub(super) type Value = String;

/// Attribute of an operator.
pub(super) enum Attribute<'a> {
    Float(&'a str, f32),
    Int(&'a str, i64),
    Text(&'a str, &'a str),
    Ints(&'a str, &'a [i64]),
}

/// Length of a dimension, or its name.
pub(super) enum Dimension<'a> {
    Fixed(usize),
    Named(&'a str),
}

/// A graph that is being built.
pub(super) struct GraphBuilder {
    graph: GraphProto,
    /// Constants by their contents.
    constants: BTreeMap<(Vec<i64>, Vec<u8>, i32), Value>,
    values: usize,
    path: PathBuf,
    /// File of the weights, where they are beside the model, and the bytes written.
    external: Option<(BufWriter<File>, PathBuf, u64)>,
}

impl GraphBuilder {
    /// A graph for the file at `path`; weights are written to `path` with `.data` behind it if `external`.
    pub fn new(path: &Path, external: bool) -> Result<GraphBuilder, PolicyError> {
        let external = match external {
            false => None,
            true => {
                let mut data = path.as_os_str().to_owned();
                data.push(".data");
                let data = PathBuf::from(data);
                let file = File::create(&data).map_err(|e| file_error(&data, e))?;
                Some((BufWriter::new(file), data, 0))
            }
        };
        Ok(GraphBuilder {
            graph: GraphProto::default(),
            constants: BTreeMap::new(),
            values: 0,
            path: path.into(),
            external,
        })
    }

    pub fn input(&mut self, name: &str, kind: i32, shape: &[Dimension<'_>], words: &str) -> Value {
        self.graph.input.push(value_info(name, kind, shape, words));
        name.into()
    }

    pub fn output(&mut self, value: &str, name: &str, shape: &[Dimension<'_>], words: &str) {
        self.named(name, "Identity", &[value], &[]);
        self.graph
            .output
            .push(value_info(name, FLOAT, shape, words));
    }

    /// Applies an operator with one output.
    pub fn op(&mut self, op: &str, inputs: &[&str], attributes: &[Attribute<'_>]) -> Value {
        self.values += 1;
        let name = format!("{}_{}", op.to_lowercase(), self.values);
        self.named(&name, op, inputs, attributes);
        name
    }

    fn named(&mut self, name: &str, op: &str, inputs: &[&str], attributes: &[Attribute<'_>]) {
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|input| (*input).to_owned()).collect(),
            output: vec![name.to_owned()],
            name: name.to_owned(),
            op_type: op.to_owned(),
            attribute: attributes.iter().map(attribute).collect(),
        });
    }

    /// Whole numbers; `[]` for a single one.
    pub fn ints(&mut self, shape: &[usize], numbers: &[i64]) -> Value {
        let bytes = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        self.constant(shape, bytes, INT64)
    }

    /// A list of whole numbers.
    pub fn list(&mut self, numbers: &[i64]) -> Value {
        self.ints(&[numbers.len()], numbers)
    }

    pub fn number(&mut self, x: f32) -> Value {
        self.constant(&[], x.to_le_bytes().to_vec(), FLOAT)
    }

    pub fn constant(&mut self, shape: &[usize], bytes: Vec<u8>, kind: i32) -> Value {
        let dims: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
        let key = (dims, bytes, kind);
        if let Some(known) = self.constants.get(&key) {
            return known.clone();
        }
        let name = format!("constant_{}", self.constants.len() + 1);
        self.graph.initializer.push(TensorProto {
            dims: key.0.clone(),
            data_type: kind,
            name: name.clone(),
            raw_data: key.1.clone(),
            ..TensorProto::default()
        });
        self.constants.insert(key, name.clone());
        name
    }

    /// Weights under their name in the checkpoint.
    pub fn weights(
        &mut self,
        name: &str,
        shape: &[usize],
        bytes: Vec<u8>,
        kind: i32,
    ) -> Result<Value, PolicyError> {
        let mut tensor = TensorProto {
            dims: shape.iter().map(|n| *n as i64).collect(),
            data_type: kind,
            name: name.to_owned(),
            ..TensorProto::default()
        };
        match &mut self.external {
            None => tensor.raw_data = bytes,
            Some((file, path, written)) => {
                file.write_all(&bytes).map_err(|e| file_error(path, e))?;
                let location = path.file_name().unwrap_or_default().to_string_lossy();
                let entry = |key: &str, value: String| StringStringEntryProto {
                    key: key.to_owned(),
                    value,
                };
                tensor.external_data = vec![
                    entry("location", location.into_owned()),
                    entry("offset", written.to_string()),
                    entry("length", bytes.len().to_string()),
                ];
                tensor.data_location = 1;
                *written += bytes.len() as u64;
            }
        }
        self.graph.initializer.push(tensor);
        Ok(name.to_owned())
    }

    /// f32 weights under their name in the checkpoint.
    pub fn floats(
        &mut self,
        name: &str,
        shape: &[usize],
        values: &[f32],
    ) -> Result<Value, PolicyError> {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.weights(name, shape, bytes, FLOAT)
    }

    /// Writes the file.
    pub fn finish(
        mut self,
        name: &str,
        words: &str,
        properties: &[(&str, String)],
    ) -> Result<(), PolicyError> {
        self.graph.name = name.to_owned();
        if let Some((file, path, _)) = &mut self.external {
            file.flush().map_err(|e| file_error(path, e))?;
        }
        let property = |(key, value): &(&str, String)| StringStringEntryProto {
            key: (*key).to_owned(),
            value: value.clone(),
        };
        let model = ModelProto {
            ir_version: IR_VERSION,
            producer_name: "bitvla-eval".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            doc_string: words.to_owned(),
            graph: Some(self.graph),
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: OPSET,
            }],
            metadata_props: properties.iter().map(property).collect(),
        };
        std::fs::write(&self.path, model.encode_to_vec()).map_err(|e| file_error(&self.path, e))
    }
}

fn attribute(attribute: &Attribute<'_>) -> AttributeProto {
    let mut out = AttributeProto::default();
    (out.name, out.r#type) = match attribute {
        Attribute::Float(name, _) => ((*name).to_owned(), 1),
        Attribute::Int(name, _) => ((*name).to_owned(), 2),
        Attribute::Text(name, _) => ((*name).to_owned(), 3),
        Attribute::Ints(name, _) => ((*name).to_owned(), 7),
    };
    match attribute {
        Attribute::Float(_, x) => out.f = *x,
        Attribute::Int(_, n) => out.i = *n,
        Attribute::Text(_, text) => out.s = text.as_bytes().to_vec(),
        Attribute::Ints(_, list) => out.ints = list.to_vec(),
    }
    out
}

fn value_info(name: &str, kind: i32, shape: &[Dimension<'_>], words: &str) -> ValueInfoProto {
    let dim = |dimension: &Dimension<'_>| match dimension {
        Dimension::Fixed(n) => DimensionProto {
            dim_value: Some(*n as i64),
            dim_param: None,
        },
        Dimension::Named(name) => DimensionProto {
            dim_value: None,
            dim_param: Some((*name).to_owned()),
        },
    };
    ValueInfoProto {
        name: name.to_owned(),
        doc_string: words.to_owned(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: kind,
                shape: Some(TensorShapeProto {
                    dim: shape.iter().map(dim).collect(),
                }),
            }),
        }),
    }
}
