//! Images: structural similarity of both cameras for the first initial state of every task, before any
//! step (dropped objects are still in the air), as the policy sees them (mirrored left to right, fact sheet section 9).
//!
//! Objects whose visual files are missing can be left out: their pixels are found by drawing the scene
//! a second time without them.

use super::ssim;
use super::{Context, Section, SectionResult, at_least, plain};
use crate::{CameraRig, EvalError};
use bitvla_policies::CAMERA_SIZE;
use bitvla_reports::{Chart, Table};
use bitvla_sim::SceneDesc;
use bitvla_sim::render::CameraImage;
use std::path::{Path, PathBuf};

/// Half width of the window of the similarity index, pixels.
const REACH: usize = 5;

/// Both cameras of one task.
struct Row {
    suite: String,
    task: usize,
    /// Whole image, then without the pixels of what is left out; agentview, then wrist.
    agentview: [f64; 2],
    wrist: [f64; 2],
    left_out: Vec<String>,
}

pub(super) fn run(ctx: &Context<'_>) -> Result<SectionResult, EvalError> {
    let dir = &ctx.images;
    if !dir.is_dir() {
        return Err(EvalError::Input(format!(
            "{} is missing: name the folder of the recorded images with --images DIR",
            dir.display()
        )));
    }
    let mut notes = Vec::new();
    let mut items = Vec::new();
    for suite in super::SUITES {
        for task in 0..10 {
            if ctx.wanted(suite, task, Section::Images, &mut notes)? {
                items.push((suite.to_owned(), task));
            }
        }
    }
    let mut rows: Vec<Row> = Vec::new();
    ctx.each(
        Section::Images,
        &items,
        |(suite, task)| one(ctx, dir, suite, *task),
        |r| rows.push(r),
    )?;
    rows.sort_by(|a, b| (&a.suite, a.task).cmp(&(&b.suite, b.task)));

    let mut table = Table::new(&[
        "suite",
        "task",
        "agentview",
        "wrist",
        "agentview_masked",
        "wrist_masked",
        "left_out",
    ]);
    for r in &rows {
        table.push([
            r.suite.clone(),
            r.task.to_string(),
            format!("{:.4}", r.agentview[0]),
            format!("{:.4}", r.wrist[0]),
            format!("{:.4}", r.agentview[1]),
            format!("{:.4}", r.wrist[1]),
            r.left_out.join(" "),
        ]);
    }
    let mean = |f: &dyn Fn(&Row) -> f64| rows.iter().map(f).sum::<f64>() / rows.len() as f64;
    let over = format!("{} scenes, luma", rows.len());
    let without = format!("{over}, without what lacks its files");
    let s = Section::Images;
    let figures = vec![
        at_least(
            s,
            "agentview, similarity, mean",
            mean(&|r| r.agentview[1]),
            "",
            0.85,
            &without,
        ),
        at_least(
            s,
            "wrist, similarity, mean",
            mean(&|r| r.wrist[1]),
            "",
            0.80,
            &without,
        ),
        plain(
            s,
            "agentview, whole image, mean",
            mean(&|r| r.agentview[0]),
            "",
            &over,
        ),
        plain(
            s,
            "wrist, whole image, mean",
            mean(&|r| r.wrist[0]),
            "",
            &over,
        ),
    ];
    let bars = |f: &dyn Fn(&Row) -> f64, color: usize| -> Vec<(String, f64, usize)> {
        rows.iter()
            .map(|r| (format!("{} {}", r.suite, r.task), f(r), color))
            .collect()
    };
    let chart = |name: &'static str, title: &str, rows, target| {
        (
            name,
            title.to_owned(),
            "structural similarity with MuJoCo's image of the first initial state".to_owned(),
            Chart::Bars {
                top: 1.0,
                unit: String::new(),
                target: Some(target),
                rows,
            },
        )
    };
    Ok(SectionResult {
        figures,
        tables: vec![("images", table)],
        charts: vec![
            chart(
                "images_agentview",
                "Images: agentview",
                bars(&|r| r.agentview[1], 0),
                0.85,
            ),
            chart(
                "images_wrist",
                "Images: wrist",
                bars(&|r| r.wrist[1], 1),
                0.80,
            ),
        ],
        notes,
    })
}

fn one(ctx: &Context<'_>, dir: &Path, suite: &str, task: usize) -> Result<Row, EvalError> {
    let world = ctx.scenes.world(suite, task, 0)?;
    let scene = world.scene().clone();
    let view = CameraRig::new(&scene)?.render(&world)?.for_policy();
    let (bare, left_out) = without(ctx, &scene);
    let rest = if left_out.is_empty() {
        view.clone()
    } else {
        CameraRig::new(&bare)?.render(&world)?.for_policy()
    };
    let path = |camera: &str| dir.join(format!("{suite}_{task}_{camera}_init0.png"));
    if let Some(out) = &ctx.plan.frames {
        std::fs::create_dir_all(out).map_err(EvalError::io(out))?;
        view.agentview
            .write_png(&out.join(format!("{suite}_{task}_agentview.png")))?;
        view.wrist
            .write_png(&out.join(format!("{suite}_{task}_wrist.png")))?;
    }
    Ok(Row {
        suite: suite.to_owned(),
        task,
        agentview: compare(&path("agentview"), &view.agentview, &rest.agentview)?,
        wrist: compare(&path("robot0_eye_in_hand"), &view.wrist, &rest.wrist)?,
        left_out,
    })
}

/// The scene with nothing drawn of what is to be left out, and the names of that.
fn without(ctx: &Context<'_>, scene: &SceneDesc) -> (SceneDesc, Vec<String>) {
    let mut bare = scene.clone();
    let mut names = Vec::new();
    for instance in &mut bare.instances {
        if ctx.plan.exclude.contains(&instance.model.name) {
            names.push(instance.name.clone());
            let model = std::sync::Arc::make_mut(&mut instance.model);
            for body in &mut model.bodies {
                body.visual.clear();
            }
        }
    }
    (bare, names)
}

fn compare(path: &PathBuf, ours: &CameraImage, rest: &CameraImage) -> Result<[f64; 2], EvalError> {
    let theirs = image::open(path)
        .map_err(|e| EvalError::Format {
            path: path.clone(),
            what: e.to_string(),
        })?
        .to_rgb8();
    let (width, height) = (ours.width, ours.height);
    if (theirs.width() as usize, theirs.height() as usize) != (width, height) {
        return Err(EvalError::Format {
            path: path.clone(),
            what: format!(
                "{} x {} pixels, expected {CAMERA_SIZE} x {CAMERA_SIZE}",
                theirs.width(),
                theirs.height()
            ),
        });
    }
    let map = ssim::map(
        &ssim::luma(theirs.as_raw()),
        &ssim::luma(&ours.rgb),
        width,
        height,
    );
    let mut hidden = vec![false; width * height];
    for (i, (a, b)) in ours
        .rgb
        .chunks_exact(3)
        .zip(rest.rgb.chunks_exact(3))
        .enumerate()
    {
        if a != b {
            let (x, y) = (i % width, i / width);
            for v in y.saturating_sub(REACH)..(y + REACH + 1).min(height) {
                let row = v * width;
                hidden[row + x.saturating_sub(REACH)..row + (x + REACH + 1).min(width)].fill(true);
            }
        }
    }
    let whole = map.mean(|_, _| true).unwrap_or(f64::NAN);
    let masked = map.mean(|x, y| !hidden[y * width + x]).unwrap_or(whole);
    Ok([whole, masked])
}
