//! Videos of episodes: both cameras side by side as an animated GIF, rendered from the recorded actions after the run, so
//! that recording changes neither an episode nor its timing.

use crate::{CameraImages, CameraRig, EvalContext, EvalError};
use bitvla_reports::{EpisodeActions, write_atomically};
use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, RgbaImage};
use std::path::Path;

/// Control steps between two frames: ten frames per second of simulated time.
const STEPS_PER_FRAME: usize = 2;
const FRAME_MS: u32 = 100;
/// Time that the last frame is shown, ms.
const LAST_FRAME_MS: u32 = 1500;

/// Renders one recorded episode.
///
/// # Errors
/// If the episode cannot be repeated or the file not be written.
pub fn record_video(
    context: EvalContext<'_>,
    episode: &EpisodeActions,
    path: &Path,
) -> Result<(), EvalError> {
    let mut world = context.settled_world(episode.task, episode.init)?;
    let mut cameras = CameraRig::new(world.scene())?;
    let failed = |e: image::ImageError| EvalError::format(path, e);
    let mut bytes = Vec::new();
    let mut gif = GifEncoder::new_with_speed(&mut bytes, 10);
    gif.set_repeat(Repeat::Infinite).map_err(failed)?;
    for (step, action) in episode.actions.iter().enumerate() {
        if step % STEPS_PER_FRAME == 0 {
            let frame = frame(&cameras.render(&world)?, FRAME_MS);
            gif.encode_frame(frame).map_err(failed)?;
        }
        world.step(action)?;
    }
    let last = frame(&cameras.render(&world)?, LAST_FRAME_MS);
    gif.encode_frame(last).map_err(failed)?;
    // The encoder writes the end of the file when it is dropped.
    drop(gif);
    Ok(write_atomically(path, &bytes)?)
}

/// Both images beside each other.
fn frame(view: &CameraImages, millis: u32) -> image::Frame {
    let (left, right) = (&view.agentview, &view.wrist);
    let (width, height) = (left.width + right.width, left.height.min(right.height));
    let mut picture = RgbaImage::new(width as u32, height as u32);
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let (x, y) = (x as usize, y as usize);
        let (source, column) = if x < left.width {
            (left, x)
        } else {
            (right, x - left.width)
        };
        let at = 3 * (y * source.width + column);
        pixel.0 = [source.rgb[at], source.rgb[at + 1], source.rgb[at + 2], 255];
    }
    image::Frame::from_parts(picture, 0, 0, Delay::from_numer_denom_ms(millis, 1))
}
