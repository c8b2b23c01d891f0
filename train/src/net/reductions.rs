//! Reductions and elementary functions for `multiversion!` loops, which give the same bits on every instruction set: without
//! fused operations, with sums in sixteen partial sums of fixed order.

/// Number of partial sums of a reduction, in a fixed order.
pub(crate) const SUM_LANES: usize = 16;

/// Sums the lanes pairwise.
#[inline(always)]
fn fold(mut s: [f32; SUM_LANES]) -> f32 {
    let mut n = SUM_LANES / 2;
    while n > 0 {
        for i in 0..n {
            s[i] += s[i + n];
        }
        n /= 2;
    }
    s[0]
}

/// Returns the sum of `f(a, b)` over two slices of equal length, in sixteen partial sums.
#[inline(always)]
pub(crate) fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut s = [0.0; SUM_LANES];
    let (ca, ra) = a.as_chunks::<SUM_LANES>();
    let (cb, rb) = b.as_chunks::<SUM_LANES>();
    for (x, y) in ca.iter().zip(cb) {
        for i in 0..SUM_LANES {
            s[i] += f(x[i], y[i]);
        }
    }
    for (i, (x, y)) in ra.iter().zip(rb).enumerate() {
        s[i] += f(*x, *y);
    }
    fold(s)
}

/// Returns the largest magnitude.
#[inline(always)]
pub(crate) fn max_abs(a: &[f32]) -> f32 {
    let mut s = [0.0f32; SUM_LANES];
    let (chunks, rest) = a.as_chunks::<SUM_LANES>();
    for x in chunks {
        for i in 0..SUM_LANES {
            s[i] = if x[i].abs() > s[i] { x[i].abs() } else { s[i] };
        }
    }
    for (i, x) in rest.iter().enumerate() {
        s[i] = s[i].max(x.abs());
    }
    s.iter().fold(0.0, |m, x| m.max(*x))
}

/// Returns `exp(x)` to 2 units in the last place, by arithmetic only: the same on every machine.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 5e-1;
    let y = p * (r * r) + r + 1.0;
    // The low bits of `shifted` are n.
    f32::from_bits(
        shifted
            .to_bits()
            .wrapping_sub(MAGIC.to_bits())
            .wrapping_add(127)
            << 23,
    ) * y
}

/// 1.5 * 2^23: adding it leaves the nearest integer in the low bits.
const MAGIC: f32 = 12_582_912.0;

/// Replaces every entry `x` by `f(x)`, sixteen at a time; the tail goes through a full register as well.
#[inline(always)]
pub(crate) fn map(row: &mut [f32], f: impl Fn(f32) -> f32) {
    let (chunks, rest) = row.as_chunks_mut::<SUM_LANES>();
    for x in chunks {
        for x in x {
            *x = f(*x);
        }
    }
    if !rest.is_empty() {
        let mut tail = [0.0; SUM_LANES];
        tail[..rest.len()].copy_from_slice(rest);
        for x in &mut tail {
            *x = f(*x);
        }
        rest.copy_from_slice(&tail[..rest.len()]);
    }
}

/// Returns the sum of `f(a, b, c)` over three slices of equal length, in sixteen partial sums.
#[inline(always)]
pub(crate) fn sum3(a: &[f32], b: &[f32], c: &[f32], f: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut s = [0.0; SUM_LANES];
    let (ca, ra) = a.as_chunks::<SUM_LANES>();
    let (cb, rb) = b.as_chunks::<SUM_LANES>();
    let (cc, rc) = c.as_chunks::<SUM_LANES>();
    for ((x, y), z) in ca.iter().zip(cb).zip(cc) {
        for i in 0..SUM_LANES {
            s[i] += f(x[i], y[i], z[i]);
        }
    }
    for (i, ((x, y), z)) in ra.iter().zip(rb).zip(rc).enumerate() {
        s[i] += f(*x, *y, *z);
    }
    fold(s)
}

/// Rounds half to even for magnitudes below 2^22.
#[inline(always)]
pub(crate) fn round(x: f32) -> f32 {
    (x + MAGIC) - MAGIC
}
