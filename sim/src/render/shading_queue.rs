//! Which triangle is to be shaded at which point of the image, sorted by triangle: neighbours in the
//! list share their part, mostly their triangle, and so everything that these decide.

use super::isa::multiversion;
use super::math::{LANES, V3, add, scale, xyz};
use super::raster::{NONE, Raster, SAMPLES};
use super::simd::Wide;
use super::{BACKGROUND, Part};
use std::ops::Range;

/// A point at which a triangle is shaded.
#[derive(Clone, Copy, Default)]
pub(super) struct Fragment {
    pub triangle: u32,
    /// Where the colour goes: pixels of one triangle come first, then the shares of the others.
    pub slot: u32,
    pub x: f32,
    pub y: f32,
}

/// A share of a pixel that sees several triangles.
struct Share {
    pixel: u32,
    weight: f32,
    /// Channels 0..255.
    colour: V3,
}

/// The requests of an image and the image itself.
#[derive(Default)]
pub(super) struct ShadingQueue {
    /// In the order of the pixels.
    asked: Vec<Fragment>,
    /// In the order of the triangles; there may be more of an earlier image behind them.
    sorted: Vec<Fragment>,
    /// Where the requests of each triangle begin; while sorting, where the next one goes.
    first: Vec<u32>,
    shares: Vec<Share>,
    rgb: Vec<u8>,
    pixels: usize,
}

multiversion! {
    /// Asks for everything that an image shows.
    fn ask(requests: &mut ShadingQueue, raster: &Raster) {
        let (w, h) = (raster.width, raster.height);
        let quarter = 1.0 / SAMPLES.len() as f32;
        let background = BACKGROUND.map(|v| v * 255.0);
        for y in 0..h {
            for x in 0..w {
                let pixel = y * w + x;
                let ids = raster.pixel(pixel);
                if ids[0] == ids[1] && ids[0] == ids[2] && ids[0] == ids[3] {
                    if ids[0] == NONE {
                        requests.paint(pixel, background);
                    } else {
                        requests.first[ids[0] as usize] += 1;
                        requests.asked.push(Fragment {
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
                    // Shade at the middle of the samples that see this triangle.
                    let (mut n, mut px, mut py) = (0.0, 0.0, 0.0);
                    for (id, s) in ids.iter().zip(SAMPLES) {
                        if *id == ids[k] {
                            n += 1.0;
                            px += s[0];
                            py += s[1];
                        }
                    }
                    if ids[k] != NONE {
                        requests.first[ids[k] as usize] += 1;
                        requests.asked.push(Fragment {
                            triangle: ids[k],
                            slot: (w * h + requests.shares.len()) as u32,
                            x: x as f32 + px / n,
                            y: y as f32 + py / n,
                        });
                    }
                    requests.shares.push(Share {
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
    /// Collects and sorts the requests of an image.
    pub(super) fn collect(&mut self, raster: &Raster) {
        self.pixels = raster.width * raster.height;
        self.rgb = vec![0; self.pixels * 3];
        self.asked.clear();
        self.shares.clear();
        self.first.clear();
        self.first.resize(raster.tris.len(), 0);
        ask(self, raster);
        let mut next = 0;
        for n in &mut self.first {
            next += *n;
            *n = next - *n;
        }
        if self.sorted.len() < self.asked.len() {
            self.sorted.resize(self.asked.len(), Fragment::default());
        }
        for r in &self.asked {
            let place = &mut self.first[r.triangle as usize];
            self.sorted[*place as usize] = *r;
            *place += 1;
        }
    }

    /// The requests of each part that is seen, in the order of the parts.
    pub(super) fn by_part<'a>(
        &self,
        raster: &Raster,
        parts: &'a [Part],
    ) -> Vec<(&'a Part, Range<usize>)> {
        let mut begin = 0;
        // `first` now holds where the requests of each triangle end.
        raster
            .tris
            .chunk_by(|a, b| a.part == b.part)
            .scan(0, |at, tris| {
                *at += tris.len();
                let end = self.first[*at - 1] as usize;
                let range = std::mem::replace(&mut begin, end)..end;
                Some((&parts[tris[0].part as usize], range))
            })
            .collect()
    }

    /// Sorted requests from `at` on, none from `end` on: as many as there are lanes, or else the first
    /// one again in the others; and their number.
    #[inline(always)]
    pub(super) fn take(&self, at: usize, end: usize) -> ([Fragment; LANES], usize) {
        let some = &self.sorted[at..end.min(at + LANES)];
        if let Ok(all) = some.try_into() {
            return (all, LANES);
        }
        let mut out = [some[0]; LANES];
        out[..some.len()].copy_from_slice(some);
        (out, some.len())
    }

    /// Notes the colours of requests, channels 0..255.
    #[inline(always)]
    pub(super) fn answer<F: Wide>(&mut self, requests: &[Fragment], colour: [F; 3]) {
        let half = F::splat(0.5);
        let bytes = xyz!(k => (colour[k] + half).whole());
        let colour = xyz!(k => colour[k].store());
        for (i, r) in requests.iter().enumerate() {
            let slot = r.slot as usize;
            if slot < self.pixels {
                let bytes = xyz!(k => bytes[k][i] as u8);
                self.rgb[3 * slot..3 * slot + 3].copy_from_slice(&bytes);
            } else {
                self.shares[slot - self.pixels].colour = xyz!(k => colour[k][i]);
            }
        }
    }

    #[inline(always)]
    fn paint(&mut self, pixel: usize, colour: V3) {
        self.rgb[3 * pixel..3 * pixel + 3].copy_from_slice(&colour.map(|v| (v + 0.5) as u8));
    }

    /// Adds up the pixels that see several triangles, and hands over the image.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let shares = std::mem::take(&mut self.shares);
        for pixel in shares.chunk_by(|a, b| a.pixel == b.pixel) {
            let sum = pixel
                .iter()
                .fold([0.0; 3], |sum, s| add(sum, scale(s.colour, s.weight)));
            self.paint(pixel[0].pixel as usize, sum);
        }
        self.shares = shares;
        std::mem::take(&mut self.rgb)
    }
}
