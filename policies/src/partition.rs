//! Partition of a row-major matrix into blocks of rows and columns that threads fill independently. Splitting columns
//! repeats no work, so that there are enough blocks for a delayed thread to leave some to the others.

use crate::threads::Threads;
use std::ops::Range;

/// Block of a matrix: some rows, and some columns of each.
pub struct OutputBlock<'a> {
    /// Number of the first row.
    pub first: usize,
    /// Number of the part of columns.
    pub part: usize,
    /// Rows, each limited to the columns of the part.
    pub rows: Vec<&'a mut [f32]>,
}

/// Partitions `out`, `[rows, sum of widths]`, into blocks of at most `most` rows (a multiple of `unit`) and the column
/// parts `widths`.
pub fn partition_matrix<'a>(
    out: &'a mut [f32],
    widths: &[usize],
    (unit, most): (usize, usize),
) -> Vec<OutputBlock<'a>> {
    let n: usize = widths.iter().sum();
    let count = out.len() / n.max(1);
    let cuts = count.div_ceil(most).max(1);
    let height = count.div_ceil(cuts).next_multiple_of(unit).max(unit);
    let mut all = Vec::with_capacity(cuts * widths.len());
    for (i, rows) in out.chunks_mut(height * n.max(1)).enumerate() {
        let start = all.len();
        all.extend((0..widths.len()).map(|part| OutputBlock {
            first: i * height,
            part,
            rows: Vec::with_capacity(height),
        }));
        for mut row in rows.chunks_exact_mut(n.max(1)) {
            for (block, width) in all[start..].iter_mut().zip(widths) {
                let (piece, rest) = std::mem::take(&mut row).split_at_mut(*width);
                block.rows.push(piece);
                row = rest;
            }
        }
    }
    all
}

/// Partitions `0..items` into ranges as even as possible, so that with `beside` rows of blocks there are [`ROUNDS`] blocks
/// for every thread; one range for one thread.
pub fn partition_range(threads: &Threads, items: usize, beside: usize) -> Vec<Range<usize>> {
    let wanted = match threads.count() {
        1 => 1,
        count => (ROUNDS * count).div_ceil(beside.max(1)),
    };
    let count = wanted.clamp(1, items.max(1));
    (0..count)
        .map(|i| i * items / count..(i + 1) * items / count)
        .collect()
}

/// Blocks for every thread.
const ROUNDS: usize = 4;

#[cfg(test)]
mod tests {
    //! Guarantee: every element of the matrix is in exactly one block, at the position that the block states.
    use super::*;

    #[test]
    fn blocks_cover_the_matrix_once() {
        for (rows, widths, most) in [
            (7, vec![3, 5], 4),
            (1, vec![2], 10),
            (630, vec![64, 64, 16], 384),
            (12, vec![4], 6),
        ] {
            let n: usize = widths.iter().sum();
            let mut out = vec![0f32; rows * n];
            for block in partition_matrix(&mut out, &widths, (2, most)) {
                let column: usize = widths[..block.part].iter().sum();
                assert!(block.rows.len() <= most.next_multiple_of(2));
                for (i, row) in block.rows.into_iter().enumerate() {
                    for (j, v) in row.iter_mut().enumerate() {
                        *v += ((block.first + i) * n + column + j) as f32 + 1.0;
                    }
                }
            }
            assert!(out.iter().enumerate().all(|(i, v)| *v == i as f32 + 1.0));
        }
    }

    #[test]
    fn parts_cover_all_items() {
        for count in [1, 2, 5] {
            let Ok(threads) = Threads::new(count) else {
                continue;
            };
            for items in [1, 3, 40] {
                let parts = partition_range(&threads, items, 2);
                assert_eq!(parts[0].start, 0);
                assert_eq!(parts[parts.len() - 1].end, items);
                assert!(
                    parts
                        .windows(2)
                        .all(|p| p[0].end == p[1].start && !p[1].is_empty())
                );
                assert!(count > 1 || parts.len() == 1);
            }
        }
    }
}
