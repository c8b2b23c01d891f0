//! Plots of a comparison: success by suite with intervals, success against a cost, phases of a query, success by task, and the
//! share of episodes that have succeeded by a step.

use super::canvas::{
    AXIS_COLOR, Align, BAR_TRACK, Canvas, DrawResult, GRID_COLOR, TEXT_COLOR, TextFormat, heading,
    percent_grid, tick_step, truncate,
};
use super::chart::{Chart, ChartLine, palette_color};
use crate::format::format_trimmed;
use crate::{Comparison, PHASES, Score, TaskSummary, format_percent, summarise};
use plotters::style::RGBColor;

const LEFT: f64 = 250.0;
const RIGHT: f64 = 800.0;
const TOP: f64 = 92.0;
const ROW: f64 = 22.0;
/// Height of the name of a suite above its rows.
const SUITE: f64 = 30.0;

/// Suites of a comparison, and `None` for all of them where there are several.
fn suites(comparison: &Comparison) -> Vec<Option<&str>> {
    let each = comparison.suites().iter().map(|s| Some(s.as_str()));
    match comparison.suites().len() {
        1 => each.collect(),
        _ => each.chain([None]).collect(),
    }
}

/// Rows of one suite: index, label and score of every policy that has episodes in it.
fn rows<'a>(comparison: &'a Comparison, suite: Option<&str>) -> Vec<(usize, &'a str, Score)> {
    let policies = comparison.policies().iter().enumerate();
    policies
        .map(|(i, policy)| (i, policy.label.as_str(), policy.score(suite)))
        .filter(|(.., score)| score.completed > 0)
        .collect()
}

pub(super) fn success_size(comparison: &Comparison) -> (usize, usize) {
    let height = |suite: Option<&str>| SUITE + ROW * rows(comparison, suite).len() as f64;
    let all: f64 = suites(comparison).into_iter().map(height).sum();
    (980, (TOP + all + 60.0) as usize)
}

/// Draws a point with its interval per policy, in groups per suite.
pub(super) fn success(c: &mut dyn Canvas, title: &str, comparison: &Comparison) -> DrawResult {
    heading(c, "Success by suite", title)?;
    let bottom = success_size(comparison).1 as f64 - 60.0;
    let x = |rate: f64| LEFT + (RIGHT - LEFT) * rate;
    for percent in [0, 20, 40, 60, 80, 100] {
        let at = x(f64::from(percent) / 100.0);
        c.line((at, TOP - 4.0), (at, bottom), 1.0, GRID_COLOR)?;
        let format = TextFormat::new(12.0, Align::Middle, AXIS_COLOR);
        c.text((at, bottom + 16.0), format, &format!("{percent} %"))?;
    }
    let format = TextFormat::new(12.0, Align::Middle, AXIS_COLOR);
    let caption = "episodes that reached the goal, with Wilson's 95 % interval";
    c.text(((LEFT + RIGHT) / 2.0, bottom + 40.0), format, caption)?;
    let mut top = TOP;
    for suite in suites(comparison) {
        let format = TextFormat::new(14.0, Align::Left, TEXT_COLOR);
        c.text(
            (24.0, top + 0.6 * SUITE),
            format,
            suite.unwrap_or("all suites"),
        )?;
        top += SUITE;
        for (policy, label, score) in rows(comparison, suite) {
            let y = top + 0.5 * ROW;
            let format = TextFormat::new(13.0, Align::Right, TEXT_COLOR);
            c.text((LEFT - 14.0, y), format, &truncate(label, 28))?;
            let color = palette_color(policy);
            c.fill_rect((LEFT, y - 6.0), (RIGHT, y + 6.0), BAR_TRACK)?;
            let (low, high) = (x(score.interval.low), x(score.interval.high));
            c.line((low, y), (high, y), 2.0, color)?;
            for end in [low, high] {
                c.line((end, y - 4.0), (end, y + 4.0), 2.0, color)?;
            }
            c.fill_circle((x(score.rate()), y), 4.5, color)?;
            let format = TextFormat::new(13.0, Align::Right, TEXT_COLOR);
            let rate = format!("{} %", format_percent(score.rate(), 1));
            c.text((RIGHT + 70.0, y), format, &rate)?;
            let format = TextFormat::new(13.0, Align::Right, AXIS_COLOR);
            let counts = format!("{}/{}", score.successes, score.completed);
            c.text((RIGHT + 160.0, y), format, &counts)?;
            top += ROW;
        }
    }
    Ok(())
}

pub(super) const COST_SIZE: (usize, usize) = (980, 490);

/// What success is drawn against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// Median of a query, ms.
    Latency,
    /// Weights of one instance, MB.
    Memory,
}

impl Cost {
    fn of(self, policy: &crate::ComparedPolicy) -> Option<f64> {
        match self {
            Cost::Latency => policy.latency().map(|l| l.total.median_ms),
            Cost::Memory => Some(policy.weight_bytes() as f64 / 1e6).filter(|mb| *mb > 0.0),
        }
    }
}

/// Draws success over all suites against a cost, a point with its interval per policy.
pub(super) fn success_against(
    c: &mut dyn Canvas,
    title: &str,
    comparison: &Comparison,
    cost: Cost,
) -> DrawResult {
    const LEFT: f64 = 76.0;
    const RIGHT: f64 = 900.0;
    const BOTTOM: f64 = 420.0;
    let (name, axis) = match cost {
        Cost::Latency => ("Success against latency", "median of a query, ms"),
        Cost::Memory => ("Success against memory", "weights, MB"),
    };
    heading(c, name, title)?;
    let points: Vec<(usize, f64)> = (comparison.policies().iter().enumerate())
        .filter_map(|(i, policy)| Some((i, cost.of(policy)?)))
        .collect();
    let most = points.iter().map(|p| p.1).fold(1e-3, f64::max);
    let step = tick_step(1.1 * most, 8);
    let right = (1.1 * most / step).ceil() * step;
    let x = |value: f64| LEFT + (RIGHT - LEFT) * value / right;
    let y = |rate: f64| BOTTOM - (BOTTOM - TOP) * rate;
    percent_grid(c, (LEFT, RIGHT), y)?;
    for i in 0..=((right / step).round() as usize) {
        let value = step * i as f64;
        let format = TextFormat::new(12.0, Align::Middle, AXIS_COLOR);
        c.text((x(value), BOTTOM + 16.0), format, &format_trimmed(value, 3))?;
    }
    c.line((LEFT, BOTTOM), (RIGHT, BOTTOM), 1.5, AXIS_COLOR)?;
    let format = TextFormat::new(12.0, Align::Right, AXIS_COLOR);
    c.text((RIGHT, BOTTOM + 40.0), format, axis)?;
    let mut labels: Vec<(f64, f64)> = Vec::new();
    for (i, value) in points {
        let policy = &comparison.policies()[i];
        let score = policy.score(None);
        if score.completed == 0 {
            continue;
        }
        let (at, color) = (x(value), palette_color(i));
        let (low, high) = (y(score.interval.low), y(score.interval.high));
        c.line((at, low), (at, high), 2.0, color)?;
        c.fill_circle((at, y(score.rate())), 5.5, color)?;
        // Below labels that it would cover.
        let mut label = (at + 9.0, y(score.rate()) - 10.0);
        while labels
            .iter()
            .any(|l| (l.0 - label.0).abs() < 120.0 && (l.1 - label.1).abs() < 14.0)
        {
            label.1 += 14.0;
        }
        labels.push(label);
        let format = TextFormat::new(12.0, Align::Left, TEXT_COLOR);
        c.text(label, format, &truncate(&policy.label, 24))?;
    }
    Ok(())
}

const CELL: (f64, f64) = (62.0, 24.0);
const HEAT_TOP: f64 = 150.0;
const HEAT_LEFT: f64 = 330.0;

pub(super) fn heat_map_size(comparison: &Comparison) -> (usize, usize) {
    let rows: usize = comparison
        .suites()
        .iter()
        .map(|s| tasks(comparison, s).len())
        .sum();
    let width = HEAT_LEFT + CELL.0 * comparison.policies().len() as f64 + 40.0;
    let height = HEAT_TOP + CELL.1 * rows as f64 + 30.0 * comparison.suites().len() as f64 + 20.0;
    (width.max(640.0) as usize, height as usize)
}

/// Tasks of a suite with their short names, of the first policy that has it.
fn tasks(comparison: &Comparison, suite: &str) -> Vec<(usize, String)> {
    let run = comparison.policies().iter().find_map(|p| p.runs.get(suite));
    let summaries = run.map_or_else(Vec::new, |run| summarise(&run.episodes).0);
    summaries
        .into_iter()
        .map(|t| (t.task, t.short_name))
        .collect()
}

/// White at 0, blue at 1.
fn shade(rate: f64) -> RGBColor {
    let mix = |from: f64, to: f64| (from + (to - from) * rate) as u8;
    RGBColor(mix(250.0, 47.0), mix(246.0, 109.0), mix(238.0, 181.0))
}

/// Draws success per task (rows) and policy (columns).
pub(super) fn heat_map(c: &mut dyn Canvas, title: &str, comparison: &Comparison) -> DrawResult {
    heading(c, "Success by task and policy, %", title)?;
    for (i, policy) in comparison.policies().iter().enumerate() {
        // Every other name a line higher, so that neighbours do not touch.
        let at = HEAT_LEFT + CELL.0 * (i as f64 + 0.5);
        let y = HEAT_TOP - 14.0 - 18.0 * (i % 3) as f64;
        let format = TextFormat::new(11.0, Align::Middle, TEXT_COLOR);
        c.text((at, y), format, &truncate(&policy.label, 24))?;
    }
    let mut top = HEAT_TOP;
    for suite in comparison.suites() {
        let format = TextFormat::new(14.0, Align::Left, TEXT_COLOR);
        c.text((24.0, top + 15.0), format, suite)?;
        top += 30.0;
        let by_policy: Vec<Vec<TaskSummary>> = (comparison.policies().iter())
            .map(|policy| policy.runs.get(suite))
            .map(|run| run.map_or_else(Vec::new, |run| summarise(&run.episodes).0))
            .collect();
        for (task, name) in tasks(comparison, suite) {
            let y = top + 0.5 * CELL.1;
            let format = TextFormat::new(12.0, Align::Right, TEXT_COLOR);
            let label = format!("{}   {task}", truncate(&name, 40));
            c.text((HEAT_LEFT - 12.0, y), format, &label)?;
            for (i, summaries) in by_policy.iter().enumerate() {
                let Some(found) = summaries.iter().find(|t| t.task == task) else {
                    continue;
                };
                let rate = found.score.rate();
                let left = HEAT_LEFT + CELL.0 * i as f64;
                let to = (left + CELL.0 - 2.0, top + CELL.1 - 2.0);
                c.fill_rect(
                    (left, top),
                    to,
                    shade(if rate.is_nan() { 0.0 } else { rate }),
                )?;
                let color = if rate > 0.55 {
                    RGBColor(255, 255, 255)
                } else {
                    TEXT_COLOR
                };
                let format = TextFormat::new(12.0, Align::Middle, color);
                c.text(
                    (left + 0.5 * CELL.0 - 1.0, y - 1.0),
                    format,
                    &format_percent(rate, 0),
                )?;
            }
            top += CELL.1;
        }
    }
    Ok(())
}

pub(super) fn phases_size(comparison: &Comparison) -> (usize, usize) {
    (
        980,
        (TOP + 28.0 * comparison.policies().len() as f64 + 70.0) as usize,
    )
}

/// Draws the median of every phase of a query, one stacked bar per policy.
pub(super) fn phases(c: &mut dyn Canvas, title: &str, comparison: &Comparison) -> DrawResult {
    heading(c, "Latency of a query by phase", title)?;
    let measured: Vec<_> = (comparison.policies().iter())
        .filter_map(|policy| Some((policy, policy.latency()?)))
        .collect();
    if measured.is_empty() {
        return Ok(());
    }
    let mut at = LEFT;
    for (k, (name, _)) in PHASES.iter().enumerate() {
        let mut drawn = measured.iter().flat_map(|(_, latency)| &latency.phases);
        if !drawn.any(|phase| phase.phase == *name) {
            continue;
        }
        c.fill_rect((at, 72.0), (at + 12.0, 84.0), palette_color(k))?;
        let format = TextFormat::new(12.0, Align::Left, TEXT_COLOR);
        c.text((at + 18.0, 78.0), format, name)?;
        at += 34.0 + 6.9 * name.len() as f64;
    }
    let sum = |of: &crate::LatencySummary| of.phases.iter().map(|p| p.median_ms).sum::<f64>();
    let most = measured.iter().map(|(_, l)| sum(l)).fold(1e-3, f64::max);
    let step = tick_step(most, 8);
    let right = (most / step).ceil() * step;
    let x = |ms: f64| LEFT + (RIGHT - LEFT) * ms / right;
    let bottom = TOP + 28.0 * measured.len() as f64;
    for i in 0..=((right / step).round() as usize) {
        let ms = step * i as f64;
        c.line((x(ms), TOP - 2.0), (x(ms), bottom), 1.0, GRID_COLOR)?;
        let format = TextFormat::new(12.0, Align::Middle, AXIS_COLOR);
        let label = format!("{} ms", format_trimmed(ms, 3));
        c.text((x(ms), bottom + 16.0), format, &label)?;
    }
    let format = TextFormat::new(12.0, Align::Middle, AXIS_COLOR);
    let caption = "medians of the phases; camera images are not part of a query";
    c.text(((LEFT + RIGHT) / 2.0, bottom + 40.0), format, caption)?;
    for (row, (policy, latency)) in measured.iter().enumerate() {
        let y = TOP + 28.0 * (row as f64 + 0.5);
        let format = TextFormat::new(13.0, Align::Right, TEXT_COLOR);
        c.text((LEFT - 14.0, y), format, &truncate(&policy.label, 28))?;
        let mut from = 0.0;
        for phase in &latency.phases {
            let to = from + phase.median_ms;
            let color = palette_color(phase.place());
            c.fill_rect((x(from), y - 8.0), (x(to), y + 8.0), color)?;
            from = to;
        }
        let format = TextFormat::new(13.0, Align::Right, TEXT_COLOR);
        let label = format!("{} ms", format_trimmed(latency.total.median_ms, 2));
        c.text((RIGHT + 110.0, y), format, &label)?;
    }
    Ok(())
}

/// Share of all episodes that had succeeded by a share of the horizon, a line per policy, in percent.
pub(super) fn steps_to_success(comparison: &Comparison) -> Chart {
    let lines = comparison.policies().iter().enumerate().map(|(i, policy)| {
        let mut at: Vec<f64> = Vec::new();
        let mut completed = 0usize;
        for run in policy.runs.values() {
            let horizon = run.manifest.protocol.horizon.max(1) as f64;
            for row in run.episodes.iter().filter(|row| row.completed()) {
                completed += 1;
                if row.success {
                    at.push(100.0 * row.steps as f64 / horizon);
                }
            }
        }
        at.sort_by(f64::total_cmp);
        let percent = |k: usize| 100.0 * k as f64 / completed.max(1) as f64;
        let mut points = vec![[0.0, 0.0]];
        for (k, at) in at.iter().enumerate() {
            points.push([*at, percent(k)]);
            points.push([*at, percent(k + 1)]);
        }
        points.push([100.0, percent(at.len())]);
        ChartLine {
            label: policy.label.clone(),
            color: i,
            points,
        }
    });
    Chart::Lines {
        x: "control steps, % of the horizon".to_owned(),
        y: "episodes that have reached the goal, %".to_owned(),
        lines: lines.collect(),
        target: None,
        top: Some(100.0),
    }
}
