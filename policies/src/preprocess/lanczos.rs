//! Antialiased Lanczos resize of TensorFlow (`ScaleAndTranslate`, `lanczos3`): rows first, then columns, in f32 and in
//! its order of additions. With a ratio `s = from / to` of at least one, target pixel `i` weighs source pixel `j` by
//! `L((j + 1/2 - (i + 1/2) s) / s)`, `L(x) = 3 sin(pi x) sin(pi x / 3) / (pi x)^2`, normalised to a sum of one.

use crate::kernels::multiversion;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Half-width of the kernel.
const RADIUS: f32 = 3.0;

/// For each target pixel, the first source pixel and the weights from there.
struct Spans(Vec<(usize, Vec<f32>)>);

impl Spans {
    /// Computed once for a pair of sides.
    fn of(from: usize, to: usize) -> Arc<Spans> {
        static KNOWN: Mutex<BTreeMap<(usize, usize), Arc<Spans>>> = Mutex::new(BTreeMap::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let spans = known
            .entry((from, to))
            .or_insert_with(|| Arc::new(Spans::new(from, to)));
        Arc::clone(spans)
    }

    fn new(from: usize, to: usize) -> Spans {
        let ratio = (1.0 / f64::from(to as f32 / from as f32)) as f32;
        let stretch = ratio.max(1.0);
        let span = |i: usize| {
            let centre = (i as f32 + 0.5) * ratio;
            let inside = |x: f32| x.clamp(0.0, (from - 1) as f32) as usize;
            let first = inside((centre - RADIUS * stretch - 0.5).ceil());
            let last = inside((centre + RADIUS * stretch - 0.5).floor());
            let weight = |j: usize| kernel((j as f32 + 0.5 - centre) * (1.0 / stretch));
            let mut weights: Vec<f32> = (first..=last).map(weight).collect();
            let scale = 1.0 / weights.iter().sum::<f32>();
            weights.iter_mut().for_each(|w| *w *= scale);
            (first, weights)
        };
        Spans((0..to).map(span).collect())
    }
}

fn kernel(x: f32) -> f32 {
    const PI: f32 = std::f32::consts::PI;
    let x = x.abs();
    if x > RADIUS {
        0.0
    } else if x <= 1e-3 {
        1.0
    } else {
        RADIUS * libm::sinf(PI * x) * libm::sinf(PI * x / RADIUS) / (PI * PI * x * x)
    }
}

/// Resizes square RGB frames from side `from` to side `to`, rounding half to even.
pub fn resize_lanczos3(frame: &[u8], from: usize, to: usize) -> Vec<u8> {
    assert_eq!(frame.len(), from * from * 3, "RGB frame of side {from}");
    let spans = Spans::of(from, to);
    let mut result = vec![0u8; to * to * 3];
    let mut row = vec![0f32; from * 3];
    for ((first, weights), result) in spans.0.iter().zip(result.chunks_exact_mut(to * 3)) {
        add_rows(&frame[first * from * 3..], weights, &mut row);
        add_columns(&row, &spans, result);
    }
    result
}

multiversion! {
    /// Weighted sum of as many rows as there are weights.
    fn add_rows(rows: &[u8], weights: &[f32], sum: &mut [f32]) {
        sum.fill(0.0);
        for (row, weight) in rows.chunks_exact(sum.len()).zip(weights) {
            for (sum, value) in sum.iter_mut().zip(row) {
                *sum += weight * f32::from(*value);
            }
        }
    }
}

multiversion! {
    /// Weighted sums along a row, rounded to bytes.
    fn add_columns(row: &[f32], spans: &Spans, out: &mut [u8]) {
        let (pixels, _) = row.as_chunks::<3>();
        let (out, _) = out.as_chunks_mut::<3>();
        for (out, (first, weights)) in out.iter_mut().zip(&spans.0) {
            let mut sum = [0f32; 3];
            for (pixel, weight) in pixels[*first..].iter().zip(weights) {
                for (sum, value) in sum.iter_mut().zip(pixel) {
                    *sum += weight * value;
                }
            }
            *out = sum.map(|v| v.round_ties_even().clamp(0.0, 255.0) as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: equal pixels stay as they are, a ramp stays a ramp away from the edges, mirrored frames give mirrored
    //! results, and the same side is the identity.
    use super::*;

    #[test]
    fn lanczos_keeps_what_it_should() {
        let (from, to) = (64, 56);
        assert_eq!(
            resize_lanczos3(&[77; 64 * 64 * 3], from, to),
            [77; 56 * 56 * 3]
        );
        let ramp: Vec<u8> = (0..from * from * 3)
            .map(|i| (i / 3 % from * 3 + 20) as u8)
            .collect();
        let resized = resize_lanczos3(&ramp, from, to);
        for x in 4..to - 4 {
            let wanted = ((x as f32 + 0.5) * 64.0 / 56.0 - 0.5) * 3.0 + 20.0;
            assert!((f32::from(resized[3 * x]) - wanted).abs() <= 1.0, "{x}");
        }
        let mut random = crate::testing::SplitMix64::new(1);
        let frame: Vec<u8> = (0..from * from * 3)
            .map(|_| random.next_u64() as u8)
            .collect();
        assert_eq!(resize_lanczos3(&frame, from, from), frame);
        let mirrored = |frame: &[u8]| -> Vec<u8> { frame.iter().rev().copied().collect() };
        let there = mirrored(&resize_lanczos3(&mirrored(&frame), from, to));
        let differing = there.iter().zip(resize_lanczos3(&frame, from, to));
        assert!(differing.into_iter().all(|(a, b)| a.abs_diff(b) <= 1));
    }
}
