//! Plot of success against simulated latency.

use super::canvas::{
    AXIS_COLOR, Align, Canvas, DrawResult, TEXT_COLOR, TextFormat, heading, percent_grid,
};
use super::chart::palette_color;
use crate::{Sweep, format_number};

pub(super) const SIZE: (usize, usize) = (980, 510);
const LEFT: f64 = 76.0;
const RIGHT: f64 = 930.0;
const TOP: f64 = 134.0;
const BOTTOM: f64 = 440.0;

/// Place of a latency between latencies at equal distances, from 0 to 1: in proportion between two of them.
fn place(latencies: &[f64], ms: f64) -> f64 {
    let last = latencies.len().saturating_sub(1).max(1) as f64;
    let Some(above) = latencies.iter().position(|at| *at >= ms) else {
        return 1.0;
    };
    if above == 0 {
        return 0.0;
    }
    let (low, high) = (latencies[above - 1], latencies[above]);
    (above as f64 - 1.0 + (ms - low) / (high - low)) / last
}

/// Draws a line with intervals per policy; the latencies of the sweep stand at equal distances.
pub(super) fn draw(c: &mut dyn Canvas, title: &str, sweep: &Sweep) -> DrawResult {
    heading(c, "Success against latency of a query", title)?;
    let points = sweep.lines.iter().flat_map(|line| &line.points);
    let mut latencies: Vec<f64> = points.map(|point| point.latency_ms).collect();
    latencies.sort_by(f64::total_cmp);
    latencies.dedup();
    let x = |ms: f64| LEFT + 14.0 + (RIGHT - LEFT - 28.0) * place(&latencies, ms);
    let y = |rate: f64| BOTTOM - (BOTTOM - TOP) * rate;
    percent_grid(c, (LEFT, RIGHT), y)?;
    for ms in &latencies {
        let format = TextFormat::new(12.0, Align::Middle, AXIS_COLOR);
        c.text((x(*ms), BOTTOM + 16.0), format, &format_number(*ms))?;
    }
    c.line((LEFT, BOTTOM), (RIGHT, BOTTOM), 1.5, AXIS_COLOR)?;
    let format = TextFormat::new(12.0, Align::Right, AXIS_COLOR);
    let axis = "simulated latency, ms (not to scale)";
    c.text((RIGHT, BOTTOM + 40.0), format, axis)?;
    for (i, (name, ms)) in sweep.marks.iter().enumerate() {
        let at = x(*ms);
        c.line((at, TOP - 4.0), (at, BOTTOM), 1.0, AXIS_COLOR)?;
        // Names of neighbours on different lines.
        let format = TextFormat::new(11.0, Align::Middle, AXIS_COLOR);
        let label = format!("{name}, {} ms", format_number(*ms));
        let place = at.clamp(LEFT + 60.0, RIGHT - 60.0);
        c.text((place, TOP - 12.0 - 13.0 * (i % 2) as f64), format, &label)?;
    }
    let mut legend = LEFT;
    for (i, line) in sweep.lines.iter().enumerate() {
        let color = palette_color(i);
        c.fill_rect((legend, 78.0), (legend + 12.0, 90.0), color)?;
        let format = TextFormat::new(12.0, Align::Left, TEXT_COLOR);
        c.text((legend + 18.0, 84.0), format, &line.policy)?;
        legend += 34.0 + 6.9 * line.policy.chars().count() as f64;
        // Intervals of several policies beside each other.
        let shift = 5.0 * (i as f64 - 0.5 * (sweep.lines.len() as f64 - 1.0));
        let at = |ms: f64| x(ms) + shift;
        let measured = || line.points.iter().filter(|p| p.score.completed > 0);
        let path: Vec<(f64, f64)> = measured()
            .map(|p| (at(p.latency_ms), y(p.score.rate())))
            .collect();
        if path.len() > 1 {
            c.path(&path, 1.6, color)?;
        }
        for point in measured() {
            let (at, interval) = (at(point.latency_ms), point.score.interval);
            c.line((at, y(interval.low)), (at, y(interval.high)), 1.5, color)?;
            c.fill_circle((at, y(point.score.rate())), 4.5, color)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    //! Guarantee: latencies stand at equal distances, and others between them in proportion.
    use super::*;

    #[test]
    fn latencies_stand_at_equal_distances() {
        let at = [0.0, 100.0, 400.0];
        let places = [-1.0, 0.0, 50.0, 100.0, 250.0, 400.0, 900.0].map(|ms| place(&at, ms));
        assert_eq!(places, [0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0]);
    }
}
