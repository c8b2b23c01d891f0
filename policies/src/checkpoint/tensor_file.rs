//! Tensors of one part of a checkpoint, from one safetensors file, several shards of it, or one torch file. Only the
//! directories are read at first, every tensor on request.

use super::TensorSpec;
use crate::PolicyError;
use crate::error::file_error;
use crate::float_type::FloatType;
use crate::mmap::map_file;
use crate::torch_checkpoint::{self, TensorLocation};
use safetensors::tensor::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Tensors by name, in open files.
pub struct TensorFile {
    /// Path in errors if there is no file.
    folder: PathBuf,
    files: Vec<(PathBuf, Mutex<File>)>,
    /// Number of the file, and location in it.
    tensors: BTreeMap<String, (usize, TensorLocation)>,
}

/// Values as stored, so that an embedding can stay in bf16.
pub enum StoredValues {
    /// Upper halves of f32.
    Bf16(Vec<u16>),
    /// f32, or f16 that was widened.
    F32(Vec<f32>),
}

fn tensor_error(path: &Path, tensor: &str, what: String) -> PolicyError {
    PolicyError::Tensor {
        path: path.into(),
        tensor: tensor.into(),
        what,
    }
}

/// Locations of the tensors of a safetensors file. A file that is too short or too long is an error.
fn safetensors(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, TensorLocation>, PolicyError> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| file_error(path, e))?;
    let location = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        let dtype = match view.dtype() {
            Dtype::BF16 => FloatType::Bf16,
            Dtype::F16 => FloatType::F16,
            Dtype::F32 => FloatType::F32,
            other => {
                let what = format!("type {other:?}, expected BF16, F16 or F32");
                return Err(tensor_error(path, &name, what));
            }
        };
        let start = view.data().as_ptr() as usize - bytes.as_ptr() as usize;
        let location = TensorLocation {
            dtype,
            shape: view.shape().to_vec(),
            range: start..start + view.data().len(),
        };
        Ok((name, location))
    };
    file.tensors().into_iter().map(location).collect()
}

/// Locations of the tensors of a torch file, without the prefix that distributed training puts before every name.
fn torch(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, TensorLocation>, PolicyError> {
    let mut tensors = BTreeMap::new();
    for (name, location) in torch_checkpoint::tensors(path, bytes)? {
        let short = name.strip_prefix("module.").unwrap_or(&name);
        if tensors.insert(short.to_string(), location).is_some() {
            let what = "is there with and without `module.`";
            return Err(tensor_error(path, short, what.into()));
        }
    }
    Ok(tensors)
}

impl TensorFile {
    /// Reads the directories of files (torch or safetensors, by their extension) into one part.
    ///
    /// # Errors
    /// Names file and tensor, also where two files hold the same tensor.
    pub fn read(paths: &[PathBuf]) -> Result<TensorFile, PolicyError> {
        let mut part = TensorFile {
            folder: PathBuf::new(),
            files: Vec::with_capacity(paths.len()),
            tensors: BTreeMap::new(),
        };
        for (i, path) in paths.iter().enumerate() {
            // The map shows directories; it is gone before the first tensor is read.
            let bytes = map_file(path)?;
            let found = match path.extension().is_some_and(|e| e == "pt") {
                true => torch(path, &bytes)?,
                false => safetensors(path, &bytes)?,
            };
            for (name, location) in found {
                if let Some((first, _)) = part.tensors.get(&name) {
                    let what = format!("is in {} too", part.files[*first].0.display());
                    return Err(tensor_error(path, &name, what));
                }
                part.tensors.insert(name, (i, location));
            }
            let file = File::open(path).map_err(|e| file_error(path, e))?;
            part.files.push((path.clone(), Mutex::new(file)));
        }
        Ok(part)
    }

    /// Part without tensors: every requested one is missing from `path`.
    pub(super) fn missing(path: &Path) -> TensorFile {
        TensorFile {
            folder: path.into(),
            files: Vec::new(),
            tensors: BTreeMap::new(),
        }
    }

    /// Checks that every tensor of `expected` and no other exists; those of `optional` may.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn check(
        &self,
        expected: &[TensorSpec],
        optional: &[TensorSpec],
    ) -> Result<(), PolicyError> {
        let mut known: BTreeMap<&str, &[usize]> = BTreeMap::new();
        for (name, shape) in expected.iter().chain(optional) {
            known.insert(name, shape);
        }
        for (name, shape) in expected {
            if !self.tensors.contains_key(name) {
                let what = match self.files.len() {
                    1 => format!("missing, expected shape {shape:?}"),
                    n => format!(
                        "missing in this and the other {} files, expected shape {shape:?}",
                        n - 1
                    ),
                };
                return Err(self.error(name, what));
            }
        }
        for (name, (_, location)) in &self.tensors {
            let Some(shape) = known.get(name.as_str()) else {
                return Err(self.error(name, format!("unexpected, shape {:?}", location.shape)));
            };
            if location.shape != *shape {
                let what = format!("shape {:?}, expected {shape:?}", location.shape);
                return Err(self.error(name, what));
            }
        }
        Ok(())
    }

    /// Every tensor with the path of its file.
    pub(super) fn tensor_paths(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.tensors
            .iter()
            .map(|(name, (file, _))| (name.as_str(), self.files[*file].0.as_path()))
    }

    fn error(&self, tensor: &str, what: String) -> PolicyError {
        let file = self.tensors.get(tensor).map_or(0, |(file, _)| *file);
        let path = self.files.get(file).map_or(&self.folder, |(path, _)| path);
        tensor_error(path, tensor, what)
    }

    /// Type of a tensor; `None` if it does not exist.
    pub fn dtype(&self, name: &str) -> Option<FloatType> {
        self.tensors.get(name).map(|(_, location)| location.dtype)
    }

    fn find(&self, name: &str) -> Result<(&(PathBuf, Mutex<File>), &TensorLocation), PolicyError> {
        match self.tensors.get(name) {
            Some((file, location)) => Ok((&self.files[*file], location)),
            None => Err(self.error(name, "missing".into())),
        }
    }

    /// Path of the file of a tensor and its location in it.
    pub(super) fn location(&self, name: &str) -> Result<(&Path, &TensorLocation), PolicyError> {
        let ((path, _), location) = self.find(name)?;
        Ok((path, location))
    }

    /// Type and bytes of a tensor.
    fn bytes(&self, name: &str) -> Result<(FloatType, Vec<u8>), PolicyError> {
        let ((_, file), location) = self.find(name)?;
        let mut bytes = vec![0u8; location.range.len()];
        let mut open = file.lock().unwrap_or_else(PoisonError::into_inner);
        open.seek(SeekFrom::Start(location.range.start as u64))
            .and_then(|_| open.read_exact(&mut bytes))
            .map_err(|e| self.error(name, e.to_string()))?;
        Ok((location.dtype, bytes))
    }

    /// A tensor as stored.
    ///
    /// # Errors
    /// If it is not there or cannot be read any more.
    pub fn stored(&self, name: &str) -> Result<StoredValues, PolicyError> {
        let (dtype, bytes) = self.bytes(name)?;
        let halves = bytes.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b));
        Ok(match dtype {
            FloatType::Bf16 => StoredValues::Bf16(halves.collect()),
            other => StoredValues::F32(other.decode(&bytes)),
        })
    }

    /// A tensor in f32. NaN and infinity are errors.
    ///
    /// # Errors
    /// If it is not there or not finite.
    pub fn f32(&self, name: &str) -> Result<Vec<f32>, PolicyError> {
        let (dtype, bytes) = self.bytes(name)?;
        let values = dtype.decode(&bytes);
        match values.iter().position(|v| !v.is_finite()) {
            Some(i) => Err(self.error(name, format!("element {i} is {}", values[i]))),
            None => Ok(values),
        }
    }
}
