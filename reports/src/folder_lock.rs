//! Lock of a folder that a program writes its results into: one program at a time.

use crate::ReportError;
use crate::atomic_file::check_regular;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

/// Name of the file that [`FolderLock`] locks.
const LOCK_FILE: &str = ".lock";

/// Exclusive lock of a folder, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Makes the folder if there is none and locks it.
    ///
    /// # Errors
    /// [`ReportError::InUse`] while another process holds the lock.
    pub fn acquire(dir: &Path) -> Result<FolderLock, ReportError> {
        fs::create_dir_all(dir).map_err(ReportError::io(dir))?;
        let path = dir.join(LOCK_FILE);
        check_regular(&path)?;
        let file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(ReportError::io(&path))?;
        lock_for(&file, dir)?;
        Ok(FolderLock { _file: file })
    }
}

/// Locks an open file of a folder on behalf of the folder; the lock ends with the file handle. On a file system without
/// locks it does nothing.
///
/// # Errors
/// [`ReportError::InUse`] while another process holds the lock.
pub fn lock_for(file: &File, dir: &Path) -> Result<(), ReportError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(ReportError::InUse {
            path: dir.to_owned(),
        }),
        Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(e)) => Err(ReportError::io(dir)(e)),
    }
}
