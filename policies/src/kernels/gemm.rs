//! Panel products, dispatched to the kernels of an instruction set. Both products add to the contents of the tile, so
//! the inner dimension may be split anywhere: integer sums are exact, and an f32 output is one chain of fused
//! multiply-adds over the ascending inner dimension. Hence every instruction set gives the same bits.

use super::panel::{F32Panel, Int8Panel, MAX_PANEL_GROUPS, OUTPUT_GROUP, PanelKernels, QUAD_BYTES};
use super::{Isa, scalar};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512vnni, avxvnni};
#[cfg(target_arch = "aarch64")]
use super::{dotprod, i8mm, neon};

/// The kernels of an instruction set.
///
/// # Panics
/// If the processor does not have it.
pub(super) fn kernels(isa: Isa) -> &'static PanelKernels {
    assert!(isa.supported(), "{isa:?} is not on this processor");
    match isa {
        Isa::Scalar => &scalar::KERNELS,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => &avx2::KERNELS,
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni => &avxvnni::KERNELS,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni => &avx512vnni::KERNELS,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => &neon::KERNELS,
        #[cfg(target_arch = "aarch64")]
        Isa::DotProd => &dotprod::KERNELS,
        #[cfg(target_arch = "aarch64")]
        Isa::I8mm => &i8mm::KERNELS,
        // Those of other processors, which the line above has refused.
        _ => &scalar::KERNELS,
    }
}

/// Length of `rows` rows of `width` entries at a stride.
fn strided_len(rows: usize, width: usize, stride: usize) -> usize {
    match rows {
        0 => 0,
        rows => (rows - 1) * stride + width,
    }
}

/// `c[row][output] += sum_k x[row][k] w[k][output]`; `c` is `[rows][groups * OUTPUT_GROUP]`.
///
/// # Panics
/// If a slice is too short or the processor does not have the instruction set.
pub fn int8_panel(isa: Isa, t: &Int8Panel<'_>, c: &mut [i32]) {
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
    // SAFETY: `kernels` and the lines above checked the instruction set and the sizes.
    unsafe { (kernels(isa).int8)(t, c) }
}

/// `c[row][output] += sum_k a[row][k] b[k][output]`, rows of `c` at the stride `ldc`.
///
/// # Panics
/// If a slice is too short or the processor does not have the instruction set.
pub fn f32_panel(isa: Isa, t: &F32Panel<'_>, c: &mut [f32], ldc: usize) {
    let width = t.groups * OUTPUT_GROUP;
    assert!(
        (1..=MAX_PANEL_GROUPS).contains(&t.groups),
        "{} groups",
        t.groups
    );
    assert!(t.a.len() >= strided_len(t.rows, t.k, t.lda), "rows");
    assert!(t.b.len() >= strided_len(t.k, width, t.ldb), "panel");
    assert!(c.len() >= strided_len(t.rows, width, ldc), "outputs");
    // SAFETY: `kernels` and the lines above checked the instruction set and the sizes.
    unsafe { (kernels(isa).f32)(t, c, ldc) }
}

#[cfg(test)]
mod tests {
    //! Guarantee: every instruction set gives the bits of the scalar twin, and those are the plain sum.
    use super::*;
    use crate::kernels::panel::PanelBytes;
    use crate::testing::SplitMix64;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn integer_tiles_agree_bit_for_bit(
            rows in 0usize..30, groups in 1usize..=4, quads in 0usize..150, ternary: bool, overwrite: bool, seed in any::<u64>()
        ) {
            let mut random = SplitMix64::new(seed);
            let ldx = 4 * quads + 3;
            let extreme = if seed % 2 == 0 { i8::MIN } else { i8::MAX };
            let mut activation = || match random.next_u64() % 4 {
                0 => random.next_u64() as i8,
                _ => extreme,
            };
            let x: Vec<i8> = (0..rows * ldx).map(|_| activation()).collect();
            let bytes = if ternary { PanelBytes::Ternary } else { PanelBytes::Int8 };
            let (least, largest) = if ternary { (0, 2) } else { (1, 255) };
            let count = u64::from(largest - least) + 1;
            // Extremes are as likely as all other weights and activations together.
            let mut weight = || match random.next_u64() % 2 {
                0 => largest,
                _ => least + (random.next_u64() % count) as u8,
            };
            let w: Vec<u8> = (0..quads * groups * QUAD_BYTES).map(|_| weight()).collect();
            let first: Vec<i32> = (0..rows).map(|_| random.next_u64() as i32 >> 8).collect();
            let t = Int8Panel { rows, x: &x, ldx, quads, w: &w, groups, bytes, start: overwrite.then_some(&first) };
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
                int8_panel(isa, &t, &mut c);
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
                f32_panel(isa, &t, &mut c, ldc);
                prop_assert_eq!(&c, &want, "{:?}", isa);
            }
        }
    }
}
