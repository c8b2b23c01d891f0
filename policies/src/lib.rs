//! What decides: the policy trait, the BitVLA network over dense and ternary weights, its kernels,
//! checkpoints and preprocessing. Compiles without physics; somebody who only wants to run BitVLA on a
//! robot takes this one crate: [`VlaPolicy::load`] and [`Policy::query`].

pub mod action_tokens;
pub mod architecture;
pub mod attention;
pub mod bitvla;
mod blocks;
pub mod checkpoint;
pub mod config;
mod error;
pub mod export;
mod finish;
pub mod folder;
pub mod head;
pub mod kernels;
pub mod language;
pub mod linear;
pub mod mapped;
pub mod mlp;
pub mod network;
pub mod normalise;
pub mod normaliser;
pub mod ops;
pub mod packed;
mod policy;
pub mod preprocess;
pub mod processor;
pub mod profile;
pub mod prompt;
mod protocol;
pub mod pt;
pub mod source;
mod staged;
pub mod synthetic;
mod template;
#[doc(hidden)]
pub mod testing;
pub mod threads;
pub mod vision;
mod vla;
pub mod weights;
pub mod workspace;

pub use architecture::Architecture;
pub use bitvla::{BitVla, Prompt, Trace, WeightFormat};
pub use checkpoint::{Checkpoint, TensorSpecs};
pub use config::{Attention, Config, TextConfig, VisionConfig};
pub use error::PolicyError;
pub use network::{LinearShape, VlaNetwork};
pub use normaliser::{NormaliserChoice, StatisticsTable};
pub use policy::*;
pub use protocol::{Flip, PolicyProtocol, QuaternionRule};
pub use threads::Threads;
pub use vla::{Engine, VlaOptions, VlaPolicy};
pub use workspace::Workspace;
