//! Matrix products in f32 for full-precision inference and for training (forward and backward).
//!
//! Every output element is one chain of fused multiply-adds over `k` in increasing order, starting from
//! zero (or from the old value when accumulating). Tiling never splits that chain, so the AVX-512 path, the
//! AVX2 path and the scalar twin give the same bits, and so does any block size.
//!
//! Three variants: [`nn`] `C = A B`, [`nt`] `C = A Bᵀ` (a linear layer), [`tn`] `C = Aᵀ B` (a weight gradient).
//! Matrices are row-major with a row stride, so that heads of an attention are addressed in place.

use std::cell::RefCell;

/// Columns of a packed panel of B: two AVX-512 registers.
const NR: usize = 32;
/// Rows of the register tile on AVX-512.
const MR512: usize = 8;
/// Rows of the register tile on AVX2 (half a panel wide).
const MR256: usize = 6;
/// Depth of a packed panel: 32 KiB, two thirds of a first-level cache.
const KC: usize = 256;

/// Sizes of a product: `C` is `m` x `n`, the inner dimension is `k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dims {
    /// Rows of C.
    pub m: usize,
    /// Columns of C.
    pub n: usize,
    /// Inner dimension.
    pub k: usize,
}

/// What becomes of the old contents of C.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Overwritten.
    Set,
    /// The chains start from them.
    Add,
}

/// Instruction set of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// Portable twin with `f32::mul_add`.
    Scalar,
    /// 256-bit registers and FMA.
    Avx2,
    /// 512-bit registers.
    Avx512,
}

impl Path {
    /// The fastest path of this processor.
    pub fn best() -> Path {
        if Path::Avx512.available() {
            Path::Avx512
        } else if Path::Avx2.available() {
            Path::Avx2
        } else {
            Path::Scalar
        }
    }

    /// Whether this processor can run the path.
    pub fn available(self) -> bool {
        match self {
            Path::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }
}

thread_local! {
    static PANEL: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// `C (m,n) = A (m,k) B (k,n)`; each operand is a slice and its row stride.
pub fn nn(d: Dims, a: (&[f32], usize), b: (&[f32], usize), c: (&mut [f32], usize), mode: Mode) {
    product(Path::best(), d, a, false, b, false, c, mode);
}

/// `C (m,n) = A (m,k) B (n,k)ᵀ`; each operand is a slice and its row stride.
pub fn nt(d: Dims, a: (&[f32], usize), b: (&[f32], usize), c: (&mut [f32], usize), mode: Mode) {
    product(Path::best(), d, a, false, b, true, c, mode);
}

/// `C (m,n) = A (k,m)ᵀ B (k,n)`; each operand is a slice and its row stride.
pub fn tn(d: Dims, a: (&[f32], usize), b: (&[f32], usize), c: (&mut [f32], usize), mode: Mode) {
    product(Path::best(), d, a, true, b, false, c, mode);
}

/// Length a slice needs for `rows` rows of `cols` entries at a stride.
fn span(rows: usize, cols: usize, stride: usize) -> usize {
    if rows == 0 || cols == 0 {
        0
    } else {
        (rows - 1) * stride + cols
    }
}

/// The general product: `a_t` says A is stored (k,m), `b_t` says B is stored (n,k).
///
/// # Panics
/// When a slice is too short for its shape and stride, or the path is not available here.
#[allow(clippy::too_many_arguments)]
pub fn product(
    path: Path,
    d: Dims,
    a: (&[f32], usize),
    a_t: bool,
    b: (&[f32], usize),
    b_t: bool,
    c: (&mut [f32], usize),
    mode: Mode,
) {
    let Dims { m, n, k } = d;
    let (ar, ac) = if a_t { (k, m) } else { (m, k) };
    let (br, bc) = if b_t { (n, k) } else { (k, n) };
    assert!(
        a.1 >= ac && a.0.len() >= span(ar, ac, a.1),
        "A is too short"
    );
    assert!(
        b.1 >= bc && b.0.len() >= span(br, bc, b.1),
        "B is too short"
    );
    assert!(c.1 >= n && c.0.len() >= span(m, n, c.1), "C is too short");
    assert!(
        path.available(),
        "{path:?} is not available on this processor"
    );
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        if mode == Mode::Set {
            for i in 0..m {
                c.0[i * c.1..i * c.1 + n].fill(0.0);
            }
        }
        return;
    }
    // Element (i, p) of A lies at i * rs + p * ks.
    let (rs, ks) = if a_t { (1, a.1) } else { (a.1, 1) };
    PANEL.with_borrow_mut(|panel| {
        panel.resize(KC * NR, 0.0);
        for j in (0..n).step_by(NR) {
            let width = NR.min(n - j);
            for p in (0..k).step_by(KC) {
                let depth = KC.min(k - p);
                pack(panel, b, b_t, (p, depth), (j, width));
                let tile = Tile {
                    a: a.0,
                    a_at: p * ks,
                    rs,
                    ks,
                    panel,
                    depth,
                    width,
                    m,
                    ldc: c.1,
                    add: mode == Mode::Add || p > 0,
                };
                tile.run(path, &mut c.0[j..]);
            }
        }
    });
}

/// Copies rows `p..p+depth` and columns `j..j+width` of B into `panel[depth][NR]`, zero-filled on the right.
fn pack(
    panel: &mut [f32],
    (b, ldb): (&[f32], usize),
    b_t: bool,
    (p, depth): (usize, usize),
    (j, width): (usize, usize),
) {
    if width < NR {
        panel[..depth * NR].fill(0.0);
    }
    if b_t {
        // Sixteen columns at a time keep both the reads and the writes in a few cache lines.
        for q0 in (0..depth).step_by(16) {
            let q1 = (q0 + 16).min(depth);
            for jj in 0..width {
                let row = &b[(j + jj) * ldb + p..];
                for q in q0..q1 {
                    panel[q * NR + jj] = row[q];
                }
            }
        }
    } else {
        for q in 0..depth {
            let at = (p + q) * ldb + j;
            panel[q * NR..q * NR + width].copy_from_slice(&b[at..at + width]);
        }
    }
}

/// One packed panel of B against all rows of A.
struct Tile<'a> {
    a: &'a [f32],
    a_at: usize,
    rs: usize,
    ks: usize,
    panel: &'a [f32],
    depth: usize,
    width: usize,
    m: usize,
    ldc: usize,
    add: bool,
}

impl Tile<'_> {
    fn run(&self, path: Path, c: &mut [f32]) {
        match path {
            Path::Scalar => self.scalar(c),
            // SAFETY: `product` checked that the processor has the instructions and that A and C hold every
            // element of the tile; the panel holds `KC * NR` values.
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => unsafe { self.avx2(c.as_mut_ptr()) },
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => unsafe { self.avx512(c.as_mut_ptr()) },
            #[cfg(not(target_arch = "x86_64"))]
            _ => self.scalar(c),
        }
    }

    fn scalar(&self, c: &mut [f32]) {
        for i in 0..self.m {
            let row = &mut c[i * self.ldc..i * self.ldc + self.width];
            let mut acc = [0.0f32; NR];
            if self.add {
                acc[..self.width].copy_from_slice(row);
            }
            for p in 0..self.depth {
                let x = self.a[self.a_at + i * self.rs + p * self.ks];
                for (s, y) in acc.iter_mut().zip(&self.panel[p * NR..(p + 1) * NR]) {
                    *s = x.mul_add(*y, *s);
                }
            }
            row.copy_from_slice(&acc[..self.width]);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{MR256, MR512, NR, Tile};
    use std::arch::x86_64::*;

    impl Tile<'_> {
        /// # Safety
        /// AVX-512F is present; `c` is valid for the whole tile.
        #[target_feature(enable = "avx512f")]
        pub(super) unsafe fn avx512(&self, c: *mut f32) {
            let mut i = 0;
            unsafe {
                while i + MR512 <= self.m {
                    self.rows512::<MR512>(i, c);
                    i += MR512;
                }
                match self.m - i {
                    0 => {}
                    1 => self.rows512::<1>(i, c),
                    2 => self.rows512::<2>(i, c),
                    3 => self.rows512::<3>(i, c),
                    4 => self.rows512::<4>(i, c),
                    5 => self.rows512::<5>(i, c),
                    6 => self.rows512::<6>(i, c),
                    _ => self.rows512::<7>(i, c),
                }
            }
        }

        #[target_feature(enable = "avx512f")]
        #[inline]
        unsafe fn rows512<const M: usize>(&self, i: usize, c: *mut f32) {
            let bits = |lanes: usize| ((1u32 << lanes.min(16)) - 1) as __mmask16;
            let masks = [bits(self.width), bits(self.width.saturating_sub(16))];
            let mut acc = [[_mm512_setzero_ps(); 2]; M];
            unsafe {
                let c = c.add(i * self.ldc);
                if self.add {
                    for (r, acc) in acc.iter_mut().enumerate() {
                        let row = c.wrapping_add(r * self.ldc);
                        acc[0] = _mm512_maskz_loadu_ps(masks[0], row);
                        acc[1] = _mm512_maskz_loadu_ps(masks[1], row.wrapping_add(16));
                    }
                }
                let mut a = self.a.as_ptr().add(self.a_at + i * self.rs);
                let mut b = self.panel.as_ptr();
                let rs = self.rs;
                for _ in 0..self.depth {
                    let b0 = _mm512_loadu_ps(b);
                    let b1 = _mm512_loadu_ps(b.add(16));
                    for (r, acc) in acc.iter_mut().enumerate() {
                        let x = _mm512_set1_ps(*a.add(r * rs));
                        acc[0] = _mm512_fmadd_ps(x, b0, acc[0]);
                        acc[1] = _mm512_fmadd_ps(x, b1, acc[1]);
                    }
                    a = a.wrapping_add(self.ks);
                    b = b.add(NR);
                }
                for (r, acc) in acc.iter().enumerate() {
                    let row = c.wrapping_add(r * self.ldc);
                    _mm512_mask_storeu_ps(row, masks[0], acc[0]);
                    _mm512_mask_storeu_ps(row.wrapping_add(16), masks[1], acc[1]);
                }
            }
        }

        /// # Safety
        /// AVX2 and FMA are present; `c` is valid for the whole tile.
        #[target_feature(enable = "avx2,fma")]
        pub(super) unsafe fn avx2(&self, c: *mut f32) {
            for half in 0..self.width.div_ceil(16) {
                let mut i = 0;
                unsafe {
                    while i + MR256 <= self.m {
                        self.rows256::<MR256>(i, half, c);
                        i += MR256;
                    }
                    while i < self.m {
                        self.rows256::<1>(i, half, c);
                        i += 1;
                    }
                }
            }
        }

        #[target_feature(enable = "avx2,fma")]
        #[inline]
        unsafe fn rows256<const M: usize>(&self, i: usize, half: usize, c: *mut f32) {
            let lanes = (self.width - half * 16).min(16);
            let mut acc = [[_mm256_setzero_ps(); 2]; M];
            let mut spill = [0.0f32; 16];
            unsafe {
                let c = c.add(i * self.ldc + half * 16);
                if self.add {
                    for (r, acc) in acc.iter_mut().enumerate() {
                        let row = c.wrapping_add(r * self.ldc);
                        std::ptr::copy_nonoverlapping(row, spill.as_mut_ptr(), lanes);
                        acc[0] = _mm256_loadu_ps(spill.as_ptr());
                        acc[1] = _mm256_loadu_ps(spill.as_ptr().add(8));
                    }
                }
                let mut a = self.a.as_ptr().add(self.a_at + i * self.rs);
                let mut b = self.panel.as_ptr().add(half * 16);
                for _ in 0..self.depth {
                    let b0 = _mm256_loadu_ps(b);
                    let b1 = _mm256_loadu_ps(b.add(8));
                    for (r, acc) in acc.iter_mut().enumerate() {
                        let x = _mm256_set1_ps(*a.add(r * self.rs));
                        acc[0] = _mm256_fmadd_ps(x, b0, acc[0]);
                        acc[1] = _mm256_fmadd_ps(x, b1, acc[1]);
                    }
                    a = a.wrapping_add(self.ks);
                    b = b.wrapping_add(NR);
                }
                for (r, acc) in acc.iter().enumerate() {
                    let row = c.wrapping_add(r * self.ldc);
                    _mm256_storeu_ps(spill.as_mut_ptr(), acc[0]);
                    _mm256_storeu_ps(spill.as_mut_ptr().add(8), acc[1]);
                    std::ptr::copy_nonoverlapping(spill.as_ptr(), row, lanes);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: all paths and all three layouts give the bits of one plain chain of fused multiply-adds.
    use super::*;

    fn noise(n: usize, seed: u32) -> Vec<f32> {
        let mut s = seed.wrapping_mul(2_654_435_761) | 1;
        (0..n)
            .map(|_| {
                s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (s >> 8) as f32 / 8_388_608.0 - 1.0
            })
            .collect()
    }

    #[test]
    fn every_path_equals_the_plain_chain() {
        for (m, n, k) in [
            (1, 1, 1),
            (3, 5, 7),
            (8, 32, 16),
            (13, 33, 300),
            (25, 49, 32),
            (17, 64, 513),
        ] {
            for (a_t, b_t) in [(false, false), (false, true), (true, false)] {
                for mode in [Mode::Set, Mode::Add] {
                    let lda = if a_t { m } else { k } + 3;
                    let ldb = if b_t { k } else { n } + 2;
                    let ldc = n + 1;
                    let a = noise(lda * m.max(k), 1);
                    let b = noise(ldb * n.max(k), 2);
                    let start = noise(ldc * m, 3);
                    let mut want = start.clone();
                    for i in 0..m {
                        for j in 0..n {
                            let mut s = if mode == Mode::Add {
                                want[i * ldc + j]
                            } else {
                                0.0
                            };
                            for p in 0..k {
                                let x = if a_t { a[p * lda + i] } else { a[i * lda + p] };
                                let y = if b_t { b[j * ldb + p] } else { b[p * ldb + j] };
                                s = x.mul_add(y, s);
                            }
                            want[i * ldc + j] = s;
                        }
                    }
                    for path in [Path::Scalar, Path::Avx2, Path::Avx512] {
                        if !path.available() {
                            eprintln!("SKIPPED: {path:?} is not available on this processor");
                            continue;
                        }
                        let mut c = start.clone();
                        product(
                            path,
                            Dims { m, n, k },
                            (&a, lda),
                            a_t,
                            (&b, ldb),
                            b_t,
                            (&mut c, ldc),
                            mode,
                        );
                        assert_eq!(
                            c, want,
                            "{path:?} m={m} n={n} k={k} a_t={a_t} b_t={b_t} {mode:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    #[ignore = "prints speed, asserts nothing"]
    fn speed() {
        for (m, n, k, a_t, b_t) in [
            (656, 128, 128, false, true),
            (656, 512, 128, false, true),
            (656, 128, 512, false, false),
            (512, 128, 656, true, false),
            (164, 164, 32, false, true),
        ] {
            let (a, b) = (noise(m * k, 1), noise(n * k, 2));
            let mut c = vec![0.0; m * n];
            let lda = if a_t { m } else { k };
            let ldb = if b_t { k } else { n };
            for path in [Path::Avx2, Path::Avx512] {
                if !path.available() {
                    continue;
                }
                let start = std::time::Instant::now();
                let rounds = 300;
                for _ in 0..rounds {
                    product(
                        path,
                        Dims { m, n, k },
                        (&a, lda),
                        a_t,
                        (&b, ldb),
                        b_t,
                        (&mut c, n),
                        Mode::Set,
                    );
                }
                let secs = start.elapsed().as_secs_f64() / f64::from(rounds);
                println!(
                    "{path:?} {m}x{n}x{k}: {:.0} GFLOP/s",
                    2e-9 * (m * n * k) as f64 / secs
                );
            }
        }
    }
}
