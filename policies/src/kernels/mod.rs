//! The arithmetic under the network: one file per kind of product, a scalar twin beside every SIMD path.

pub mod gemm_f32;
