//! Textures: generated from a few numbers (see [`TextureDesc::kind`]) or read from a PNG file,
//! with mip-maps, sampled trilinearly. Every generator repeats without a seam.

use super::font::glyph;
use super::label_texture::paint_label;
use super::math::{LANES, xyz};
use super::simd::Wide;
use crate::description::TextureDesc;
use crate::error::SimError;
use image::imageops::{FilterType, resize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Most levels: those of the largest texture.
const LEVELS: usize = 12;

/// A texture and its smaller copies.
pub(crate) struct Texture {
    /// Size of the largest level.
    log2: [u32; 2],
    last: u32,
    /// Where each level begins.
    start: [u32; LEVELS],
    /// Levels one after another, rows from the top, red in the lowest byte.
    texels: Vec<u32>,
}

/// A texture as other renderers take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextureImage {
    /// Columns of the largest level.
    pub width: u32,
    /// Rows of the largest level.
    pub height: u32,
    /// Levels, each half as wide and high as the one before, down to one texel.
    pub levels: u32,
    /// Red, green, blue, 255 for every texel, sRGB; rows from the top, levels from the largest.
    pub rgba: Vec<u8>,
}

impl TextureImage {
    /// Generates or reads a texture.
    ///
    /// # Errors
    /// When its kind is unknown or its file cannot be read.
    pub fn new(desc: &TextureDesc) -> Result<TextureImage, SimError> {
        let texture = Texture::shared(desc)?;
        Ok(TextureImage {
            width: 1 << texture.log2[0],
            height: 1 << texture.log2[1],
            levels: texture.last + 1,
            rgba: texture
                .texels
                .iter()
                .flat_map(|t| t.to_le_bytes())
                .collect(),
        })
    }
}

/// Texels around the points of a group in one level, and where the points lie between them.
struct Corners<F> {
    texels: [[u32; LANES]; 4],
    across: [F; 2],
}

/// A well-mixed number from a lattice point.
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

/// Smooth noise 0..1 with `nx` by `ny` cells on the unit square, periodic.
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

/// Text centred on the unit square: whether `(u, v)` is inked. Lines are separated by `|`.
fn inked(text: &str, u: f32, v: f32) -> bool {
    let lines: Vec<&str> = text.split('|').collect();
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

/// Textures read from files, by path: scenes share them.
static READ: Mutex<BTreeMap<String, Arc<Texture>>> = Mutex::new(BTreeMap::new());

impl Texture {
    /// Generates a texture, or reads a file unless it has been read before.
    pub(crate) fn shared(desc: &TextureDesc) -> Result<Arc<Texture>, SimError> {
        let Some(path) = desc.text.as_ref().filter(|_| desc.kind == "file") else {
            return Ok(Arc::new(Texture::new(desc)?));
        };
        let known = |read: &BTreeMap<_, _>| read.get(path).cloned();
        if let Some(known) = known(&READ.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(known);
        }
        let made = Arc::new(Texture::new(desc)?);
        let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(read.entry(path.clone()).or_insert(made).clone())
    }

    /// Generates or reads a texture.
    pub(crate) fn new(desc: &TextureDesc) -> Result<Texture, SimError> {
        if desc.kind == "file" {
            return Self::from_file(desc.text.as_deref().unwrap_or(""));
        }
        let usual = if desc.kind == "flat" { 8 } else { 256 };
        let size = desc
            .size
            .unwrap_or(usual)
            .clamp(8, 1024)
            .next_power_of_two();
        if desc.kind == "print" {
            let colors: Vec<[f32; 3]> = desc.colors.iter().map(|c| c.map(|v| v as f32)).collect();
            let colors = if colors.is_empty() {
                vec![[1.0; 3]]
            } else {
                colors
            };
            let texels = paint_label(desc.text.as_deref().unwrap_or(""), &colors, size)
                .map_err(|what| SimError::Render(format!("texture `print`: {what}")))?;
            return Ok(Self::with_mips(
                size.trailing_zeros(),
                size.trailing_zeros(),
                texels,
            ));
        }
        let defaults: &[[f32; 3]] = match desc.kind.as_str() {
            "wood" => &[[0.86, 0.76, 0.65], [0.74, 0.62, 0.50]],
            "dark_wood" => &[[0.16, 0.12, 0.10], [0.08, 0.06, 0.05]],
            "speckle" | "brushed" => &[[0.62, 0.62, 0.62], [0.45, 0.45, 0.45]],
            "plaster" => &[[0.72, 0.72, 0.71], [0.64, 0.64, 0.63]],
            "tiles" => &[[0.75, 0.75, 0.74], [0.5, 0.5, 0.5]],
            "weave" => &[[0.72, 0.53, 0.32], [0.36, 0.24, 0.12]],
            "flat" => &[[0.6; 3]; 2],
            "label" => &[[0.8, 0.1, 0.1], [1.0, 1.0, 1.0]],
            "stripes" | "checker" | "rings" => &[[1.0; 3], [0.2; 3]],
            other => {
                return Err(SimError::Render(format!(
                    "texture kind `{other}` is unknown"
                )));
            }
        };
        let mut colors: Vec<[f32; 3]> = desc.colors.iter().map(|c| c.map(|v| v as f32)).collect();
        if colors.len() < 2 {
            let other = defaults[1];
            match colors.first() {
                Some(c) => {
                    colors.push([0, 1, 2].map(|k| c[k] * other[k] / defaults[0][k].max(0.01)))
                }
                None => colors.extend_from_slice(defaults),
            }
        }
        let text = desc.text.as_deref().unwrap_or("");
        let mut texels = Vec::with_capacity((size * size) as usize);
        for y in 0..size {
            for x in 0..size {
                let u = (x as f32 + 0.5) / size as f32;
                let v = (y as f32 + 0.5) / size as f32;
                let c = pattern(&desc.kind, &colors, desc.seed, text, u, v, (x, y));
                let b = c.map(|v| (v.clamp(0.0, 1.0) * 255.0 + 0.5) as u8);
                texels.push([b[0], b[1], b[2], 255]);
            }
        }
        let log2 = size.trailing_zeros();
        Ok(Self::with_mips(log2, log2, texels))
    }

    fn from_file(path: &str) -> Result<Texture, SimError> {
        let img = image::open(path)
            .map_err(|e| SimError::File {
                path: PathBuf::from(path),
                what: e.to_string(),
            })?
            .to_rgb8();
        if img.width() == 0 || img.height() == 0 {
            return Err(SimError::File {
                path: PathBuf::from(path),
                what: format!("an image of {} by {} pixels", img.width(), img.height()),
            });
        }
        let pow2 = |n: u32| n.clamp(1, 2048).next_power_of_two();
        let (w, h) = (pow2(img.width()), pow2(img.height()));
        let img = if (w, h) == img.dimensions() {
            img
        } else {
            resize(&img, w, h, FilterType::CatmullRom)
        };
        let texels = img.pixels().map(|p| [p[0], p[1], p[2], 255]).collect();
        Ok(Self::with_mips(
            w.trailing_zeros(),
            h.trailing_zeros(),
            texels,
        ))
    }

    fn with_mips(log2w: u32, log2h: u32, mut level: Vec<[u8; 4]>) -> Texture {
        let mut texture = Texture {
            log2: [log2w, log2h],
            last: log2w.max(log2h),
            start: [0; LEVELS],
            texels: Vec::new(),
        };
        let (mut lw, mut lh) = (log2w, log2h);
        for start in &mut texture.start[..=texture.last as usize] {
            *start = texture.texels.len() as u32;
            texture
                .texels
                .extend(level.iter().map(|t| u32::from_le_bytes(*t)));
            let (w, h) = (lw.saturating_sub(1), lh.saturating_sub(1));
            let (sx, sy) = (lw - w, lh - h);
            let mut next = Vec::with_capacity(1 << (w + h));
            for y in 0..1usize << h {
                for x in 0..1usize << w {
                    let mut sum = [0u32; 4];
                    for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                        let (xx, yy) = (
                            (x << sx) + (dx & sx as usize),
                            (y << sy) + (dy & sy as usize),
                        );
                        let t = level[(yy << lw) + xx];
                        for k in 0..4 {
                            sum[k] += u32::from(t[k]);
                        }
                    }
                    next.push(sum.map(|s| ((s + 2) / 4) as u8));
                }
            }
            (level, lw, lh) = (next, w, h);
        }
        texture
    }

    /// Colours, 0..1, at `(u, v)` (one unit is one repeat), where the longest edges of the pixels span
    /// `span` units.
    #[inline(always)]
    pub(super) fn sample<F: Wide>(&self, [u, v, span]: [F; 3]) -> [F; 3] {
        let one = F::splat(1.0);
        let texels = span * F::splat((1u32 << self.last) as f32);
        let texels = F::pick(texels.greater(one), texels, one).store();
        // Share of the second level; zero where the first one is enough.
        let mut blend = [0.0; LANES];
        let (mut near, mut far) = ([0; LANES], [0; LANES]);
        let mut single = true;
        for i in 0..LANES {
            // A piecewise linear logarithm from the float's own exponent: exact, no library.
            let bits = texels[i].to_bits();
            let exponent = (bits >> 23) - 127;
            let fraction = f32::from_bits(bits & 0x007f_ffff | 0x3f80_0000) - 1.0;
            let mixed = (exponent < self.last) & (fraction >= 0.004);
            near[i] = exponent.min(self.last);
            far[i] = near[i] + u32::from(mixed);
            blend[i] = if mixed { fraction } else { 0.0 };
            single &= !mixed;
        }
        let a = self.corners(&near, u, v);
        if single {
            return xyz!(channel => a.colour(channel));
        }
        let (b, blend) = (self.corners(&far, u, v), F::load(&blend));
        xyz!(channel => {
            let (a, b) = (a.colour(channel), b.colour(channel));
            a + (b - a) * blend
        })
    }

    #[inline(always)]
    fn corners<F: Wide>(&self, level: &[u32; LANES], u: F, v: F) -> Corners<F> {
        let half = F::splat(0.5);
        let (mut w, mut h) = ([0; LANES], [0; LANES]);
        let (mut width, mut height) = ([0.0; LANES], [0.0; LANES]);
        for i in 0..LANES {
            w[i] = self.log2[0].saturating_sub(level[i]);
            h[i] = self.log2[1].saturating_sub(level[i]);
            width[i] = (1u32 << w[i]) as i32 as f32;
            height[i] = (1u32 << h[i]) as i32 as f32;
        }
        let (x, y) = (u * F::load(&width) - half, v * F::load(&height) - half);
        let (xi, yi) = (x.floor(), y.floor());
        let (left, top) = (xi.whole(), yi.whole());
        let mut texels = [[0; LANES]; 4];
        for i in 0..LANES {
            let level = &self.texels[self.start[level[i] as usize] as usize..];
            let (xa, xb) = (wrap(left[i], w[i]), wrap(left[i].wrapping_add(1), w[i]));
            let (ya, yb) = (wrap(top[i], h[i]), wrap(top[i].wrapping_add(1), h[i]));
            let (ya, yb) = (ya << w[i], yb << w[i]);
            texels[0][i] = level[ya + xa];
            texels[1][i] = level[ya + xb];
            texels[2][i] = level[yb + xa];
            texels[3][i] = level[yb + xb];
        }
        Corners {
            texels,
            across: [x - xi, y - yi],
        }
    }
}

/// Column or row in an image whose side is a power of two and which repeats.
#[inline(always)]
fn wrap(at: i32, log2: u32) -> usize {
    (at & ((1 << log2) - 1)) as usize
}

impl<F: Wide> Corners<F> {
    /// A channel, 0..1.
    #[inline(always)]
    fn colour(&self, channel: u32) -> F {
        let [a, b, c, d] = &self.texels;
        let (a, b) = (F::byte(a, channel), F::byte(b, channel));
        let (c, d) = (F::byte(c, channel), F::byte(d, channel));
        let [fx, fy] = self.across;
        let t = a + (b - a) * fx;
        let s = c + (d - c) * fx;
        (t + (s - t) * fy) * F::splat(1.0 / 255.0)
    }
}

fn pattern(
    kind: &str,
    c: &[[f32; 3]],
    seed: u64,
    text: &str,
    u: f32,
    v: f32,
    (x, y): (u32, u32),
) -> [f32; 3] {
    let grain = hash(x, y, seed ^ 77);
    match kind {
        "wood" | "dark_wood" => {
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
        "speckle" => {
            let n = 0.45 * noise(u, v, 48, 48, seed)
                + 0.3 * noise(u, v, 16, 16, seed + 1)
                + 0.35 * grain;
            mix(c[0], c[1], n)
        }
        "brushed" => mix(
            c[0],
            c[1],
            0.6 * noise(u, v, 8, 128, seed) + 0.4 * noise(u, v, 4, 32, seed + 1),
        ),
        "plaster" => mix(
            c[0],
            c[1],
            0.5 * noise(u, v, 8, 8, seed) + 0.3 * noise(u, v, 48, 48, seed + 1) + 0.2 * grain,
        ),
        "tiles" => {
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
        "weave" => {
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
        "flat" => c[0],
        "stripes" => c[((u * c.len() as f32) as usize).min(c.len() - 1)],
        "checker" => c[(((u * 2.0) as usize) + ((v * 2.0) as usize)) % 2],
        "rings" => {
            let d = ((u - 0.5) * (u - 0.5) + (v - 0.5) * (v - 0.5)).sqrt() * 2.0;
            c[((d * c.len() as f32) as usize).min(c.len() - 1)]
        }
        _ => {
            // A label: ground, ink, and optionally a frame or picture colour in the lower part.
            if inked(text, u, if c.len() > 2 { v + 0.22 } else { v }) {
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
