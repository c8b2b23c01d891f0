//! Files that appear under their name only when they are complete: written beside it, synced to the disk, renamed. Links are
//! not followed, and nothing but a regular file is ever replaced.

use crate::ReportError;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use tempfile::{Builder, TempPath};

/// A file that is being written beside its final place, under a name that nobody else has; removed unless it is committed.
#[derive(Debug)]
pub struct StagedFile {
    target: PathBuf,
    temporary: TempPath,
}

impl StagedFile {
    /// Creates an empty file beside `target`.
    ///
    /// # Errors
    /// If `target` is something else than a regular file, or its folder cannot be written to.
    pub fn beside(target: &Path) -> Result<StagedFile, ReportError> {
        check_regular(target)?;
        let mut builder = Builder::new();
        builder.prefix(".partial-");
        #[cfg(unix)]
        {
            // As for any other new file, the umask decides.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(folder_of(target));
        let file = file.map_err(ReportError::io(target))?;
        Ok(StagedFile {
            target: target.to_owned(),
            temporary: file.into_temp_path(),
        })
    }

    /// Path to write to until the file is committed.
    pub fn path(&self) -> &Path {
        &self.temporary
    }

    /// Syncs the file and gives it its name.
    ///
    /// # Errors
    /// If the last bytes do not reach the disk, or the file cannot be renamed; nothing is left behind then.
    pub fn commit(self) -> Result<(), ReportError> {
        let io = || ReportError::io(&self.target);
        let file = File::options().write(true).open(&self.temporary);
        file.and_then(|file| file.sync_all()).map_err(io())?;
        check_regular(&self.target)?;
        let persisted = self.temporary.persist(&self.target);
        persisted.map_err(|e| ReportError::io(&self.target)(e.error))?;
        sync_folder(folder_of(&self.target));
        Ok(())
    }
}

/// Writes bytes so that a reader sees either the old file or the whole new one.
///
/// # Errors
/// If `path` is something else than a regular file, or the file cannot be written to its last byte.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let staged = StagedFile::beside(path)?;
    let file = File::options().write(true).open(staged.path());
    file.and_then(|mut file| file.write_all(bytes))
        .map_err(ReportError::io(path))?;
    staged.commit()
}

/// Refuses a path under which there is something else than a regular file: a link, a folder, a device.
///
/// # Errors
/// Says what was found.
pub fn check_regular(path: &Path) -> Result<(), ReportError> {
    let kind = match fs::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(ReportError::io(path)(error)),
    };
    let found = if kind.is_file() {
        return Ok(());
    } else if kind.is_symlink() {
        "a link, which is not followed"
    } else if kind.is_dir() {
        "a folder"
    } else {
        "a device, pipe or socket"
    };
    let what = format!("found {found}, expected a regular file or none");
    Err(ReportError::format(path, what))
}

fn folder_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    parent.unwrap_or(Path::new("."))
}

/// Makes a rename in a folder durable, where the system can do that for a folder.
fn sync_folder(folder: &Path) {
    // The file itself is on the disk; systems without handles of folders have nothing more to offer.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}
