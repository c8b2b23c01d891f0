//! Plots as SVG and PNG: success per task, latency of a query, memory of the weights, loss curves, charts.
//!
//! Each plot is drawn once per format by the same code on a [`canvas::Canvas`].

mod canvas;
mod chart;
mod curves;
mod latency;
mod memory;
mod success;

pub use chart::{Chart, ChartLine};
pub use curves::{LossCurve, LossPoint};

use crate::{EpisodeRecord, MemoryReport, QueryRecord, ReportError, summarise};
use std::path::{Path, PathBuf};

/// A plot that was written: its name and its two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlotFiles {
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
/// If a plot cannot be drawn or a file not be written.
pub fn write_plots(
    dir: &Path,
    title: &str,
    episodes: &[EpisodeRecord],
    queries: &[QueryRecord],
    memory: &MemoryReport,
) -> Result<Vec<PlotFiles>, ReportError> {
    std::fs::create_dir_all(dir).map_err(ReportError::io(dir))?;
    let mut plots = Vec::new();
    let (tasks, all) = summarise(episodes);
    if !tasks.is_empty() {
        plots.push(canvas::write_svg_and_png(
            dir,
            "success",
            success::size(&tasks),
            |c| success::draw(c, title, &tasks, &all),
        )?);
    }
    if !queries.is_empty() {
        plots.push(canvas::write_svg_and_png(
            dir,
            "latency",
            latency::SIZE,
            |c| latency::draw(c, title, queries),
        )?);
    }
    if !memory.weights.is_empty() {
        plots.push(canvas::write_svg_and_png(
            dir,
            "memory",
            memory::size(memory),
            |c| memory::draw(c, title, memory),
        )?);
    }
    Ok(plots)
}

/// Draws the losses of the stages of a training run into `dir`.
///
/// # Errors
/// If the plot cannot be drawn or a file not be written.
pub fn write_training_curves(
    dir: &Path,
    title: &str,
    stages: &[LossCurve],
) -> Result<PlotFiles, ReportError> {
    std::fs::create_dir_all(dir).map_err(ReportError::io(dir))?;
    canvas::write_svg_and_png(dir, "losses", curves::SIZE, |c| {
        curves::draw(c, title, stages)
    })
}

/// Draws one chart into `dir`.
///
/// # Errors
/// If it cannot be drawn or a file not be written.
pub fn write_chart(
    dir: &Path,
    name: &'static str,
    (title, subtitle): (&str, &str),
    chart: &Chart,
) -> Result<PlotFiles, ReportError> {
    std::fs::create_dir_all(dir).map_err(ReportError::io(dir))?;
    canvas::write_svg_and_png(dir, name, chart::size(chart), |c| {
        chart::draw(c, title, subtitle, chart)
    })
}
