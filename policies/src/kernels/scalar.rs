//! Scalar twins of the panel kernels: the reference that every other instruction set is compared with bit for bit.

use super::panel::{F32Panel, Int8Panel, OUTPUT_GROUP, PanelKernels, QUAD_BYTES};

/// Accumulators of the peak loops.
const PEAK_SUMS: usize = 24;

/// The kernels in plain Rust; they need no instruction set.
pub(super) static KERNELS: PanelKernels = PanelKernels {
    int8,
    f32,
    int8_peak,
    f32_peak,
    peak_lanes: PEAK_SUMS,
    lane_products: 4,
};

/// `c += x w` in integers.
fn int8(t: &Int8Panel<'_>, c: &mut [i32]) {
    let width = t.groups * OUTPUT_GROUP;
    for (row, c) in c.chunks_exact_mut(width).take(t.rows).enumerate() {
        if let Some(start) = t.start {
            c.fill(start[row]);
        }
        let x = &t.x[row * t.ldx..][..4 * t.quads];
        let panel = t.w.chunks_exact(t.groups * QUAD_BYTES);
        for (x, w) in x.as_chunks::<4>().0.iter().zip(panel) {
            for (c, w) in c.iter_mut().zip(w.as_chunks::<4>().0) {
                for (x, w) in x.iter().zip(w) {
                    *c += i32::from(*w) * i32::from(*x);
                }
            }
        }
    }
}

/// `c += a b` in f32, one chain of fused multiply-adds per output.
fn f32(t: &F32Panel<'_>, c: &mut [f32], ldc: usize) {
    let width = t.groups * OUTPUT_GROUP;
    for row in 0..t.rows {
        let c = &mut c[row * ldc..][..width];
        if t.overwrite {
            c.fill(0.0);
        }
        for (i, a) in t.a[row * t.lda..][..t.k].iter().enumerate() {
            for (c, b) in c.iter_mut().zip(&t.b[i * t.ldb..][..width]) {
                *c = a.mul_add(*b, *c);
            }
        }
    }
}

/// `rounds` times sums of four byte products.
fn int8_peak(rounds: usize) -> i32 {
    let mut acc = [0i32; PEAK_SUMS];
    let (w, x) = std::hint::black_box(([2u8; 4], [1i8; 4]));
    for _ in 0..rounds {
        for acc in &mut acc {
            for (w, x) in w.iter().zip(x) {
                *acc += i32::from(*w) * i32::from(x);
            }
        }
        acc = std::hint::black_box(acc);
    }
    acc.iter().sum()
}

/// `rounds` times fused multiply-adds.
fn f32_peak(rounds: usize) -> f32 {
    let mut acc = [0f32; PEAK_SUMS];
    for _ in 0..rounds {
        for acc in &mut acc {
            *acc = 2f32.mul_add(0.5, *acc);
        }
    }
    acc.iter().sum()
}
