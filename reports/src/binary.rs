//! Reading and writing of little-endian binary files that are a signature followed by items.

use crate::ReportError;
use crate::atomic_file::write_atomically;
use std::path::Path;

/// Takes the first bytes off a slice; `None` if there are fewer.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

/// Writes a file of items behind a signature.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write_items(
    path: &Path,
    signature: [u8; 8],
    items: impl Iterator<Item = Vec<u8>>,
) -> Result<(), ReportError> {
    let bytes: Vec<u8> = signature.into_iter().chain(items.flatten()).collect();
    write_atomically(path, &bytes)
}

/// Reads a file of items behind a signature; `from_bytes` reads one item and advances past it, or finds that it is none.
///
/// # Errors
/// If the file cannot be read, has another signature (the second part of `signature` says whose), or ends in the middle of an item.
pub(crate) fn read_items<T>(
    path: &Path,
    (signature, of): ([u8; 8], &str),
    from_bytes: impl Fn(&mut &[u8]) -> Option<T>,
) -> Result<Vec<T>, ReportError> {
    let file = std::fs::read(path).map_err(ReportError::io(path))?;
    let mut rest = file.strip_prefix(&signature[..]).ok_or_else(|| {
        ReportError::format(path, format!("does not begin with the signature of {of}"))
    })?;
    let mut items = Vec::new();
    while !rest.is_empty() {
        let at = file.len() - rest.len();
        let item = from_bytes(&mut rest).ok_or_else(|| {
            ReportError::format(
                path,
                format!("the episode at byte {at} is cut short or malformed"),
            )
        })?;
        items.push(item);
    }
    Ok(items)
}
