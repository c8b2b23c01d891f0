//! The library of ONNX Runtime, loaded once per process, and its sessions.

use super::provider::OnnxProvider;
use crate::PolicyError;
use crate::error::file_error;
use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
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

/// How ONNX Runtime is loaded, and what it computes on.
#[derive(Debug, Clone, Default)]
pub struct OnnxRuntimeOptions {
    /// The library, see [`load_onnx_runtime`].
    pub library: Option<PathBuf>,
    /// The execution provider.
    pub provider: OnnxProvider,
}

impl OnnxRuntimeOptions {
    /// Loads the library.
    ///
    /// # Errors
    /// As [`load_onnx_runtime`].
    pub fn load(&self) -> Result<(), PolicyError> {
        load_onnx_runtime(self.library.as_deref())
    }

    /// Library, version and provider, in words; empty before the library was loaded.
    pub fn describe(&self) -> String {
        let Some(build) = onnx_runtime_build() else {
            return String::new();
        };
        match &self.provider {
            own if *own == OnnxProvider::default() => format!("ONNX Runtime, {build}"),
            other => format!("ONNX Runtime, {build}, provider {other}"),
        }
    }

    /// Opens a file for queries of `threads` threads.
    ///
    /// # Errors
    /// Names the file: ONNX Runtime refuses it, or does not have the provider.
    pub(super) fn session(&self, file: &Path, threads: usize) -> Result<Session, PolicyError> {
        let environment = environment(self.library.as_deref())?;
        let fail = |error: String| file_error(file, format!("ONNX Runtime: {error}"));
        let builder = || -> ort::Result<_> {
            let builder = Session::builder(environment)?;
            let builder = builder.with_optimization_level(GraphOptimizationLevel::Level3)?;
            let builder = builder.with_intra_threads(threads)?.with_inter_threads(1)?;
            Ok(builder.with_deterministic_compute(true)?)
        };
        let mut builder = builder().map_err(|e| fail(e.to_string()))?;
        if let Some(provider) = self.provider.dispatch() {
            builder = builder.with_execution_providers([provider]).map_err(|e| {
                let available = OnnxProvider::available().join(", ");
                let name = &self.provider;
                fail(format!(
                    "execution provider `{name}`: {e}; this library has: {available}"
                ))
            })?;
        }
        let session = builder.commit_from_file(file);
        session.map_err(|e| fail(e.to_string()))
    }
}

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
