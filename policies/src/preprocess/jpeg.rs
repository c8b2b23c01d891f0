//! A JPEG file and back without the file: what entropy coding does not lose. Encoder: libjpeg at quality 95 with 4:2:0
//! chroma (`jccolor.c`, `jcsample.c`); decoder: TensorFlow's default, libjpeg with the fast inverse DCT and smooth
//! chroma (`jdsample.c`, `jdcolor.c`). All integers; the transforms are in [`super::dct`].

use super::dct::{Quantiser, code_plane};
use crate::kernels::multiversion;

/// Quality 95 is this percentage of the tables of quality 50.
const PERCENT: u32 = 200 - 2 * 95;

/// Annex K of the JPEG standard, table K.1, row-major.
static LUMA: Quantiser = Quantiser::new(
    &[
        16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69,
        56, 14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81,
        104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
    ],
    PERCENT,
);

/// Table K.2: 99 but for the lowest frequencies.
static CHROMA: Quantiser = Quantiser::new(
    &{
        let mut table = [99; 64];
        let corner = [
            [17, 18, 24, 47],
            [18, 21, 26, 66],
            [24, 26, 56, 99],
            [47, 66, 99, 99],
        ];
        let mut i = 0;
        while i < 16 {
            table[i / 4 * 8 + i % 4] = corner[i / 4][i % 4];
            i += 1;
        }
        table
    },
    PERCENT,
);

/// 16-bit fixed point.
const fn fix(x: f64) -> i32 {
    (x * 65536.0 + 0.5) as i32
}
const HALF: i32 = 1 << 15;

/// A square RGB frame of an even side after JPEG encoding and decoding.
pub fn jpeg_round_trip(frame: &[u8], side: usize) -> Vec<u8> {
    assert!(
        side >= 6 && side.is_multiple_of(2),
        "an even side of at least 6, not {side}"
    );
    assert_eq!(frame.len(), side * side * 3, "RGB frame of side {side}");
    // Whole blocks of both resolutions: right edges are repeated before averaging, bottom edges after.
    let stride = side.next_multiple_of(16);
    let (half, half_stride) = (side / 2, stride / 2);
    let mut luma = vec![0u8; stride * stride];
    let mut chroma = [(); 2].map(|()| vec![0u8; half_stride * half_stride]);
    let mut rows = [(); 2].map(|()| vec![0u8; 2 * stride]);
    for y in 0..half {
        for part in 0..2 {
            let line = 2 * y + part;
            let range = part * stride..(part + 1) * stride;
            let [blue, red] = &mut rows;
            from_rgb(
                &frame[line * side * 3..][..side * 3],
                &mut luma[line * stride..][..stride],
                &mut blue[range.clone()],
                &mut red[range],
            );
        }
        for (rows, plane) in rows.iter().zip(&mut chroma) {
            average(rows, &mut plane[y * half_stride..][..half_stride]);
        }
    }
    repeat_last_row(&mut luma, stride, side);
    code_plane(&mut luma, stride, &LUMA);
    for plane in &mut chroma {
        repeat_last_row(plane, half_stride, half);
        code_plane(plane, half_stride, &CHROMA);
    }
    let mut result = vec![0u8; frame.len()];
    let [mut blue, mut red] = [(); 2].map(|()| vec![0u8; side]);
    for (y, result) in result.chunks_exact_mut(side * 3).enumerate() {
        let near = y / 2;
        let far = match y % 2 {
            0 => near.saturating_sub(1),
            _ => (near + 1).min(half - 1),
        };
        for (plane, row) in chroma.iter().zip([&mut blue, &mut red]) {
            let row_of = |y: usize| &plane[y * half_stride..][..half];
            upsample(row_of(near), row_of(far), row);
        }
        to_rgb(&luma[y * stride..][..side], &blue, &red, result);
    }
    result
}

/// Fills a plane below its first `rows` rows.
fn repeat_last_row(plane: &mut [u8], stride: usize, rows: usize) {
    let (image, padding) = plane.split_at_mut(rows * stride);
    for row in padding.chunks_exact_mut(stride) {
        row.copy_from_slice(&image[(rows - 1) * stride..]);
    }
}

multiversion! {
    /// RGB pixels to the three components, the last pixel repeated to the end of the row.
    fn from_rgb(pixels: &[u8], luma: &mut [u8], blue: &mut [u8], red: &mut [u8]) {
        let side = pixels.len() / 3;
        let (pixels, _) = pixels.as_chunks::<3>();
        let rows = luma.iter_mut().zip(blue.iter_mut()).zip(red.iter_mut());
        for (pixel, ((luma, blue), red)) in pixels.iter().zip(rows) {
            let [r, g, b] = pixel.map(i32::from);
            let centre = (128 << 16) + HALF - 1;
            *luma = ((fix(0.299) * r + fix(0.587) * g + fix(0.114) * b + HALF) >> 16) as u8;
            *blue = ((fix(0.5) * b - fix(0.168_74) * r - fix(0.331_26) * g + centre) >> 16) as u8;
            *red = ((fix(0.5) * r - fix(0.418_69) * g - fix(0.081_31) * b + centre) >> 16) as u8;
        }
        for row in [luma, blue, red] {
            let last = row[side - 1];
            row[side..].fill(last);
        }
    }
}

multiversion! {
    /// Means of 2 x 2 samples of a pair of rows, rounding halves down and quarters up in even columns and the other
    /// way round in odd ones.
    fn average(pair: &[u8], out: &mut [u8]) {
        let (top, bottom) = pair.split_at(pair.len() / 2);
        let rows = top.as_chunks::<2>().0.iter().zip(bottom.as_chunks::<2>().0);
        for (x, (out, (top, bottom))) in out.iter_mut().zip(rows).enumerate() {
            let sum: u16 = top.iter().chain(bottom).map(|v| u16::from(*v)).sum();
            *out = ((sum + 1 + (x % 2) as u16) >> 2) as u8;
        }
    }
}

multiversion! {
    /// A row of twice the width: each sample weighs 9, its neighbours to the side and in the far row 3, the diagonal 1.
    fn upsample(near: &[u8], far: &[u8], out: &mut [u8]) {
        let column = |x: usize| 3 * u16::from(near[x]) + u16::from(far[x]);
        let last = near.len() - 1;
        for x in 0..=last {
            let (left, here, right) = (column(x.saturating_sub(1)), column(x), column((x + 1).min(last)));
            out[2 * x] = ((3 * here + left + 8) >> 4) as u8;
            out[2 * x + 1] = ((3 * here + right + 7) >> 4) as u8;
        }
    }
}

multiversion! {
    /// Components to RGB pixels.
    fn to_rgb(luma: &[u8], blue: &[u8], red: &[u8], pixels: &mut [u8]) {
        let (pixels, _) = pixels.as_chunks_mut::<3>();
        for (((pixel, luma), blue), red) in pixels.iter_mut().zip(luma).zip(blue).zip(red) {
            let (y, cb, cr) = (i32::from(*luma), i32::from(*blue) - 128, i32::from(*red) - 128);
            *pixel = [
                y + ((fix(1.402) * cr + HALF) >> 16),
                y + ((HALF - fix(0.344_14) * cb - fix(0.714_14) * cr) >> 16),
                y + ((fix(1.772) * cb + HALF) >> 16),
            ]
            .map(|v| v.clamp(0, 255) as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: noise, with and without whole blocks, comes back as from libjpeg-turbo 2.1 (recorded hashes of what
    //! its encoder and its decoder with `JDCT_IFAST` gave), and grey stays as it is.
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn noise_comes_back_as_from_libjpeg() {
        let recorded = [
            (256, "fc64a01d8f2923a6"),
            (250, "b8c6c35fa8fb684d"),
            (18, "24a26d24049765eb"),
            (6, "45ca269048c10f8a"),
        ];
        for (side, wanted) in recorded {
            let mut random = crate::testing::SplitMix64::new(side as u64);
            let frame: Vec<u8> = (0..side * side * 3)
                .map(|_| random.next_u64() as u8)
                .collect();
            let hash = Sha256::digest(jpeg_round_trip(&frame, side));
            let start: String = hash.iter().take(8).map(|b| format!("{b:02x}")).collect();
            assert_eq!(start, wanted, "side {side}");
        }
    }

    #[test]
    fn grey_stays() {
        for level in 0..=255 {
            let frame = [level; 16 * 16 * 3];
            let worst = jpeg_round_trip(&frame, 16)
                .into_iter()
                .map(|v| v.abs_diff(level))
                .max();
            assert!(worst <= Some(1), "{level}: {worst:?}");
        }
    }
}
