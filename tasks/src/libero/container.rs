//! The files that initial states come in: an archive of torch with a pickle (`.pruned_init`, `.init`), the pickle alone,
//! an archive of numpy (`.npz`) and one array (`.npy`). The contents decide, not the name.

use super::array::NumpyArray;
use super::{npy, pickle};
use std::io::{Cursor, Read};

/// Largest file, and largest entry of an archive, that is read, bytes; LIBERO's have at most 60 thousand.
pub(super) const MAX_FILE: u64 = 32 << 20;
/// Most entries of the archive; LIBERO's have two.
const MAX_ENTRIES: usize = 64;

/// Position (bytes in the file), found and expected contents.
pub(super) type Mismatch = (u64, String, String);

/// Reads the array of a file.
pub(super) fn array(bytes: &[u8]) -> Result<NumpyArray, Mismatch> {
    if bytes.starts_with(npy::MAGIC) {
        return npy::array(bytes);
    }
    // A pickle begins with its protocol, an archive does not.
    if bytes.first() == Some(&0x80) {
        return pickled(bytes, 0);
    }
    let entry = entry_of(bytes)?;
    match entry.kind {
        EntryKind::Pickle => pickled(&entry.contents, entry.start),
        EntryKind::Npy => npy::array(&entry.contents)
            .map_err(|(byte, found, expected)| (entry.start + byte, found, expected)),
    }
}

fn pickled(bytes: &[u8], start: u64) -> Result<NumpyArray, Mismatch> {
    pickle::array(bytes).map_err(|e| (start + e.byte as u64, e.found, e.expected))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EntryKind {
    Pickle,
    Npy,
}

/// The entry of an archive that holds the array.
struct Entry {
    kind: EntryKind,
    /// Position of its contents in the file, bytes.
    start: u64,
    contents: Vec<u8>,
}

/// `NAME/data.pkl`, or the only `NAME.npy`.
fn kind_of(name: &str) -> Option<EntryKind> {
    match name.strip_suffix("/data.pkl") {
        Some(root) if !root.contains('/') => Some(EntryKind::Pickle),
        _ => name.ends_with(".npy").then_some(EntryKind::Npy),
    }
}

fn entry_of(bytes: &[u8]) -> Result<Entry, Mismatch> {
    const EXPECTED: &str =
        "an archive of torch (archive/data.pkl) or numpy (.npz), a pickle or a .npy file";
    let end = bytes.len() as u64;
    let fail = |byte: u64, found: String| (byte, found, EXPECTED.to_owned());
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| fail(end, format!("no readable archive ({error})")))?;
    if archive.len() > MAX_ENTRIES {
        return Err(fail(end, format!("{} entries", archive.len())));
    }
    let mut arrays = Vec::new();
    for (index, name) in archive.file_names().enumerate() {
        if let Some(kind) = name.ok().as_deref().and_then(kind_of) {
            arrays.push((index, kind));
        }
    }
    let [(index, kind)] = *arrays else {
        return Err(fail(
            end,
            "no or several entries NAME/data.pkl or NAME.npy".into(),
        ));
    };
    let mut entry = archive
        .by_index(index)
        .map_err(|error| fail(end, format!("an entry that cannot be read ({error})")))?;
    // Only errors name the start of the entry.
    let start = entry.data_start().unwrap_or(0);
    let mut contents = Vec::new();
    // Whatever length the archive states, and however well it is compressed.
    (&mut entry)
        .take(MAX_FILE)
        .read_to_end(&mut contents)
        .map_err(|error| fail(start, format!("an entry that cannot be read ({error})")))?;
    Ok(Entry {
        kind,
        start,
        contents,
    })
}
