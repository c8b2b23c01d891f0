//! Tensors of one part of a checkpoint, from one safetensors file, several shards of it, or one torch file. Only the
//! directories are read at first, every tensor on request. Names are the published ones, whatever wrappers put before them;
//! buffers that are no parameters are left out.

use super::adapter::LoraAdapter;
use super::packed_ternary::PackedMatrix;
use super::{TensorSpec, names};
use crate::PolicyError;
use crate::error::file_error;
use crate::float_type::FloatType;
use crate::mmap::map_file;
use crate::torch_checkpoint::{self, TensorLocation};
use safetensors::tensor::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Tensors by name, in open files.
pub struct TensorFile {
    /// Path in errors if there is no file.
    folder: PathBuf,
    files: Vec<(PathBuf, Mutex<File>)>,
    tensors: BTreeMap<String, Entry<TensorLocation>>,
    /// Packed ternary weights, whose scales are among `tensors`.
    packed: BTreeMap<String, Entry<PackedMatrix>>,
    /// Added to the weights that it names.
    adapter: Option<Box<LoraAdapter>>,
}

/// Tensor of one of the files.
struct Entry<T> {
    file: usize,
    /// Name in the file.
    raw: String,
    location: T,
}

/// Values as stored, so that an embedding can stay in bf16.
pub enum StoredValues {
    /// Upper halves of f32.
    Bf16(Vec<u16>),
    /// f32, or f16 that was widened.
    F32(Vec<f32>),
}

pub(super) fn tensor_error(path: &Path, tensor: &str, what: String) -> PolicyError {
    PolicyError::Tensor {
        path: path.into(),
        tensor: tensor.into(),
        what,
    }
}

/// Tensors of one file by their names in it.
type Found<T> = BTreeMap<String, T>;

/// Locations of the tensors of a safetensors file. A file that is too short or too long is an error.
fn safetensors(
    path: &Path,
    bytes: &[u8],
) -> Result<(Found<TensorLocation>, Found<PackedMatrix>), PolicyError> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| file_error(path, e))?;
    let (mut floats, mut packed) = (BTreeMap::new(), BTreeMap::new());
    for (name, view) in file.tensors() {
        if names::is_buffer(&name) {
            continue;
        }
        let start = view.data().as_ptr() as usize - bytes.as_ptr() as usize;
        let (shape, range) = (view.shape().to_vec(), start..start + view.data().len());
        let dtype = match view.dtype() {
            Dtype::BF16 => FloatType::Bf16,
            Dtype::F16 => FloatType::F16,
            Dtype::F32 => FloatType::F32,
            Dtype::U8 if PackedMatrix::may_be(&names::canonical(&name)) => {
                packed.insert(name, PackedMatrix { shape, range });
                continue;
            }
            other => {
                let what = format!("type {other:?}, expected BF16, F16 or F32");
                return Err(tensor_error(path, &name, what));
            }
        };
        floats.insert(
            name,
            TensorLocation {
                dtype,
                shape,
                range,
            },
        );
    }
    Ok((floats, packed))
}

/// Enters a tensor under its published name, or says under which name it is there already, and both names in the files.
fn insert<T>(
    all: &mut BTreeMap<String, Entry<T>>,
    file: usize,
    raw: String,
    location: T,
) -> Result<(), (String, usize, [String; 2])> {
    let name = names::canonical(&raw);
    if let Some(earlier) = all.get(&name) {
        let file = earlier.file;
        return Err((name, file, [earlier.raw.clone(), raw]));
    }
    let entry = Entry {
        file,
        raw,
        location,
    };
    all.insert(name, entry);
    Ok(())
}

impl TensorFile {
    /// Reads the directories of files (torch or safetensors, by their extension) into one part.
    ///
    /// # Errors
    /// Names file and tensor, also where two files hold the same tensor.
    pub fn read(paths: &[PathBuf]) -> Result<TensorFile, PolicyError> {
        let mut part = TensorFile::missing(Path::new(""));
        for path in paths {
            // The map shows directories; it is gone before the first tensor is read.
            let bytes = map_file(path)?;
            let (floats, packed) = match path.extension().is_some_and(|e| e == "pt") {
                true => (torch_checkpoint::tensors(path, &bytes)?, BTreeMap::new()),
                false => safetensors(path, &bytes)?,
            };
            let file = File::open(path).map_err(|e| file_error(path, e))?;
            let floats = floats.into_iter().filter(|(raw, _)| !names::is_buffer(raw));
            for (raw, location) in floats {
                let place = insert(&mut part.tensors, part.files.len(), raw, location);
                part.once(path, place)?;
            }
            for (raw, matrix) in packed {
                let place = insert(&mut part.packed, part.files.len(), raw, matrix);
                part.once(path, place)?;
            }
            part.files.push((path.clone(), Mutex::new(file)));
        }
        Ok(part)
    }

    /// Refuses a second tensor of one name; `earlier` is its name, file and name in it.
    fn once(
        &self,
        path: &Path,
        earlier: Result<(), (String, usize, [String; 2])>,
    ) -> Result<(), PolicyError> {
        let Err((name, file, [first, second])) = earlier else {
            return Ok(());
        };
        let what = match self.files.get(file) {
            Some((earlier, _)) => format!("is in {} too", earlier.display()),
            None => format!("is there twice, as `{first}` and `{second}`"),
        };
        Err(tensor_error(path, &name, what))
    }

    /// Adds the deltas of an adapter to the weights that it names.
    pub(super) fn set_adapter(&mut self, adapter: LoraAdapter) {
        self.adapter = Some(Box::new(adapter));
    }

    /// Part without tensors: every requested one is missing from `path`.
    pub(super) fn missing(path: &Path) -> TensorFile {
        TensorFile {
            folder: path.into(),
            files: Vec::new(),
            tensors: BTreeMap::new(),
            packed: BTreeMap::new(),
            adapter: None,
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
        if let Some((raw, part)) = names::unmerged(self.raw_names()) {
            let what = format!(
                "`{part}` is of an adapter that was not merged: merge it into the model (merge_and_unload), or put the adapter's own adapter_config.json and adapter_model.safetensors beside the base model"
            );
            return Err(self.error(raw, what));
        }
        for (name, shape) in expected {
            if !self.tensors.contains_key(name) && !self.packed.contains_key(name) {
                return Err(self.error(name, self.absent(name, shape, &known)));
            }
        }
        for (name, entry) in &self.packed {
            let shape = known.get(name.as_str()).copied();
            let check = entry.location.check(shape, self.scale_shape(name));
            check.map_err(|what| self.error(name, what))?;
        }
        for (name, Entry { location, .. }) in &self.tensors {
            if PackedMatrix::of_scale(name).is_some_and(|name| self.packed.contains_key(&name)) {
                continue;
            }
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

    fn raw_names(&self) -> impl Iterator<Item = &str> {
        let packed = self.packed.values().map(|entry| entry.raw.as_str());
        let floats = self.tensors.values().map(|entry| entry.raw.as_str());
        floats.chain(packed)
    }

    /// What to say of an expected tensor that is not there: also one that looks alike and has no use of its own.
    fn absent(&self, name: &str, shape: &[usize], known: &BTreeMap<&str, &[usize]>) -> String {
        let place = match self.files.len() {
            0 | 1 => "missing".to_owned(),
            n => format!("missing in this and the other {} files", n - 1),
        };
        let spare = self
            .tensors
            .iter()
            .filter(|(name, _)| !known.contains_key(name.as_str()));
        let spare = spare.map(|(_, entry)| entry.raw.as_str());
        let alike = match names::lookalike(name, spare) {
            Some(alike) => format!("; `{alike}` is there and looks alike"),
            None => String::new(),
        };
        format!("{place}, expected shape {shape:?}{alike}")
    }

    /// Shape of the scale of packed weights; `None` if there is none.
    fn scale_shape(&self, name: &str) -> Option<&[usize]> {
        let entry = self.tensors.get(&PackedMatrix::scale_name(name))?;
        Some(&entry.location.shape)
    }

    /// Every tensor with the path of its file.
    pub(super) fn tensor_paths(&self) -> impl Iterator<Item = (&str, &Path)> {
        let floats = self.tensors.iter().map(|(name, entry)| (name, entry.file));
        let packed = self.packed.iter().map(|(name, entry)| (name, entry.file));
        floats
            .chain(packed)
            .map(|(name, file)| (name.as_str(), self.files[file].0.as_path()))
    }

    pub(super) fn error(&self, tensor: &str, what: String) -> PolicyError {
        let floats = self.tensors.get(tensor).map(|entry| entry.file);
        let file = floats.or_else(|| self.packed.get(tensor).map(|entry| entry.file));
        let path = self.files.get(file.unwrap_or(0));
        tensor_error(path.map_or(&self.folder, |(path, _)| path), tensor, what)
    }

    /// Type of a tensor; `None` if it does not exist.
    pub fn dtype(&self, name: &str) -> Option<FloatType> {
        self.tensors.get(name).map(|entry| entry.location.dtype)
    }

    /// Shape of a tensor of floats; `None` if it does not exist.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors
            .get(name)
            .map(|entry| entry.location.shape.as_slice())
    }

    /// Names of all tensors of floats, sorted.
    pub(super) fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    fn find(&self, name: &str) -> Result<&Entry<TensorLocation>, PolicyError> {
        self.tensors
            .get(name)
            .ok_or_else(|| match self.is_packed(name) {
                true => self.error(name, "packed ternary weights, wanted as numbers".into()),
                false => self.error(name, "missing".into()),
            })
    }

    /// Path of the file of a tensor and its location in it.
    pub(super) fn location(&self, name: &str) -> Result<(&Path, &TensorLocation), PolicyError> {
        let entry = self.find(name)?;
        Ok((&self.files[entry.file].0, &entry.location))
    }

    /// Bytes of a range of a file.
    fn read_range(
        &self,
        name: &str,
        file: usize,
        range: &Range<usize>,
    ) -> Result<Vec<u8>, PolicyError> {
        let mut bytes = vec![0u8; range.len()];
        let mut open = self.files[file]
            .1
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.seek(SeekFrom::Start(range.start as u64))
            .and_then(|_| open.read_exact(&mut bytes))
            .map_err(|e| self.error(name, e.to_string()))?;
        Ok(bytes)
    }

    /// Type and bytes of a tensor.
    fn bytes(&self, name: &str) -> Result<(FloatType, Vec<u8>), PolicyError> {
        let Entry { file, location, .. } = self.find(name)?;
        let bytes = self.read_range(name, *file, &location.range)?;
        Ok((location.dtype, bytes))
    }

    /// Name of the first packed ternary weights; `None` if there are none.
    pub(super) fn first_packed(&self) -> Option<&str> {
        self.packed.keys().next().map(String::as_str)
    }

    /// True if a tensor is packed ternary weights.
    pub(super) fn is_packed(&self, name: &str) -> bool {
        self.packed.contains_key(name)
    }

    /// Codes `[outputs, inputs]` of packed ternary weights, and their scale as it is stored.
    ///
    /// # Errors
    /// Names the byte that holds no ternary code, or a scale that is not above zero.
    pub(super) fn ternary(&self, name: &str) -> Result<(Vec<i8>, f32), PolicyError> {
        let Some(Entry { file, location, .. }) = self.packed.get(name) else {
            return Err(self.error(name, "missing".into()));
        };
        let bytes = self.read_range(name, *file, &location.range)?;
        let codes = location
            .unpack(&bytes)
            .map_err(|what| self.error(name, what))?;
        let scale_name = PackedMatrix::scale_name(name);
        match self.f32(&scale_name)?.first() {
            Some(&scale) if scale > 0.0 => Ok((codes, scale)),
            other => {
                let found = other.copied().unwrap_or_default();
                Err(self.error(&scale_name, format!("{found}, expected a scale above 0")))
            }
        }
    }

    /// A tensor as stored.
    ///
    /// # Errors
    /// If it is not there or cannot be read any more.
    pub fn stored(&self, name: &str) -> Result<StoredValues, PolicyError> {
        if self.has_delta(name) {
            return Ok(StoredValues::F32(self.f32(name)?));
        }
        let (dtype, bytes) = self.bytes(name)?;
        let halves = bytes.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b));
        Ok(match dtype {
            FloatType::Bf16 => StoredValues::Bf16(halves.collect()),
            other => StoredValues::F32(other.decode(&bytes)),
        })
    }

    /// True if an adapter changes a tensor.
    fn has_delta(&self, name: &str) -> bool {
        self.adapter
            .as_ref()
            .is_some_and(|adapter| adapter.changes(name))
    }

    /// A tensor in f32, the delta of an adapter included. NaN and infinity are errors.
    ///
    /// # Errors
    /// If it is not there or not finite.
    pub fn f32(&self, name: &str) -> Result<Vec<f32>, PolicyError> {
        let (dtype, bytes) = self.bytes(name)?;
        let mut values = dtype.decode(&bytes);
        if let Some(adapter) = &self.adapter {
            adapter.add_delta(name, &mut values)?;
        }
        match values.iter().position(|v| !v.is_finite()) {
            Some(i) => Err(self.error(name, format!("element {i} is {}", values[i]))),
            None => Ok(values),
        }
    }
}
