//! Success in one world against success in another: a point per policy and suite.

use super::canvas::{
    AXIS_COLOR, Align, Canvas, DrawResult, GRID_COLOR, TEXT_COLOR, TextFormat, heading, truncate,
};
use super::chart::palette_color;
use crate::{AgreementLevel, WorldAgreement};

const LEFT: f64 = 90.0;
const TOP: f64 = 92.0;
const SIDE: f64 = 460.0;
/// Left end of the legend.
const LEGEND: f64 = 600.0;
const ROW: f64 = 22.0;

pub(super) const SIZE: (usize, usize) = (980, 640);

/// Draws the rates of every policy and suite with Wilson's intervals, the line of equal rates, and the correlation.
pub(super) fn draw(c: &mut dyn Canvas, agreement: &WorldAgreement) -> DrawResult {
    let title = format!(
        "{} and {}, on the same initial states",
        agreement.first, agreement.second
    );
    heading(c, "Success in two worlds", &title)?;
    let x = |rate: f64| LEFT + SIDE * rate;
    let y = |rate: f64| TOP + SIDE * (1.0 - rate);
    for percent in [0, 20, 40, 60, 80, 100] {
        let rate = f64::from(percent) / 100.0;
        c.line((x(rate), TOP), (x(rate), TOP + SIDE), 1.0, GRID_COLOR)?;
        c.line((LEFT, y(rate)), (LEFT + SIDE, y(rate)), 1.0, GRID_COLOR)?;
        let label = format!("{percent} %");
        c.text(
            (x(rate), TOP + SIDE + 16.0),
            TextFormat::new(12.0, Align::Middle, AXIS_COLOR),
            &label,
        )?;
        c.text(
            (LEFT - 10.0, y(rate)),
            TextFormat::new(12.0, Align::Right, AXIS_COLOR),
            &label,
        )?;
    }
    c.path(&[(x(0.0), y(0.0)), (x(1.0), y(1.0))], 1.5, AXIS_COLOR)?;
    let axis = TextFormat::new(13.0, Align::Middle, AXIS_COLOR);
    c.text(
        (LEFT + SIDE / 2.0, TOP + SIDE + 42.0),
        axis,
        &format!("success in {}", agreement.first),
    )?;
    c.text(
        (LEFT, TOP - 18.0),
        TextFormat::new(13.0, Align::Left, AXIS_COLOR),
        &format!("success in {}", agreement.second),
    )?;

    let mut policies: Vec<&str> = agreement
        .cells
        .iter()
        .map(|cell| cell.policy.as_str())
        .collect();
    policies.sort_unstable();
    policies.dedup();
    let suites = agreement.suites();
    for cell in &agreement.cells {
        let counts = cell.counts();
        let n = counts.pairs();
        let [across, up] = [counts.first(), counts.second()];
        let at = (x(across as f64 / n as f64), y(up as f64 / n as f64));
        let policy = policies
            .iter()
            .position(|name| *name == cell.policy)
            .unwrap_or(0);
        let color = palette_color(policy);
        let (h, v) = (crate::wilson(across, n), crate::wilson(up, n));
        c.line((x(h.low), at.1), (x(h.high), at.1), 1.0, color)?;
        c.line((at.0, y(v.high)), (at.0, y(v.low)), 1.0, color)?;
        let suite = suites
            .iter()
            .position(|name| *name == cell.suite)
            .unwrap_or(0);
        mark(c, suite, at, color)?;
    }
    let mut row = TOP + 10.0;
    let name = TextFormat::new(13.0, Align::Left, TEXT_COLOR);
    for (i, policy) in policies.iter().enumerate() {
        c.fill_rect(
            (LEGEND, row - 5.0),
            (LEGEND + 10.0, row + 5.0),
            palette_color(i),
        )?;
        c.text((LEGEND + 22.0, row), name, &truncate(policy, 36))?;
        row += ROW;
    }
    row += ROW / 2.0;
    for (i, suite) in suites.iter().enumerate() {
        mark(c, i, (LEGEND + 5.0, row), TEXT_COLOR)?;
        c.text((LEGEND + 22.0, row), name, &truncate(suite, 36))?;
        row += ROW;
    }
    row += ROW / 2.0;
    for level in AgreementLevel::ALL {
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.2}"));
        let r = number(agreement.pearson(level).value);
        let violation = number(agreement.rank_violation(level).value);
        let words = format!("{}: Pearson {r}, MMRV {violation}", level.name());
        c.text(
            (LEGEND, row),
            TextFormat::new(13.0, Align::Left, AXIS_COLOR),
            &words,
        )?;
        row += ROW;
    }
    Ok(())
}

/// Mark of a suite: disc, square, upright cross, bar.
fn mark(
    c: &mut dyn Canvas,
    suite: usize,
    (x, y): (f64, f64),
    color: plotters::style::RGBColor,
) -> DrawResult {
    match suite % 4 {
        0 => c.fill_circle((x, y), 5.0, color),
        1 => c.fill_rect((x - 4.5, y - 4.5), (x + 4.5, y + 4.5), color),
        2 => {
            c.fill_rect((x - 6.0, y - 1.8), (x + 6.0, y + 1.8), color)?;
            c.fill_rect((x - 1.8, y - 6.0), (x + 1.8, y + 6.0), color)
        }
        _ => c.fill_rect((x - 6.5, y - 2.5), (x + 6.5, y + 2.5), color),
    }
}
