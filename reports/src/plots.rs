//! Plots as SVG and PNG: success per task, latency of a query, memory of the weights, loss curves, comparisons, charts.
//!
//! Each plot is drawn once per format by the same code on a [`canvas::Canvas`].

mod canvas;
mod chart;
mod comparison;
mod curves;
mod latency;
mod memory;
mod success;
mod sweep;

pub use chart::{Chart, ChartLine};
pub use curves::{LossCurve, LossPoint};

use crate::{Comparison, EpisodeRecord, MemoryReport, QueryRecord, ReportError, Sweep, summarise};
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

/// Draws the plots of a comparison into `dir`: `success-by-suite`, `success-by-task`, `steps-to-success`, and where there were queries
/// `success-latency`, `success-memory` and `latency-by-phase`; `title` stands below the name of each.
///
/// # Errors
/// If a plot cannot be drawn or a file not be written.
pub fn write_comparison_plots(
    dir: &Path,
    title: &str,
    comparison: &Comparison,
) -> Result<Vec<PlotFiles>, ReportError> {
    use canvas::{Canvas, DrawResult};
    use comparison::{Cost, success_against};
    std::fs::create_dir_all(dir).map_err(ReportError::io(dir))?;
    let write = |name, size, draw: &dyn Fn(&mut dyn Canvas) -> DrawResult| {
        canvas::write_svg_and_png(dir, name, size, draw)
    };
    let size = comparison::success_size(comparison);
    let mut plots = vec![
        write("success-by-suite", size, &|c| {
            comparison::success(c, title, comparison)
        })?,
        write(
            "success-by-task",
            comparison::heat_map_size(comparison),
            &|c| comparison::heat_map(c, title, comparison),
        )?,
        write_chart(
            dir,
            "steps-to-success",
            ("Steps to success", title),
            &comparison::steps_to_success(comparison),
        )?,
    ];
    if comparison.policies().iter().any(|p| p.latency().is_some()) {
        plots.push(write("success-latency", comparison::COST_SIZE, &|c| {
            success_against(c, title, comparison, Cost::Latency)
        })?);
        let size = comparison::phases_size(comparison);
        plots.push(write("latency-by-phase", size, &|c| {
            comparison::phases(c, title, comparison)
        })?);
    }
    if comparison.policies().iter().any(|p| p.weight_bytes() > 0) {
        plots.push(write("success-memory", comparison::COST_SIZE, &|c| {
            success_against(c, title, comparison, Cost::Memory)
        })?);
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

/// Draws success against latency into `dir`, as `sweep`.
///
/// # Errors
/// If it cannot be drawn or a file not be written.
pub fn write_sweep_plot(dir: &Path, title: &str, sweep: &Sweep) -> Result<PlotFiles, ReportError> {
    std::fs::create_dir_all(dir).map_err(ReportError::io(dir))?;
    canvas::write_svg_and_png(dir, "sweep", sweep::SIZE, |c| sweep::draw(c, title, sweep))
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
