//! Animations of episodes for reports: the camera that looks at the table as an animated PNG of a few colours, rendered from
//! the recorded actions. A frame holds only the pixels that differ from the one before.

use crate::{CameraRig, EvalContext, EvalError};
use bitvla_reports::EpisodeActions;
use bitvla_sim::render::CameraImage;
use color_quant::NeuQuant;
use png::{BitDepth, BlendOp, ColorType, Compression, DisposeOp, Encoder, EncodingError, Filter};

/// Side of the square image, pixels.
pub(crate) const ANIMATION_SIZE: usize = 160;
/// Control steps between two frames: five frames per second of simulated time.
const STEPS_PER_FRAME: usize = 4;
const FRAME_MS: u16 = 200;
/// Time that the last frame is shown, ms.
const LAST_FRAME_MS: u16 = 1500;
/// Colours of the palette, without the transparent one.
const COLORS: usize = 31;
/// Index of the transparent colour: the pixel of the frame before stays.
const KEEP: u8 = 0;
/// One in this many pixels trains the palette, see [`NeuQuant::new`].
const SAMPLING: i32 = 10;

/// Renders one recorded episode as an animated PNG; the same episode gives the same bytes.
///
/// # Errors
/// If the episode cannot be repeated, ends in another state than the recorded one, or the image cannot be encoded.
pub fn animate(context: EvalContext<'_>, episode: &EpisodeActions) -> Result<Vec<u8>, EvalError> {
    let (task, init) = (episode.task, episode.init);
    let mut world = context.settled_world(task, init)?;
    let mut cameras = CameraRig::new(world.scene())?;
    cameras.set_size(ANIMATION_SIZE);
    let mut images = Vec::new();
    for (step, action) in episode.actions.iter().enumerate() {
        if step % STEPS_PER_FRAME == 0 {
            images.push(cameras.render_agentview(&world)?);
        }
        world.step(action)?;
    }
    images.push(cameras.render_agentview(&world)?);
    if world.state_hash() != episode.state_hash {
        return Err(EvalError::Input(format!(
            "task {task}, initial state {init}: the recorded actions end in state {:016x}, expected {:016x}: the simulator has changed",
            world.state_hash(),
            episode.state_hash
        )));
    }
    encode(&images)
        .map_err(|e| EvalError::Input(format!("task {task}, initial state {init}: animation: {e}")))
}

/// Part of an image that differs from the image before, and the time that it is shown.
struct Frame {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    /// Indices of the palette, row by row; [`KEEP`] where nothing changes.
    pixels: Vec<u8>,
    millis: u16,
}

/// Encodes images of the same square size.
fn encode(images: &[CameraImage]) -> Result<Vec<u8>, EncodingError> {
    let rgba = |image: &CameraImage| -> Vec<u8> {
        let (pixels, _) = image.rgb.as_chunks::<3>();
        pixels
            .iter()
            .flat_map(|[r, g, b]| [*r, *g, *b, 255])
            .collect()
    };
    let all: Vec<u8> = images.iter().flat_map(rgba).collect();
    let palette = NeuQuant::new(SAMPLING, COLORS, &all);
    let (pixels, _) = all.as_chunks::<4>();
    let indices: Vec<u8> = pixels
        .iter()
        .map(|pixel| palette.index_of(pixel) as u8 + 1)
        .collect();
    let frames = frames(&indices);

    let mut bytes = Vec::new();
    let side = ANIMATION_SIZE as u32;
    let mut encoder = Encoder::new(&mut bytes, side, side);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    let mut colors = vec![0; 3];
    colors.extend(palette.color_map_rgb());
    encoder.set_palette(colors);
    encoder.set_trns(vec![0]);
    encoder.set_compression(Compression::High);
    encoder.set_filter(Filter::NoFilter);
    encoder.set_animated(frames.len() as u32, 0)?;
    let mut writer = encoder.write_header()?;
    for frame in &frames {
        // The new size is checked against the place of the frame before.
        writer.set_frame_position(0, 0)?;
        writer.set_frame_dimension(frame.width as u32, frame.height as u32)?;
        writer.set_frame_position(frame.left as u32, frame.top as u32)?;
        writer.set_frame_delay(frame.millis, 1000)?;
        writer.set_dispose_op(DisposeOp::None)?;
        writer.set_blend_op(BlendOp::Over)?;
        writer.write_image_data(&frame.pixels)?;
    }
    writer.finish()?;
    Ok(bytes)
}

/// Frames of images one after the other; an image without a change lengthens the frame before.
fn frames(indices: &[u8]) -> Vec<Frame> {
    let side = ANIMATION_SIZE;
    let mut frames: Vec<Frame> = Vec::new();
    let mut before: Option<&[u8]> = None;
    for image in indices.chunks_exact(side * side) {
        let changed = |at: usize| before.is_none_or(|before| before[at] != image[at]);
        let rows: Vec<usize> = (0..side)
            .filter(|y| (0..side).any(|x| changed(y * side + x)))
            .collect();
        let columns: Vec<usize> = (0..side)
            .filter(|x| (0..side).any(|y| changed(y * side + x)))
            .collect();
        let ends = |of: &[usize]| Some((*of.first()?, *of.last()? + 1));
        match (ends(&columns), ends(&rows)) {
            (Some((left, right)), Some((top, bottom))) => {
                let inside = (top..bottom).flat_map(|y| (left..right).map(move |x| y * side + x));
                let pixels = inside.map(|at| match changed(at) {
                    true => image[at],
                    false => KEEP,
                });
                frames.push(Frame {
                    pixels: pixels.collect(),
                    width: right - left,
                    height: bottom - top,
                    millis: FRAME_MS,
                    left,
                    top,
                });
            }
            _ => {
                if let Some(last) = frames.last_mut() {
                    last.millis = last.millis.saturating_add(FRAME_MS);
                }
            }
        }
        before = Some(image);
    }
    if let Some(last) = frames.last_mut() {
        last.millis = last.millis.saturating_add(LAST_FRAME_MS - FRAME_MS);
    }
    frames
}

#[cfg(test)]
mod tests {
    //! Guarantee: the frames of an animation, laid over each other, are the images, and an image without a change costs nothing.
    use super::*;

    #[test]
    fn frames_over_each_other_are_the_images() {
        let side = ANIMATION_SIZE;
        let mut images = vec![vec![1u8; side * side]; 4];
        images[1][5 * side + 7] = 2;
        images[1][9 * side + 30] = 3;
        images[2] = images[1].clone();
        images[3][0] = 4;
        let frames = frames(&images.concat());
        assert_eq!(frames.len(), 3);
        assert_eq!((frames[1].left, frames[1].top), (7, 5));
        assert_eq!((frames[1].width, frames[1].height), (24, 5));
        assert_eq!(frames[1].millis, 2 * FRAME_MS);
        assert_eq!(frames[2].millis, LAST_FRAME_MS);
        let mut shown = vec![0u8; side * side];
        for (frame, image) in frames.iter().zip([0, 1, 3]) {
            for (i, pixel) in frame.pixels.iter().enumerate() {
                let (x, y) = (frame.left + i % frame.width, frame.top + i / frame.width);
                if *pixel != KEEP {
                    shown[y * side + x] = *pixel;
                }
            }
            assert_eq!(shown, images[image], "image {image}");
        }
    }
}
