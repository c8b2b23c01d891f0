//! Kernels: rows of int8 or f32 times a panel of unpacked weights, one file per instruction set, each with its scalar
//! twin. Every path gives the same bits, so `BITVLA_ISA` (`scalar`, `avx2`, `avxvnni`, `avx512vnni`) changes the speed
//! and nothing else.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512vnni;
#[cfg(target_arch = "x86_64")]
mod avxvnni;
pub mod gemm_f32;
mod isa;
pub mod panel;
pub mod peak;
pub mod ptq;
pub mod quant;
mod scalar;
mod ternary;

pub use isa::Isa;
pub(crate) use isa::multiversion;
pub(crate) use ternary::pack_codes;
pub use ternary::{BLOCK_BYTES, BLOCK_K, BLOCK_N, PackedTernary, ternary_gemm};
