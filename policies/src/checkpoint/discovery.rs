//! Discovery of the files of a folder that hold a part of a checkpoint: one safetensors file, the shards of one, or a torch file.

use super::{TensorFile, names as tensor_names, read_json};
use crate::PolicyError;
use crate::error::file_error;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Sorted names of the files of a folder.
pub fn names(dir: &Path) -> Result<Vec<String>, PolicyError> {
    let fail = |e| file_error(dir, e);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(fail)? {
        // A name that is not UTF-8 is none of ours.
        names.extend(entry.map_err(fail)?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// Path of `STEM.safetensors`, or else of the one `STEM--{step}_checkpoint.pt`; `None` if there is neither.
///
/// # Errors
/// If there are several of the second kind.
pub fn single(dir: &Path, names: &[String], stem: &str) -> Result<Option<PathBuf>, PolicyError> {
    let plain = format!("{stem}.safetensors");
    if names.contains(&plain) {
        return Ok(Some(dir.join(plain)));
    }
    let step = |name: &&String| {
        let rest = name.strip_prefix(stem)?.strip_prefix("--")?;
        rest.strip_suffix("_checkpoint.pt").map(|_| ())
    };
    let torch: Vec<&String> = names.iter().filter(|name| step(name).is_some()).collect();
    match torch[..] {
        [one] => Ok(Some(dir.join(one))),
        [] => Ok(None),
        _ => {
            let all: Vec<&str> = torch.iter().map(|name| name.as_str()).collect();
            let what = "keep one of them and move the others elsewhere";
            Err(file_error(
                dir,
                format!("several files for {stem}: {}; {what}", all.join(", ")),
            ))
        }
    }
}

/// Path of `STEM.safetensors`, or else of all `STEM-0000x-of-0000y.safetensors`.
///
/// # Errors
/// If there is neither, or a shard is missing.
pub fn sharded(dir: &Path, names: &[String], stem: &str) -> Result<Vec<PathBuf>, PolicyError> {
    let plain = format!("{stem}.safetensors");
    if names.contains(&plain) {
        return Ok(vec![dir.join(plain)]);
    }
    let number = |text: &str| {
        let digits = text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<usize>().ok()).flatten()
    };
    let total = |name: &String| {
        let rest = name.strip_prefix(stem)?.strip_prefix('-')?;
        let (place, of) = rest.strip_suffix(".safetensors")?.split_once("-of-")?;
        number(place).and(number(of))
    };
    let shards: Vec<&String> = names.iter().filter(|name| total(name).is_some()).collect();
    let Some(count) = shards.first().and_then(|name| total(name)) else {
        let what = format!("neither {plain} nor {stem}-0000x-of-0000y.safetensors is there");
        return Err(file_error(dir, what));
    };
    let named = |i: usize| format!("{stem}-{i:05}-of-{count:05}.safetensors");
    let wanted: Vec<String> = (1..=count).map(named).collect();
    if let Some(extra) = shards.iter().find(|name| !wanted.contains(name)) {
        return Err(file_error(
            &dir.join(extra),
            format!("is not one of {count} shards"),
        ));
    }
    match wanted.iter().find(|name| !names.contains(name)) {
        Some(name) => Err(file_error(
            &dir.join(name),
            format!("missing, one of {count} shards"),
        )),
        None => Ok(wanted.iter().map(|name| dir.join(name)).collect()),
    }
}

/// Contents of `STEM.safetensors.index.json`: the file of every tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Compares shards with their index, where there is one.
///
/// # Errors
/// Names the index and the first tensor about which the two disagree.
pub fn check_index(
    dir: &Path,
    names: &[String],
    stem: &str,
    file: &TensorFile,
) -> Result<(), PolicyError> {
    let name = format!("{stem}.safetensors.index.json");
    if names.contains(&format!("{stem}.safetensors")) || !names.contains(&name) {
        return Ok(());
    }
    let path = dir.join(name);
    let listed = read_json::<Index>(&path)?.weight_map.into_iter();
    let listed = listed.filter(|(raw, _)| !tensor_names::is_buffer(raw));
    let mut index: BTreeMap<String, String> = listed
        .map(|(raw, file)| (tensor_names::canonical(&raw), file))
        .collect();
    let disagree = |tensor: &str, what: String| {
        Err(PolicyError::Tensor {
            path: path.clone(),
            tensor: tensor.into(),
            what,
        })
    };
    for (tensor, found) in file.tensor_paths() {
        // Paths of tensors end with the name of a file of the folder.
        let found = found.file_name().unwrap_or_default().to_string_lossy();
        match index.remove(tensor) {
            Some(said) if said == found => {}
            Some(said) => return disagree(tensor, format!("in {said}, found in {found}")),
            None => return disagree(tensor, format!("not listed, found in {found}")),
        }
    }
    match index.first_key_value() {
        Some((tensor, said)) => disagree(tensor, format!("in {said}, but it is not there")),
        None => Ok(()),
    }
}
