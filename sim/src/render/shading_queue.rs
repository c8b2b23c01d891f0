//! Fragments to be shaded, sorted by triangle: neighbours in the queue share their drawable, mostly their triangle, and
//! so everything that these decide. The queue also assembles the image.

use super::drawable::Drawable;
use super::math::{V3, add, scale, xyz};
use super::shadow_map::ShadowMap;
use super::simd::{F32x16, LANES};
use super::simd_dispatch::multiversion;
use super::static_image::StaticImage;
use super::visibility_buffer::{BLOCK, NO_TRIANGLE, SAMPLES, VisibilityBuffer};
use std::ops::Range;

/// Colour of samples that see no triangle, 0..1.
const BACKGROUND: V3 = [0.35, 0.35, 0.36];

/// A point of the image at which a triangle is shaded.
#[derive(Clone, Copy, Default)]
pub(super) struct Fragment {
    /// Index of the visible triangle.
    pub triangle: u32,
    /// Destination of the colour: indices of pixels first, then of partial fragments.
    pub slot: u32,
    /// Position, pixels from the left.
    pub x: f32,
    /// Position, pixels from the top.
    pub y: f32,
}

/// Contribution of one triangle to a pixel that sees several.
struct PartialFragment {
    pixel: u32,
    /// Share of the pixel's samples.
    weight: f32,
    /// Channels 0..255.
    colour: V3,
}

/// The fragments of an image and the image itself.
#[derive(Default)]
pub(super) struct ShadingQueue {
    /// In the order of the pixels.
    fragments: Vec<Fragment>,
    /// In the order of the triangles; there may be more of an earlier image behind them.
    sorted: Vec<Fragment>,
    /// Per triangle: start of its fragments; while sorting, position of the next one; then their end.
    offsets: Vec<u32>,
    partial: Vec<PartialFragment>,
    rgb: Vec<u8>,
    pixels: usize,
}

multiversion! {
    /// Adds the fragments of every pixel of an image that is not kept.
    fn add_fragments(queue: &mut ShadingQueue, buffer: &VisibilityBuffer, kept: Option<(&StaticImage, &ShadowMap)>) {
        let (w, h) = (buffer.width, buffer.height);
        let quarter = 1.0 / SAMPLES.len() as f32;
        let background = BACKGROUND.map(|v| v * 255.0);
        let blocks = (0..h.div_ceil(BLOCK)).flat_map(|j| (0..buffer.row_blocks).map(move |i| [i, j]));
        for (block, [i, j]) in blocks.enumerate() {
            let (left, top) = (i * BLOCK, j * BLOCK);
            let ids = match kept {
                Some((image, shadow)) if !buffer.touched[block] => {
                    if image.keeps(block, shadow) {
                        continue;
                    }
                    image.buffer.block_ids(block)
                }
                _ => buffer.block_ids(block),
            };
            for (i, ids) in ids.as_chunks::<4>().0.iter().enumerate() {
                let (x, y) = (left + i % BLOCK, top + i / BLOCK);
                if x >= w || y >= h {
                    continue;
                }
                let pixel = y * w + x;
                if ids[0] == ids[1] && ids[0] == ids[2] && ids[0] == ids[3] {
                    if ids[0] == NO_TRIANGLE {
                        queue.set_pixel(pixel, background);
                    } else {
                        queue.offsets[ids[0] as usize] += 1;
                        queue.fragments.push(Fragment {
                            triangle: ids[0],
                            slot: pixel as u32,
                            x: x as f32 + 0.5,
                            y: y as f32 + 0.5,
                        });
                    }
                    continue;
                }
                for k in 0..4 {
                    if ids[..k].contains(&ids[k]) {
                        continue;
                    }
                    // Shaded at the centroid of the samples that see this triangle.
                    let (mut n, mut px, mut py) = (0.0, 0.0, 0.0);
                    for (id, s) in ids.iter().zip(SAMPLES) {
                        if *id == ids[k] {
                            n += 1.0;
                            px += s[0];
                            py += s[1];
                        }
                    }
                    if ids[k] != NO_TRIANGLE {
                        queue.offsets[ids[k] as usize] += 1;
                        queue.fragments.push(Fragment {
                            triangle: ids[k],
                            slot: (w * h + queue.partial.len()) as u32,
                            x: x as f32 + px / n,
                            y: y as f32 + py / n,
                        });
                    }
                    queue.partial.push(PartialFragment {
                        pixel: pixel as u32,
                        weight: n * quarter,
                        colour: background,
                    });
                }
            }
        }
    }
}

impl ShadingQueue {
    /// Collects and sorts the fragments of an image, but for those of a static image and its shadow map that are
    /// kept.
    pub fn collect(&mut self, buffer: &VisibilityBuffer, kept: Option<(&StaticImage, &ShadowMap)>) {
        self.pixels = buffer.width * buffer.height;
        self.rgb = match kept {
            Some((image, _)) => image.rgb.clone(),
            None => vec![0; self.pixels * 3],
        };
        self.fragments.clear();
        self.partial.clear();
        self.offsets.clear();
        self.offsets.resize(buffer.triangles.len(), 0);
        add_fragments(self, buffer, kept);
        let mut next = 0;
        for n in &mut self.offsets {
            next += *n;
            *n = next - *n;
        }
        if self.sorted.len() < self.fragments.len() {
            self.sorted
                .resize(self.fragments.len(), Fragment::default());
        }
        for r in &self.fragments {
            let offset = &mut self.offsets[r.triangle as usize];
            self.sorted[*offset as usize] = *r;
            *offset += 1;
        }
    }

    /// The fragments of the last image, in no particular order.
    pub fn fragments(&self) -> &[Fragment] {
        &self.fragments
    }

    /// Ranges of the sorted fragments of each drawable with a visible triangle, in the order of the drawables.
    pub fn by_drawable<'a>(
        &self,
        buffer: &VisibilityBuffer,
        drawables: &'a [Drawable],
    ) -> Vec<(&'a Drawable, Range<usize>)> {
        let mut begin = 0;
        buffer
            .triangles
            .chunk_by(|a, b| a.drawable == b.drawable)
            .scan(0, |at, triangles| {
                *at += triangles.len();
                let end = self.offsets[*at - 1] as usize;
                let range = std::mem::replace(&mut begin, end)..end;
                Some((&drawables[triangles[0].drawable as usize], range))
            })
            .collect()
    }

    /// Sorted fragments from `at` up to `end`, at most one per lane, and their number; lanes that are left over
    /// repeat the first one.
    #[inline(always)]
    pub fn take(&self, at: usize, end: usize) -> ([Fragment; LANES], usize) {
        let some = &self.sorted[at..end.min(at + LANES)];
        if let Ok(all) = some.try_into() {
            return (all, LANES);
        }
        let mut out = [some[0]; LANES];
        out[..some.len()].copy_from_slice(some);
        (out, some.len())
    }

    /// Stores the colours of fragments, channels 0..255.
    #[inline(always)]
    pub fn store<F: F32x16>(&mut self, fragments: &[Fragment], colour: [F; 3]) {
        let half = F::splat(0.5);
        let bytes = xyz!(k => (colour[k] + half).to_i32());
        let colour = xyz!(k => colour[k].store());
        for (i, r) in fragments.iter().enumerate() {
            let slot = r.slot as usize;
            if slot < self.pixels {
                let bytes = xyz!(k => bytes[k][i] as u8);
                self.rgb[3 * slot..3 * slot + 3].copy_from_slice(&bytes);
            } else {
                self.partial[slot - self.pixels].colour = xyz!(k => colour[k][i]);
            }
        }
    }

    #[inline(always)]
    fn set_pixel(&mut self, pixel: usize, colour: V3) {
        self.rgb[3 * pixel..3 * pixel + 3].copy_from_slice(&colour.map(|v| (v + 0.5) as u8));
    }

    /// Adds up the pixels that see several triangles, and returns the image.
    pub fn finish(&mut self) -> Vec<u8> {
        let partial = std::mem::take(&mut self.partial);
        for pixel in partial.chunk_by(|a, b| a.pixel == b.pixel) {
            let sum = pixel
                .iter()
                .fold([0.0; 3], |sum, s| add(sum, scale(s.colour, s.weight)));
            self.set_pixel(pixel[0].pixel as usize, sum);
        }
        self.partial = partial;
        std::mem::take(&mut self.rgb)
    }
}
