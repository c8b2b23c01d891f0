//! Plot of the memory of the weights: one bar per class of tensors, coloured by how they are encoded.

use super::canvas::{
    AXIS_COLOR, Align, BAR_TRACK, Canvas, DrawResult, GRID_COLOR, PALETTE, TEXT_COLOR, TextFormat,
    heading, tick_step, truncate,
};
use crate::{MemoryReport, format_bytes};
use plotters::style::RGBColor;

const LEFT: f64 = 250.0;
const RIGHT: f64 = 840.0;
const TOP: f64 = 116.0;
const ROW: f64 = 32.0;

pub(super) fn size(memory: &MemoryReport) -> (usize, usize) {
    (980, (TOP + ROW * rows(memory) as f64 + 60.0) as usize)
}

/// Number of rows: one per entry and one for the activations.
fn rows(memory: &MemoryReport) -> usize {
    memory.weights.len() + 1
}

/// Returns the encodings in order of first appearance with their sizes, bytes.
fn encodings(memory: &MemoryReport) -> Vec<(&str, u64)> {
    let mut found: Vec<(&str, u64)> = Vec::new();
    for row in &memory.weights {
        match found.iter_mut().find(|(name, _)| *name == row.encoding) {
            Some((_, bytes)) => *bytes += row.bytes,
            None => found.push((&row.encoding, row.bytes)),
        }
    }
    found
}

pub(super) fn draw(c: &mut dyn Canvas, title: &str, memory: &MemoryReport) -> DrawResult {
    let bottom = TOP + ROW * rows(memory) as f64;
    let title_text = format!(
        "Memory of the policy: {} of weights",
        format_bytes(memory.weight_bytes())
    );
    let peak = match memory.peak_resident_bytes {
        0 => String::new(),
        bytes => format!(
            " · peak resident set of the whole process {}",
            format_bytes(bytes)
        ),
    };
    heading(c, &title_text, &format!("{title}{peak}"))?;

    let encodings = encodings(memory);
    let color = |name: &str| -> RGBColor {
        let at = encodings.iter().position(|(n, _)| *n == name);
        PALETTE[at.unwrap_or(0) % PALETTE.len()]
    };
    let mut left = 24.0;
    for (name, bytes) in &encodings {
        let words = format!("{name}: {}", format_bytes(*bytes));
        c.fill_rect((left, 78.0), (left + 12.0, 90.0), color(name))?;
        c.text(
            (left + 18.0, 84.5),
            TextFormat::new(13.0, Align::Left, TEXT_COLOR),
            &words,
        )?;
        left += 18.0 + 7.6 * words.chars().count() as f64 + 26.0;
    }

    let largest = memory
        .weights
        .iter()
        .map(|row| row.bytes)
        .chain([memory.activation_bytes, 1])
        .max()
        .unwrap_or(1);
    let unit = match largest {
        0..1_000_000 => 1e3,
        1_000_000..1_000_000_000 => 1e6,
        _ => 1e9,
    };
    let step = tick_step(largest as f64 / unit, 6);
    let top = (largest as f64 / unit / step).ceil() * step;
    let x = |bytes: u64| LEFT + (RIGHT - LEFT) * (bytes as f64 / unit / top);
    for i in 0..rows(memory) {
        let y = TOP + ROW * (i as f64 + 0.5);
        c.fill_rect((LEFT, y - 9.0), (RIGHT, y + 9.0), BAR_TRACK)?;
    }
    for i in 0..=((top / step).round() as usize) {
        let at = LEFT + (RIGHT - LEFT) * step * i as f64 / top;
        c.line((at, TOP), (at, bottom), 1.0, GRID_COLOR)?;
        let label = format_bytes((step * i as f64 * unit).round() as u64);
        c.text(
            (at, bottom + 16.0),
            TextFormat::new(12.0, Align::Middle, AXIS_COLOR),
            &label,
        )?;
    }
    let entries = memory
        .weights
        .iter()
        .map(|row| (row.class.as_str(), row.bytes, color(&row.encoding)))
        .chain([("activations", memory.activation_bytes, AXIS_COLOR)]);
    for (i, (name, bytes, color)) in entries.enumerate() {
        let y = TOP + ROW * (i as f64 + 0.5);
        c.text(
            (LEFT - 14.0, y),
            TextFormat::new(13.0, Align::Right, TEXT_COLOR),
            &truncate(name, 32),
        )?;
        c.fill_rect((LEFT, y - 9.0), (x(bytes).max(LEFT + 1.0), y + 9.0), color)?;
        let words = format_bytes(bytes);
        c.text(
            (RIGHT + 90.0, y),
            TextFormat::new(13.0, Align::Right, TEXT_COLOR),
            &words,
        )?;
    }
    Ok(())
}
