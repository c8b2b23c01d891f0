//! Kernels: packed ternary weights times int8 activations, and f32 matrix products, each with a scalar twin.
//! Every path gives the same bits, so `BITVLA_ISA` (`scalar`, `avx2`, `avx512vnni`) changes the speed and nothing else.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512vnni;
/// Compiles a plain function once per instruction set and calls the one in use. Nothing is fused or reordered by
/// that, so every version gives the same bits.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn plain($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw")]
            fn wide($($arg: $ty),*) $(-> $ret)? {
                plain($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn middle($($arg: $ty),*) $(-> $ret)? {
                plain($($arg),*)
            }
            match $crate::kernels::Isa::active() {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the active instruction set is one that this processor has.
                $crate::kernels::Isa::Avx512Vnni => unsafe { wide($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                $crate::kernels::Isa::Avx2 => unsafe { middle($($arg),*) },
                _ => plain($($arg),*),
            }
        }
    };
}
pub(crate) use multiversion;

pub mod dense_f32;
pub mod gemm_f32;
pub mod ptq;
pub mod quant;
mod scalar;

use quant::QuantisedRows;
use std::sync::OnceLock;

/// Instruction set of the kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust.
    Scalar,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 with VNNI.
    Avx512Vnni,
}

impl Isa {
    /// Every instruction set that this processor has, slowest first.
    pub fn available() -> Vec<Isa> {
        [Isa::Scalar, Isa::Avx2, Isa::Avx512Vnni]
            .into_iter()
            .filter(|isa| isa.supported())
            .collect()
    }

    /// Whether this processor has it.
    pub fn supported(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = || is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            match self {
                Isa::Scalar => true,
                Isa::Avx2 => avx2(),
                Isa::Avx512Vnni => {
                    avx2()
                        && is_x86_feature_detected!("avx512f")
                        && is_x86_feature_detected!("avx512bw")
                        && is_x86_feature_detected!("avx512vnni")
                }
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            self == Isa::Scalar
        }
    }

    /// Name as in `BITVLA_ISA`.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::Avx512Vnni => "avx512vnni",
        }
    }

    /// The one in use: `BITVLA_ISA` where it names one that this processor has, else the fastest.
    pub fn active() -> Isa {
        static ACTIVE: OnceLock<Isa> = OnceLock::new();
        *ACTIVE.get_or_init(|| {
            let available = Isa::available();
            let fastest = available.last().copied().unwrap_or(Isa::Scalar);
            match std::env::var("BITVLA_ISA") {
                Ok(wanted) => available.into_iter().find(|isa| isa.name() == wanted).unwrap_or_else(|| {
                    eprintln!("BITVLA_ISA={wanted} is not an instruction set of this processor, using {}", fastest.name());
                    fastest
                }),
                Err(_) => fastest,
            }
        })
    }
}

/// Outputs of one block of packed weights.
pub const BLOCK_N: usize = 16;
/// Inputs of one block of packed weights.
pub const BLOCK_K: usize = 16;
const BLOCK_BYTES: usize = BLOCK_N * BLOCK_K / 4;

/// Ternary weights (n x k), four to a byte. Blocks of 16 outputs x 16 inputs take 64 bytes: byte `4 j + t` holds the
/// codes plus one of output `j` and inputs `t`, `4 + t`, `8 + t`, `12 + t` in ascending bit pairs, so that a shift and a
/// mask give 16 outputs x 4 inputs, the operand of `vpdpbusd`. Blocks of one group of outputs are adjacent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PackedTernary {
    n: usize,
    k: usize,
    blocks: Vec<u8>,
}

impl PackedTernary {
    /// Packs codes in {-1, 0, 1}, row-major n x k. Padding multiplies padding only.
    pub fn pack(n: usize, k: usize, codes: &[i8]) -> PackedTernary {
        assert_eq!(codes.len(), n * k, "codes of a {n} x {k} matrix");
        let (groups, steps) = (n.div_ceil(BLOCK_N), k.div_ceil(BLOCK_K));
        let mut blocks = vec![0u8; groups * steps * BLOCK_BYTES];
        for row in 0..n {
            for col in 0..k {
                let base = ((row / BLOCK_N) * steps + col / BLOCK_K) * BLOCK_BYTES;
                let byte = base + 4 * (row % BLOCK_N) + col % 4;
                let shift = 2 * ((col % BLOCK_K) / 4);
                blocks[byte] |= ((codes[row * k + col] + 1) as u8 & 3) << shift;
            }
        }
        PackedTernary { n, k, blocks }
    }

    /// Packs the signs of row-major n x k weights into the buffer at hand.
    pub fn refill(&mut self, n: usize, k: usize, w: &[f32]) {
        assert_eq!(w.len(), n * k, "a {n} x {k} matrix");
        let (groups, steps) = (n.div_ceil(BLOCK_N), k.div_ceil(BLOCK_K));
        (self.n, self.k) = (n, k);
        self.blocks.clear();
        self.blocks.resize(groups * steps * BLOCK_BYTES, 0);
        pack_signs(w, k, &mut self.blocks);
    }

    /// Outputs.
    pub fn n(&self) -> usize {
        self.n
    }
    /// Inputs.
    pub fn k(&self) -> usize {
        self.k
    }
    /// Outputs with padding.
    pub fn padded_n(&self) -> usize {
        self.n.next_multiple_of(BLOCK_N)
    }
    /// Bytes of the packed codes.
    pub fn bytes(&self) -> usize {
        self.blocks.len()
    }
    fn steps(&self) -> usize {
        self.k.div_ceil(BLOCK_K)
    }
    /// One code.
    pub fn code(&self, row: usize, col: usize) -> i8 {
        let base = ((row / BLOCK_N) * self.steps() + col / BLOCK_K) * BLOCK_BYTES;
        let byte = self.blocks[base + 4 * (row % BLOCK_N) + col % 4];
        ((byte >> (2 * ((col % BLOCK_K) / 4))) & 3) as i8 - 1
    }
}

multiversion! {
    /// Blocks as [`PackedTernary`] describes them, from the signs of rows of `k`.
    fn pack_signs(w: &[f32], k: usize, blocks: &mut [u8]) {
        let steps = k.div_ceil(BLOCK_K);
        for (row, w) in w.chunks_exact(k).enumerate() {
            let start = (row / BLOCK_N) * steps * BLOCK_BYTES + 4 * (row % BLOCK_N);
            let (full, rest) = w.as_chunks::<BLOCK_K>();
            for (step, w) in full.iter().enumerate() {
                let mut bits = [0u32; BLOCK_K];
                for i in 0..BLOCK_K {
                    let code = if w[i] > 0.0 { 2 } else if w[i] < 0.0 { 0 } else { 1 };
                    bits[i] = code << (8 * (i % 4) + 2 * (i / 4));
                }
                let word = bits.iter().fold(0, |word, b| word | b);
                let at = start + step * BLOCK_BYTES;
                blocks[at..at + 4].copy_from_slice(&word.to_le_bytes());
            }
            for (i, w) in rest.iter().enumerate() {
                let code = if *w > 0.0 { 2 } else if *w < 0.0 { 0 } else { 1 };
                blocks[start + full.len() * BLOCK_BYTES + i % 4] |= code << (2 * (i / 4));
            }
        }
    }
}

/// Exact sums `sum_k code_w * code_x`, rows of x times outputs with padding (`m x w.padded_n()`); padding holds rubbish.
pub fn ternary_gemm(isa: Isa, x: &QuantisedRows, w: &PackedTernary, out: &mut Vec<i32>) {
    assert_eq!(x.k(), w.k, "inputs of activations and weights");
    out.resize(x.rows() * w.padded_n(), 0);
    // The kernels sum (code + 1) * x; the sum of x is taken off again below.
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `supported` was checked; buffers have the padded sizes that the kernels read.
        Isa::Avx512Vnni if isa.supported() => unsafe { avx512vnni::ternary(x, w, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 if isa.supported() => unsafe { avx2::ternary(x, w, out) },
        _ => scalar::ternary(x, w, out),
    }
    for (row, sum) in out.chunks_exact_mut(w.padded_n()).zip(x.sums()) {
        for value in row {
            *value -= sum;
        }
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: every instruction set gives the bits of the scalar twin, and that is the plain sum.
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn ternary_paths_agree_bit_for_bit(m in 1usize..20, n in 1usize..50, k in 1usize..90, seed in any::<u64>()) {
            let mut random = crate::testing::Random::new(seed);
            let codes: Vec<i8> = (0..n * k).map(|_| (random.next_u64() % 3) as i8 - 1).collect();
            let x: Vec<f32> = (0..m * k).map(|_| random.normal()).collect();
            let w = PackedTernary::pack(n, k, &codes);
            let mut again = PackedTernary::pack(1, 3, &[0, 1, -1]);
            let signs: Vec<f32> = codes.iter().map(|c| f32::from(*c) * 0.3).collect();
            again.refill(n, k, &signs);
            prop_assert_eq!(&again, &w);
            for (i, code) in codes.iter().enumerate() {
                prop_assert_eq!(w.code(i / k, i % k), *code);
            }
            let x = QuantisedRows::new(&x, k);
            for isa in Isa::available() {
                let mut out = Vec::new();
                ternary_gemm(isa, &x, &w, &mut out);
                for i in 0..m {
                    for j in 0..n {
                        let plain: i32 = (0..k).map(|c| i32::from(codes[j * k + c]) * i32::from(x.row(i)[c])).sum();
                        prop_assert_eq!(out[i * w.padded_n() + j], plain, "{:?} row {} output {}", isa, i, j);
                    }
                }
            }
        }

        #[test]
        fn f32_paths_agree_bit_for_bit(m in 1usize..20, n in 1usize..50, k in 1usize..90, seed in any::<u64>()) {
            let mut random = crate::testing::Random::new(seed);
            let a: Vec<f32> = (0..m * k).map(|_| random.normal()).collect();
            let b: Vec<f32> = (0..n * k).map(|_| random.normal()).collect();
            let packed = dense_f32::Panels::pack(n, k, &b);
            let mut reference = vec![0.0; m * n];
            dense_f32::gemm(Isa::Scalar, m, &a, &packed, &mut reference);
            for isa in Isa::available() {
                let mut out = vec![0.0; m * n];
                dense_f32::gemm(isa, m, &a, &packed, &mut out);
                prop_assert_eq!(&out, &reference);
            }
            for i in 0..m {
                for j in 0..n {
                    let plain = (0..k).fold(0f32, |s, c| a[i * k + c].mul_add(b[j * k + c], s));
                    prop_assert_eq!(reference[i * n + j], plain);
                }
            }
        }
    }
}
