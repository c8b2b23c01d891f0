//! The library of ONNX Runtime, loaded once per process.

use crate::PolicyError;
use crate::error::file_error;
use ort::environment::Environment;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Environment variable with the path of the library, as other programs of ONNX Runtime read it.
const VARIABLE: &str = "ORT_DYLIB_PATH";
/// Name of the library, which the system looks for where no path is given.
const LIBRARY: &str = if cfg!(windows) {
    "onnxruntime.dll"
} else if cfg!(target_os = "macos") {
    "libonnxruntime.dylib"
} else {
    "libonnxruntime.so"
};

/// The library, or why it cannot be loaded, with the path that was tried.
static RUNTIME: OnceLock<(PathBuf, Result<Environment, String>)> = OnceLock::new();

/// Loads the library at a path, or else the one that `ORT_DYLIB_PATH` names, or else one that the system finds. Only the first
/// call of a process decides.
///
/// # Errors
/// [`PolicyError::File`] with the path that was tried and what to do.
pub fn load_onnx_runtime(path: Option<&Path>) -> Result<(), PolicyError> {
    environment(path).map(drop)
}

/// Name of the library's file and the commit that it was built from, as it says; `None` before one was loaded.
pub fn onnx_runtime_build() -> Option<String> {
    let (path, loaded) = RUNTIME.get()?;
    loaded.as_ref().ok()?;
    // A link stands for the file with the version in its name.
    let path = path.canonicalize().unwrap_or_else(|_| path.clone());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let info = ort::info();
    let commit = info
        .split([',', ' '])
        .find_map(|word| word.strip_prefix("git-commit-id="));
    Some(format!("{name}, commit {}", commit.unwrap_or("unknown")))
}

pub(super) fn environment(path: Option<&Path>) -> Result<&'static Environment, PolicyError> {
    let (tried, loaded) = RUNTIME.get_or_init(|| {
        let named = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
        let tried = match (path, named) {
            (Some(path), _) => path.to_owned(),
            (None, Some(path)) => PathBuf::from(path),
            (None, None) => PathBuf::from(LIBRARY),
        };
        let loaded = ort::init_from(&tried).map_err(|e| e.to_string());
        let built = loaded.and_then(|builder| {
            let builder = builder.with_name("bitvla").with_telemetry(false);
            builder.build().map_err(|e| e.to_string())
        });
        (tried, built)
    });
    loaded.as_ref().map_err(|what| {
        let help = "the library of ONNX Runtime (1.24 or later) cannot be loaded; PyPI's wheel has it: \
                    `python3 -m pip download --no-deps onnxruntime==1.32.0 && python3 -m zipfile -e onnxruntime-*.whl ort`, then \
                    `--ort-lib ort/onnxruntime/capi/libonnxruntime.so.1.32.0`";
        file_error(tried, format!("{help}: {what}"))
    })
}
