//! Packed policy: one file with the weights as the kernels read them and the small files of the checkpoint. It is a
//! safetensors file that is mapped, so that a policy starts at once and pages come in when they are first met.
//!
//! Layout, version 2. The metadata has one entry, `bitvla`, with JSON: `version`, `weights` (a [`WeightFormat`]),
//! `architecture` (empty, or the name of a network that `config.json` does not describe) and `sha256`, the SHA-256 of the bytes
//! of every tensor by its name, which version 1 did not have. Tensors:
//!
//! | name | type, shape | contents |
//! |---|---|---|
//! | `files/NAME` | U8 `[bytes]` | a file of the checkpoint: `config.json`, `tokenizer.json`, ... |
//! | `LAYER.ternary` | U8 `[n/16, k/16, 64]` | blocks of 16 outputs x 16 inputs: byte `4 j + t` holds output `j`, inputs `t`, `4 + t`, `8 + t`, `12 + t` in ascending bit pairs, code plus one |
//! | `LAYER.bf16`, `LAYER.f32` | BF16, F32 `[n/16, k, 16]` | weights |
//! | `LAYER.int8` | U8 `[n/16, k/4, 16, 4]`, k padded to 16 | code plus 128 |
//! | `LAYER.int4`, `LAYER.nf4` | U8 `[n/16, k, 8]` | output `j` in the low, `j + 8` in the high nibble of byte `j` |
//! | `LAYER.scales` | F32 | ternary: the absmean; int8: `[n]`; int4: `[n/16, k/128, 16]`; nf4: one per 64 numbers, row-major |
//! | `LAYER.bias` and every other name | F32 | as in the checkpoint |
//! | `language_model.model.embed_tokens.weight` | as stored | rows, read one at a time |
//!
//! Quotients are rounded up; padding is zero.
//!
//! Codes and scales are checked whenever a file is opened: a byte that holds no code of its encoding, and a scale that is
//! negative, not finite or out of proportion, are refused. The checksums are compared on request ([`PackedFile::verify`],
//! `bitvla-eval pack --check FILE`), as that reads the whole file.

mod writer;

pub use writer::{pack, write};

use crate::checkpoint_files::{CheckpointFiles, LazyFile};
use crate::error::file_error;
use crate::float_type::FloatType;
use crate::formats::{QUANTISED_VISION, WeightEncoding};
use crate::mmap::map_file;
use crate::weight_source::{
    ACTION_HEAD_PREFIX, EmbeddingTable, MatrixRequest, PROPRIO_PREFIX, RowFile, RowStorage,
    WeightSource,
};
use crate::weights::{WeightBytes, Weights};
use crate::{Architecture, BitVla, Config, PolicyError, WeightFormat};
use memmap2::Mmap;
use rayon::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// Version that is written, and the newest that is read.
pub const VERSION: u32 = 2;
/// Key of the metadata.
const KEY: &str = "bitvla";
/// Prefix of the names of files.
const FILES: &str = "files/";

/// Contents of the metadata.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PackedHeader {
    /// Version of the layout.
    pub version: u32,
    /// Name of the weight format.
    pub weights: String,
    /// Empty, or the name of a network that `config.json` does not describe.
    #[serde(default)]
    pub architecture: String,
    /// SHA-256 of the bytes of every tensor by its name, in hexadecimal digits; none in a file of version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<BTreeMap<String, String>>,
}

/// SHA-256 of the bytes of a tensor, hexadecimal digits.
fn checksum(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A packed file, mapped.
pub struct PackedFile {
    path: PathBuf,
    map: Arc<Mmap>,
    about: PackedHeader,
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Range<usize>)>,
    used: RefCell<BTreeSet<String>>,
}

impl PackedFile {
    /// Maps a file and reads its header.
    ///
    /// # Errors
    /// Names the file when it is cut short, not a packed file, or of a newer version.
    pub fn open(path: &Path) -> Result<PackedFile, PolicyError> {
        let map = map_file(path)?;
        let fail = |what: String| file_error(path, what);
        let (_, header) = SafeTensors::read_metadata(&map)
            .map_err(|e| fail(format!("is not a packed policy (safetensors): {e}")))?;
        let about = header.metadata().as_ref().and_then(|m| m.get(KEY));
        let about = about.ok_or_else(|| {
            fail("is not a packed policy: write one with `bitvla-eval pack DIR OUT`".into())
        })?;
        let about: PackedHeader =
            serde_json::from_str(about).map_err(|e| fail(format!("{KEY}: {e}")))?;
        if !(1..=VERSION).contains(&about.version) {
            return Err(fail(format!(
                "packed format version {}, this program reads versions from 1 up to {VERSION}",
                about.version
            )));
        }
        if about.sha256.is_none() && about.version > 1 {
            return Err(fail(format!(
                "packed format version {} without sha256",
                about.version
            )));
        }
        let file = SafeTensors::deserialize(&map).map_err(|e| fail(e.to_string()))?;
        let place = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
            let start = view.data().as_ptr() as usize - map.as_ptr() as usize;
            let range = start..start + view.data().len();
            (name, (view.dtype(), view.shape().to_vec(), range))
        };
        let tensors = file.tensors().into_iter().map(place).collect();
        Ok(PackedFile {
            path: path.into(),
            map,
            about,
            tensors,
            used: RefCell::default(),
        })
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Weight format that the file was packed in.
    ///
    /// # Errors
    /// Names the file if its metadata name no weight format.
    pub fn format(&self) -> Result<WeightFormat, PolicyError> {
        WeightFormat::from_str(&self.about.weights).map_err(|e| file_error(&self.path, e))
    }

    /// Contents of the metadata.
    pub fn about(&self) -> &PackedHeader {
        &self.about
    }

    /// Contents of a file of the checkpoint, if the packed file holds it.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        let (_, _, range) = self.tensors.get(&format!("{FILES}{name}"))?;
        Some(&self.map[range.clone()])
    }

    /// The same as shared bytes that keep the map alive.
    pub fn bytes(&self, name: &str) -> Option<WeightBytes> {
        let (_, _, range) = self.tensors.get(&format!("{FILES}{name}"))?;
        Some(WeightBytes::Mapped(Arc::clone(&self.map), range.clone()))
    }

    /// True if the name of some tensor begins with `prefix`.
    pub fn has(&self, prefix: &str) -> bool {
        self.tensors.keys().any(|name| name.starts_with(prefix))
    }

    /// Compares every tensor with its checksum. Returns the number of tensors.
    ///
    /// # Errors
    /// Names the first tensor whose bytes are not those that were written, or that has no checksum.
    pub fn verify(&self) -> Result<usize, PolicyError> {
        let Some(sums) = &self.about.sha256 else {
            let what = "packed format version 1 has no checksums: pack the checkpoint again";
            return Err(file_error(&self.path, what));
        };
        if let Some(name) = sums.keys().find(|name| !self.tensors.contains_key(*name)) {
            return Err(self.error(name, "missing, the file has its checksum".into()));
        }
        let (map, tensors) = (&self.map, self.tensors.iter().collect::<Vec<_>>());
        let wrong = tensors.par_iter().find_map_first(|(name, (_, _, range))| {
            let found = checksum(&map[range.clone()]);
            match sums.get(*name) {
                Some(sum) if *sum == found => None,
                Some(sum) => Some((
                    name,
                    format!("SHA-256 {found}, written as {sum}: the file was damaged or changed"),
                )),
                None => Some((name, "has no checksum".to_owned())),
            }
        });
        match wrong {
            Some((name, what)) => Err(self.error(name, what)),
            None => Ok(tensors.len()),
        }
    }

    /// Checks that every tensor was read.
    ///
    /// # Errors
    /// Names the first tensor that was not.
    pub fn finish(&self) -> Result<(), PolicyError> {
        let used = self.used.borrow();
        let extra = |name: &&String| !name.starts_with(FILES) && !used.contains(*name);
        match self.tensors.keys().find(extra) {
            Some(name) => Err(self.error(name, "unexpected".into())),
            None => Ok(()),
        }
    }

    fn error(&self, tensor: &str, what: String) -> PolicyError {
        PolicyError::Tensor {
            path: self.path.clone(),
            tensor: tensor.into(),
            what,
        }
    }

    fn get(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<Range<usize>, PolicyError> {
        let Some((found, size, range)) = self.tensors.get(name) else {
            return Err(self.error(name, format!("missing, expected {dtype:?} {shape:?}")));
        };
        if *found != dtype || size != shape {
            let what = format!("{found:?} {size:?}, expected {dtype:?} {shape:?}");
            return Err(self.error(name, what));
        }
        self.used.borrow_mut().insert(name.to_string());
        Ok(range.clone())
    }

    fn floats(&self, name: &str, len: usize) -> Result<Vec<f32>, PolicyError> {
        let range = self.get(name, Dtype::F32, &[len])?;
        let bytes = self.map[range].as_chunks::<4>().0.iter();
        let values: Vec<f32> = bytes.map(|b| f32::from_le_bytes(*b)).collect();
        match values.iter().position(|v| !v.is_finite()) {
            Some(i) => Err(self.error(name, format!("element {i} is {}", values[i]))),
            None => Ok(values),
        }
    }
}

impl CheckpointFiles for PackedFile {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, PolicyError> {
        Ok(self.file(name).map(<[u8]>::to_vec))
    }

    fn display_path(&self, name: &str) -> PathBuf {
        self.path().join("files").join(name)
    }

    fn lazy_file(&self, name: &str) -> LazyFile {
        let bytes = self.bytes(name);
        Box::new(move || Ok(bytes.as_deref().map(<[u8]>::to_vec)))
    }
}

impl WeightSource for PackedFile {
    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, PolicyError> {
        self.floats(name, len)
    }

    fn weights(&self, request: MatrixRequest<'_>) -> Result<Weights, PolicyError> {
        let (name, n, k) = (request.name, request.outputs, request.inputs);
        let tensor = |e: WeightEncoding| format!("{name}.{}", e.packed_suffix());
        let there = |e: &WeightEncoding| self.tensors.contains_key(&tensor(*e));
        let stored = [WeightEncoding::Bf16, WeightEncoding::F32]
            .into_iter()
            .find(there);
        if let (Some(wanted), Some(_)) = (request.encoding, stored)
            && !there(&wanted)
        {
            // Nothing of this layer is rounded yet.
            let stored = self.weights(MatrixRequest {
                encoding: None,
                ..request
            })?;
            return Ok(Weights::encode(&stored.row_major(), n, k, wanted));
        }
        let encoding = request.encoding.or(stored);
        // A layer that is missing altogether is reported below under the name that a published checkpoint would have.
        let encoding = encoding.unwrap_or(WeightEncoding::Bf16);
        let other = WeightEncoding::ALL.into_iter().find(there);
        if let (false, Some(other)) = (there(&encoding), other) {
            let what = format!("packed as {}, wanted as {}", other.name(), encoding.name());
            return Err(self.error(name, what));
        }
        let layout = encoding.codec().layout(n, k);
        let range = self.get(&tensor(encoding), layout.dtype, &layout.shape)?;
        let scales = match layout.scales {
            0 => Vec::new(),
            count => self.floats(&format!("{name}.scales"), count)?,
        };
        let bytes = WeightBytes::Mapped(Arc::clone(&self.map), range);
        Weights::from_parts((n, k), encoding, bytes, scales).map_err(|what| self.error(name, what))
    }

    fn table(
        &self,
        name: &str,
        (rows, width): (usize, usize),
    ) -> Result<EmbeddingTable, PolicyError> {
        let dtype = match self.tensors.get(name) {
            Some((Dtype::F16, ..)) => (Dtype::F16, FloatType::F16),
            Some((Dtype::F32, ..)) => (Dtype::F32, FloatType::F32),
            _ => (Dtype::BF16, FloatType::Bf16),
        };
        let range = self.get(name, dtype.0, &[rows, width])?;
        Ok(EmbeddingTable {
            name: name.into(),
            dtype: dtype.1,
            rows: RowStorage::InFile(Arc::new(RowFile::open(&self.path, range.start as u64)?)),
            count: rows,
            width,
        })
    }
}

impl BitVla {
    /// Builds the network of a packed file in a format that can be read from it, see [`WeightFormat::reads`]; large tensors stay mapped.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn from_packed(packed: &PackedFile, format: WeightFormat) -> Result<BitVla, PolicyError> {
        let about = packed.about();
        let path = packed.path();
        let packed_as = packed.format()?;
        if !format.reads(packed_as) {
            let what = format!("packed as {packed_as}, wanted as {format}");
            return Err(file_error(path, what));
        }
        let parts = (packed.has(PROPRIO_PREFIX), packed.has(ACTION_HEAD_PREFIX));
        let network = match about.architecture.as_str() {
            "" => {
                let text = packed.file("config.json");
                let text = text.ok_or_else(|| file_error(path, "holds no config.json"))?;
                let config = Config::parse(text, path)?;
                BitVla::from_config(&config, packed, format, parts)?
            }
            "openvla-oft-7b" => {
                let formats = format.network(QUANTISED_VISION);
                BitVla::build(Architecture::openvla_oft_7b(), packed, formats, parts)?
            }
            other => return Err(file_error(path, format!("network `{other}` is not known"))),
        };
        packed.finish()?;
        Ok(network)
    }
}
