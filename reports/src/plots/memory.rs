//! Memory of the weights: one bar per class of tensors, coloured by how they are encoded.

use super::canvas::{Align, Canvas, Drawn, GREY, GRID, INK, PALETTE, TRACK, tick_step};
use super::success::clip;
use crate::{MemoryReport, bytes_in_words};
use plotters::style::RGBColor;

const LEFT: f64 = 250.0;
const RIGHT: f64 = 840.0;
const TOP: f64 = 116.0;
const ROW: f64 = 32.0;

pub(super) fn size(memory: &MemoryReport) -> (usize, usize) {
    (980, (TOP + ROW * rows(memory) as f64 + 60.0) as usize)
}

/// One row per entry and one for the activations.
fn rows(memory: &MemoryReport) -> usize {
    memory.weights.len() + 1
}

/// Encodings in order of first appearance, with their sizes.
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

pub(super) fn draw(c: &mut dyn Canvas, title: &str, memory: &MemoryReport) -> Drawn {
    let bottom = TOP + ROW * rows(memory) as f64;
    let heading = format!(
        "Memory of the policy: {} of weights",
        bytes_in_words(memory.weight_bytes())
    );
    c.text((24.0, 30.0), 20.0, Align::Left, INK, &heading)?;
    let peak = match memory.peak_resident_bytes {
        0 => String::new(),
        bytes => format!(
            " · peak resident set of the whole process {}",
            bytes_in_words(bytes)
        ),
    };
    c.text(
        (24.0, 56.0),
        13.0,
        Align::Left,
        GREY,
        &format!("{title}{peak}"),
    )?;

    let encodings = encodings(memory);
    let color = |name: &str| -> RGBColor {
        let at = encodings.iter().position(|(n, _)| *n == name);
        PALETTE[at.unwrap_or(0) % PALETTE.len()]
    };
    let mut left = 24.0;
    for (name, bytes) in &encodings {
        let words = format!("{name}: {}", bytes_in_words(*bytes));
        c.bar((left, 78.0), (left + 12.0, 90.0), color(name))?;
        c.text((left + 18.0, 84.5), 13.0, Align::Left, INK, &words)?;
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
        c.bar((LEFT, y - 9.0), (RIGHT, y + 9.0), TRACK)?;
    }
    for i in 0..=((top / step).round() as usize) {
        let at = LEFT + (RIGHT - LEFT) * step * i as f64 / top;
        c.line((at, TOP), (at, bottom), 1.0, GRID)?;
        let label = bytes_in_words((step * i as f64 * unit).round() as u64);
        c.text((at, bottom + 16.0), 12.0, Align::Middle, GREY, &label)?;
    }
    let entries = memory
        .weights
        .iter()
        .map(|row| (row.class.as_str(), row.bytes, color(&row.encoding)))
        .chain([("activations", memory.activation_bytes, GREY)]);
    for (i, (name, bytes, color)) in entries.enumerate() {
        let y = TOP + ROW * (i as f64 + 0.5);
        c.text((LEFT - 14.0, y), 13.0, Align::Right, INK, &clip(name, 32))?;
        c.bar((LEFT, y - 9.0), (x(bytes).max(LEFT + 1.0), y + 9.0), color)?;
        let words = bytes_in_words(bytes);
        c.text((RIGHT + 90.0, y), 13.0, Align::Right, INK, &words)?;
    }
    Ok(())
}
