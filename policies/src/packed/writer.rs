//! Writer of packed files.

use super::{FILES, KEY, PackedFile, PackedHeader, VERSION, checksum};
use crate::checkpoint_files::{AUXILIARY_FILES, CheckpointDir, CheckpointFiles};
use crate::error::file_error;
use crate::float_type::FloatType;
use crate::formats::CodeLayout;
use crate::processor::Processor;
use crate::weight_source::{EmbeddingTable, Parameter, RowStorage};
use crate::{
    Architecture, BitVla, NormaliserChoice, PolicyError, StatisticsTable, VlaPolicy, WeightFormat,
};
use safetensors::tensor::{Dtype, View};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;

/// Tensor to be written.
struct TensorEntry<'a> {
    dtype: Dtype,
    shape: Vec<usize>,
    data: TensorData<'a>,
}

enum TensorData<'a> {
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
    /// Rows that are read while they are written.
    Rows(&'a EmbeddingTable),
}

impl View for TensorEntry<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        match &self.data {
            TensorData::Borrowed(bytes) => Cow::Borrowed(bytes),
            TensorData::Owned(bytes) => Cow::Borrowed(bytes),
            TensorData::Rows(table) => {
                let mut own = Vec::new();
                match &table.rows {
                    RowStorage::InMemory(bytes) => Cow::Borrowed(bytes),
                    // A table that cannot be read leaves a file that is cut short, which is noticed below.
                    RowStorage::InFile(_) => {
                        match table.part(0..table.bytes(), &mut own).map(<[u8]>::len) {
                            Ok(_) => Cow::Owned(own),
                            Err(_) => Cow::Borrowed(&[]),
                        }
                    }
                }
            }
        }
    }
    fn data_len(&self) -> usize {
        match &self.data {
            TensorData::Borrowed(bytes) => bytes.len(),
            TensorData::Owned(bytes) => bytes.len(),
            TensorData::Rows(table) => table.bytes(),
        }
    }
}

fn floats(values: &[f32]) -> TensorEntry<'static> {
    TensorEntry {
        dtype: Dtype::F32,
        shape: vec![values.len()],
        data: TensorData::Owned(values.iter().flat_map(|v| v.to_le_bytes()).collect()),
    }
}

/// Writes a network and the small files that go with it. A file that cannot be finished leaves nothing behind.
///
/// # Errors
/// Names the file that could not be written.
pub fn write(
    path: &Path,
    network: &BitVla,
    format: WeightFormat,
    architecture: &str,
    files: &BTreeMap<String, Vec<u8>>,
) -> Result<(), PolicyError> {
    let mut pieces: Vec<(String, TensorEntry<'_>)> = Vec::new();
    for (name, bytes) in files {
        let piece = TensorEntry {
            dtype: Dtype::U8,
            shape: vec![bytes.len()],
            data: TensorData::Borrowed(bytes),
        };
        pieces.push((format!("{FILES}{name}"), piece));
    }
    for (_, part) in network.parameters() {
        match part {
            Parameter::Linear(linear) => {
                let (name, w) = (linear.name(), linear.weights());
                let CodeLayout { dtype, shape, .. } = w.encoding().codec().layout(w.n(), w.k());
                let data = TensorData::Borrowed(&w.codes()[..]);
                let codes = TensorEntry { dtype, shape, data };
                pieces.push((format!("{name}.{}", w.encoding().packed_suffix()), codes));
                if !w.scales().is_empty() {
                    pieces.push((format!("{name}.scales"), floats(w.scales())));
                }
                if let Some(bias) = linear.bias() {
                    pieces.push((format!("{name}.bias"), floats(bias)));
                }
            }
            Parameter::Vector(vector) => pieces.push((vector.name.clone(), floats(&vector.values))),
            Parameter::Table(table) => {
                let piece = TensorEntry {
                    dtype: match table.dtype {
                        FloatType::Bf16 => Dtype::BF16,
                        FloatType::F16 => Dtype::F16,
                        FloatType::F32 => Dtype::F32,
                    },
                    shape: vec![table.count, table.width],
                    data: TensorData::Rows(table),
                };
                pieces.push((table.name.clone(), piece));
            }
        }
    }
    let sums = pieces
        .iter()
        .map(|(name, piece)| (name.clone(), checksum(&piece.data())));
    let about = PackedHeader {
        version: VERSION,
        weights: format.name().into(),
        architecture: architecture.into(),
        sha256: Some(sums.collect()),
    };
    let about = serde_json::to_string(&about).map_err(|e| file_error(path, e))?;
    let metadata = HashMap::from([(KEY.to_string(), about)]);
    finish_file(path, |unfinished| {
        safetensors::serialize_to_file(pieces, Some(metadata), unfinished)
            .map_err(|e| file_error(path, e))?;
        let file = OpenOptions::new().write(true).open(unfinished);
        file.and_then(|file| file.sync_all())
            .map_err(|e| file_error(path, e))?;
        // A file that was cut short while it was written is no packed file.
        PackedFile::open(unfinished)?.verify().map(|_| ())
    })
}

/// Writes a file under a name of its own beside `path` and renames it. Nothing is left behind if `write` fails, and nothing
/// but a regular file is replaced.
fn finish_file(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), PolicyError>,
) -> Result<(), PolicyError> {
    let fail = |e: std::io::Error| file_error(path, e);
    let name = path
        .file_name()
        .ok_or_else(|| file_error(path, "is not the name of a file"))?;
    match std::fs::symlink_metadata(path) {
        Ok(there) if !there.is_file() => {
            return Err(file_error(path, "is there and is not a regular file"));
        }
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => return Err(fail(e)),
    }
    let unfinished = path.with_file_name(format!(
        ".{}.{}.unfinished",
        name.to_string_lossy(),
        std::process::id()
    ));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&unfinished)
        .map_err(fail)?;
    let written = write(&unfinished);
    let renamed = written.and_then(|()| std::fs::rename(&unfinished, path).map_err(fail));
    if renamed.is_err() {
        // What is left of it is of no use; the first error is the one to tell.
        let _ = std::fs::remove_file(&unfinished);
    }
    renamed
}

/// Packs a checkpoint folder in a weight format. The small files go with it, `config.json` as it is.
///
/// # Errors
/// Names the file, and the tensor where it is about one; also for a checkpoint that could not be run: without action head,
/// trained for another weight format, without statistics, tokenizer or prompt that fit.
pub fn pack(dir: &Path, out: &Path, format: WeightFormat) -> Result<(), PolicyError> {
    let checkpoint = VlaPolicy::load_checkpoint(dir, format)?;
    let files = CheckpointDir(dir);
    let table = StatisticsTable::read(&files)?;
    let keys = table.keys();
    let usable = |key: &&String| table.get(key, checkpoint.config().proprio_dim).is_ok();
    // Which entry is used is chosen when the file is run; one that can be used is enough.
    let choice = keys.iter().find(usable).or(keys.first());
    let choice = choice.map_or(NormaliserChoice::Recorded, |key| {
        NormaliserChoice::Key(key.clone())
    });
    let architecture = Architecture::from(checkpoint.config());
    let processor = Processor::load(&files, checkpoint.config(), &architecture, &choice)?;
    processor.check_prompt("", &architecture)?;
    let network = BitVla::new(&checkpoint, format)?;
    let mut small = BTreeMap::new();
    for name in AUXILIARY_FILES {
        if let Some(bytes) = files.read(name)? {
            small.insert(name.to_string(), bytes);
        }
    }
    write(out, &network, format, "", &small)
}
