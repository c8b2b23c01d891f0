//! Frosted glass: neighbouring pixels exchanged between two blurs.

use super::{FloatImage, gaussian_blur};

/// Exchange of two pixels, as indices of rows times side plus columns.
pub type Swap = (u32, u32);

/// The exchanges of `passes` passes over an image, from its last row and column to its first, each pixel with one at most `reach` rows and columns away; `draw` gives the distance, -reach to
/// reach - 1, columns first.
pub fn glass_swaps(
    side: usize,
    reach: usize,
    passes: usize,
    draw: &mut dyn FnMut() -> isize,
) -> Vec<Swap> {
    let mut swaps = Vec::new();
    for _ in 0..passes {
        for row in (reach + 1..=side.saturating_sub(reach)).rev() {
            for column in (reach + 1..=side.saturating_sub(reach)).rev() {
                let (right, down) = (draw(), draw());
                let index = |row: isize, column: isize| {
                    let inside = |at: isize| at.clamp(0, side as isize - 1) as usize;
                    (inside(row) * side + inside(column)) as u32
                };
                let (row, column) = (row as isize, column as isize);
                swaps.push((index(row, column), index(row + down, column + right)));
            }
        }
    }
    swaps
}

/// A Gaussian blur, the exchanges in their order, and the blur again. Pixels are whole numbers between the two.
pub fn glass_blur(image: &FloatImage, sigma: f64, swaps: &[Swap]) -> FloatImage {
    let mut blurred = gaussian_blur(image, sigma);
    for value in &mut blurred.values {
        *value = libm::floorf(*value + 1e-3);
    }
    for (a, b) in swaps {
        let (a, b) = (3 * *a as usize, 3 * *b as usize);
        for k in 0..3 {
            blurred.values.swap(a + k, b + k);
        }
    }
    gaussian_blur(&blurred, sigma)
}
