//! The whole frame, averaged in integers: what the small checkpoints see.

use crate::kernels::multiversion;

/// Averages square RGB frames over the exact footprint of every pixel, in integers, rounding half up. The trainer
/// stores what this returns, so that both see the same bytes.
pub fn resize_area(frame: &[u8], from: usize, to: usize) -> Vec<u8> {
    assert!(
        from <= 2048,
        "sums fit 32 bits up to a side of 2048, not {from}"
    );
    assert_eq!(frame.len(), from * from * 3, "RGB frame of side {from}");
    // In units of 1 / (from * to) of the side, source pixels are `to` wide and target pixels `from`.
    let spans: Vec<Vec<(usize, u32)>> = (0..to)
        .map(|i| {
            let (start, end) = (i * from, (i + 1) * from);
            let overlap = |j: usize| (((j + 1) * to).min(end) - (j * to).max(start)) as u32;
            (start / to..end.div_ceil(to))
                .map(|j| (j, overlap(j)))
                .collect()
        })
        .collect();
    let mut result = vec![0u8; to * to * 3];
    let mut row = vec![0u32; from * 3];
    let total = (from * from) as u32;
    for (span, result) in spans.iter().zip(result.chunks_exact_mut(to * 3)) {
        row.fill(0);
        for (j, weight) in span {
            add_weighted(&mut row, &frame[j * from * 3..][..from * 3], *weight);
        }
        for (span, result) in spans.iter().zip(result.chunks_exact_mut(3)) {
            let mut sums = [total / 2; 3];
            for (j, weight) in span {
                for (sum, value) in sums.iter_mut().zip(&row[3 * j..]) {
                    *sum += weight * value;
                }
            }
            for (result, sum) in result.iter_mut().zip(sums) {
                *result = (sum / total) as u8;
            }
        }
    }
    result
}

multiversion! {
    fn add_weighted(sums: &mut [u32], values: &[u8], weight: u32) {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += weight * u32::from(*value);
        }
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: the area average is exact: constant frames stay, means are kept, the identity is one.
    use super::*;

    #[test]
    fn area_average_is_exact() {
        assert_eq!(
            resize_area(&vec![77; 256 * 256 * 3], 256, 112),
            vec![77; 112 * 112 * 3]
        );
        let mut random = crate::testing::SplitMix64::new(1);
        let frame: Vec<u8> = (0..64 * 64 * 3).map(|_| random.next_u64() as u8).collect();
        assert_eq!(resize_area(&frame, 64, 64), frame);
        let half = resize_area(&frame, 64, 32);
        let at = |x: usize, y: usize| u32::from(frame[3 * (y * 64 + x)]);
        assert_eq!(
            u32::from(half[0]),
            (at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1) + 2) / 4
        );
        let mean = |x: &[u8]| x.iter().map(|&v| f64::from(v)).sum::<f64>() / x.len() as f64;
        assert!((mean(&resize_area(&frame, 64, 28)) - mean(&frame)).abs() < 0.5);
    }
}
