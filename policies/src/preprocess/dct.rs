//! The lossy half of JPEG on one plane of samples: forward DCT, quantisation, and the way back. Rounding is that of
//! libjpeg: `jfdctint.c` (Loeffler, Ligtenberg and Moschytz 1989, 13-bit constants) there, `jidctfst.c` (Arai, Agui
//! and Nakajima, 8-bit constants) back. Sixteen-bit steps wrap as those of its vector code do.

use crate::kernels::multiversion;

/// 8 x 8 samples or coefficients, row-major.
type DctBlock = [i16; 64];

/// Quantisation of one component: what the encoder divides by and what the decoder multiplies with.
pub(super) struct Quantiser {
    /// Division by 8 times the table as in `jcdctmgr.c`: `((x + correction) * reciprocal >> 16) * scale >> 16`.
    correction: [u16; 64],
    reciprocal: [u16; 64],
    scale: [u16; 64],
    /// The table times the scale factors of the inverse transform, in quarters.
    multiplier: [i16; 64],
}

/// Scale factors of the inverse transform: 1, then `cos(k pi / 16) sqrt(2)`.
const AAN: [f64; 8] = [
    1.0,
    1.387_039_845,
    1.306_562_965,
    1.175_875_602,
    1.0,
    0.785_694_958,
    0.541_196_1,
    0.275_899_379,
];

impl Quantiser {
    /// From a table for quality 50 (at most 255) and a percentage.
    pub(super) const fn new(table: &[u8; 64], percent: u32) -> Quantiser {
        let mut result = Quantiser {
            correction: [0; 64],
            reciprocal: [0; 64],
            scale: [0; 64],
            multiplier: [0; 64],
        };
        let mut i = 0;
        while i < 64 {
            let step = (table[i] as u32 * percent + 50) / 100;
            let step = if step == 0 { 1 } else { step };
            let divisor = step * 8;
            let mut bits = divisor.ilog2();
            let (mut quotient, rest) = ((1 << (16 + bits)) / divisor, (1 << (16 + bits)) % divisor);
            let mut correction = divisor / 2;
            if rest == 0 {
                // 2^16 is one bit too long.
                quotient /= 2;
                bits -= 1;
            } else if rest <= divisor / 2 {
                correction += 1;
            } else {
                quotient += 1;
            }
            result.correction[i] = correction as u16;
            result.reciprocal[i] = quotient as u16;
            result.scale[i] = 1 << (16 - bits);
            let factor = (AAN[i / 8] * AAN[i % 8] * 16384.0 + 0.5) as u32;
            result.multiplier[i] = ((step * factor + (1 << 11)) >> 12) as i16;
            i += 1;
        }
        result
    }

    /// Coefficients times eight to quantised ones, rounding half away from zero, and back for [`inverse`].
    #[inline(always)]
    fn apply(&self, block: &mut DctBlock) {
        for (i, value) in block.iter_mut().enumerate() {
            let biased = value.unsigned_abs().wrapping_add(self.correction[i]);
            let product = (u32::from(biased) * u32::from(self.reciprocal[i])) >> 16;
            let level = ((product * u32::from(self.scale[i])) >> 16) as i16;
            let level = if *value < 0 { -level } else { level };
            *value = level.wrapping_mul(self.multiplier[i]);
        }
    }
}

#[inline(always)]
fn transpose(block: &DctBlock) -> DctBlock {
    let mut out = [0; 64];
    for i in 0..8 {
        for j in 0..8 {
            out[8 * i + j] = block[8 * j + i];
        }
    }
    out
}

/// One dimension of the forward transform, down the columns. The first pass keeps two more bits.
#[inline(always)]
fn forward<const FIRST: bool>(block: &mut DctBlock) {
    let shift = if FIRST { 11 } else { 15 };
    for i in 0..8 {
        let x: [i32; 8] = std::array::from_fn(|k| i32::from(block[8 * k + i]));
        let mut set = |k: usize, sum: i32| {
            block[8 * k + i] = ((sum + (1 << (shift - 1))) >> shift) as i16;
        };
        let (s0, d0) = (x[0] + x[7], x[0] - x[7]);
        let (s1, d1) = (x[1] + x[6], x[1] - x[6]);
        let (s2, d2) = (x[2] + x[5], x[2] - x[5]);
        let (s3, d3) = (x[3] + x[4], x[3] - x[4]);

        let (a, b, c, d) = (s0 + s3, s0 - s3, s1 + s2, s1 - s2);
        set(0, (a + c) << 13);
        set(4, (a - c) << 13);
        let z = (b + d) * 4433;
        set(2, z + b * 6270);
        set(6, z - d * 15137);

        let z5 = (d0 + d1 + d2 + d3) * 9633;
        let z1 = (d3 + d0) * -7373;
        let z2 = (d2 + d1) * -20995;
        let z3 = (d3 + d1) * -16069 + z5;
        let z4 = (d2 + d0) * -3196 + z5;
        set(7, d3 * 2446 + z1 + z3);
        set(5, d2 * 16819 + z2 + z4);
        set(3, d1 * 25172 + z2 + z3);
        set(1, d0 * 12299 + z1 + z4);
    }
}

/// `x * by / 256`, rounded down.
#[inline(always)]
fn scaled(x: i16, by: i32) -> i16 {
    ((i32::from(x.wrapping_shl(2)) * (by << 6)) >> 16) as i16
}

/// One dimension of the inverse transform, down the columns.
#[inline(always)]
fn inverse(block: &mut DctBlock) {
    for i in 0..8 {
        let x: [i16; 8] = std::array::from_fn(|k| block[8 * k + i]);
        let add = i16::wrapping_add;
        let sub = i16::wrapping_sub;
        let (a, b) = (add(x[0], x[4]), sub(x[0], x[4]));
        let c = add(x[2], x[6]);
        let d = sub(scaled(sub(x[2], x[6]), 362), c);
        let even = [add(a, c), add(b, d), sub(b, d), sub(a, c)];

        let (z13, z10) = (add(x[5], x[3]), sub(x[5], x[3]));
        let (z11, z12) = (add(x[1], x[7]), sub(x[1], x[7]));
        let z5 = scaled(add(z10, z12), 473);
        let odd0 = add(z11, z13);
        let odd1 = sub(add(sub(scaled(z10, 256 - 669), z10), z5), odd0);
        let odd2 = sub(scaled(sub(z11, z13), 362), odd1);
        let odd3 = sub(sub(z5, scaled(z12, 277)), odd2);
        for (k, (even, odd)) in even.into_iter().zip([odd0, odd1, odd2, odd3]).enumerate() {
            block[8 * k + i] = add(even, odd);
            block[8 * (7 - k) + i] = sub(even, odd);
        }
    }
}

multiversion! {
    /// Encodes and decodes a plane in place; rows of `stride` samples, whole blocks.
    pub(super) fn code_plane(plane: &mut [u8], stride: usize, quantiser: &Quantiser) {
        for rows in plane.chunks_exact_mut(8 * stride) {
            for start in (0..stride).step_by(8) {
                let mut block = [0i16; 64];
                for y in 0..8 {
                    for x in 0..8 {
                        block[8 * y + x] = i16::from(rows[y * stride + start + x]) - 128;
                    }
                }
                // Encoder: along rows, then down columns. Decoder: down columns, then along rows.
                let mut block = transpose(&block);
                forward::<true>(&mut block);
                let mut block = transpose(&block);
                forward::<false>(&mut block);
                quantiser.apply(&mut block);
                inverse(&mut block);
                let mut block = transpose(&block);
                inverse(&mut block);
                let block = transpose(&block);
                for y in 0..8 {
                    for x in 0..8 {
                        rows[y * stride + start + x] = ((block[8 * y + x] >> 5).clamp(-128, 127) + 128) as u8;
                    }
                }
            }
        }
    }
}
