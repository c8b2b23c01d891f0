//! Loss curves of a run of the pipeline: a table per stage and one plot.

use crate::pipeline::PipelineConfig;
use crate::recipe::TrainedWeights;
use crate::trainer::{losses_path, read_losses};
use anyhow::{Context, Result};
use bitvla_reports::{LossCurve, LossPoint, write_training_curves};
use std::path::Path;

/// Copies the losses of every stage trained so far into `dir` and draws them.
///
/// # Errors
/// If a file cannot be read or written.
pub fn write_loss_curves(config: &PipelineConfig<'_>, dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    let mut curves = Vec::new();
    for (_, stage) in config.stages() {
        let Some(train) = &stage.train else {
            continue;
        };
        let path = losses_path(&config.stage_dir(&stage.name));
        if !path.is_file() {
            continue;
        }
        let copy = dir.join(format!("{}.csv", stage.name));
        std::fs::copy(&path, &copy).with_context(|| format!("writing {}", copy.display()))?;
        let points = read_losses(&path)?.into_iter().map(|row| LossPoint {
            samples: row.samples,
            training: row.l1,
            validation: row.validation,
        });
        curves.push(LossCurve {
            name: stage.name.clone(),
            ternary: train.weights == TrainedWeights::Ternary,
            points: points.collect(),
        });
    }
    write_training_curves(dir, &config.recipe.suites.join(", "), &curves)?;
    Ok(())
}
