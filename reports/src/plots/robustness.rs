//! Success under perturbation: one panel per axis, one line per policy, strength to the right.

use super::canvas::{
    AXIS_COLOR, Align, Canvas, DrawResult, GRID_COLOR, TEXT_COLOR, TextFormat, heading, truncate,
};
use super::chart::palette_color;
use crate::{PerturbedCell, Robustness};

const COLUMNS: usize = 4;
const LEFT: f64 = 62.0;
const TOP: f64 = 128.0;
const PANEL: (f64, f64) = (196.0, 150.0);
const STEP: (f64, f64) = (228.0, 224.0);
const BOTTOM: f64 = 20.0;

pub(super) fn size(robustness: &Robustness) -> (usize, usize) {
    let rows = robustness.axes().len().div_ceil(COLUMNS).max(1);
    (980, (TOP + rows as f64 * STEP.1 + BOTTOM) as usize)
}

/// Draws the rates of all policies at every level, with Wilson's intervals; level 0 is the suite as it is.
pub(super) fn draw(c: &mut dyn Canvas, title: &str, robustness: &Robustness) -> DrawResult {
    heading(c, "Success under perturbation", title)?;
    let mut legend = LEFT;
    for (i, policy) in robustness.policies.iter().enumerate() {
        c.fill_rect((legend, 78.0), (legend + 12.0, 90.0), palette_color(i))?;
        let format = TextFormat::new(12.0, Align::Left, TEXT_COLOR);
        c.text((legend + 18.0, 84.0), format, policy)?;
        legend += 34.0 + 6.9 * policy.chars().count() as f64;
    }
    for (i, axis) in robustness.axes().into_iter().enumerate() {
        let corner = (
            LEFT + (i % COLUMNS) as f64 * STEP.0,
            TOP + (i / COLUMNS) as f64 * STEP.1,
        );
        panel(c, corner, axis, robustness)?;
    }
    Ok(())
}

fn panel(
    c: &mut dyn Canvas,
    (left, top): (f64, f64),
    axis: &str,
    robustness: &Robustness,
) -> DrawResult {
    let (width, height) = PANEL;
    let cells: Vec<&PerturbedCell> = robustness.cells_of(Some(axis)).collect();
    let last = cells.iter().map(|cell| cell.level).max().unwrap_or(1);
    let x = |level: f64| left + 8.0 + (width - 16.0) * level / f64::from(last);
    let y = |rate: f64| top + height * (1.0 - rate);
    let name = TextFormat::new(13.0, Align::Left, TEXT_COLOR);
    c.text((left, top - 14.0), name, axis)?;
    for percent in [0, 50, 100] {
        let at = y(f64::from(percent) / 100.0);
        c.line((left, at), (left + width, at), 1.0, GRID_COLOR)?;
        let format = TextFormat::new(11.0, Align::Right, AXIS_COLOR);
        c.text((left - 6.0, at), format, &format!("{percent}"))?;
    }
    c.line(
        (left, top + height),
        (left + width, top + height),
        1.5,
        AXIS_COLOR,
    )?;
    let small = TextFormat::new(11.0, Align::Middle, AXIS_COLOR);
    for level in 0..=last {
        c.text(
            (x(f64::from(level)), top + height + 14.0),
            small,
            &level.to_string(),
        )?;
    }
    if let Some(cell) = cells.last() {
        let words = format!("level {}: {}", cell.level, cell.strength);
        let format = TextFormat::new(11.0, Align::Right, AXIS_COLOR);
        c.text(
            (left + width, top + height + 31.0),
            format,
            &truncate(&words, 34),
        )?;
    }
    for i in 0..robustness.policies.len() {
        let color = palette_color(i);
        let shift = 3.0 * (i as f64 - 0.5 * (robustness.policies.len() as f64 - 1.0));
        let mut path = Vec::new();
        if !robustness.control[i].is_empty() {
            path.push((x(0.0) + shift, y(robustness.control_rate(i))));
        }
        for cell in &cells {
            let score = robustness.score(i, [*cell]);
            if score.pairs.pairs() == 0 {
                continue;
            }
            let at = (x(f64::from(cell.level)) + shift, y(score.rate()));
            let interval = score.interval();
            c.line(
                (at.0, y(interval.low)),
                (at.0, y(interval.high)),
                1.0,
                color,
            )?;
            path.push(at);
        }
        if path.len() > 1 {
            c.path(&path, 1.6, color)?;
        }
        for at in path {
            c.fill_circle(at, 3.2, color)?;
        }
    }
    Ok(())
}
