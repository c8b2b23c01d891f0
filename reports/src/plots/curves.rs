//! Plot of the losses of a training run: its stages one after the other, training as a line, validation as dots.

use super::canvas::{
    AXIS_COLOR, Align, Canvas, DrawResult, GRID_COLOR, PALETTE, TextFormat, heading, tick_step,
};
use crate::format::format_trimmed;

pub(super) const SIZE: (usize, usize) = (980, 484);

const LEFT: f64 = 70.0;
const RIGHT: f64 = 950.0;
const TOP: f64 = 126.0;
const BOTTOM: f64 = 434.0;
/// Points of a stage are averaged to about this many.
const POINTS: usize = 90;

/// Rows of stage names above the plot, their height, and the width of a character.
const LABEL_ROWS: usize = 3;
const LABEL_HEIGHT: f64 = 14.0;
const CHARACTER_WIDTH: f64 = 6.8;

/// A point of a loss curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossPoint {
    /// Samples seen within the stage.
    pub samples: u64,
    /// Training loss.
    pub training: f64,
    /// Loss on frames never trained on, where it was measured.
    pub validation: Option<f64>,
}

/// Losses of a training stage.
#[derive(Debug, Clone, PartialEq)]
pub struct LossCurve {
    /// Name of the stage.
    pub name: String,
    /// True if its weights are ternary, which decides the colour.
    pub ternary: bool,
    /// Losses in order.
    pub points: Vec<LossPoint>,
}

pub(super) fn draw(c: &mut dyn Canvas, title: &str, stages: &[LossCurve]) -> DrawResult {
    let length = |s: &LossCurve| s.points.last().map_or(0, |p| p.samples) as f64;
    let total: f64 = stages.iter().map(length).sum::<f64>().max(1.0);
    // The axis ends at the 98th percentile; higher losses, as at the steep beginning, are drawn at its top.
    let all = || stages.iter().flat_map(|s| &s.points);
    let mut seen: Vec<f64> = all().map(|p| p.training).collect();
    seen.sort_by(f64::total_cmp);
    let high = seen.get(seen.len() * 98 / 100).copied().unwrap_or(1.0);
    let step = tick_step(high.max(1e-6) * 1.05, 5);
    let top = (high * 1.05 / step).ceil() * step;
    let x = |samples: f64| LEFT + (RIGHT - LEFT) * samples / total;
    let y = |loss: f64| BOTTOM - (BOTTOM - TOP) * (loss / top).min(1.0);

    let subtitle = format!(
        "{title} · mean absolute error of normalised actions; lines: training, dots: frames never trained on"
    );
    heading(c, "Losses of training", &subtitle)?;
    for i in 0..=((top / step).round() as usize) {
        let loss = step * i as f64;
        c.line((LEFT, y(loss)), (RIGHT, y(loss)), 1.0, GRID_COLOR)?;
        let label = format_trimmed(loss, 3);
        c.text(
            (LEFT - 8.0, y(loss)),
            TextFormat::new(12.0, Align::Right, AXIS_COLOR),
            &label,
        )?;
    }
    let thousands = tick_step(total / 1000.0, 8);
    let mut tick = 0.0;
    while tick * 1000.0 <= total {
        let label = format!("{tick} k");
        c.text(
            (x(tick * 1000.0), BOTTOM + 15.0),
            TextFormat::new(12.0, Align::Middle, AXIS_COLOR),
            &label,
        )?;
        tick += thousands;
    }
    c.text(
        (RIGHT, BOTTOM + 34.0),
        TextFormat::new(12.0, Align::Right, AXIS_COLOR),
        "samples",
    )?;

    let mut start = 0.0;
    let mut labels_end = [0.0; LABEL_ROWS];
    for stage in stages {
        let color = PALETTE[usize::from(stage.ternary)];
        // The name goes into the first row in which the names before have left room.
        let label = x(start) + 6.0;
        let free = labels_end.iter().position(|end| *end < label);
        let row = free.unwrap_or(LABEL_ROWS - 1);
        labels_end[row] = label + CHARACTER_WIDTH * (stage.name.chars().count() + 1) as f64;
        let height = TOP - 18.0 - LABEL_HEIGHT * row as f64;
        c.line(
            (x(start), height - 8.0),
            (x(start), BOTTOM),
            1.0,
            AXIS_COLOR,
        )?;
        let format = TextFormat::new(12.0, Align::Left, color);
        c.text((label, height), format, &stage.name)?;
        let group = stage.points.len().div_ceil(POINTS).max(1);
        let line: Vec<(f64, f64)> = stage
            .points
            .chunks(group)
            .map(|points| {
                let n = points.len() as f64;
                let at = points.iter().map(|p| p.samples as f64).sum::<f64>() / n;
                let loss = points.iter().map(|p| p.training).sum::<f64>() / n;
                (x(start + at), y(loss))
            })
            .collect();
        c.path(&line, 1.5, color)?;
        for p in &stage.points {
            if let Some(loss) = p.validation {
                c.fill_circle((x(start + p.samples as f64), y(loss)), 2.6, color)?;
            }
        }
        start += length(stage);
    }
    c.line((LEFT, BOTTOM), (RIGHT, BOTTOM), 1.5, AXIS_COLOR)
}
