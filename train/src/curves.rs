//! Loss curves of a run of the recipe, as a table of every stage and one plot.

use crate::recipe::{Kitchen, STAGES, Stage};
use crate::trainer::{losses_path, read_losses};
use anyhow::{Context, Result};
use bitvla_reports::{CurvePoint, CurveStage, write_training_curves};
use std::path::Path;

/// Copies the losses of every stage trained so far into `dir` and draws them.
///
/// # Errors
/// When a file cannot be read or written.
pub fn write(kitchen: &Kitchen<'_>, dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    let mut curves = Vec::new();
    for stage in STAGES {
        let Stage::Train(t) = stage else { continue };
        let path = losses_path(&kitchen.stage_dir(t.name));
        if !path.is_file() {
            continue;
        }
        let copy = dir.join(format!("{}.csv", t.name));
        std::fs::copy(&path, &copy).with_context(|| format!("writing {}", copy.display()))?;
        let points = read_losses(&path)?.into_iter().map(|row| CurvePoint {
            samples: row.samples,
            training: row.l1,
            validation: row.validation,
        });
        curves.push(CurveStage {
            name: t.name.to_owned(),
            ternary: t.ternary,
            points: points.collect(),
        });
    }
    write_training_curves(dir, &kitchen.suite.name, &curves)?;
    Ok(())
}
