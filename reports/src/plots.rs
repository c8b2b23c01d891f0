//! Plots as SVG and PNG: success per task, latency of a query, memory of the weights, loss curves, comparisons, charts.
//!
//! Each plot is drawn once per format by the same code on a [`canvas::Canvas`].

mod agreement;
mod canvas;
mod chart;
mod comparison;
mod curves;
mod latency;
mod memory;
mod robustness;
mod success;
mod sweep;

pub use chart::{Chart, ChartLine};
pub use curves::{LossCurve, LossPoint};

use crate::{
    Comparison, EpisodeRecord, MemoryReport, QueryRecord, ReportError, Robustness, Sweep,
    WorldAgreement, summarise,
};
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
    std::fs::create_dir_all(dir).map_err(ReportError::io(dir))?;
    let mut plots = Vec::new();
    draw_comparison(title, comparison, &mut |name, size, draw| {
        plots.push(canvas::write_svg_and_png(dir, name, size, draw)?);
        Ok(())
    })?;
    Ok(plots)
}

/// Draws success in one world against success in another into `dir`, as `agreement`.
///
/// # Errors
/// If the plot cannot be drawn or a file not be written.
pub fn write_agreement_plot(
    dir: &Path,
    agreement: &WorldAgreement,
) -> Result<PlotFiles, ReportError> {
    std::fs::create_dir_all(dir).map_err(ReportError::io(dir))?;
    canvas::write_svg_and_png(dir, "agreement", agreement::SIZE, |c| {
        agreement::draw(c, agreement)
    })
}

/// Drawing function of one plot.
type Draw<'a> = &'a dyn Fn(&mut dyn canvas::Canvas) -> canvas::DrawResult;

/// Receives name, size (page units) and drawing function of a plot.
type EachPlot<'a> =
    &'a mut dyn FnMut(&'static str, (usize, usize), Draw<'_>) -> Result<(), ReportError>;

/// Hands the plots of a comparison to `each`, as [`write_comparison_plots`] names them.
fn draw_comparison(
    title: &str,
    comparison: &Comparison,
    each: EachPlot<'_>,
) -> Result<(), ReportError> {
    use comparison::{Cost, success_against};
    let size = comparison::success_size(comparison);
    each("success-by-suite", size, &|c| {
        comparison::success(c, title, comparison)
    })?;
    let size = comparison::heat_map_size(comparison);
    each("success-by-task", size, &|c| {
        comparison::heat_map(c, title, comparison)
    })?;
    let chart = comparison::steps_to_success(comparison);
    each("steps-to-success", chart::size(&chart), &|c| {
        chart::draw(c, "Steps to success", title, &chart)
    })?;
    if comparison.policies().iter().any(|p| p.latency().is_some()) {
        each("success-latency", comparison::COST_SIZE, &|c| {
            success_against(c, title, comparison, Cost::Latency)
        })?;
        let size = comparison::phases_size(comparison);
        each("latency-by-phase", size, &|c| {
            comparison::phases(c, title, comparison)
        })?;
    }
    if comparison.policies().iter().any(|p| p.weight_bytes() > 0) {
        each("success-memory", comparison::COST_SIZE, &|c| {
            success_against(c, title, comparison, Cost::Memory)
        })?;
    }
    Ok(())
}

/// A plot as SVG text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SvgPlot {
    /// Name, for example `success-by-suite`.
    pub name: &'static str,
    /// The text, from `<svg` on.
    pub svg: String,
}

/// Draws the plots of a report as SVG text: those of the comparison but for `success-by-task`, which a report has as a table; for
/// a single policy success per task of each suite, latency and memory.
///
/// # Errors
/// If a plot cannot be drawn.
pub(crate) fn report_plots(comparison: &Comparison) -> Result<Vec<SvgPlot>, ReportError> {
    let mut plots = Vec::new();
    let mut each = |name, size, draw: Draw<'_>| {
        let svg = canvas::svg_text(name, size, draw)?;
        plots.push(SvgPlot { name, svg });
        Ok(())
    };
    let title = comparison.suites().join(", ");
    let [policy] = comparison.policies() else {
        draw_comparison(&title, comparison, &mut |name, size, draw| match name {
            "success-by-task" => Ok(()),
            _ => each(name, size, draw),
        })?;
        return Ok(plots);
    };
    for (suite, run) in &policy.runs {
        let (tasks, all) = summarise(&run.episodes);
        let title = format!("{suite}, {}", policy.label);
        each("success", success::size(&tasks), &|c| {
            success::draw(c, &title, &tasks, &all)
        })?;
    }
    let chart = comparison::steps_to_success(comparison);
    each("steps-to-success", chart::size(&chart), &|c| {
        chart::draw(c, "Steps to success", &title, &chart)
    })?;
    let (queries, _) = policy.queries();
    if !queries.is_empty() {
        each("latency", latency::SIZE, &|c| {
            latency::draw(c, &policy.label, &queries)
        })?;
    }
    if let Some(memory) = policy.memory().filter(|m| !m.weights.is_empty()) {
        each("memory", memory::size(memory), &|c| {
            memory::draw(c, &policy.label, memory)
        })?;
    }
    Ok(plots)
}

/// Colours of plots in SVG notation that a dark page replaces: paper, text, axes, grid, tracks, bars, lines.
#[cfg(test)]
pub(crate) fn svg_colors() -> Vec<String> {
    use canvas::{AXIS_COLOR, BAR_TRACK, GRID_COLOR, PALETTE, TEXT_COLOR};
    let paper = plotters::style::WHITE;
    let all = [paper, TEXT_COLOR, AXIS_COLOR, GRID_COLOR, BAR_TRACK].into_iter();
    let all = all.chain(success::BARS).chain(PALETTE);
    all.map(|c| format!("#{:02X}{:02X}{:02X}", c.0, c.1, c.2))
        .collect()
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

/// Draws success under perturbation into `dir`, as `robustness`, and how strong the levels are, as `strength`.
///
/// # Errors
/// If one cannot be drawn or a file not be written.
pub fn write_robustness_plots(
    dir: &Path,
    title: &str,
    robustness: &Robustness,
) -> Result<[PlotFiles; 2], ReportError> {
    std::fs::create_dir_all(dir).map_err(ReportError::io(dir))?;
    let size = robustness::size(robustness);
    let success = canvas::write_svg_and_png(dir, "robustness", size, |c| {
        robustness::draw(c, title, robustness)
    })?;
    let strength = canvas::write_svg_and_png(dir, "strength", size, |c| {
        robustness::draw_strength(c, title, robustness)
    })?;
    Ok([success, strength])
}

/// Success under perturbation as the text of an SVG.
///
/// # Errors
/// If it cannot be drawn.
pub(crate) fn robustness_svg(title: &str, robustness: &Robustness) -> Result<String, ReportError> {
    let size = robustness::size(robustness);
    let draw = |c: &mut dyn canvas::Canvas| robustness::draw(c, title, robustness);
    canvas::svg_text("robustness", size, draw)
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
