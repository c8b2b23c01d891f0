//! The small files of a checkpoint: in a folder, or in a packed file.

use crate::PolicyError;
use crate::error::file_error;
use serde::de::DeserializeOwned;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Name of a packed file in the folder of a checkpoint that ships.
pub const PACKED_FILE: &str = "policy.packed";

/// The packed file in a folder, if it holds one; else the path.
pub fn weights_at(path: &Path) -> PathBuf {
    let packed = path.join(PACKED_FILE);
    if packed.is_file() {
        packed
    } else {
        path.to_owned()
    }
}

/// Files that a policy reads beside its weights; any of them may be absent.
pub const AUXILIARY_FILES: [&str; 8] = [
    "config.json",
    "dataset_statistics.json",
    "processor_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "chat_template.json",
];

/// Access to the small files of a checkpoint.
pub trait CheckpointFiles {
    /// Contents of a file; `None` if it does not exist.
    ///
    /// # Errors
    /// Names the file when it is there and cannot be read.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, PolicyError>;

    /// Path of a file in errors.
    fn display_path(&self, name: &str) -> PathBuf;

    /// Reader of a file that is read later, perhaps more than once.
    fn lazy_file(&self, name: &str) -> LazyFile;
}

/// Deferred read of a file, see [`CheckpointFiles::lazy_file`].
pub type LazyFile = Box<dyn Fn() -> Result<Option<Vec<u8>>, PolicyError> + Send + Sync>;

/// A folder on disk.
#[derive(Debug, Clone, Copy)]
pub struct CheckpointDir<'a>(pub &'a Path);

impl CheckpointFiles for CheckpointDir<'_> {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, PolicyError> {
        let path = self.0.join(name);
        match std::fs::metadata(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            _ => read_file(&path).map(Some),
        }
    }

    fn display_path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn lazy_file(&self, name: &str) -> LazyFile {
        let (dir, name) = (self.0.to_path_buf(), name.to_string());
        Box::new(move || CheckpointDir(&dir).read(&name))
    }
}

/// Reads a small file of a checkpoint whole.
///
/// # Errors
/// Names the file when it cannot be read, is no regular file, or has more than [`MAX_FILE_BYTES`].
pub fn read_file(path: &Path) -> Result<Vec<u8>, PolicyError> {
    let about = std::fs::metadata(path).map_err(|e| file_error(path, e))?;
    if !about.is_file() {
        return Err(file_error(path, "is not a file"));
    }
    if about.len() > MAX_FILE_BYTES {
        let what = format!("{} bytes, expected at most {MAX_FILE_BYTES}", about.len());
        return Err(file_error(path, what));
    }
    std::fs::read(path).map_err(|e| file_error(path, e))
}

/// Largest size of a file that is read whole; the tokenizer of the published checkpoints has 17 MB.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// Parses JSON as Python writes it: a bare `NaN`, `Infinity` or `-Infinity` becomes a text, which is no number.
///
/// # Errors
/// Those of the JSON parser.
pub fn parse_text<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    let strict = serde_json::from_slice(text);
    match strict {
        Err(_) if text.windows(3).any(|part| part == b"NaN" || part == b"Inf") => {
            serde_json::from_slice(&quote_non_numbers(text))
        }
        other => other,
    }
}

/// Puts quotation marks around `NaN`, `Infinity` and `-Infinity` outside of texts.
fn quote_non_numbers(text: &[u8]) -> Vec<u8> {
    const WORDS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];
    let mut out = Vec::with_capacity(text.len() + 16);
    let (mut i, mut inside) = (0, false);
    while let Some(&byte) = text.get(i) {
        let word = WORDS.into_iter().find(|word| text[i..].starts_with(word));
        match word.filter(|_| !inside) {
            Some(word) => {
                out.push(b'"');
                out.extend(word);
                out.push(b'"');
                i += word.len();
            }
            None => {
                // An escaped character stays with its backslash.
                let len = if inside && byte == b'\\' { 2 } else { 1 };
                inside ^= byte == b'"';
                out.extend(&text[i..text.len().min(i + len)]);
                i += len;
            }
        }
    }
    out
}

/// Parses a JSON file; `None` if it does not exist.
///
/// # Errors
/// Names the file when it cannot be read or has another shape.
pub fn parse_json<T: DeserializeOwned>(
    files: &dyn CheckpointFiles,
    name: &str,
) -> Result<Option<T>, PolicyError> {
    let parse =
        |bytes: Vec<u8>| parse_text(&bytes).map_err(|e| file_error(&files.display_path(name), e));
    files.read(name)?.map(parse).transpose()
}

#[cfg(test)]
mod tests {
    //! Guarantee: what Python writes for numbers that are none is read outside of texts and left alone within.
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn numbers_that_are_none_are_texts() {
        let text = br#"{"a": [NaN, 1, -Infinity, Infinity], "NaN \" NaN": "\\", "b": NaN}"#;
        let found: Value = parse_text(text).unwrap();
        let wanted =
            json!({"a": ["NaN", 1, "-Infinity", "Infinity"], "NaN \" NaN": "\\", "b": "NaN"});
        assert_eq!(found, wanted);
        assert!(parse_text::<Value>(b"{NaN").is_err() && parse_text::<Value>(b"[Na]").is_err());
    }

    #[test]
    fn what_is_no_small_file_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let large = dir.path().join("tokenizer.json");
        std::fs::File::create(&large)
            .unwrap()
            .set_len(MAX_FILE_BYTES + 1)
            .unwrap();
        let text = read_file(&large).unwrap_err().to_string();
        assert!(
            text.contains("tokenizer.json: 67108865 bytes, expected at most"),
            "{text}"
        );
        let text = CheckpointDir(Path::new("/dev"))
            .read("zero")
            .unwrap_err()
            .to_string();
        assert!(text.contains("/dev/zero: is not a file"), "{text}");
        assert!(
            CheckpointDir(dir.path())
                .read("config.json")
                .unwrap()
                .is_none()
        );
    }
}
