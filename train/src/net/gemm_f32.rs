//! Matrix products in f32 for training, forward and backward.
//!
//! Every output element is one chain of fused multiply-adds over `k` in increasing order, starting from
//! zero (or from the old value when accumulating). Tiling never splits that chain, so the AVX-512 path, the
//! AVX2 path and the scalar path give the same bits, and so does any block size.
//!
//! Three variants: [`nn`] `C = A B`, [`nt`] `C = A Bᵀ` (a linear layer), [`tn`] `C = Aᵀ B` (a weight gradient).
//! Matrices are row-major with a row stride, so that heads of an attention are addressed in place.

#[cfg(target_arch = "x86_64")]
mod x86;

use bitvla_policies::kernels::Isa;
use std::cell::RefCell;
use std::ops::Range;

/// Columns of a packed panel of B: two AVX-512 registers.
const NR: usize = 32;
/// Columns of a panel on AVX2: two registers. A panel of 32 of which half is read at a time would use every other cache line, and so half of the
/// sets of a first-level cache.
const NR256: usize = 16;
/// Rows of the register tile on AVX-512.
const MR512: usize = 8;
/// Rows of the register tile on AVX2.
const MR256: usize = 6;
/// Depth of a packed panel: 32 KiB, two thirds of a first-level cache of a processor with AVX-512; half as much on AVX2.
const KC: usize = 256;
/// Rows of A that all panels are multiplied with before the next ones: with depth [`KC`] 96 KiB, a part of a second-level cache. A multiple of
/// [`MR512`] and of [`MR256`].
const MC: usize = 96;
const _: () = assert!(MC.is_multiple_of(MR512) && MC.is_multiple_of(MR256));

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

/// Treatment of the old contents of C.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Overwritten.
    Set,
    /// The chains start from them.
    Add,
}

thread_local! {
    /// Panels of B, and rows of A where it is stored transposed.
    static PANELS: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// `C (m,n) = A (m,k) B (k,n)`; each operand is a slice and its row stride.
pub fn nn(d: Dims, a: (&[f32], usize), b: (&[f32], usize), c: (&mut [f32], usize), mode: Mode) {
    product(Isa::active(), d, a, false, b, false, c, mode);
}

/// `C (m,n) = A (m,k) B (n,k)ᵀ`; each operand is a slice and its row stride.
pub fn nt(d: Dims, a: (&[f32], usize), b: (&[f32], usize), c: (&mut [f32], usize), mode: Mode) {
    product(Isa::active(), d, a, false, b, true, c, mode);
}

/// `C (m,n) = A (k,m)ᵀ B (k,n)`; each operand is a slice and its row stride.
pub fn tn(d: Dims, a: (&[f32], usize), b: (&[f32], usize), c: (&mut [f32], usize), mode: Mode) {
    product(Isa::active(), d, a, true, b, false, c, mode);
}

/// Length a slice needs for `rows` rows of `cols` entries at a stride.
fn span(rows: usize, cols: usize, stride: usize) -> usize {
    if rows == 0 || cols == 0 {
        0
    } else {
        (rows - 1) * stride + cols
    }
}

/// The general product `C (m,n)`: with `a_t` A is stored (k,m), otherwise (m,k); with `b_t` B is stored (n,k), otherwise
/// (k,n).
///
/// # Panics
/// If a slice is too short for its shape and stride, or the processor does not have the instruction set.
#[allow(clippy::too_many_arguments)]
pub fn product(
    isa: Isa,
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
    assert!(isa.supported(), "{isa:?} is not on this processor");
    // Training has vector code for x86-64 only.
    let isa = match isa {
        Isa::Avx2 | Isa::AvxVnni | Isa::Avx512Vnni => isa,
        _ => Isa::Scalar,
    };
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
    PANELS.with_borrow_mut(|(panels, rows)| {
        let columns = panel_columns(isa);
        let of_panel = KC.min(k) * columns;
        panels.resize(panels.len().max(n.div_ceil(columns) * of_panel), 0.0);
        for p in (0..k).step_by(KC) {
            let depth = KC.min(k - p);
            // Rows in groups of `group`; row r of group g at step p lies at g * block + r * rs + p * ks.
            let group = group_rows(isa);
            let (mut from, mut rs, mut ks) = if a_t {
                (&a.0[p * a.1..], 1, a.1)
            } else {
                (&a.0[p..], a.1, 1)
            };
            let mut block = group * rs;
            if a_t && isa != Isa::Scalar && n > NR {
                match isa {
                    Isa::Avx512Vnni => pack_rows::<MR512>(rows, from, a.1, m, depth),
                    _ => pack_rows::<MR256>(rows, from, a.1, m, depth),
                }
                (from, rs, ks, block) = (rows.as_slice(), 1, group, depth * group);
            }
            for (panel, j) in panels
                .chunks_exact_mut(of_panel)
                .zip((0..n).step_by(columns))
            {
                let width = columns.min(n - j);
                match columns {
                    NR256 => pack::<NR256>(isa, panel, b, b_t, (p, depth), (j, width)),
                    _ => pack::<NR>(isa, panel, b, b_t, (p, depth), (j, width)),
                }
            }
            for first in (0..m).step_by(MC) {
                for (panel, j) in panels.chunks_exact(of_panel).zip((0..n).step_by(columns)) {
                    let tile = Tile {
                        a: from,
                        block,
                        rs,
                        ks,
                        panel,
                        depth,
                        width: columns.min(n - j),
                        rows: first..m.min(first + MC),
                        ldc: c.1,
                        add: mode == Mode::Add || p > 0,
                    };
                    tile.run(isa, &mut c.0[j..]);
                }
            }
        }
    });
}

/// Number of columns of a packed panel of B.
fn panel_columns(isa: Isa) -> usize {
    match isa {
        Isa::Avx2 | Isa::AvxVnni => NR256,
        _ => NR,
    }
}

/// Number of rows of the register tile.
fn group_rows(isa: Isa) -> usize {
    match isa {
        Isa::Scalar => 1,
        Isa::Avx512Vnni => MR512,
        _ => MR256,
    }
}

/// Copies `depth` rows of `m` entries into groups of `G` columns, each `[depth][G]`.
fn pack_rows<const G: usize>(rows: &mut Vec<f32>, a: &[f32], lda: usize, m: usize, depth: usize) {
    let groups = m.div_ceil(G);
    if rows.len() < groups * depth * G {
        rows.resize(groups * depth * G, 0.0);
    }
    // Two groups are a cache line of A or a little less.
    for (pair, out) in rows[..groups * depth * G]
        .chunks_mut(2 * depth * G)
        .enumerate()
    {
        let at = pair * 2 * G;
        let width = (2 * G).min(m - at);
        if width == 2 * G {
            let (lo, hi) = out.split_at_mut(depth * G);
            let (lo, hi) = (lo.as_chunks_mut::<G>().0, hi.as_chunks_mut::<G>().0);
            for ((row, lo), hi) in a[at..].chunks(lda).zip(lo).zip(hi) {
                let (x, y) = row[..2 * G].split_at(G);
                lo.copy_from_slice(x);
                hi.copy_from_slice(y);
            }
        } else {
            for q in 0..depth {
                for (i, x) in a[q * lda + at..][..width].iter().enumerate() {
                    out[(i / G * depth + q) * G + i % G] = *x;
                }
            }
        }
    }
}

/// Copies rows `p..p+depth` and columns `j..j+width` of B into `panel[depth][N]`, zero-filled on the right.
fn pack<const N: usize>(
    isa: Isa,
    panel: &mut [f32],
    (b, ldb): (&[f32], usize),
    b_t: bool,
    (p, depth): (usize, usize),
    (j, width): (usize, usize),
) {
    if width < N {
        panel[..depth * N].fill(0.0);
    }
    if b_t {
        // Sixteen columns at a time keep both the reads and the writes in a few cache lines.
        for q0 in (0..depth).step_by(16) {
            let q1 = (q0 + 16).min(depth);
            let done = match q1 - q0 {
                16 => transpose_blocks::<N>(isa, panel, (&b[p + q0..], ldb), q0, (j, width)),
                _ => 0,
            };
            for jj in done..width {
                let row = &b[(j + jj) * ldb + p..];
                for q in q0..q1 {
                    panel[q * N + jj] = row[q];
                }
            }
        }
    } else if width == N {
        let out = panel.as_chunks_mut::<N>().0;
        for (row, out) in b[p * ldb + j..].chunks(ldb).zip(&mut out[..depth]) {
            if let Some(row) = row.first_chunk::<N>() {
                *out = *row;
            }
        }
    } else {
        for q in 0..depth {
            let at = (p + q) * ldb + j;
            for (x, y) in panel[q * N..].iter_mut().zip(&b[at..at + width]) {
                *x = *y;
            }
        }
    }
}

/// Transposes columns of sixteen rows of B^T, which begin at the row `q0` of the panel, as far as whole registers of them are there. Returns how many
/// columns are done.
#[cfg(target_arch = "x86_64")]
fn transpose_blocks<const N: usize>(
    isa: Isa,
    panel: &mut [f32],
    (b, ldb): (&[f32], usize),
    q0: usize,
    (j, width): (usize, usize),
) -> usize {
    let mut done = 0;
    match isa {
        Isa::Avx512Vnni => {
            while done + 16 <= width {
                let block = &b[(j + done) * ldb..];
                let out = &mut panel[q0 * N + done..];
                assert!(block.len() >= 15 * ldb + 16 && out.len() >= 15 * N + 16);
                // SAFETY: `product` checked the instruction set; both slices hold sixteen rows of sixteen entries.
                unsafe { x86::transpose(block.as_ptr(), ldb, out.as_mut_ptr(), N) };
                done += 16;
            }
        }
        Isa::Avx2 | Isa::AvxVnni => {
            while done + 8 <= width {
                for q in [0, 8] {
                    let block = &b[(j + done) * ldb + q..];
                    let out = &mut panel[(q0 + q) * N + done..];
                    assert!(block.len() >= 7 * ldb + 8 && out.len() >= 7 * N + 8);
                    // SAFETY: `product` checked the instruction set; both slices hold eight rows of eight entries.
                    unsafe { x86::transpose8(block.as_ptr(), ldb, out.as_mut_ptr(), N) };
                }
                done += 8;
            }
        }
        _ => {}
    }
    done
}

/// None is done by registers here.
#[cfg(not(target_arch = "x86_64"))]
fn transpose_blocks<const N: usize>(
    _: Isa,
    _: &mut [f32],
    _: (&[f32], usize),
    _: usize,
    _: (usize, usize),
) -> usize {
    0
}

/// One packed panel of B against some rows of A.
struct Tile<'a> {
    a: &'a [f32],
    block: usize,
    // Only the kernels of x86-64 read it.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    rs: usize,
    ks: usize,
    panel: &'a [f32],
    depth: usize,
    width: usize,
    rows: Range<usize>,
    ldc: usize,
    add: bool,
}

impl Tile<'_> {
    fn run(&self, isa: Isa, c: &mut [f32]) {
        match isa {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `product` checked that the processor has the instructions and that A and C hold every
            // element of the tile; the panel holds `depth` rows.
            Isa::Avx2 | Isa::AvxVnni => unsafe { self.avx2(c.as_mut_ptr()) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Isa::Avx512Vnni => unsafe { self.avx512(c.as_mut_ptr()) },
            _ => self.scalar(c),
        }
    }

    fn scalar(&self, c: &mut [f32]) {
        for i in self.rows.clone() {
            let row = &mut c[i * self.ldc..i * self.ldc + self.width];
            let mut acc = [0.0f32; NR];
            if self.add {
                acc[..self.width].copy_from_slice(row);
            }
            for p in 0..self.depth {
                let x = self.a[i * self.block + p * self.ks];
                for (s, y) in acc.iter_mut().zip(&self.panel[p * NR..(p + 1) * NR]) {
                    *s = x.mul_add(*y, *s);
                }
            }
            row.copy_from_slice(&acc[..self.width]);
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
            (209, 50, 31),
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
                    for isa in Isa::available() {
                        let mut c = start.clone();
                        product(
                            isa,
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
                            "{isa:?} m={m} n={n} k={k} a_t={a_t} b_t={b_t} {mode:?}"
                        );
                    }
                }
            }
        }
    }
}
