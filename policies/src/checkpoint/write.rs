//! Writer of tensor files, the inverse of the loader.

use super::TensorSpec;
use crate::PolicyError;
use crate::error::file_error;
use crate::float_type::f32_to_bf16;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::BTreeMap;
use std::path::Path;

/// Writes tensors as bf16 (rounded half to even) or f32, in the order of `specs`.
///
/// # Errors
/// If a tensor is missing from `values`, has another number of elements, or the file cannot be written.
pub fn write_tensors(
    path: &Path,
    specs: &[TensorSpec],
    values: &BTreeMap<String, Vec<f32>>,
    bf16: bool,
) -> Result<(), PolicyError> {
    let mut encoded = Vec::with_capacity(specs.len());
    for (name, shape) in specs {
        let wrong = |what: String| PolicyError::Tensor {
            path: path.into(),
            tensor: name.clone(),
            what,
        };
        let data = values
            .get(name)
            .ok_or_else(|| wrong("no values to write".into()))?;
        if data.len() != shape.iter().product::<usize>() {
            return Err(wrong(format!("{} values for shape {shape:?}", data.len())));
        }
        let bytes: Vec<u8> = if bf16 {
            data.iter()
                .flat_map(|&v| f32_to_bf16(v).to_le_bytes())
                .collect()
        } else {
            data.iter().flat_map(|v| v.to_le_bytes()).collect()
        };
        encoded.push((name.as_str(), shape.clone(), bytes));
    }
    let dtype = if bf16 { Dtype::BF16 } else { Dtype::F32 };
    let mut views = Vec::with_capacity(encoded.len());
    for (name, shape, bytes) in &encoded {
        let view = TensorView::new(dtype, shape.clone(), bytes).map_err(|e| file_error(path, e))?;
        views.push((*name, view));
    }
    let bytes = safetensors::serialize(views, None).map_err(|e| file_error(path, e))?;
    std::fs::write(path, bytes).map_err(|e| file_error(path, e))
}
