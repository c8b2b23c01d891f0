//! Kernels: rows of int8 or f32 times a panel of unpacked weights, one file per instruction set, each compared bit for bit
//! with its scalar twin. Every path gives the same bits, so `BITVLA_ISA` (`scalar`; `avx2`, `avxvnni`, `avx512vnni` on x86-64; `neon`,
//! `dotprod`, `i8mm` on ARM) changes the speed and nothing else.
//!
//! There is one dispatch, [`Isa`]: the panel products go through the table of kernels of an instruction set (`gemm`),
//! plain loops through [`multiversion!`](crate::multiversion), which compiles them once per vector width.

pub(crate) mod aligned;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512vnni;
#[cfg(target_arch = "x86_64")]
mod avxvnni;
#[cfg(target_arch = "aarch64")]
mod dotprod;
pub(crate) mod gemm;
#[cfg(target_arch = "aarch64")]
mod i8mm;
mod isa;
#[cfg(target_arch = "aarch64")]
mod neon;
pub(crate) mod panel;
pub mod peak;
pub mod ptq;
pub mod quant;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod registers;
mod scalar;
mod ternary;

pub use crate::multiversion;
pub use isa::Isa;
pub use ternary::{BLOCK_BYTES, BLOCK_K, BLOCK_N, PackedTernary, ternary_gemm};
pub(crate) use ternary::{pack_codes, unpack_codes};
