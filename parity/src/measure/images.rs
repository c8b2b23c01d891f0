//! Images: structural similarity of both cameras for the first initial state of every task, before any step (dropped
//! objects are still in the air), as the policy gets them (mirrored left to right, docs/reference/libero.md, section 9).
//!
//! Objects whose visual files are missing can be masked: their pixels are found by rendering the scene a second time
//! without them.

use super::ssim;
use super::{MeasureContext, Measured};
use crate::{ParityError, Quantity, SUITES};
use bitvla_reports::{ReportError, write_atomically};
use bitvla_sim::render::{CameraImage, Renderer};
use bitvla_sim::{SceneDesc, VisualState};
use std::path::Path;
use std::sync::Arc;

/// Half width of the window of the similarity index, pixels.
const REACH: usize = ssim::SIZE / 2;

/// Similarity of one image with the recorded one.
#[derive(Clone, Copy)]
pub(crate) struct Similarity {
    /// Mean over the whole image.
    pub whole: f64,
    /// Mean without the windows that contain a pixel of a masked object; `None` where all do.
    pub masked: Option<f64>,
}

/// Both cameras of one task.
pub(crate) struct ImageRow {
    pub suite: String,
    pub task: usize,
    pub agentview: Similarity,
    pub wrist: Similarity,
    /// Instances that were masked.
    pub masked: Vec<String>,
}

pub(crate) fn measure(ctx: &MeasureContext<'_>) -> Result<Measured<ImageRow>, ParityError> {
    if !ctx.images.is_dir() {
        return Err(ParityError::Input(format!(
            "{} is missing: name the folder of the recorded images with --images DIR",
            ctx.images.display()
        )));
    }
    let mut notes = Vec::new();
    let mut items = Vec::new();
    for suite in SUITES {
        for task in 0..10 {
            if ctx.selects(suite, task, Quantity::Images, &mut notes)? {
                items.push((suite, task));
            }
        }
    }
    let mut rows = ctx.map(Quantity::Images, &items, |(suite, task)| {
        compare_task(ctx, suite, *task)
    })?;
    rows.sort_by(|a, b| (&a.suite, a.task).cmp(&(&b.suite, b.task)));
    Ok(Measured { rows, notes })
}

fn compare_task(
    ctx: &MeasureContext<'_>,
    suite: &str,
    task: usize,
) -> Result<ImageRow, ParityError> {
    let world = ctx.scenes.world(suite, task, 0)?;
    let (scene, state) = (world.scene(), world.visual_state());
    let (masked_scene, masked) = without_excluded(scene, &ctx.config.exclude);
    let mut full = Renderer::new(scene)?;
    let mut bare = match masked.is_empty() {
        true => None,
        false => Some(Renderer::new(&masked_scene)?),
    };
    let mut similarity = |on_robot: bool, short_name: &str, recorded: &str| {
        let camera = &scene.arena.camera(on_robot)?.name;
        let path = ctx
            .images
            .join(format!("{suite}_{task}_{recorded}_init0.png"));
        let theirs = read_image(&path)?;
        let ours = render(&mut full, &state, camera, &theirs)?;
        let rest = match &mut bare {
            None => ours.clone(),
            Some(renderer) => render(renderer, &state, camera, &theirs)?,
        };
        if let Some(out) = &ctx.config.frames {
            std::fs::create_dir_all(out).map_err(ReportError::io(out))?;
            let path = out.join(format!("{suite}_{task}_{short_name}.png"));
            write_atomically(&path, &ours.png_bytes()?)?;
        }
        compare(&path, &theirs, &ours, &rest)
    };
    Ok(ImageRow {
        suite: suite.to_owned(),
        task,
        agentview: similarity(false, "agentview", "agentview")?,
        wrist: similarity(true, "wrist", "robot0_eye_in_hand")?,
        masked,
    })
}

/// Renders at the size of the recorded image, mirrored.
fn render(
    renderer: &mut Renderer,
    state: &VisualState,
    camera: &str,
    recorded: &image::RgbImage,
) -> Result<CameraImage, ParityError> {
    let (width, height) = (recorded.width() as usize, recorded.height() as usize);
    let frame = renderer.render(state, camera, width, height)?;
    Ok(frame.flipped_lr())
}

fn read_image(path: &Path) -> Result<image::RgbImage, ReportError> {
    let image = image::open(path).map_err(|e| ReportError::format(path, e))?;
    Ok(image.to_rgb8())
}

/// Returns the scene without the visuals of excluded categories, and the names of their instances.
fn without_excluded(scene: &SceneDesc, exclude: &[String]) -> (SceneDesc, Vec<String>) {
    let mut bare = scene.clone();
    let mut names = Vec::new();
    for instance in &mut bare.instances {
        if exclude.contains(&instance.model.name) {
            names.push(instance.name.clone());
            let model = Arc::make_mut(&mut instance.model);
            for body in &mut model.bodies {
                body.visual.clear();
            }
        }
    }
    (bare, names)
}

/// Compares an image with the recorded one; `bare` is ours without the masked objects.
fn compare(
    path: &Path,
    theirs: &image::RgbImage,
    ours: &CameraImage,
    bare: &CameraImage,
) -> Result<Similarity, ParityError> {
    let (width, height) = (ours.width, ours.height);
    let (a, b) = (ssim::luma(theirs.as_raw()), ssim::luma(&ours.rgb));
    let map = ssim::map(&a, &b, width, height);
    let mut hidden = vec![false; width * height];
    let pixels = ours.rgb.chunks_exact(3).zip(bare.rgb.chunks_exact(3));
    for (i, _) in pixels.enumerate().filter(|(_, (a, b))| a != b) {
        let (x, y) = (i % width, i / width);
        for v in y.saturating_sub(REACH)..(y + REACH + 1).min(height) {
            let row = v * width;
            hidden[row + x.saturating_sub(REACH)..row + (x + REACH + 1).min(width)].fill(true);
        }
    }
    let whole = map.mean(|_, _| true).ok_or_else(|| {
        let size = ssim::SIZE;
        let found = format!("{width} x {height} pixels, expected at least {size} x {size}");
        ReportError::format(path, found)
    })?;
    Ok(Similarity {
        whole,
        masked: map.mean(|x, y| !hidden[y * width + x]),
    })
}
