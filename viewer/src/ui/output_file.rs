//! Files of screenshots and clips: never overwritten, and never left incomplete.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Number of file names tried before giving up.
const TRIES: usize = 1000;

/// Returns the path of a completely written file; removes an incomplete one.
pub fn path_or_remove(written: Result<(), String>, path: PathBuf) -> Result<PathBuf, String> {
    match written {
        Ok(()) => Ok(path),
        Err(reason) => {
            let removed = std::fs::remove_file(&path);
            let left = if removed.is_ok() {
                ""
            } else {
                " (an incomplete file is left)"
            };
            Err(format!("cannot write {}: {reason}{left}", path.display()))
        }
    }
}

/// Creates a new file with an unused name: `stem.extension`, else `stem_2.extension` and so on.
pub fn create_unused(dir: &Path, stem: &str, extension: &str) -> Result<(File, PathBuf), String> {
    for number in 1..=TRIES {
        let name = if number == 1 {
            format!("{stem}.{extension}")
        } else {
            format!("{stem}_{number}.{extension}")
        };
        let path = dir.join(name);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("cannot write {}: {error}", path.display())),
        }
    }
    Err(format!("{} has {TRIES} files of that name", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::create_unused;

    #[test]
    fn no_file_is_ever_overwritten() {
        let dir = std::env::temp_dir().join(format!("viewer-capture-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (_, first) = create_unused(&dir, "shot", "png").unwrap();
        std::fs::write(&first, b"mine").unwrap();
        let (_, second) = create_unused(&dir, "shot", "png").unwrap();
        assert_eq!(std::fs::read(&first).unwrap(), b"mine");
        assert!(second.ends_with("shot_2.png"));
        assert!(create_unused(&dir.join("no/such/folder"), "shot", "png").is_err());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
