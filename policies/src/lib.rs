//! What decides: the policy trait, the BitVLA network over dense and ternary weights, its kernels,
//! checkpoints and preprocessing. Compiles without physics; somebody who only wants to run BitVLA on a
//! robot takes this one crate.

mod error;
pub mod kernels;
mod policy;

pub use error::PolicyError;
pub use policy::*;
