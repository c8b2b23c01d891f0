//! Memory-mapped files: the only `unsafe` outside the kernels.

use crate::PolicyError;
use crate::error::file_error;
use memmap2::Mmap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Maps a file for reading.
///
/// # Errors
/// Names the file when it cannot be opened or mapped.
pub fn map_file(path: &Path) -> Result<Arc<Mmap>, PolicyError> {
    let file = File::open(path).map_err(|e| file_error(path, e))?;
    // SAFETY: the file is opened for reading and the map is only ever read. Should another program shorten the file
    // meanwhile, the system ends this one (SIGBUS); weights are written once and renamed into place, here and by others.
    let map = unsafe { Mmap::map(&file) }.map_err(|e| file_error(path, e))?;
    Ok(Arc::new(map))
}
