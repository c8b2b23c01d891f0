//! Fog from a plasma fractal.

use super::FloatImage;

/// Largest offset of the first generation of the fractal.
const FIRST_OFFSET: f64 = 100.0;

/// A plasma fractal by midpoint displacement on a torus (diamonds and squares), (size, size), scaled to 0 to 1; `size` is a power of two. Each generation has offsets smaller by the factor
/// `decay`; `draw` gives numbers between -1 and 1, in rows of each generation: squares, then horizontal and vertical edges.
pub fn plasma(size: usize, decay: f64, draw: &mut dyn FnMut() -> f64) -> Vec<f64> {
    let mut map = vec![0.0; size * size];
    let mut step = size;
    let mut offset = FIRST_OFFSET;
    while step >= 2 {
        let half = step / 2;
        // The offset scales its range and the draw from it.
        let mut displaced = |sum: f64| sum / 4.0 + offset * (offset * draw());
        let at = |row: usize, column: usize| (row % size) * size + column % size;
        for row in (0..size).step_by(step) {
            for column in (0..size).step_by(step) {
                let corners = [(0, 0), (step, 0), (0, step), (step, step)];
                let sum = corners
                    .iter()
                    .map(|(r, c)| map[at(row + r, column + c)])
                    .sum();
                map[at(row + half, column + half)] = displaced(sum);
            }
        }
        for row in (0..size).step_by(step) {
            for column in (0..size).step_by(step) {
                let ends = map[at(row, column)] + map[at(row, column + step)];
                let middles =
                    map[at(row + half, column + half)] + map[at(row + size - half, column + half)];
                map[at(row, column + half)] = displaced(ends + middles);
            }
        }
        for row in (0..size).step_by(step) {
            for column in (0..size).step_by(step) {
                let ends = map[at(row, column)] + map[at(row + step, column)];
                let middles =
                    map[at(row + half, column + half)] + map[at(row + half, column + size - half)];
                map[at(row + half, column)] = displaced(ends + middles);
            }
        }
        step = half;
        offset /= decay;
    }
    let low = map.iter().copied().fold(f64::INFINITY, f64::min);
    let high = map.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let range = if high > low { high - low } else { 1.0 };
    map.iter().map(|v| (v - low) / range).collect()
}

/// Adds fog (`size` columns, 0 to 1) of a strength in units of the full range, and scales so that the brightest value stays.
pub fn add_fog(image: &FloatImage, strength: f64, fog: &[f64], size: usize) -> FloatImage {
    let brightest = image.values.iter().copied().fold(0.0f32, f32::max) / 255.0;
    let scale = f64::from(brightest) / (f64::from(brightest) + strength);
    let side = image.side;
    let mut out = image.clone();
    for row in 0..side {
        for column in 0..side {
            let haze = strength * fog[row * size + column];
            let at = 3 * (row * side + column);
            for value in &mut out.values[at..at + 3] {
                let foggy = (f64::from(*value) / 255.0 + haze) * scale;
                *value = (foggy.clamp(0.0, 1.0) * 255.0) as f32;
            }
        }
    }
    out
}
