//! Hash of the sources that the outcome of an episode depends on, as `BITVLA_SOURCE_SHA256`: equal for every processor and
//! system that the program is built for, other for every change of the program.

use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Crates whose code an episode runs through, and the versions of all others.
const SOURCES: [&str; 7] = [
    "Cargo.lock",
    "perturbations/src",
    "policies/src",
    "remote/src",
    "sim/src",
    "src",
    "tasks/src",
];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
        add_files(&root, Path::new(source), &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    for name in files {
        // A checkout on Windows may have other line ends and other separators.
        let text = fs::read_to_string(root.join(&name))?.replace("\r\n", "\n");
        hash.update(name.to_string_lossy().replace('\\', "/").as_bytes());
        hash.update([0]);
        hash.update(Sha256::digest(text.as_bytes()));
    }
    let mut digits = String::new();
    for byte in hash.finalize() {
        write!(digits, "{byte:02x}").map_err(io::Error::other)?;
    }
    println!("cargo::rustc-env=BITVLA_SOURCE_SHA256={digits}");
    Ok(())
}

fn add_files(root: &Path, name: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if root.join(name).is_file() {
        files.push(name.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(root.join(name))? {
        add_files(root, &name.join(entry?.file_name()), files)?;
    }
    Ok(())
}
