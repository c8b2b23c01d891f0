//! TOML files with errors that name the line.

use crate::error::TaskError;
use serde::de::DeserializeOwned;
use std::path::Path;

/// Longest quotation of a line in an error, characters.
const MAX_QUOTE: usize = 80;

/// Parses TOML; a mistake is reported with its line.
pub(crate) fn parse_toml<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, TaskError> {
    toml::from_str(text).map_err(|error| {
        // An error without a span is one of the whole file.
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        let before = &text.as_bytes()[..at];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        // Behind the last line there is nothing to quote.
        let found = text.lines().nth(line - 1).unwrap_or("").trim();
        TaskError::Malformed {
            path: path.to_owned(),
            line,
            found: format!("`{}`", shortened(found)),
            expected: format!("valid TOML of this kind of file ({})", error.message()),
        }
    })
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_QUOTE).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}
