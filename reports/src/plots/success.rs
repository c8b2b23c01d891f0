//! Plot of the success per task: a bar to the rate, the Wilson interval across its end, the counts at the right.

use super::canvas::{
    AXIS_COLOR, Align, BAR_TRACK, Canvas, DrawResult, GRID_COLOR, PALETTE, TEXT_COLOR, TextFormat,
    heading, truncate,
};
use crate::{Score, TaskSummary, format_percent};
use plotters::style::RGBColor;

const LEFT: f64 = 330.0;
const RIGHT: f64 = 800.0;
const TOP: f64 = 92.0;
const ROW: f64 = 34.0;
const LIGHT: RGBColor = RGBColor(168, 199, 232);
const LIGHT_ALL: RGBColor = RGBColor(250, 208, 160);
/// Colours of the bars.
#[cfg(test)]
pub(super) const BARS: [RGBColor; 2] = [LIGHT, LIGHT_ALL];

pub(super) fn size(tasks: &[TaskSummary]) -> (usize, usize) {
    (
        980,
        (TOP + ROW * (tasks.len() as f64 + 1.4) + 64.0) as usize,
    )
}

pub(super) fn draw(
    c: &mut dyn Canvas,
    title: &str,
    tasks: &[TaskSummary],
    all: &Score,
) -> DrawResult {
    let bottom = TOP + ROW * (tasks.len() as f64 + 1.4);
    let x = |rate: f64| LEFT + (RIGHT - LEFT) * rate;
    let subtitle = format!("{title} · 95 % Wilson intervals over initial states");
    heading(c, "Success per task", &subtitle)?;
    for i in 0..tasks.len() {
        let y = TOP + ROW * (i as f64 + 0.5);
        c.fill_rect((LEFT, y - 9.0), (RIGHT, y + 9.0), BAR_TRACK)?;
    }
    for percent in [0, 20, 40, 60, 80, 100] {
        let at = x(f64::from(percent) / 100.0);
        c.line((at, TOP - 4.0), (at, bottom), 1.0, GRID_COLOR)?;
        let label = format!("{percent} %");
        c.text(
            (at, bottom + 16.0),
            TextFormat::new(12.0, Align::Middle, AXIS_COLOR),
            &label,
        )?;
    }
    let captions = "episodes that reached the goal";
    let middle = (LEFT + RIGHT) / 2.0;
    c.text(
        (middle, bottom + 40.0),
        TextFormat::new(12.0, Align::Middle, AXIS_COLOR),
        captions,
    )?;

    for (i, task) in tasks.iter().enumerate() {
        let y = TOP + ROW * (i as f64 + 0.5);
        let name = format!("{}   {}", truncate(&task.short_name, 42), task.task);
        c.text(
            (LEFT - 14.0, y),
            TextFormat::new(13.0, Align::Right, TEXT_COLOR),
            &name,
        )?;
        row(c, y, &task.score, LIGHT, PALETTE[0])?;
    }
    let y = TOP + ROW * (tasks.len() as f64 + 0.7);
    let line = y - ROW * 0.6;
    c.line((24.0, line), (956.0, line), 1.0, GRID_COLOR)?;
    c.text(
        (LEFT - 14.0, y),
        TextFormat::new(14.0, Align::Right, TEXT_COLOR),
        "all tasks",
    )?;
    row(c, y, all, LIGHT_ALL, PALETTE[1])
}

fn row(c: &mut dyn Canvas, y: f64, score: &Score, light: RGBColor, dark: RGBColor) -> DrawResult {
    let x = |rate: f64| LEFT + (RIGHT - LEFT) * rate;
    let (low, high) = (x(score.interval.low), x(score.interval.high));
    if score.completed > 0 {
        c.fill_rect((LEFT, y - 9.0), (x(score.rate()), y + 9.0), light)?;
    }
    c.line((low, y), (high, y), 2.0, dark)?;
    c.line((low, y - 5.0), (low, y + 5.0), 2.0, dark)?;
    c.line((high, y - 5.0), (high, y + 5.0), 2.0, dark)?;
    if score.completed > 0 {
        c.fill_circle((x(score.rate()), y), 5.0, dark)?;
    }
    let rate = format!("{} %", format_percent(score.rate(), 0));
    let counts = format!("{}/{}", score.successes, score.completed);
    c.text(
        (RIGHT + 66.0, y),
        TextFormat::new(13.0, Align::Right, TEXT_COLOR),
        &rate,
    )?;
    c.text(
        (RIGHT + 150.0, y),
        TextFormat::new(13.0, Align::Right, AXIS_COLOR),
        &counts,
    )
}
