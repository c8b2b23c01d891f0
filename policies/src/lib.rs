//! What decides: the policy trait, the BitVLA network over dense and ternary weights, its kernels,
//! checkpoints and preprocessing. Compiles without physics; somebody who only wants to run BitVLA on a
//! robot takes this one crate: [`VlaPolicy::load`] and [`Policy::query`].

pub mod action_tokens;
pub mod bitvla;
pub mod checkpoint;
pub mod config;
pub mod connector;
mod error;
pub mod export;
pub mod head;
pub mod kernels;
pub mod language;
pub mod linear;
pub mod normalise;
pub mod ops;
mod policy;
pub mod preprocess;
pub mod prompt;
pub mod proprio;
pub mod pt;
pub mod ternary_policy;
#[doc(hidden)]
pub mod testing;
pub mod vision;

pub use bitvla::{BitVla, Trace, WeightFormat};
pub use checkpoint::{Checkpoint, TensorSpecs};
pub use config::{Attention, Config, TextConfig, VisionConfig};
pub use error::PolicyError;
pub use policy::*;
pub use ternary_policy::VlaPolicy;
