//! Blurs: Gaussian, along a line, and by zooming.

use super::FloatImage;

/// Standard deviations of a Gaussian after which it is cut off.
const TRUNCATED_AT: f64 = 4.0;

/// Gaussian blur with a standard deviation in pixels, cut off after four of them; the edge is repeated.
pub fn gaussian_blur(image: &FloatImage, sigma: f64) -> FloatImage {
    let radius = (TRUNCATED_AT * sigma + 0.5) as isize;
    let weight = |i: isize| libm::exp(-0.5 * (i * i) as f64 / (sigma * sigma));
    let weights: Vec<f64> = (-radius..=radius).map(weight).collect();
    let total: f64 = weights.iter().sum();
    let weights: Vec<f32> = weights.iter().map(|w| (w / total) as f32).collect();
    along_rows(
        &transposed(&along_rows(&transposed(image), &weights)),
        &weights,
    )
}

/// Exchanges rows and columns.
fn transposed(image: &FloatImage) -> FloatImage {
    let mut out = FloatImage::black(image.side);
    for row in 0..image.side {
        for column in 0..image.side {
            let (to, from) = (
                3 * (column * image.side + row),
                3 * (row * image.side + column),
            );
            out.values[to..to + 3].copy_from_slice(&image.values[from..from + 3]);
        }
    }
    out
}

/// Convolves every row with weights whose middle one is that of the pixel itself.
fn along_rows(image: &FloatImage, weights: &[f32]) -> FloatImage {
    let (side, radius) = (image.side, weights.len() / 2);
    let mut out = FloatImage::black(side);
    let mut padded = vec![0.0f32; 3 * (side + 2 * radius)];
    for row in 0..side {
        let line = &image.values[3 * row * side..3 * (row + 1) * side];
        for at in 0..side + 2 * radius {
            let column = at.saturating_sub(radius).min(side - 1);
            padded[3 * at..3 * at + 3].copy_from_slice(&line[3 * column..3 * column + 3]);
        }
        let to = &mut out.values[3 * row * side..3 * (row + 1) * side];
        for (k, weight) in weights.iter().enumerate() {
            let from = &padded[3 * k..3 * (k + side)];
            for (sum, value) in to.iter_mut().zip(from) {
                *sum += weight * value;
            }
        }
    }
    out
}

/// Blur along a line: one side of a Gaussian with a standard deviation `sigma` over `2 radius + 1` pixels in a direction, degrees from the rows; the edge
/// is repeated.
pub fn motion_blur(image: &FloatImage, radius: usize, sigma: f64, angle_deg: f64) -> FloatImage {
    let width = 2 * radius + 1;
    let weight = |i: usize| libm::exp(-((i * i) as f64) / (2.0 * sigma * sigma));
    let weights: Vec<f64> = (0..width).map(weight).collect();
    let total: f64 = weights.iter().sum();
    let (sin, cos) = (
        libm::sin(angle_deg.to_radians()),
        libm::cos(angle_deg.to_radians()),
    );
    let nearest = |v: f64| libm::ceil(v - 0.5) as isize;
    let taps: Vec<(isize, isize, f32)> = (0..width)
        .map(|i| {
            let at = i as f64;
            (
                nearest(at * sin),
                nearest(at * cos),
                (weights[i] / total) as f32,
            )
        })
        .collect();
    let side = image.side;
    let mut out = FloatImage::black(side);
    for row in 0..side {
        for column in 0..side {
            let mut sum = [0.0f32; 3];
            for (down, right, weight) in &taps {
                let pixel = image.pixel(row as isize + down, column as isize + right);
                for (sum, value) in sum.iter_mut().zip(pixel) {
                    *sum += weight * value;
                }
            }
            let at = 3 * (row * side + column);
            out.values[at..at + 3].copy_from_slice(&sum);
        }
    }
    out
}

/// Mean of the image and of enlargements of its middle by `zooms`, each at least 1.
pub fn zoom_blur(image: &FloatImage, zooms: &[f64]) -> FloatImage {
    let mut sum = image.clone();
    for zoom in zooms {
        add_zoomed(&mut sum, image, *zoom);
    }
    let count = (zooms.len() + 1) as f32;
    for value in &mut sum.values {
        *value /= count;
    }
    sum
}

/// Adds the middle of an image, enlarged bilinearly and cut to its size.
fn add_zoomed(sum: &mut FloatImage, image: &FloatImage, zoom: f64) {
    let side = image.side;
    let cropped = libm::ceil(side as f64 / zoom) as usize;
    let from = (side - cropped) / 2;
    // The enlarged crop, of which the middle is taken.
    let enlarged = libm::rint(cropped as f64 * zoom) as usize;
    let trim = enlarged.saturating_sub(side) / 2;
    let scale = match enlarged {
        0 | 1 => 0.0,
        more => (cropped - 1) as f64 / (more - 1) as f64,
    };
    let place = |at: usize| {
        let exact = (at + trim) as f64 * scale;
        let low = (exact as usize).min(cropped - 1);
        (
            from + low,
            from + (low + 1).min(cropped - 1),
            (exact - low as f64) as f32,
        )
    };
    for row in 0..side {
        let (above, below, down) = place(row);
        for column in 0..side {
            let (left, right, over) = place(column);
            let pixel = |row: usize, column: usize| image.pixel(row as isize, column as isize);
            let (a, b) = (pixel(above, left), pixel(above, right));
            let (c, d) = (pixel(below, left), pixel(below, right));
            let at = 3 * (row * side + column);
            for (k, to) in sum.values[at..at + 3].iter_mut().enumerate() {
                let top = a[k] + over * (b[k] - a[k]);
                let bottom = c[k] + over * (d[k] - c[k]);
                *to += top + down * (bottom - top);
            }
        }
    }
}
