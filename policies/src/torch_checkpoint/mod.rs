//! Tensors of a file that `torch.save` wrote from a state dict: the form in which BitVLA publishes its action head
//! and proprioception projector (`docs/reference/bitvla.md`, section 6). A pickle is a program; this reader knows just
//! enough of it to list float tensors, runs nothing, and refuses by name all other requests of a file. It
//! allocates less than the length of the file plus a few megabytes, whatever the contents.

pub mod pickle;
pub mod zip;

use self::pickle::{TensorRecord, quoted, sanitised};
pub use crate::float_type::FloatType;

use crate::PolicyError;
use crate::error::file_error;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// Location of the elements of a tensor, row-major, in the bytes of its file.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorLocation {
    /// Type of the elements.
    pub dtype: FloatType,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Byte range in the file.
    pub range: Range<usize>,
}

/// Locations of the tensors of a file, by name. `path` is for errors only.
///
/// # Errors
/// Names the file, the entry or position, and the tensor where it is about one.
pub fn tensors(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, TensorLocation>, PolicyError> {
    let fail = |what: String| file_error(path, what);
    if bytes.starts_with(&[0x80, 2, 0x8a, 0x0a]) {
        let what =
            "the torch format before version 1.6; load it and save it again with a later one";
        return Err(fail(what.into()));
    }
    let entries = zip::entries(bytes).map_err(fail)?;
    let locations: BTreeMap<&str, &Range<usize>> = entries
        .iter()
        .map(|entry| (entry.name, &entry.data))
        .collect();
    let mut roots = entries.iter().filter_map(|entry| {
        let root = entry.name.strip_suffix("/data.pkl")?;
        (!root.contains('/')).then_some((root, &entry.data))
    });
    let (Some((root, pickle)), None) = (roots.next(), roots.next()) else {
        return Err(fail(
            "expected one entry NAME/data.pkl, as torch writes it".into(),
        ));
    };
    if let Some(&order) = locations.get(format!("{root}/byteorder").as_str())
        && &bytes[order.clone()] != b"little"
    {
        let order = String::from_utf8_lossy(&bytes[order.clone()]);
        return Err(fail(format!(
            "byte order {}, expected `little`",
            quoted(&order)
        )));
    }
    let mut tensors = BTreeMap::new();
    for (name, record) in pickle::state_dict(&bytes[pickle.clone()]).map_err(fail)? {
        let storage = locations.get(format!("{root}/data/{}", record.key).as_str());
        let location = match storage {
            Some(&storage) => locate(&record, storage),
            None => Err(format!("no entry data/{}", quoted(record.key))),
        };
        let wrong = |what| PolicyError::Tensor {
            path: path.into(),
            tensor: sanitised(name),
            what,
        };
        if tensors
            .insert(name.into(), location.map_err(wrong)?)
            .is_some()
        {
            return Err(wrong("is there twice".into()));
        }
    }
    Ok(tensors)
}

/// Location of a tensor, after checking its record against its storage.
fn locate(found: &TensorRecord<'_>, storage: &Range<usize>) -> Result<TensorLocation, String> {
    let TensorRecord {
        dtype,
        shape,
        strides,
        ..
    } = found;
    let width = dtype.bytes();
    let elements = usize::try_from(found.elements).ok();
    if elements.and_then(|n| n.checked_mul(width)) != Some(storage.len()) {
        return Err(format!(
            "a storage of {} elements of type {dtype:?} in {} bytes",
            found.elements,
            storage.len()
        ));
    }
    if shape.len() != strides.len() {
        return Err(format!("shape {shape:?} with strides {strides:?}"));
    }
    let sizes: Result<Vec<usize>, _> = shape.iter().map(|&size| usize::try_from(size)).collect();
    let (Ok(sizes), Ok(offset)) = (sizes, usize::try_from(found.offset)) else {
        return Err(format!("shape {shape:?} from element {}", found.offset));
    };
    let mut count = 1usize;
    for (&size, &stride) in sizes.iter().zip(strides).rev() {
        // A count beyond i64 differs from every stride of a file and is refused like any other difference.
        if size > 1 && stride != i64::try_from(count).unwrap_or(i64::MAX) {
            return Err(format!(
                "shape {shape:?} with strides {strides:?} is not contiguous; save it after `.contiguous()`"
            ));
        }
        count = count
            .checked_mul(size)
            .ok_or_else(|| format!("shape {shape:?}"))?;
    }
    let start = offset.checked_mul(width);
    let end = count.checked_add(offset).and_then(|n| n.checked_mul(width));
    let (Some(start), Some(end)) = (start, end.filter(|&end| end <= storage.len())) else {
        return Err(format!(
            "shape {shape:?} from element {offset} of {}",
            found.elements
        ));
    };
    Ok(TensorLocation {
        dtype: *dtype,
        shape: sizes,
        range: storage.start + start..storage.start + end,
    })
}
