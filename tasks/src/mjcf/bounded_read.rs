//! Reading of whole files with a bound on their size.

use crate::error::TaskError;
use std::io::Read;
use std::path::Path;

/// Largest model file, bytes; LIBERO's have at most 20 thousand.
const MAX_TEXT: u64 = 1 << 20;

/// Reads the text of a model file.
pub(crate) fn read_text(path: &Path) -> Result<String, TaskError> {
    let bytes = read_bytes(path, MAX_TEXT)?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        TaskError::Malformed {
            path: path.to_owned(),
            line: 1 + good.iter().filter(|byte| **byte == b'\n').count(),
            found: "bytes that are not UTF-8".into(),
            expected: "a text".into(),
        }
    })
}

/// Reads a file of at most `most` bytes.
pub(super) fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>, TaskError> {
    let read = |source| TaskError::Read {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(read)?;
    let mut bytes = Vec::new();
    (file.take(most + 1))
        .read_to_end(&mut bytes)
        .map_err(read)?;
    if bytes.len() as u64 > most {
        return Err(TaskError::Binary {
            path: path.to_owned(),
            byte: most,
            found: "more bytes".into(),
            expected: format!("a file of at most {most} bytes"),
        });
    }
    Ok(bytes)
}
