//! The operands of the two products under everything: rows of int8 times a panel of bytes, and rows of f32 times a
//! panel of f32. A panel is up to [`MAX_PANEL_GROUPS`] groups of [`OUTPUT_GROUP`] outputs, laid out as the vector
//! registers want it; weights are unpacked into one once and then multiplied by all rows.

/// Outputs of one group: one AVX-512 register of sums.
pub const OUTPUT_GROUP: usize = 16;
/// Largest number of groups of a panel.
pub const MAX_PANEL_GROUPS: usize = 4;
/// Bytes of four consecutive inputs of a group.
pub const QUAD_BYTES: usize = 4 * OUTPUT_GROUP;

/// The unsigned bytes of a panel of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PanelBytes {
    /// Ternary codes plus one: 0, 1 and 2.
    Ternary,
    /// int8 codes plus 128: 1 to 255. The byte 0 is padding, whose products are unspecified.
    Int8,
}

impl PanelBytes {
    /// What the bytes exceed the codes by.
    pub fn zero_point(self) -> i32 {
        match self {
            PanelBytes::Ternary => 1,
            PanelBytes::Int8 => 128,
        }
    }
}

/// Activations in int8 `[rows, 4 * quads]` and a panel of unsigned bytes.
#[derive(Debug, Clone, Copy)]
pub struct Int8Panel<'a> {
    /// Number of rows.
    pub rows: usize,
    /// Codes of the activations, rows at the stride `ldx`.
    pub x: &'a [i8],
    /// Distance between two rows of `x`.
    pub ldx: usize,
    /// Number of inputs divided by four.
    pub quads: usize,
    /// Unsigned weights, `[quads][groups][OUTPUT_GROUP][4]`.
    pub w: &'a [u8],
    /// Number of groups of outputs.
    pub groups: usize,
    /// What the bytes of `w` are.
    pub bytes: PanelBytes,
    /// Initial value of the sums of every row, `[rows]`; without it they are added to the old contents.
    pub start: Option<&'a [i32]>,
}

impl<'a> Int8Panel<'a> {
    /// 128 times the sum of the activations of a row: what is missing where weights are multiplied less 128, as signed bytes.
    fn offset_of_signed_weights(&self, row: usize) -> i32 {
        let x = &self.x[row * self.ldx..][..4 * self.quads];
        128 * x.iter().map(|x| i32::from(*x)).sum::<i32>()
    }

    /// Begins the sums `c` with that offset; returns the panel whose products are to be added to them.
    pub(super) fn begin_signed_sums(&self, c: &mut [i32]) -> Int8Panel<'a> {
        let sums = c.chunks_exact_mut(self.groups * OUTPUT_GROUP);
        for (row, sums) in sums.take(self.rows).enumerate() {
            let offset = self.offset_of_signed_weights(row);
            match self.start {
                Some(start) => sums.fill(start[row] + offset),
                None => sums.iter_mut().for_each(|sum| *sum += offset),
            }
        }
        Int8Panel {
            start: None,
            ..*self
        }
    }
}

/// Activations in f32 `[rows, k]` and a panel of f32.
#[derive(Debug, Clone, Copy)]
pub struct F32Panel<'a> {
    /// Number of rows.
    pub rows: usize,
    /// Number of inputs.
    pub k: usize,
    /// Activations, rows at the stride `lda`.
    pub a: &'a [f32],
    /// Distance between two rows of `a`.
    pub lda: usize,
    /// Weights `[k][groups * OUTPUT_GROUP]`, rows at the stride `ldb`.
    pub b: &'a [f32],
    /// Distance between two rows of `b`.
    pub ldb: usize,
    /// Number of groups of outputs.
    pub groups: usize,
    /// True if the sums begin with zero instead of the old contents.
    pub overwrite: bool,
}

/// The kernels of one instruction set, in the order of their use.
pub(super) struct PanelKernels {
    /// `c[row][output] += sum_k x[row][k] w[k][output]`, `c` is `[rows][groups * OUTPUT_GROUP]`.
    ///
    /// # Safety
    /// The processor has the instruction set; the sizes are as `gemm::int8_panel` checks them.
    pub int8: unsafe fn(&Int8Panel<'_>, &mut [i32]),
    /// `c[row][output] += sum_k a[row][k] b[k][output]`, rows of `c` at the stride of the last argument.
    ///
    /// # Safety
    /// The processor has the instruction set; the sizes are as `gemm::f32_panel` checks them.
    pub f32: unsafe fn(&F32Panel<'_>, &mut [f32], usize),
    /// So many rounds of byte products `2 * 1` in registers; the sum of every register's first 32-bit lane.
    ///
    /// # Safety
    /// The processor has the instruction set.
    pub int8_peak: unsafe fn(usize) -> i32,
    /// So many rounds of f32 products `2 * 0.5` in registers; the sum of every register's first lane.
    ///
    /// # Safety
    /// The processor has the instruction set.
    pub f32_peak: unsafe fn(usize) -> f32,
    /// 32-bit lanes of all registers of a round of the peak loops.
    pub peak_lanes: usize,
    /// Byte products of a lane in a round.
    pub lane_products: usize,
}

/// Splits a number of groups into panels of at most [`MAX_PANEL_GROUPS`], as evenly as possible, since a panel of one
/// group would leave half of the processor idle. Yields the first group of every panel and its number of groups.
pub fn panels(groups: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = groups.div_ceil(MAX_PANEL_GROUPS).max(1);
    (0..count).map(move |i| {
        let (first, end) = (i * groups / count, (i + 1) * groups / count);
        (first, end - first)
    })
}

#[cfg(test)]
mod tests {
    //! Guarantee: panels cover every group once, and none has one group where two panels could share.
    use super::*;

    #[test]
    fn panels_cover_every_group_once() {
        for groups in 1..300 {
            let mut next = 0;
            for (first, count) in panels(groups) {
                assert_eq!(first, next);
                assert!((1..=MAX_PANEL_GROUPS).contains(&count));
                assert!(
                    count > 1 || groups == 1,
                    "{groups} groups leave a panel of one"
                );
                next += count;
            }
            assert_eq!(next, groups);
        }
    }
}
