//! Patterns of the generated textures, and their noise. Every pattern repeats without a seam.

use super::font::glyph;

/// Pattern of a generated texture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern {
    Wood,
    DarkWood,
    Speckle,
    Brushed,
    Plaster,
    Tiles,
    Weave,
    Flat,
    Label,
    Stripes,
    Checker,
    Rings,
}

impl Pattern {
    /// Pattern with a name of a texture description; none for other names.
    pub(super) fn named(kind: &str) -> Option<Pattern> {
        Some(match kind {
            "wood" => Pattern::Wood,
            "dark_wood" => Pattern::DarkWood,
            "speckle" => Pattern::Speckle,
            "brushed" => Pattern::Brushed,
            "plaster" => Pattern::Plaster,
            "tiles" => Pattern::Tiles,
            "weave" => Pattern::Weave,
            "flat" => Pattern::Flat,
            "label" => Pattern::Label,
            "stripes" => Pattern::Stripes,
            "checker" => Pattern::Checker,
            "rings" => Pattern::Rings,
            _ => return None,
        })
    }

    /// Colours (0..1) where the description gives none.
    pub(super) fn default_colors(self) -> [[f32; 3]; 2] {
        match self {
            Pattern::Wood => [[0.86, 0.76, 0.65], [0.74, 0.62, 0.50]],
            Pattern::DarkWood => [[0.16, 0.12, 0.10], [0.08, 0.06, 0.05]],
            Pattern::Speckle | Pattern::Brushed => [[0.62, 0.62, 0.62], [0.45, 0.45, 0.45]],
            Pattern::Plaster => [[0.72, 0.72, 0.71], [0.64, 0.64, 0.63]],
            Pattern::Tiles => [[0.75, 0.75, 0.74], [0.5, 0.5, 0.5]],
            Pattern::Weave => [[0.72, 0.53, 0.32], [0.36, 0.24, 0.12]],
            Pattern::Flat => [[0.6; 3]; 2],
            Pattern::Label => [[0.8, 0.1, 0.1], [1.0, 1.0, 1.0]],
            Pattern::Stripes | Pattern::Checker | Pattern::Rings => [[1.0; 3], [0.2; 3]],
        }
    }
}

/// Hash of a lattice point, 0..1.
fn hash(x: u32, y: u32, seed: u64) -> f32 {
    let mut h =
        (u64::from(x) << 32 | u64::from(y)).wrapping_add(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    h ^= h >> 30;
    h = h.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    h ^= h >> 27;
    h = h.wrapping_mul(0x94d0_49bb_1331_11eb);
    h ^= h >> 31;
    (h >> 40) as f32 / (1u64 << 24) as f32
}

/// Periodic value noise, 0..1, with `nx` by `ny` cells on the unit square.
fn noise(u: f32, v: f32, nx: u32, ny: u32, seed: u64) -> f32 {
    let (x, y) = (u * nx as f32, v * ny as f32);
    let (x0, y0) = (x.floor(), y.floor());
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (fx, fy) = (ease(x - x0), ease(y - y0));
    let at = |i: u32, j: u32| hash((x0 as u32 + i) % nx, (y0 as u32 + j) % ny, seed);
    let a = at(0, 0) + (at(1, 0) - at(0, 0)) * fx;
    let b = at(0, 1) + (at(1, 1) - at(0, 1)) * fx;
    a + (b - a) * fy
}

fn mix(a: [f32; 3], b: [f32; 3], t: f32) -> [f32; 3] {
    let t = t.clamp(0.0, 1.0);
    [0, 1, 2].map(|k| a[k] + (b[k] - a[k]) * t)
}

/// Returns true when `(u, v)` lies on a letter of a text centred on the unit square. Lines are separated by `|`.
fn is_on_letter(text: &str, u: f32, v: f32) -> bool {
    let lines: Vec<&str> = text.split('|').collect();
    // `split` gives at least one line.
    let widest = lines.iter().map(|l| l.chars().count()).max().unwrap_or(0);
    if widest == 0 {
        return false;
    }
    let columns = widest as f32 * 6.0 + 3.0;
    let rows = lines.len() as f32 * 9.0;
    let band = 0.8f32.min(0.34 * lines.len() as f32);
    let y = (v - 0.5) / band * rows + rows * 0.5;
    if y < 0.0 || y >= rows {
        return false;
    }
    let line = lines[(y / 9.0) as usize];
    let row = (y % 9.0) as usize;
    let n = line.chars().count();
    let x = (u - 0.5) * columns + n as f32 * 3.0;
    if x < 0.0 || !(1..8).contains(&row) {
        return false;
    }
    let (cell, col) = ((x / 6.0) as usize, (x % 6.0) as usize);
    col < 5
        && line
            .chars()
            .nth(cell)
            .is_some_and(|c| glyph(c)[row - 1] >> (4 - col) & 1 == 1)
}

/// Colour (0..1) of a pattern at `(u, v)`, the centre of texel `(x, y)`.
pub(super) fn pattern_colour(
    pattern: Pattern,
    c: &[[f32; 3]],
    seed: u64,
    text: &str,
    u: f32,
    v: f32,
    (x, y): (u32, u32),
) -> [f32; 3] {
    let grain = hash(x, y, seed ^ 77);
    match pattern {
        Pattern::Wood | Pattern::DarkWood => {
            // Fibres run along u: broad bands, fine streaks, a little grain.
            let bend = 0.02 * noise(u, v, 3, 4, seed + 5);
            let band = noise(u, (v + bend).fract(), 2, 12, seed);
            let streak = noise(u, (v + bend).fract(), 6, 64, seed + 1);
            let fine = noise(u, v, 16, 128, seed + 2);
            mix(
                c[0],
                c[1],
                0.45 * band + 0.3 * streak + 0.2 * fine + 0.1 * grain - 0.05,
            )
        }
        Pattern::Speckle => {
            let n = 0.45 * noise(u, v, 48, 48, seed)
                + 0.3 * noise(u, v, 16, 16, seed + 1)
                + 0.35 * grain;
            mix(c[0], c[1], n)
        }
        Pattern::Brushed => mix(
            c[0],
            c[1],
            0.6 * noise(u, v, 8, 128, seed) + 0.4 * noise(u, v, 4, 32, seed + 1),
        ),
        Pattern::Plaster => mix(
            c[0],
            c[1],
            0.5 * noise(u, v, 8, 8, seed) + 0.3 * noise(u, v, 48, 48, seed + 1) + 0.2 * grain,
        ),
        Pattern::Tiles => {
            let (a, b) = ((u * 4.0).fract(), (v * 4.0).fract());
            if a < 0.03 || b < 0.03 {
                c[1]
            } else {
                let (i, j) = ((u * 4.0) as u32, (v * 4.0) as u32);
                mix(
                    c[0],
                    c[1],
                    0.15 * hash(i, j, seed) + 0.08 * noise(u, v, 32, 32, seed + 1),
                )
            }
        }
        Pattern::Weave => {
            // Strands over and under each other, darker towards their edges.
            let (a, b) = (u * 8.0, v * 8.0);
            let across = if (a as u32 + b as u32).is_multiple_of(2) {
                b.fract()
            } else {
                a.fract()
            };
            let edge = (across - 0.5).abs() * 2.0;
            mix(c[0], c[1], edge * edge * 0.9 + 0.25 * grain)
        }
        Pattern::Flat => c[0],
        Pattern::Stripes => c[((u * c.len() as f32) as usize).min(c.len() - 1)],
        Pattern::Checker => c[(((u * 2.0) as usize) + ((v * 2.0) as usize)) % 2],
        Pattern::Rings => {
            let d = ((u - 0.5) * (u - 0.5) + (v - 0.5) * (v - 0.5)).sqrt() * 2.0;
            c[((d * c.len() as f32) as usize).min(c.len() - 1)]
        }
        Pattern::Label => {
            // Ground, letters, and optionally an image in the lower part.
            if is_on_letter(text, u, if c.len() > 2 { v + 0.22 } else { v }) {
                return c[1];
            }
            if c.len() > 2 && v > 0.5 && v < 0.92 && u > 0.08 && u < 0.92 {
                let k = 2
                    + ((noise(u, v, 6, 6, seed) * (c.len() - 2) as f32) as usize).min(c.len() - 3);
                return mix(c[k], c[0], 0.3 * noise(u, v, 24, 24, seed + 1));
            }
            c[0]
        }
    }
}
