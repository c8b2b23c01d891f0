//! Small multiples over levels of strength: success under perturbation by policy, and how strong the levels are; one panel per axis.

use super::canvas::{
    AXIS_COLOR, Align, Canvas, DrawResult, GRID_COLOR, TEXT_COLOR, TextFormat, heading, truncate,
};
use super::chart::palette_color;
use crate::{Interval, PerturbedCell, Robustness};

const COLUMNS: usize = 4;
const LEFT: f64 = 62.0;
const TOP: f64 = 128.0;
const PANEL: (f64, f64) = (196.0, 150.0);
const STEP: (f64, f64) = (228.0, 224.0);
const BOTTOM: f64 = 20.0;

/// A share at a level, with an interval if it is an estimate.
struct Point {
    level: u8,
    share: f64,
    interval: Option<Interval>,
}

/// One axis: a line per entry of the legend, and words below.
struct Panel {
    axis: String,
    lines: Vec<Vec<Point>>,
    footnote: String,
}

pub(super) fn size(robustness: &Robustness) -> (usize, usize) {
    let rows = robustness.axes().len().div_ceil(COLUMNS).max(1);
    (980, (TOP + rows as f64 * STEP.1 + BOTTOM) as usize)
}

/// Draws the rates of all policies at every level, with Wilson's intervals; level 0 is the suite as it is.
pub(super) fn draw(c: &mut dyn Canvas, title: &str, robustness: &Robustness) -> DrawResult {
    heading(c, "Success under perturbation", title)?;
    let panels = robustness.axes().into_iter().map(|axis| {
        let cells: Vec<&PerturbedCell> = robustness.cells_of(Some(axis)).collect();
        let line = |i: usize| {
            let without = (!robustness.control[i].is_empty()).then(|| Point {
                level: 0,
                share: robustness.control_rate(i),
                interval: None,
            });
            let scores = cells.iter().filter_map(move |cell| {
                let score = robustness.score(i, [*cell]);
                (score.pairs.pairs() > 0).then(|| Point {
                    level: cell.level,
                    share: score.rate(),
                    interval: Some(score.interval()),
                })
            });
            without.into_iter().chain(scores).collect()
        };
        Panel {
            axis: axis.to_owned(),
            lines: (0..robustness.policies.len()).map(line).collect(),
            footnote: cells.last().map_or_else(String::new, |cell| {
                format!("level {}: {}", cell.level, cell.strength)
            }),
        }
    });
    draw_panels(c, &robustness.policies, &panels.collect::<Vec<_>>())
}

/// Draws how strong the levels are: what the scripted expert solves, and how far the first images (or, of an axis of words, the words) are from those
/// without perturbation, as a share of the distance at the highest level.
pub(super) fn draw_strength(
    c: &mut dyn Canvas,
    title: &str,
    robustness: &Robustness,
) -> DrawResult {
    let title = format!("{title}; distances in percent of the largest");
    heading(c, "Strength of the levels", &title)?;
    let legend = [
        "expert success".to_owned(),
        "distance of table camera".to_owned(),
        "distance of hand camera".to_owned(),
        "changed words".to_owned(),
    ];
    let panels = robustness.axes().into_iter().map(|axis| {
        let cells: Vec<&PerturbedCell> = robustness.cells_of(Some(axis)).collect();
        let solved = cells.iter().filter_map(|cell| {
            let solvable = cell.solvable.as_ref()?.len() as f64;
            let all = cell.reference_episodes?;
            Some(Point {
                level: cell.level,
                share: solvable / all as f64,
                interval: None,
            })
        });
        let distances: Vec<(u8, [f64; 3])> = cells
            .iter()
            .filter_map(|cell| Some((cell.level, cell.distance?.all())))
            .collect();
        let line = |which: usize| {
            let of = |(level, distances): &(u8, [f64; 3])| (*level, distances[which]);
            let largest = distances.iter().map(|d| of(d).1).fold(0.0, f64::max);
            let points = distances.iter().map(move |d| Point {
                level: of(d).0,
                share: of(d).1 / largest,
                interval: None,
            });
            match largest > 0.0 {
                true => points.collect(),
                false => Vec::new(),
            }
        };
        let last = distances.last().map(|(_, distances)| *distances);
        Panel {
            axis: axis.to_owned(),
            lines: [solved.collect()]
                .into_iter()
                .chain((0..3).map(line))
                .collect(),
            footnote: last.map_or_else(String::new, |[table, hand, words]| match words > 0.0 {
                true => format!("at most {:.0} % of words", 100.0 * words),
                false => format!("at most {table:.1} and {hand:.1} of 255"),
            }),
        }
    });
    draw_panels(c, &legend, &panels.collect::<Vec<_>>())
}

fn draw_panels(c: &mut dyn Canvas, names: &[String], panels: &[Panel]) -> DrawResult {
    let mut legend = LEFT;
    for (i, name) in names.iter().enumerate() {
        c.fill_rect((legend, 78.0), (legend + 12.0, 90.0), palette_color(i))?;
        let format = TextFormat::new(12.0, Align::Left, TEXT_COLOR);
        c.text((legend + 18.0, 84.0), format, name)?;
        legend += 34.0 + 6.9 * name.chars().count() as f64;
    }
    for (i, panel) in panels.iter().enumerate() {
        let corner = (
            LEFT + (i % COLUMNS) as f64 * STEP.0,
            TOP + (i / COLUMNS) as f64 * STEP.1,
        );
        draw_panel(c, corner, panel)?;
    }
    Ok(())
}

fn draw_panel(c: &mut dyn Canvas, (left, top): (f64, f64), panel: &Panel) -> DrawResult {
    let (width, height) = PANEL;
    let levels = panel.lines.iter().flatten().map(|point| point.level);
    let last = levels.max().unwrap_or(1).max(1);
    let x = |level: u8| left + 8.0 + (width - 16.0) * f64::from(level) / f64::from(last);
    let y = |share: f64| top + height * (1.0 - share);
    let name = TextFormat::new(13.0, Align::Left, TEXT_COLOR);
    c.text((left, top - 14.0), name, &panel.axis)?;
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
        c.text((x(level), top + height + 14.0), small, &level.to_string())?;
    }
    let format = TextFormat::new(11.0, Align::Right, AXIS_COLOR);
    c.text(
        (left + width, top + height + 31.0),
        format,
        &truncate(&panel.footnote, 34),
    )?;
    for (i, line) in panel.lines.iter().enumerate() {
        let color = palette_color(i);
        let shift = 3.0 * (i as f64 - 0.5 * (panel.lines.len() as f64 - 1.0));
        let at = |point: &Point| (x(point.level) + shift, y(point.share));
        for (point, interval) in line.iter().filter_map(|p| Some((p, p.interval?))) {
            let (column, _) = at(point);
            c.line(
                (column, y(interval.low)),
                (column, y(interval.high)),
                1.0,
                color,
            )?;
        }
        let path: Vec<_> = line.iter().map(at).collect();
        if path.len() > 1 {
            c.path(&path, 1.6, color)?;
        }
        for at in path {
            c.fill_circle(at, 3.2, color)?;
        }
    }
    Ok(())
}
