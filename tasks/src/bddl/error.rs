//! Errors in BDDL texts and the locations that they name.

/// Location of a token: line and column, both counted from 1 (column in characters).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SourceLocation {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl SourceLocation {
    /// The beginning of a text.
    pub(crate) const START: SourceLocation = SourceLocation { line: 1, column: 1 };
}

/// An error in a BDDL text with its location.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{}:{}: {message}", location.line, location.column)]
pub struct BddlError {
    /// Name of the text, usually a path.
    pub file: String,
    /// Location in it.
    pub location: SourceLocation,
    /// Text found and text expected.
    pub message: String,
}

impl BddlError {
    pub(crate) fn new(file: &str, location: SourceLocation, message: impl Into<String>) -> Self {
        BddlError {
            file: file.to_owned(),
            location,
            message: message.into(),
        }
    }
}
