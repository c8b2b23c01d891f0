//! Generic charts: lines over steps, cumulative distributions, bars and stacked counts per row, each with the target
//! where there is one.

use super::canvas::{
    AXIS_COLOR, Align, BAR_TRACK, Canvas, DrawResult, GRID_COLOR, PALETTE, TEXT_COLOR, TextFormat,
    heading, tick_step, truncate,
};
use crate::format::format_trimmed;
use plotters::style::RGBColor;

/// One line of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartLine {
    /// Legend; lines with the same label share one entry.
    pub label: String,
    /// Index into the palette.
    pub color: usize,
    /// Points in order of x.
    pub points: Vec<[f64; 2]>,
}

/// Content of a chart.
#[derive(Debug, Clone, PartialEq)]
pub enum Chart {
    /// Lines over a common axis; the vertical axis starts at 0.
    Lines {
        /// Name of the horizontal axis.
        x: String,
        /// Name of the vertical axis with its unit.
        y: String,
        /// The lines.
        lines: Vec<ChartLine>,
        /// Target, a horizontal mark.
        target: Option<f64>,
        /// Top of the vertical axis, at which higher values are drawn; `None` for the largest value.
        top: Option<f64>,
    },
    /// Share of values at most x, per group, over a logarithmic axis.
    Cumulative {
        /// Name of the horizontal axis with its unit.
        x: String,
        /// Groups of values.
        groups: Vec<(String, Vec<f64>)>,
        /// Target, a vertical mark.
        target: Option<f64>,
        /// Lower end of the axis; smaller values are drawn there.
        low: f64,
    },
    /// One bar per row.
    Bars {
        /// Axis from 0 to here.
        top: f64,
        /// Unit behind the numbers.
        unit: String,
        /// Target, a vertical mark.
        target: Option<f64>,
        /// Label, value, colour of the palette.
        rows: Vec<(String, f64, usize)>,
    },
    /// Counts per row, one colour per kind.
    Stacked {
        /// Meaning of the colours.
        kinds: Vec<String>,
        /// Label and counts in the order of `kinds`.
        rows: Vec<(String, Vec<usize>)>,
    },
}

const LEFT: f64 = 76.0;
const RIGHT: f64 = 950.0;
const TOP: f64 = 108.0;
const BOTTOM: f64 = 430.0;
const BAR_LEFT: f64 = 330.0;
const BAR_RIGHT: f64 = 860.0;
const ROW: f64 = 24.0;

pub(super) fn size(chart: &Chart) -> (usize, usize) {
    let rows = match chart {
        Chart::Lines { .. } | Chart::Cumulative { .. } => return (980, 490),
        Chart::Bars { rows, .. } => rows.len(),
        Chart::Stacked { rows, .. } => rows.len(),
    };
    (980, (TOP + ROW * rows as f64 + 50.0) as usize)
}

pub(super) fn draw(c: &mut dyn Canvas, title: &str, subtitle: &str, chart: &Chart) -> DrawResult {
    heading(c, title, subtitle)?;
    match chart {
        Chart::Lines {
            x,
            y,
            lines,
            target,
            top,
        } => draw_lines(c, (x, y), lines, *target, *top),
        Chart::Cumulative {
            x,
            groups,
            target,
            low,
        } => cumulative(c, x, groups, *target, *low),
        Chart::Bars {
            top,
            unit,
            target,
            rows,
        } => bars(c, *top, unit, *target, rows),
        Chart::Stacked { kinds, rows } => stacked(c, kinds, rows),
    }
}

/// Returns colour `i` of the palette; the axis colour beyond its end.
pub(super) fn palette_color(i: usize) -> RGBColor {
    PALETTE.get(i).copied().unwrap_or(AXIS_COLOR)
}

fn legend<'a>(c: &mut dyn Canvas, entries: impl Iterator<Item = (&'a str, usize)>) -> DrawResult {
    let mut at = LEFT;
    let mut seen: Vec<&str> = Vec::new();
    for (label, color) in entries {
        if seen.contains(&label) {
            continue;
        }
        seen.push(label);
        let color = palette_color(color);
        c.fill_rect((at, 76.0), (at + 12.0, 88.0), color)?;
        c.text(
            (at + 18.0, 82.0),
            TextFormat::new(12.0, Align::Left, TEXT_COLOR),
            label,
        )?;
        at += 34.0 + 6.9 * label.chars().count() as f64;
    }
    Ok(())
}

/// Draws the x axis with its name at the right end.
fn draw_x_axis(c: &mut dyn Canvas, x_name: &str) -> DrawResult {
    c.line((LEFT, BOTTOM), (RIGHT, BOTTOM), 1.5, AXIS_COLOR)?;
    c.text(
        (RIGHT, BOTTOM + 36.0),
        TextFormat::new(12.0, Align::Right, AXIS_COLOR),
        x_name,
    )
}

fn draw_lines(
    c: &mut dyn Canvas,
    (x_name, y_name): (&str, &str),
    lines: &[ChartLine],
    target: Option<f64>,
    top: Option<f64>,
) -> DrawResult {
    let points = || lines.iter().flat_map(|l| &l.points);
    let finite = |v: f64| if v.is_finite() { v } else { 0.0 };
    let right = points().map(|p| finite(p[0])).fold(1.0, f64::max);
    let high = points().map(|p| finite(p[1])).fold(1e-9, f64::max);
    let high = top.unwrap_or(high.max(target.unwrap_or(0.0) * 1.1));
    let step = tick_step(high, 6);
    let top = (high / step).ceil() * step;
    let px = |v: f64| LEFT + (RIGHT - LEFT) * finite(v) / right;
    let py = |v: f64| BOTTOM - (BOTTOM - TOP) * (finite(v) / top).min(1.0);
    legend(c, lines.iter().map(|l| (l.label.as_str(), l.color)))?;
    for i in 0..=((top / step).round() as usize) {
        let v = step * i as f64;
        c.line((LEFT, py(v)), (RIGHT, py(v)), 1.0, GRID_COLOR)?;
        c.text(
            (LEFT - 8.0, py(v)),
            TextFormat::new(12.0, Align::Right, AXIS_COLOR),
            &format_trimmed(v, 4),
        )?;
    }
    let step = tick_step(right, 10);
    for i in 0..=((right / step).floor() as usize) {
        let v = step * i as f64;
        c.text(
            (px(v), BOTTOM + 15.0),
            TextFormat::new(12.0, Align::Middle, AXIS_COLOR),
            &format_trimmed(v, 4),
        )?;
    }
    draw_x_axis(c, x_name)?;
    c.text(
        (LEFT, BOTTOM + 36.0),
        TextFormat::new(12.0, Align::Left, AXIS_COLOR),
        y_name,
    )?;
    for line in lines {
        let path: Vec<(f64, f64)> = line.points.iter().map(|p| (px(p[0]), py(p[1]))).collect();
        if path.len() > 1 {
            c.path(&path, 1.4, palette_color(line.color))?;
        }
    }
    if let Some(target) = target {
        c.line((LEFT, py(target)), (RIGHT, py(target)), 1.5, TEXT_COLOR)?;
        let words = format!("target {}", format_trimmed(target, 4));
        c.text(
            (RIGHT, py(target) - 9.0),
            TextFormat::new(12.0, Align::Right, TEXT_COLOR),
            &words,
        )?;
    }
    Ok(())
}

fn cumulative(
    c: &mut dyn Canvas,
    x_name: &str,
    groups: &[(String, Vec<f64>)],
    target: Option<f64>,
    low: f64,
) -> DrawResult {
    let low = low.max(1e-12).log10().floor();
    let most = groups
        .iter()
        .flat_map(|g| &g.1)
        .copied()
        .filter(|v| v.is_finite())
        .fold(target.unwrap_or(1.0), f64::max);
    let high = most.max(1e-11).log10().ceil().max(low + 1.0);
    let px = |v: f64| {
        let at = (v.max(1e-300).log10().clamp(low, high) - low) / (high - low);
        LEFT + (RIGHT - LEFT) * at
    };
    let py = |share: f64| BOTTOM - (BOTTOM - TOP) * share;
    legend(c, groups.iter().enumerate().map(|(i, g)| (g.0.as_str(), i)))?;
    for percent in [0, 25, 50, 75, 95, 100] {
        let y = py(f64::from(percent) / 100.0);
        c.line((LEFT, y), (RIGHT, y), 1.0, GRID_COLOR)?;
        let words = format!("{percent} %");
        let shift = if percent == 95 { 4.0 } else { 0.0 };
        c.text(
            (LEFT - 8.0, y + shift),
            TextFormat::new(12.0, Align::Right, AXIS_COLOR),
            &words,
        )?;
    }
    for power in low as i32..=high as i32 {
        let x = px(10f64.powi(power));
        c.line((x, TOP), (x, BOTTOM), 1.0, GRID_COLOR)?;
        let words = if (-3..=4).contains(&power) {
            format_trimmed(10f64.powi(power), 4)
        } else {
            format!("1e{power}")
        };
        c.text(
            (x, BOTTOM + 15.0),
            TextFormat::new(12.0, Align::Middle, AXIS_COLOR),
            &words,
        )?;
    }
    draw_x_axis(c, x_name)?;
    for (i, (_, values)) in groups.iter().enumerate() {
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len().max(1) as f64;
        let mut path = vec![(LEFT, py(0.0))];
        for (k, v) in sorted.iter().enumerate() {
            let x = if v.is_finite() { px(*v) } else { RIGHT };
            path.push((x, py(k as f64 / n)));
            path.push((x, py((k + 1) as f64 / n)));
        }
        path.push((RIGHT, py(1.0)));
        c.path(&path, 1.8, palette_color(i))?;
    }
    vertical_target(c, target.map(|t| (t, px(t))), (TOP, BOTTOM))
}

/// Draws the mark of a target, given with its horizontal position, from top to bottom.
fn vertical_target(
    c: &mut dyn Canvas,
    target: Option<(f64, f64)>,
    (top, bottom): (f64, f64),
) -> DrawResult {
    let Some((target, x)) = target else {
        return Ok(());
    };
    c.line((x, top), (x, bottom), 1.5, TEXT_COLOR)?;
    let text = format!("target {}", format_trimmed(target, 4));
    let format = TextFormat::new(12.0, Align::Middle, TEXT_COLOR);
    c.text((x, top - 8.0), format, &text)
}

/// Draws the label of a row of bars; returns the vertical middle of the row.
fn row_label(c: &mut dyn Canvas, row: usize, label: &str) -> Result<f64, String> {
    let y = TOP + ROW * (row as f64 + 0.5);
    c.text(
        (BAR_LEFT - 12.0, y),
        TextFormat::new(12.0, Align::Right, TEXT_COLOR),
        &truncate(label, 46),
    )?;
    Ok(y)
}

fn bars(
    c: &mut dyn Canvas,
    top: f64,
    unit: &str,
    target: Option<f64>,
    rows: &[(String, f64, usize)],
) -> DrawResult {
    let bottom = TOP + ROW * rows.len() as f64;
    let step = tick_step(top, 6);
    let px = |v: f64| {
        let share = if v.is_finite() { v / top } else { 1.0 };
        BAR_LEFT + (BAR_RIGHT - BAR_LEFT) * share.clamp(0.0, 1.0)
    };
    for i in 0..rows.len() {
        let y = TOP + ROW * (i as f64 + 0.5);
        c.fill_rect((BAR_LEFT, y - 7.0), (BAR_RIGHT, y + 7.0), BAR_TRACK)?;
    }
    for i in 0..=((top / step).floor() as usize) {
        let v = step * i as f64;
        c.line((px(v), TOP - 4.0), (px(v), bottom), 1.0, GRID_COLOR)?;
        let words = format!("{} {unit}", format_trimmed(v, 4));
        c.text(
            (px(v), bottom + 15.0),
            TextFormat::new(12.0, Align::Middle, AXIS_COLOR),
            &words,
        )?;
    }
    for (i, (label, value, color)) in rows.iter().enumerate() {
        let y = row_label(c, i, label)?;
        let color = palette_color(*color);
        c.fill_rect(
            (BAR_LEFT, y - 7.0),
            (px(*value).max(BAR_LEFT + 1.0), y + 7.0),
            color,
        )?;
        let words = format!("{} {unit}", crate::format_value(Some(*value), unit));
        c.text(
            (950.0, y),
            TextFormat::new(12.0, Align::Right, TEXT_COLOR),
            &words,
        )?;
    }
    vertical_target(c, target.map(|t| (t, px(t))), (TOP - 8.0, bottom))
}

fn stacked(c: &mut dyn Canvas, kinds: &[String], rows: &[(String, Vec<usize>)]) -> DrawResult {
    legend(c, kinds.iter().enumerate().map(|(i, k)| (k.as_str(), i)))?;
    for (i, (label, counts)) in rows.iter().enumerate() {
        let y = row_label(c, i, label)?;
        let all: usize = counts.iter().sum();
        let width = (BAR_RIGHT - BAR_LEFT) / all.max(1) as f64;
        let mut left = BAR_LEFT;
        for (kind, count) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
            let right = left + width * *count as f64;
            c.fill_rect((left, y - 8.0), (right - 1.0, y + 8.0), palette_color(kind))?;
            left = right;
        }
        let words = format!("{}/{all}", counts.first().copied().unwrap_or(0));
        c.text(
            (950.0, y),
            TextFormat::new(12.0, Align::Right, TEXT_COLOR),
            &words,
        )?;
    }
    Ok(())
}
