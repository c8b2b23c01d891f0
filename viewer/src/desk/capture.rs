//! Pictures and clips of the window. Files are written in threads of their own, so that a slow or full disk
//! holds up nothing and its errors are told.

use super::Desk;
use super::clip::Clip;
use super::toast::Toast;
use super::words::file_stem;
use crate::app::Settings;
use crate::pane::Show;
use bevy::prelude::*;
use bevy::render::view::screenshot::{Screenshot, ScreenshotCaptured};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

/// Names that are tried before giving up.
const TRIES: usize = 1000;

/// Takes the pictures that were asked for, at most one per frame.
pub fn take(
    mut commands: Commands,
    mut desk: ResMut<Desk>,
    show: Res<Show>,
    settings: Res<Settings>,
) {
    let desk = &mut *desk;
    if std::mem::take(&mut desk.wish_clip) {
        match desk.clip.take() {
            // Dropping it lets its thread finish the file.
            Some(clip) => desk.filming_ended(clip),
            None => {
                let stem = format!("{}_clip", file_stem(&show));
                match Clip::begin(&settings.captures, &stem, desk.toasts.sender()) {
                    Ok(clip) => desk.clip = Some(clip),
                    Err(why) => desk.toasts.say(Toast::Failed(why)),
                }
            }
        }
    }
    if desk.clip.as_ref().is_some_and(Clip::over)
        && let Some(clip) = desk.clip.take()
    {
        desk.filming_ended(clip);
    }
    if std::mem::take(&mut desk.wish_shot) {
        let (dir, stem) = (settings.captures.clone(), file_stem(&show));
        let tell = desk.toasts.sender();
        commands.spawn(Screenshot::primary_window()).observe(
            move |shot: On<ScreenshotCaptured>| {
                save(shot.image.clone(), dir.clone(), stem.clone(), tell.clone());
            },
        );
    } else if let Some(clip) = &mut desk.clip
        && clip.due()
    {
        let frames = clip.frames();
        commands.spawn(Screenshot::primary_window()).observe(
            move |shot: On<ScreenshotCaptured>| {
                frames.add(&shot.image);
            },
        );
    }
}

fn save(image: Image, dir: PathBuf, stem: String, tell: Sender<Toast>) {
    let said = tell.clone();
    let begun = std::thread::Builder::new()
        .name("screenshot".into())
        .spawn(move || {
            let toast = match write(image, &dir, &stem) {
                Ok(path) => Toast::Done(format!("saved {}", path.display())),
                Err(why) => Toast::Failed(why),
            };
            // A window that closed no longer listens.
            let _ = tell.send(toast);
        });
    if let Err(error) = begun {
        let _ = said.send(Toast::Failed(format!("no screenshot: no thread: {error}")));
    }
}

fn write(image: Image, dir: &Path, stem: &str) -> Result<PathBuf, String> {
    let picture = image
        .try_into_dynamic()
        .map_err(|e| format!("no screenshot: {e}"))?
        .to_rgb8();
    let (file, path) = create(dir, stem, "png")?;
    let mut file = BufWriter::new(file);
    let written = picture
        .write_to(&mut file, image::ImageFormat::Png)
        .map_err(|e| e.to_string())
        .and_then(|()| file.flush().map_err(|e| e.to_string()));
    finish(written, path)
}

/// The path of a whole file; what is left of a broken one is removed.
pub fn finish(written: Result<(), String>, path: PathBuf) -> Result<PathBuf, String> {
    match written {
        Ok(()) => Ok(path),
        Err(why) => {
            let removed = std::fs::remove_file(&path);
            let left = if removed.is_ok() {
                ""
            } else {
                " (a broken file is left)"
            };
            Err(format!("cannot write {}: {why}{left}", path.display()))
        }
    }
}

/// A new file whose name nothing has yet.
pub fn create(dir: &Path, stem: &str, ending: &str) -> Result<(File, PathBuf), String> {
    for number in 1..=TRIES {
        let name = if number == 1 {
            format!("{stem}.{ending}")
        } else {
            format!("{stem}_{number}.{ending}")
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
    use super::create;

    #[test]
    fn no_file_is_ever_overwritten() {
        let dir = std::env::temp_dir().join(format!("desk-capture-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (_, first) = create(&dir, "shot", "png").unwrap();
        std::fs::write(&first, b"mine").unwrap();
        let (_, second) = create(&dir, "shot", "png").unwrap();
        assert_eq!(std::fs::read(&first).unwrap(), b"mine");
        assert!(second.ends_with("shot_2.png"));
        assert!(create(&dir.join("no/such/folder"), "shot", "png").is_err());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
