//! Plots as SVG and PNG: success per task, latency of a query, memory of the weights.
//!
//! Each plot is drawn once per format by the same code on a [`canvas::Canvas`].

mod canvas;
mod chart;
mod curves;
mod latency;
mod memory;
mod success;

pub use chart::{Chart, Line};
pub use curves::{CurvePoint, CurveStage};

use crate::{EpisodeRecord, MemoryReport, QueryRecord, ReportError, summarise};
use std::path::{Path, PathBuf};

/// A plot that was written: its name and its two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plot {
    /// Name of its files, for example `success`.
    pub name: &'static str,
    /// Vector version.
    pub svg: PathBuf,
    /// Pixel version.
    pub png: PathBuf,
}

/// Draws every plot there are numbers for into `dir`; `title` names suite and policy.
///
/// # Errors
/// When a plot cannot be drawn or a file not be written.
pub fn write_plots(
    dir: &Path,
    title: &str,
    episodes: &[EpisodeRecord],
    queries: &[QueryRecord],
    memory: &MemoryReport,
) -> Result<Vec<Plot>, ReportError> {
    std::fs::create_dir_all(dir).map_err(ReportError::io(dir))?;
    let mut plots = Vec::new();
    let (tasks, all) = summarise(episodes);
    if !tasks.is_empty() {
        plots.push(canvas::both(dir, "success", success::size(&tasks), |c| {
            success::draw(c, title, &tasks, &all)
        })?);
    }
    if !queries.is_empty() {
        plots.push(canvas::both(dir, "latency", latency::SIZE, |c| {
            latency::draw(c, title, queries)
        })?);
    }
    if !memory.weights.is_empty() {
        plots.push(canvas::both(dir, "memory", memory::size(memory), |c| {
            memory::draw(c, title, memory)
        })?);
    }
    Ok(plots)
}

/// Draws the losses of the stages of a training run into `dir`.
///
/// # Errors
/// When the plot cannot be drawn or a file not be written.
pub fn write_training_curves(
    dir: &Path,
    title: &str,
    stages: &[CurveStage],
) -> Result<Plot, ReportError> {
    std::fs::create_dir_all(dir).map_err(ReportError::io(dir))?;
    canvas::both(dir, "losses", curves::SIZE, |c| {
        curves::draw(c, title, stages)
    })
}

/// Draws one chart into `dir`.
///
/// # Errors
/// When it cannot be drawn or a file not be written.
pub fn write_chart(
    dir: &Path,
    name: &'static str,
    (title, subtitle): (&str, &str),
    chart: &Chart,
) -> Result<Plot, ReportError> {
    std::fs::create_dir_all(dir).map_err(ReportError::io(dir))?;
    canvas::both(dir, name, chart::size(chart), |c| {
        chart::draw(c, title, subtitle, chart)
    })
}
