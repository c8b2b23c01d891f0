//! Reference data beside the repository, for tests that are ignored where it is absent.

#![allow(dead_code)] // not every test uses all of it

use serde_json::Value;
use std::path::{Path, PathBuf};

/// A file or folder of `../shared`. Panics if it is absent: a test that needs it must not pass without it.
pub fn shared(what: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared")
        .join(what);
    assert!(
        path.exists(),
        "this test needs ../shared: {} is absent",
        path.display()
    );
    path
}

/// A table of the LIBERO recordings, parsed.
pub fn recorded(file: &str) -> Value {
    let path = shared("reference/libero/data").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
