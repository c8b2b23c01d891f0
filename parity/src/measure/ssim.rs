//! Structural similarity index of two images with a Gaussian window of 11 x 11 pixels,
//! sigma 1.5, K1 = 0.01, K2 = 0.03, on luma (ITU-R BT.601), over windows that lie inside the image
//! (Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13(4), 2004).

/// Side of the window, pixels.
pub(super) const SIZE: usize = 11;
const SIGMA: f64 = 1.5;
const C1: f64 = (0.01 * 255.0) * (0.01 * 255.0);
const C2: f64 = (0.03 * 255.0) * (0.03 * 255.0);

/// Similarity index of every window, row by row; the window of entry (x, y) is centred on pixel (x + 5, y + 5).
pub(super) struct SimilarityMap {
    pub width: usize,
    pub height: usize,
    pub values: Vec<f64>,
}

impl SimilarityMap {
    /// Mean over the windows whose centre `keep` accepts; `None` if it accepts none.
    pub fn mean(&self, keep: impl Fn(usize, usize) -> bool) -> Option<f64> {
        let (mut sum, mut n) = (0.0, 0usize);
        for y in 0..self.height {
            for x in 0..self.width {
                if keep(x + SIZE / 2, y + SIZE / 2) {
                    sum += self.values[y * self.width + x];
                    n += 1;
                }
            }
        }
        (n > 0).then(|| sum / n as f64)
    }
}

/// Returns the luma (0 to 255) of RGB pixels.
pub(super) fn luma(rgb: &[u8]) -> Vec<f64> {
    rgb.chunks_exact(3)
        .map(|p| 0.299 * f64::from(p[0]) + 0.587 * f64::from(p[1]) + 0.114 * f64::from(p[2]))
        .collect()
}

/// Compares two images of `width` x `height` luma values.
pub(super) fn map(a: &[f64], b: &[f64], width: usize, height: usize) -> SimilarityMap {
    let product =
        |x: &[f64], y: &[f64]| -> Vec<f64> { x.iter().zip(y).map(|(x, y)| x * y).collect() };
    let blurred = |v: &[f64]| blur(v, width, height);
    let (ma, mb) = (blurred(a), blurred(b));
    let (aa, bb, ab) = (
        blurred(&product(a, a)),
        blurred(&product(b, b)),
        blurred(&product(a, b)),
    );
    let values = (0..ma.len())
        .map(|i| {
            let (x, y) = (ma[i], mb[i]);
            let (vx, vy, c) = (aa[i] - x * x, bb[i] - y * y, ab[i] - x * y);
            (2.0 * x * y + C1) * (2.0 * c + C2) / ((x * x + y * y + C1) * (vx + vy + C2))
        })
        .collect();
    SimilarityMap {
        width: (width + 1).saturating_sub(SIZE),
        height: (height + 1).saturating_sub(SIZE),
        values,
    }
}

/// Returns the normalised Gaussian of the window.
fn kernel() -> [f64; SIZE] {
    let half = (SIZE / 2) as f64;
    let raw: [f64; SIZE] = std::array::from_fn(|i| {
        let d = i as f64 - half;
        libm::exp(-d * d / (2.0 * SIGMA * SIGMA))
    });
    let sum: f64 = raw.iter().sum();
    raw.map(|v| v / sum)
}

/// Returns the Gaussian mean of every window inside the image.
fn blur(v: &[f64], width: usize, height: usize) -> Vec<f64> {
    let k = kernel();
    let (w, h) = (
        (width + 1).saturating_sub(SIZE),
        (height + 1).saturating_sub(SIZE),
    );
    let mut rows = vec![0.0; w * height];
    for y in 0..height {
        for x in 0..w {
            rows[y * w + x] = (0..SIZE).map(|i| k[i] * v[y * width + x + i]).sum();
        }
    }
    let mut out = vec![0.0; w * h];
    for y in 0..h {
        for x in 0..w {
            out[y * w + x] = (0..SIZE).map(|i| k[i] * rows[(y + i) * w + x]).sum();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    //! Guarantee: the index is 1 for equal images and follows the published formula for flat ones.
    use super::*;

    fn noise(seed: u32, n: usize) -> Vec<f64> {
        let mut s = seed;
        (0..n)
            .map(|_| {
                s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f64::from(s >> 24)
            })
            .collect()
    }

    #[test]
    fn an_image_is_like_itself_and_unlike_noise() {
        let a = noise(1, 40 * 30);
        let b = noise(2, 40 * 30);
        let same = map(&a, &a, 40, 30);
        assert_eq!(same.values.len(), 30 * 20);
        assert!((same.mean(|_, _| true).unwrap_or(0.0) - 1.0).abs() < 1e-12);
        assert!(map(&a, &b, 40, 30).mean(|_, _| true).unwrap_or(1.0).abs() < 0.1);
        assert!(same.mean(|_, _| false).is_none());
    }

    /// Two flat images differ in the term of means alone: (2ab + C1) / (a² + b² + C1).
    #[test]
    fn flat_images_compare_their_means() {
        let (a, b) = (vec![100.0; 400], vec![150.0; 400]);
        let wanted = (2.0 * 100.0 * 150.0 + C1) / (100.0 * 100.0 + 150.0 * 150.0 + C1);
        let found = map(&a, &b, 20, 20).mean(|_, _| true).unwrap_or(0.0);
        assert!((found - wanted).abs() < 1e-9, "{found} {wanted}");
    }
}
