//! Register tiles of the f32 products on AVX2 and AVX-512.

use super::{MR256, MR512, NR, NR256, Tile};
use std::arch::x86_64::*;

/// Transposes sixteen rows of sixteen entries at stride `lda` into rows at stride `ldo`.
///
/// # Safety
/// AVX-512F is present; both pointers are valid for their sixteen rows.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn transpose(a: *const f32, lda: usize, out: *mut f32, ldo: usize) {
    // Transposes 4 x 4 within the 128-bit lanes, then the lanes.
    let quad = |i: usize, part: usize| {
        let r: [__m512; 4] = std::array::from_fn(|r| {
            // SAFETY: row 4 i + r exists.
            unsafe { _mm512_loadu_ps(a.add((4 * i + r) * lda)) }
        });
        let pd = |x, y| (_mm512_castps_pd(x), _mm512_castps_pd(y));
        let (x, y) = if part < 2 {
            pd(
                _mm512_unpacklo_ps(r[0], r[1]),
                _mm512_unpacklo_ps(r[2], r[3]),
            )
        } else {
            pd(
                _mm512_unpackhi_ps(r[0], r[1]),
                _mm512_unpackhi_ps(r[2], r[3]),
            )
        };
        _mm512_castpd_ps(if part.is_multiple_of(2) {
            _mm512_unpacklo_pd(x, y)
        } else {
            _mm512_unpackhi_pd(x, y)
        })
    };
    for part in 0..4 {
        let [q0, q1, q2, q3] = [0, 1, 2, 3].map(|i| quad(i, part));
        let (lo01, hi01) = (
            _mm512_shuffle_f32x4::<0x88>(q0, q1),
            _mm512_shuffle_f32x4::<0xdd>(q0, q1),
        );
        let (lo23, hi23) = (
            _mm512_shuffle_f32x4::<0x88>(q2, q3),
            _mm512_shuffle_f32x4::<0xdd>(q2, q3),
        );
        let rows = [
            _mm512_shuffle_f32x4::<0x88>(lo01, lo23),
            _mm512_shuffle_f32x4::<0x88>(hi01, hi23),
            _mm512_shuffle_f32x4::<0xdd>(lo01, lo23),
            _mm512_shuffle_f32x4::<0xdd>(hi01, hi23),
        ];
        for (lane, row) in rows.into_iter().enumerate() {
            // SAFETY: row 4 lane + part exists.
            unsafe { _mm512_storeu_ps(out.add((4 * lane + part) * ldo), row) };
        }
    }
}

/// Transposes eight rows of eight entries at stride `lda` into rows at stride `ldo`.
///
/// # Safety
/// AVX2 is present; both pointers are valid for their eight rows.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn transpose8(a: *const f32, lda: usize, out: *mut f32, ldo: usize) {
    // SAFETY: row i exists.
    let r: [__m256; 8] = std::array::from_fn(|i| unsafe { _mm256_loadu_ps(a.add(i * lda)) });
    // Transposes 4 x 4 within the 128-bit lanes, then the lanes.
    let quad = |i: usize| {
        let (lo01, hi01) = (
            _mm256_unpacklo_ps(r[i], r[i + 1]),
            _mm256_unpackhi_ps(r[i], r[i + 1]),
        );
        let (lo23, hi23) = (
            _mm256_unpacklo_ps(r[i + 2], r[i + 3]),
            _mm256_unpackhi_ps(r[i + 2], r[i + 3]),
        );
        [
            _mm256_shuffle_ps::<0x44>(lo01, lo23),
            _mm256_shuffle_ps::<0xee>(lo01, lo23),
            _mm256_shuffle_ps::<0x44>(hi01, hi23),
            _mm256_shuffle_ps::<0xee>(hi01, hi23),
        ]
    };
    let (upper, lower) = (quad(0), quad(4));
    for i in 0..4 {
        let near = _mm256_permute2f128_ps::<0x20>(upper[i], lower[i]);
        let far = _mm256_permute2f128_ps::<0x31>(upper[i], lower[i]);
        // SAFETY: rows i and 4 + i exist.
        unsafe {
            _mm256_storeu_ps(out.add(i * ldo), near);
            _mm256_storeu_ps(out.add((4 + i) * ldo), far);
        }
    }
}

impl Tile<'_> {
    /// # Safety
    /// AVX-512F is present; `c` is valid for the whole tile.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn avx512(&self, c: *mut f32) {
        // SAFETY: as the caller's.
        unsafe {
            if self.width > 16 {
                self.columns512::<2>(c);
            } else {
                self.columns512::<1>(c);
            }
        }
    }

    /// All rows of a panel of which `W` registers are in use.
    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn columns512<const W: usize>(&self, c: *mut f32) {
        let mut i = self.rows.start;
        // SAFETY: the caller's promise: the processor has the instructions, rows and columns of the tile exist.
        unsafe {
            while i + MR512 <= self.rows.end {
                self.rows512::<MR512, W>(i, c);
                i += MR512;
            }
            match self.rows.end - i {
                0 => {}
                1 => self.rows512::<1, W>(i, c),
                2 => self.rows512::<2, W>(i, c),
                3 => self.rows512::<3, W>(i, c),
                4 => self.rows512::<4, W>(i, c),
                5 => self.rows512::<5, W>(i, c),
                6 => self.rows512::<6, W>(i, c),
                _ => self.rows512::<7, W>(i, c),
            }
        }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn rows512<const M: usize, const W: usize>(&self, i: usize, c: *mut f32) {
        let bits = |lanes: usize| ((1u32 << lanes.min(16)) - 1) as __mmask16;
        let masks = [bits(self.width), bits(self.width.saturating_sub(16))];
        let mut acc = [[_mm512_setzero_ps(); W]; M];
        // SAFETY: the caller's promise: the processor has the instructions, rows and columns of the tile exist.
        unsafe {
            let c = c.add(i * self.ldc);
            if self.add {
                for (r, acc) in acc.iter_mut().enumerate() {
                    let row = c.wrapping_add(r * self.ldc);
                    for w in 0..W {
                        acc[w] = _mm512_maskz_loadu_ps(masks[w], row.wrapping_add(16 * w));
                    }
                }
            }
            let a = self.a.as_ptr().add(i / MR512 * self.block);
            let rows: [*const f32; M] = std::array::from_fn(|r| a.add(r * self.rs));
            let mut at = 0;
            let mut b = self.panel.as_ptr();
            for _ in 0..self.depth {
                let columns: [__m512; W] = std::array::from_fn(|w| _mm512_loadu_ps(b.add(16 * w)));
                for (r, acc) in acc.iter_mut().enumerate() {
                    let x = _mm512_set1_ps(*rows[r].add(at));
                    for w in 0..W {
                        acc[w] = _mm512_fmadd_ps(x, columns[w], acc[w]);
                    }
                }
                at += self.ks;
                b = b.add(NR);
            }
            for (r, acc) in acc.iter().enumerate() {
                let row = c.wrapping_add(r * self.ldc);
                for w in 0..W {
                    _mm512_mask_storeu_ps(row.wrapping_add(16 * w), masks[w], acc[w]);
                }
            }
        }
    }

    /// # Safety
    /// AVX2 and FMA are present; `c` is valid for the whole tile.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn avx2(&self, c: *mut f32) {
        // SAFETY: as the caller's.
        unsafe {
            if self.width == NR256 {
                self.columns256::<true>(c);
            } else {
                self.columns256::<false>(c);
            }
        }
    }

    /// All rows of a panel, which is `WHOLE` if all its columns are in use.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    unsafe fn columns256<const WHOLE: bool>(&self, c: *mut f32) {
        let mut i = self.rows.start;
        // SAFETY: the caller's promise: the processor has the instructions, rows and columns of the tile exist.
        unsafe {
            while i + MR256 <= self.rows.end {
                self.rows256::<MR256, WHOLE>(i, c);
                i += MR256;
            }
            match self.rows.end - i {
                0 => {}
                1 => self.rows256::<1, WHOLE>(i, c),
                2 => self.rows256::<2, WHOLE>(i, c),
                3 => self.rows256::<3, WHOLE>(i, c),
                4 => self.rows256::<4, WHOLE>(i, c),
                _ => self.rows256::<5, WHOLE>(i, c),
            }
        }
    }

    #[target_feature(enable = "avx2,fma")]
    #[inline]
    unsafe fn rows256<const M: usize, const WHOLE: bool>(&self, i: usize, c: *mut f32) {
        // All bits of the lanes that exist.
        let mask = |first: usize| {
            let lanes = self.width;
            let lane: [i32; 8] = std::array::from_fn(|i| if first + i < lanes { -1 } else { 0 });
            // SAFETY: the array holds 256 bits.
            unsafe { _mm256_loadu_si256(lane.as_ptr().cast()) }
        };
        let masks = match WHOLE {
            true => [_mm256_setzero_si256(); 2],
            false => [mask(0), mask(8)],
        };
        let mut acc = [[_mm256_setzero_ps(); 2]; M];
        // SAFETY: the caller's promise: the processor has the instructions, rows and columns of the tile exist.
        unsafe {
            let c = c.add(i * self.ldc);
            if self.add {
                for (r, acc) in acc.iter_mut().enumerate() {
                    let row = c.wrapping_add(r * self.ldc);
                    for w in 0..2 {
                        acc[w] = match WHOLE {
                            true => _mm256_loadu_ps(row.add(8 * w)),
                            false => _mm256_maskload_ps(row.wrapping_add(8 * w), masks[w]),
                        };
                    }
                }
            }
            let mut a = self.a.as_ptr().add(i / MR256 * self.block);
            let mut b = self.panel.as_ptr();
            for _ in 0..self.depth {
                let b0 = _mm256_loadu_ps(b);
                let b1 = _mm256_loadu_ps(b.add(8));
                for (r, acc) in acc.iter_mut().enumerate() {
                    let x = _mm256_set1_ps(*a.add(r * self.rs));
                    acc[0] = _mm256_fmadd_ps(x, b0, acc[0]);
                    acc[1] = _mm256_fmadd_ps(x, b1, acc[1]);
                }
                a = a.wrapping_add(self.ks);
                b = b.wrapping_add(NR256);
            }
            for (r, acc) in acc.iter().enumerate() {
                let row = c.wrapping_add(r * self.ldc);
                for w in 0..2 {
                    match WHOLE {
                        true => _mm256_storeu_ps(row.add(8 * w), acc[w]),
                        false => {
                            _mm256_maskstore_ps(row.wrapping_add(8 * w), masks[w], acc[w]);
                        }
                    }
                }
            }
        }
    }
}
