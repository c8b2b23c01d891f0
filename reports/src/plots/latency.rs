//! Plot of the latency of a policy query: distribution above, median of its phases below.

use super::canvas::{
    AXIS_COLOR, Align, Canvas, DrawResult, GRID_COLOR, TEXT_COLOR, TextFormat, heading, tick_step,
};
use super::chart::palette_color;
use crate::format::format_trimmed;
use crate::{QueryRecord, format_percent, quantile, summarise_latency};
use plotters::style::RGBColor;

pub(super) const SIZE: (usize, usize) = (980, 520);

const LEFT: f64 = 70.0;
const RIGHT: f64 = 940.0;
const TOP: f64 = 100.0;
const BOTTOM: f64 = 330.0;
const BINS: usize = 60;
const LIGHT: RGBColor = RGBColor(168, 199, 232);

pub(super) fn draw(c: &mut dyn Canvas, title: &str, queries: &[QueryRecord]) -> DrawResult {
    // One setup: the one with the most queries, the last of several.
    let by_setup = summarise_latency(queries);
    let Some((setup, summary)) = by_setup.iter().max_by_key(|(_, s)| s.queries) else {
        return Ok(());
    };
    let of_setup = queries.iter().filter(|query| query.setup == *setup);
    let totals: Vec<f64> = of_setup.map(QueryRecord::total_ms).collect();
    let others = match queries.len() - totals.len() {
        0 => String::new(),
        n => format!(", {n} of other setups left out"),
    };
    let subtitle = format!(
        "{title} · {} queries on this machine, rendering not included{others}",
        totals.len()
    );
    heading(c, "Latency of a policy query", &subtitle)?;

    // The axis starts at zero and ends a little beyond the 99.5th percentile; the last bin takes the rest.
    let far = quantile(&totals, 0.995).unwrap_or(1.0).max(1e-3) * 1.15;
    let step = tick_step(far, 8);
    let top = (far / step).ceil() * step;
    let x = |ms: f64| LEFT + (RIGHT - LEFT) * (ms / top).min(1.0);
    let mut bins = vec![0usize; BINS];
    for total in &totals {
        let bin = (total / top * BINS as f64) as usize;
        bins[bin.min(BINS - 1)] += 1;
    }
    let most = bins.iter().copied().max().unwrap_or(1).max(1) as f64;
    for i in 0..=((top / step).round() as usize) {
        let ms = step * i as f64;
        c.line((x(ms), TOP), (x(ms), BOTTOM), 1.0, GRID_COLOR)?;
        let label = format!("{} ms", format_trimmed(ms, 3));
        c.text(
            (x(ms), BOTTOM + 15.0),
            TextFormat::new(12.0, Align::Middle, AXIS_COLOR),
            &label,
        )?;
    }
    let width = (RIGHT - LEFT) / BINS as f64;
    for (i, count) in bins.iter().enumerate().filter(|(_, n)| **n > 0) {
        let left = LEFT + width * i as f64;
        let height = (BOTTOM - TOP) * 0.94 * *count as f64 / most;
        c.fill_rect(
            (left + 0.6, BOTTOM - height.max(1.0)),
            (left + width - 0.6, BOTTOM),
            LIGHT,
        )?;
    }
    c.line((LEFT, BOTTOM), (RIGHT, BOTTOM), 1.5, AXIS_COLOR)?;
    let marks = [
        ("median", summary.total.median_ms, palette_color(0), 0.0),
        (
            "95th percentile",
            summary.total.p95_ms,
            palette_color(3),
            18.0,
        ),
    ];
    for (name, ms, color, down) in marks {
        c.line((x(ms), TOP - 12.0), (x(ms), BOTTOM), 2.0, color)?;
        let label = format!("{name} {ms:.2} ms");
        let left = x(ms) > 760.0 || (name == "median" && x(ms) > 230.0);
        let (shift, align) = if left {
            (-7.0, Align::Right)
        } else {
            (7.0, Align::Left)
        };
        c.text(
            (x(ms) + shift, TOP - 5.0 + down),
            TextFormat::new(13.0, align, color),
            &label,
        )?;
    }
    phases(c, summary)
}

/// One stacked bar of the phases' medians with a legend under it.
fn phases(c: &mut dyn Canvas, summary: &crate::LatencySummary) -> DrawResult {
    let (y, height) = (408.0, 30.0);
    c.text(
        (LEFT, y - 16.0),
        TextFormat::new(13.0, Align::Left, TEXT_COLOR),
        "Median by phase",
    )?;
    let sum: f64 = summary.phases.iter().map(|p| p.median_ms).sum();
    let mut left = LEFT;
    let mut legend = LEFT;
    for phase in &summary.phases {
        let color = palette_color(phase.place());
        let share = phase.median_ms / sum.max(1e-9);
        let right = left + (RIGHT - LEFT) * share;
        c.fill_rect((left, y), (right, y + height), color)?;
        left = right;
        c.fill_rect((legend, y + 52.0), (legend + 12.0, y + 64.0), color)?;
        let words = format!("{} {:.2} ms", phase.phase, phase.median_ms);
        c.text(
            (legend + 19.0, y + 58.5),
            TextFormat::new(13.0, Align::Left, TEXT_COLOR),
            &words,
        )?;
        let share = format!("{} %, p95 {:.2} ms", format_percent(share, 0), phase.p95_ms);
        c.text(
            (legend + 19.0, y + 78.0),
            TextFormat::new(12.0, Align::Left, AXIS_COLOR),
            &share,
        )?;
        legend += (RIGHT - LEFT) / 4.0;
    }
    Ok(())
}
