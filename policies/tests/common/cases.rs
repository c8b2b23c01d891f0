//! Golden cases, discovered by the kind that their `case.json` names: the small ones that are part of the repository, and
//! the large ones in a folder beside it.

#![allow(dead_code)]

use serde_json::Value;
use std::path::{Path, PathBuf};

/// Folders of the committed cases of a kind, in order.
///
/// # Panics
/// If there is none.
pub fn committed(kind: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/bitvla");
    of_kind(&root, kind)
}

/// Folders of the cases of a kind in `../shared/golden/bitvla` or, where it is set, in `BITVLA_GOLDEN`.
///
/// # Panics
/// If there is none: a test that was asked for does not pass without its data.
pub fn shared(kind: &str) -> Vec<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden/bitvla");
    let root = std::env::var_os("BITVLA_GOLDEN").map_or(beside, PathBuf::from);
    of_kind(&root, kind)
}

fn of_kind(root: &Path, kind: &str) -> Vec<PathBuf> {
    let is_kind = |dir: &PathBuf| {
        let about = std::fs::read(dir.join("case.json")).ok();
        about.is_some_and(|bytes| serde_json::from_slice::<Value>(&bytes).unwrap()["kind"] == kind)
    };
    let folders = std::fs::read_dir(root)
        .unwrap_or_else(|e| panic!("golden cases in {}: {e}", root.display()));
    let mut found: Vec<PathBuf> = folders.map(|f| f.unwrap().path()).filter(is_kind).collect();
    found.sort();
    assert!(
        !found.is_empty(),
        "no golden case of kind {kind} in {}",
        root.display()
    );
    found
}
