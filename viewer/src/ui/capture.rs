//! Screenshots and clips of the window. Files are written by threads, so that a slow or full disk does not block
//! drawing; errors are shown as toasts.

use super::clip::Clip;
use super::labels::file_stem;
use super::output_file::{create_unused, path_or_remove};
use super::state::UiState;
use super::toast::Toast;
use crate::resources::ViewerSettings;
use crate::session::Session;
use bevy::prelude::*;
use bevy::render::view::screenshot::{Screenshot, ScreenshotCaptured};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

/// Takes requested screenshots and clip frames, at most one per drawn frame.
pub fn take_captures(
    mut commands: Commands,
    mut ui_state: ResMut<UiState>,
    session: Res<Session>,
    settings: Res<ViewerSettings>,
) {
    let ui_state = &mut *ui_state;
    if std::mem::take(&mut ui_state.clip_toggle_requested) {
        match ui_state.clip.take() {
            // Closing the channel lets its thread finish the file.
            Some(clip) => ui_state.finish_clip(clip),
            None => {
                let stem = format!("{}_clip", file_stem(&session));
                match Clip::begin(&settings.captures, &stem, ui_state.toasts.sender()) {
                    Ok(clip) => ui_state.clip = Some(clip),
                    Err(reason) => ui_state.toasts.show_message(Toast::Failed(reason)),
                }
            }
        }
    }
    if ui_state.clip.as_ref().is_some_and(Clip::is_complete)
        && let Some(clip) = ui_state.clip.take()
    {
        ui_state.finish_clip(clip);
    }
    if std::mem::take(&mut ui_state.screenshot_requested) {
        let (dir, stem) = (settings.captures.clone(), file_stem(&session));
        let toasts = ui_state.toasts.sender();
        commands.spawn(Screenshot::primary_window()).observe(
            move |shot: On<ScreenshotCaptured>| {
                save(
                    shot.image.clone(),
                    dir.clone(),
                    stem.clone(),
                    toasts.clone(),
                );
            },
        );
    } else if let Some(clip) = &mut ui_state.clip
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

fn save(image: Image, dir: PathBuf, stem: String, toasts: Sender<Toast>) {
    let fallback = toasts.clone();
    let spawned = std::thread::Builder::new()
        .name("screenshot".into())
        .spawn(move || {
            let toast = match write(image, &dir, &stem) {
                Ok(path) => Toast::Done(format!("saved {}", path.display())),
                Err(reason) => Toast::Failed(reason),
            };
            // The receiver is gone only when the window is closing.
            let _ = toasts.send(toast);
        });
    if let Err(error) = spawned {
        let _ = fallback.send(Toast::Failed(format!("no screenshot: no thread: {error}")));
    }
}

fn write(image: Image, dir: &Path, stem: &str) -> Result<PathBuf, String> {
    let picture = image
        .try_into_dynamic()
        .map_err(|e| format!("no screenshot: {e}"))?
        .to_rgb8();
    let (file, path) = create_unused(dir, stem, "png")?;
    let mut file = BufWriter::new(file);
    let written = picture
        .write_to(&mut file, image::ImageFormat::Png)
        .map_err(|e| e.to_string())
        .and_then(|()| file.flush().map_err(|e| e.to_string()));
    path_or_remove(written, path)
}
