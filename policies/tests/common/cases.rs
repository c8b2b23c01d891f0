//! Golden cases, discovered by the kind that their `case.json` names.

use serde_json::Value;
use std::path::{Path, PathBuf};

/// Folders of the cases of a kind, in order.
pub fn cases(kind: &str) -> Vec<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden/bitvla");
    let root = std::env::var_os("BITVLA_GOLDEN").map_or(beside, PathBuf::from);
    let is_kind = |dir: &PathBuf| {
        let about = std::fs::read(dir.join("case.json")).ok();
        about.is_some_and(|bytes| serde_json::from_slice::<Value>(&bytes).unwrap()["kind"] == kind)
    };
    let folders = std::fs::read_dir(&root).into_iter().flatten();
    let mut found: Vec<PathBuf> = folders.map(|f| f.unwrap().path()).filter(is_kind).collect();
    found.sort();
    if found.is_empty() {
        eprintln!(
            "SKIPPED: no golden case of kind {kind} in {}",
            root.display()
        );
    }
    found
}
