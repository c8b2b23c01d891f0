//! Textures with mip maps, sampled trilinearly: generated (see [`TextureDesc::kind`]) or read from a file.

use super::label_texture::paint_label;
use super::math::xyz;
use super::simd::{F32x16, LANES};
use super::texture_patterns::{Pattern, pattern_colour};
use crate::description::TextureDesc;
use crate::error::SimError;
use image::imageops::{FilterType, resize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Largest number of levels.
const LEVELS: usize = 12;

/// Largest side of a picture, pixels; LIBERO's have at most 4096.
const MAX_SIDE: u32 = 8192;

/// A texture and its mip map.
pub(super) struct Texture {
    /// Binary logarithms of width and height of the largest level.
    log2: [u32; 2],
    /// Index of the smallest level, one texel.
    last: u32,
    /// Index of the first texel of each level.
    start: [u32; LEVELS],
    /// Levels one after another, rows from the top, red in the lowest byte.
    texels: Vec<u32>,
}

/// A texture with its mip map, for other renderers.
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
    /// For an unknown kind, an invalid statement of a `print` and a file that cannot be read.
    pub fn new(desc: &TextureDesc) -> Result<TextureImage, SimError> {
        let texture = Texture::cached(desc)?;
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

/// The four texels around each point of a group in one level, and the position of the point between them, 0..1.
struct BilinearTaps<F> {
    texels: [[u32; LANES]; 4],
    across: [F; 2],
}

/// Number of generated textures that are kept.
const GENERATED: usize = 128;

/// Textures of earlier scenes, which later ones share: read from files, by path, and generated, by description. A panic of
/// another thread cannot leave a map half changed, so that a poisoned lock is used all the same.
static TEXTURES: Mutex<TextureCache> = Mutex::new(TextureCache {
    files: BTreeMap::new(),
    generated: BTreeMap::new(),
});

struct TextureCache {
    files: BTreeMap<String, Arc<Texture>>,
    generated: BTreeMap<String, Arc<Texture>>,
}

impl TextureCache {
    /// Map and key of a texture.
    fn slot(&mut self, desc: &TextureDesc) -> (&mut BTreeMap<String, Arc<Texture>>, String) {
        match &desc.text {
            Some(path) if desc.kind == "file" => (&mut self.files, path.clone()),
            _ => {
                // How often it is repeated changes no texel.
                let texels = TextureDesc {
                    repeat: None,
                    ..desc.clone()
                };
                (&mut self.generated, format!("{texels:?}"))
            }
        }
    }
}

impl Texture {
    /// Generates a texture or reads a file, unless an earlier scene has it.
    pub(super) fn cached(desc: &TextureDesc) -> Result<Arc<Texture>, SimError> {
        let cache = || TEXTURES.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = {
            let mut cache = cache();
            let (map, key) = cache.slot(desc);
            map.get(&key).cloned()
        };
        if let Some(texture) = cached {
            return Ok(texture);
        }
        // Made without the lock: two threads may make one at once, and the first one's is kept.
        let texture = Arc::new(Texture::new(desc)?);
        let mut cache = cache();
        if cache.generated.len() >= GENERATED {
            cache.generated.clear();
        }
        let (map, key) = cache.slot(desc);
        Ok(map.entry(key).or_insert(texture).clone())
    }

    /// Generates or reads a texture.
    fn new(desc: &TextureDesc) -> Result<Texture, SimError> {
        let text = desc.text.as_deref();
        if desc.kind == "file" {
            let path = text.ok_or_else(|| {
                SimError::Render("texture `file`: no `text` with the path of a file".into())
            })?;
            return Self::from_file(path);
        }
        let default_size = if desc.kind == "flat" { 8 } else { 256 };
        let size = desc
            .size
            .unwrap_or(default_size)
            .clamp(8, 1024)
            .next_power_of_two();
        let mut colors: Vec<[f32; 3]> = desc.colors.iter().map(|c| c.map(|v| v as f32)).collect();
        // Without a text there is nothing printed on the ground colour.
        let text = text.unwrap_or_default();
        let texels = if desc.kind == "print" {
            if colors.is_empty() {
                colors.push([1.0; 3]);
            }
            paint_label(text, &colors, size)
                .map_err(|e| SimError::Render(format!("texture `print`: {e}")))?
        } else {
            Self::patterned(desc, colors, text, size)?
        };
        let log2 = size.trailing_zeros();
        Ok(Self::with_mips(log2, log2, texels))
    }

    /// Texels of a generated pattern, rows from the top. Colours that the description leaves out are those of the
    /// pattern, tinted by the one it gives.
    fn patterned(
        desc: &TextureDesc,
        mut colors: Vec<[f32; 3]>,
        text: &str,
        size: u32,
    ) -> Result<Vec<[u8; 4]>, SimError> {
        let pattern = Pattern::named(&desc.kind)
            .ok_or_else(|| SimError::Render(format!("texture kind `{}` is unknown", desc.kind)))?;
        let defaults = pattern.default_colors();
        if colors.len() < 2 {
            let other = defaults[1];
            match colors.first() {
                Some(c) => {
                    colors.push([0, 1, 2].map(|k| c[k] * other[k] / defaults[0][k].max(0.01)))
                }
                None => colors.extend_from_slice(&defaults),
            }
        }
        let mut texels = Vec::with_capacity((size * size) as usize);
        for y in 0..size {
            for x in 0..size {
                let u = (x as f32 + 0.5) / size as f32;
                let v = (y as f32 + 0.5) / size as f32;
                let c = pattern_colour(pattern, &colors, desc.seed, text, u, v, (x, y));
                let b = c.map(|v| (v.clamp(0.0, 1.0) * 255.0 + 0.5) as u8);
                texels.push([b[0], b[1], b[2], 255]);
            }
        }
        Ok(texels)
    }

    /// Reads an image, its sides resized to the next powers of two, at most 2048.
    fn from_file(path: &str) -> Result<Texture, SimError> {
        // Read before the picture is, so that memory does not follow the size that a file states.
        if let Ok((width, height)) = image::image_dimensions(path)
            && width.max(height) > MAX_SIDE
        {
            return Err(SimError::File {
                path: PathBuf::from(path),
                reason: format!(
                    "an image of {width} by {height} pixels, expected at most {MAX_SIDE} on a side"
                ),
            });
        }
        let img = image::open(path)
            .map_err(|e| SimError::File {
                path: PathBuf::from(path),
                reason: match is_lfs_pointer(path) {
                    true => "found a pointer of Git LFS, expected an image: fetch it with `git lfs pull`".into(),
                    false => format!("cannot be decoded as an image: {e}"),
                },
            })?
            .to_rgb8();
        if img.width() == 0 || img.height() == 0 {
            return Err(SimError::File {
                path: PathBuf::from(path),
                reason: format!("an image of {} by {} pixels", img.width(), img.height()),
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

    /// Adds the mip map to the largest level; sides are given by their binary logarithms.
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

    /// Colours, 0..1, at `(u, v)` (one unit is one repeat) of pixels whose longer edges span `span` units.
    #[inline(always)]
    pub(super) fn sample<F: F32x16>(&self, [u, v, span]: [F; 3]) -> [F; 3] {
        let one = F::splat(1.0);
        let texels = span * F::splat((1u32 << self.last) as f32);
        let texels = F::select(texels.gt(one), texels, one).store();
        // Share of the second level; zero where the first one suffices.
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
        let a = self.taps(&near, u, v);
        if single {
            return xyz!(channel => a.colour(channel));
        }
        let (b, blend) = (self.taps(&far, u, v), F::load(&blend));
        xyz!(channel => {
            let (a, b) = (a.colour(channel), b.colour(channel));
            a + (b - a) * blend
        })
    }

    #[inline(always)]
    fn taps<F: F32x16>(&self, level: &[u32; LANES], u: F, v: F) -> BilinearTaps<F> {
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
        let (left, top) = (xi.to_i32(), yi.to_i32());
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
        BilinearTaps {
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

impl<F: F32x16> BilinearTaps<F> {
    /// A channel, 0..1.
    #[inline(always)]
    fn colour(&self, channel: u32) -> F {
        let [a, b, c, d] = &self.texels;
        let (a, b) = (F::from_byte(a, channel), F::from_byte(b, channel));
        let (c, d) = (F::from_byte(c, channel), F::from_byte(d, channel));
        let [fx, fy] = self.across;
        let t = a + (b - a) * fx;
        let s = c + (d - c) * fx;
        (t + (s - t) * fy) * F::splat(1.0 / 255.0)
    }
}

/// Returns true if a file is the pointer that Git LFS leaves in the place of a file that was not fetched.
fn is_lfs_pointer(path: &str) -> bool {
    let text = std::fs::read(path).unwrap_or_default();
    text.starts_with(b"version https://git-lfs")
}
