//! Provenance of a run: hashes of its files and of this program, the machine.

use crate::EvalError;
use bitvla_policies::kernels::peak::reference_work;
use bitvla_policies::system::{self, thread_time};
use bitvla_reports::{MachineInfo, to_hex};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// sha256 of a file, hexadecimal.
///
/// # Errors
/// If the file cannot be read.
pub fn sha256_of_file(path: &Path) -> Result<String, EvalError> {
    let mut file = fs::File::open(path).map_err(EvalError::io(path))?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash).map_err(EvalError::io(path))?;
    Ok(to_hex(&hash.finalize()))
}

/// sha256 over the relative names and contents of all files under a folder, in order of their names,
/// without those that `skip` turns down by relative path.
///
/// # Errors
/// If something cannot be read.
pub fn sha256_of_tree(root: &Path, skip: &dyn Fn(&Path) -> bool) -> Result<String, EvalError> {
    let mut files = Vec::new();
    collect(root, Path::new(""), skip, &mut files)?;
    files.sort();
    let mut all = Sha256::new();
    for name in files {
        let words: Vec<String> = name
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        all.update(words.join("/").as_bytes());
        all.update([0]);
        all.update(sha256_of_file(&root.join(&name))?.as_bytes());
    }
    Ok(to_hex(&all.finalize()))
}

/// sha256 of a packed checkpoint, or [`sha256_of_tree`] of the folder of one.
///
/// # Errors
/// If something cannot be read.
pub(crate) fn sha256_of_checkpoint(path: &Path) -> Result<String, EvalError> {
    if path.is_file() {
        sha256_of_file(path)
    } else {
        sha256_of_tree(path, &|_| false)
    }
}

fn collect(
    root: &Path,
    under: &Path,
    skip: &dyn Fn(&Path) -> bool,
    files: &mut Vec<PathBuf>,
) -> Result<(), EvalError> {
    let dir = root.join(under);
    for entry in fs::read_dir(&dir).map_err(EvalError::io(&dir))? {
        let entry = entry.map_err(EvalError::io(&dir))?;
        let name = under.join(entry.file_name());
        if skip(&name) {
            continue;
        }
        if entry.path().is_dir() {
            collect(root, &name, skip, files)?;
        } else {
            files.push(name);
        }
    }
    Ok(())
}

/// sha256 of a file, or of every file directly in a folder, by file name.
///
/// # Errors
/// If something cannot be read.
pub fn file_hashes(path: &Path) -> Result<BTreeMap<String, String>, EvalError> {
    let mut hashes = BTreeMap::new();
    if let (true, Some(name)) = (path.is_file(), path.file_name()) {
        hashes.insert(name.to_string_lossy().into_owned(), sha256_of_file(path)?);
        return Ok(hashes);
    }
    for entry in fs::read_dir(path).map_err(EvalError::io(path))? {
        let file = entry.map_err(EvalError::io(path))?.path();
        if let Some(name) = file.file_name().filter(|_| file.is_file()) {
            hashes.insert(name.to_string_lossy().into_owned(), sha256_of_file(&file)?);
        }
    }
    Ok(hashes)
}

/// Path of the program that runs.
///
/// # Errors
/// If the system does not say.
pub(crate) fn this_program() -> Result<PathBuf, EvalError> {
    std::env::current_exe().map_err(EvalError::io(Path::new("this program")))
}

/// The machine this runs on, and the program that runs.
///
/// # Errors
/// If the program's own file cannot be read.
pub fn machine() -> Result<MachineInfo, EvalError> {
    Ok(MachineInfo {
        processor: system::processor(),
        features: system::processor_features(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        binary_sha256: sha256_of_file(&this_program()?)?,
    })
}

/// Processor time of the reference computation on this thread, the least of three tries; none where the system does not tell.
pub(crate) fn reference_time() -> Option<Duration> {
    let once = || {
        let before = thread_time()?;
        reference_work();
        Some(thread_time()?.saturating_sub(before))
    };
    (0..3).map(|_| once()).min().flatten()
}
