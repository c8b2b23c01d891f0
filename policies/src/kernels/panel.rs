//! The two products under everything: rows of int8 times a panel of bytes, and rows of f32 times a panel of f32.
//! A panel is up to [`MAX_PANEL_GROUPS`] groups of [`OUTPUT_GROUP`] outputs, laid out as the vectors want it; weights are unpacked
//! into one once and then met by all rows. Both products add to what the tile holds, so the inner dimension may be cut
//! anywhere: integer sums are exact, and an f32 output is one chain of fused multiply-adds over the ascending inner
//! dimension. That is why every instruction set gives the same bits.

use super::{Isa, scalar};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512vnni, avxvnni};

/// Outputs of one group: one AVX-512 register of sums.
pub const OUTPUT_GROUP: usize = 16;
/// Groups of a panel at most.
pub const MAX_PANEL_GROUPS: usize = 4;
/// Bytes of four inputs of a group.
pub const QUAD_BYTES: usize = 4 * OUTPUT_GROUP;

/// Rows of int8 and a panel of bytes.
#[derive(Debug, Clone, Copy)]
pub struct Int8Panel<'a> {
    /// Rows.
    pub rows: usize,
    /// Codes of the activations, rows at a stride.
    pub x: &'a [i8],
    /// The stride.
    pub ldx: usize,
    /// Inputs divided by four.
    pub quads: usize,
    /// Unsigned weights, `[quads][groups][OUTPUT_GROUP][4]`.
    pub w: &'a [u8],
    /// Groups of outputs.
    pub groups: usize,
    /// Whether weights may exceed 127.
    pub full_range: bool,
    /// What the sums of every row begin with; without it with what is there.
    pub start: Option<&'a [i32]>,
}

/// Rows of f32 and a panel of f32.
#[derive(Debug, Clone, Copy)]
pub struct F32Panel<'a> {
    /// Rows.
    pub rows: usize,
    /// Inputs.
    pub k: usize,
    /// Rows at a stride.
    pub a: &'a [f32],
    /// The stride.
    pub lda: usize,
    /// `[k][groups * OUTPUT_GROUP]`, at a stride.
    pub b: &'a [f32],
    /// The stride.
    pub ldb: usize,
    /// Groups of outputs.
    pub groups: usize,
    /// Whether the sums begin with zero instead of what is there.
    pub overwrite: bool,
}

/// Length of rows at a stride.
fn strided_len(rows: usize, width: usize, stride: usize) -> usize {
    match rows {
        0 => 0,
        rows => (rows - 1) * stride + width,
    }
}

/// `c[row][output] += sum_k x[row][k] w[k][output]`; `c` is `[rows][groups * OUTPUT_GROUP]`.
///
/// # Panics
/// When a slice is too short or the instruction set is not there.
pub fn int8(isa: Isa, t: &Int8Panel<'_>, c: &mut [i32]) {
    let width = t.groups * OUTPUT_GROUP;
    assert!(
        (1..=MAX_PANEL_GROUPS).contains(&t.groups),
        "{} groups",
        t.groups
    );
    assert!(
        t.x.len() >= strided_len(t.rows, 4 * t.quads, t.ldx),
        "activations"
    );
    assert!(t.w.len() >= t.quads * t.groups * QUAD_BYTES, "weights");
    assert!(c.len() >= t.rows * width, "sums");
    assert!(t.start.is_none_or(|start| start.len() >= t.rows), "starts");
    assert!(isa.supported(), "{isa:?} is not on this processor");
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the instruction set and the sizes were checked.
        Isa::Avx512Vnni => unsafe { avx512vnni::int8(t, c) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::AvxVnni => unsafe { avxvnni::int8(t, c) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 => unsafe { avx2::int8(t, c) },
        _ => scalar::int8(t, c),
    }
}

/// `c[row][output] += sum_k a[row][k] b[k][output]`, rows of `c` at the stride `ldc`.
///
/// # Panics
/// When a slice is too short or the instruction set is not there.
pub fn float(isa: Isa, t: &F32Panel<'_>, c: &mut [f32], ldc: usize) {
    let width = t.groups * OUTPUT_GROUP;
    assert!(
        (1..=MAX_PANEL_GROUPS).contains(&t.groups),
        "{} groups",
        t.groups
    );
    assert!(t.a.len() >= strided_len(t.rows, t.k, t.lda), "rows");
    assert!(t.b.len() >= strided_len(t.k, width, t.ldb), "panel");
    assert!(c.len() >= strided_len(t.rows, width, ldc), "outputs");
    assert!(isa.supported(), "{isa:?} is not on this processor");
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the instruction set and the sizes were checked.
        Isa::Avx512Vnni => unsafe { avx512vnni::float(t, c, ldc) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 | Isa::AvxVnni => unsafe { avx2::float(t, c, ldc) },
        _ => scalar::float(t, c, ldc),
    }
}

/// Cuts a number of groups into panels of at most [`MAX_PANEL_GROUPS`], as even as can be; a panel of one group would waste
/// half of the processor. Gives the first group of every panel and how many it has.
pub fn panels(groups: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = groups.div_ceil(MAX_PANEL_GROUPS).max(1);
    (0..count).map(move |i| {
        let (first, end) = (i * groups / count, (i + 1) * groups / count);
        (first, end - first)
    })
}

/// A buffer that starts at a cache line.
#[derive(Debug, Default)]
pub struct AlignedBuffer<T> {
    values: Vec<T>,
}

impl<T: Copy + Default> AlignedBuffer<T> {
    /// `len` values, which may hold anything.
    pub fn get(&mut self, len: usize) -> &mut [T] {
        let spare = 64 / size_of::<T>();
        if self.values.len() < len + spare {
            self.values.resize(len + spare, T::default());
        }
        let start = self.values.as_ptr().align_offset(64).min(spare);
        &mut self.values[start..start + len]
    }

    /// The first `len` values as they are.
    pub fn view(&self, len: usize) -> &[T] {
        let start = self
            .values
            .as_ptr()
            .align_offset(64)
            .min(64 / size_of::<T>());
        self.values.get(start..start + len).unwrap_or_default()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<T>()
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: every instruction set gives the bits of the scalar twin, and those are the plain sum.
    use super::*;
    use crate::testing::SplitMix64;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(80))]
        #[test]
        fn integer_tiles_agree_bit_for_bit(
            rows in 0usize..30, groups in 1usize..=4, quads in 0usize..40, full_range: bool, overwrite: bool, seed in any::<u64>()
        ) {
            let mut random = SplitMix64::new(seed);
            let ldx = 4 * quads + 3;
            let x: Vec<i8> = (0..rows * ldx).map(|_| (random.next_u64() % 255) as i16 as i8).collect();
            let top = if full_range { 256 } else { 128 };
            let w: Vec<u8> = (0..quads * groups * QUAD_BYTES).map(|_| (random.next_u64() % top) as u8).collect();
            let first: Vec<i32> = (0..rows).map(|_| random.next_u64() as i32 >> 8).collect();
            let t = Int8Panel { rows, x: &x, ldx, quads, w: &w, groups, full_range, start: overwrite.then_some(&first) };
            let start: Vec<i32> = (0..rows * groups * OUTPUT_GROUP).map(|_| random.next_u64() as i32 >> 8).collect();
            let mut want = start.clone();
            for (i, c) in want.iter_mut().enumerate() {
                let (row, out) = (i / (groups * OUTPUT_GROUP), i % (groups * OUTPUT_GROUP));
                if overwrite {
                    *c = first[row];
                }
                for k in 0..4 * quads {
                    let at = (k / 4 * groups + out / OUTPUT_GROUP) * QUAD_BYTES + out % OUTPUT_GROUP * 4 + k % 4;
                    *c += i32::from(w[at]) * i32::from(x[row * ldx + k]);
                }
            }
            for isa in Isa::available() {
                let mut c = start.clone();
                int8(isa, &t, &mut c);
                prop_assert_eq!(&c, &want, "{:?}", isa);
            }
        }

        #[test]
        fn float_tiles_agree_bit_for_bit(
            rows in 0usize..30, groups in 1usize..=4, k in 0usize..50, pad in 0usize..20, overwrite: bool, seed in any::<u64>()
        ) {
            let mut random = SplitMix64::new(seed);
            let (lda, ldb) = (k + pad, groups * OUTPUT_GROUP + pad);
            let ldc = groups * OUTPUT_GROUP + pad;
            let mut noise = |n: usize| (0..n).map(|_| random.normal()).collect::<Vec<f32>>();
            let (a, b, start) = (noise(rows * lda), noise(k * ldb), noise(rows * ldc));
            let t = F32Panel { rows, k, a: &a, lda, b: &b, ldb, groups, overwrite };
            let mut want = start.clone();
            for row in 0..rows {
                for out in 0..groups * OUTPUT_GROUP {
                    let c = &mut want[row * ldc + out];
                    if overwrite {
                        *c = 0.0;
                    }
                    for i in 0..k {
                        *c = a[row * lda + i].mul_add(b[i * ldb + out], *c);
                    }
                }
            }
            for isa in Isa::available() {
                let mut c = start.clone();
                float(isa, &t, &mut c, ldc);
                prop_assert_eq!(&c, &want, "{:?}", isa);
            }
        }
    }

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

    #[test]
    fn aligned_buffers_start_at_a_cache_line() {
        let mut buffer = AlignedBuffer::<f32>::default();
        for len in [1, 100, 7, 5000] {
            assert!(buffer.get(len).as_ptr().cast::<u8>().align_offset(64) == 0);
        }
    }
}
