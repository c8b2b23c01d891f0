//! Policies: the policy trait, the BitVLA network over every weight format ([`formats`]), its kernels, checkpoints and
//! preprocessing. Compiles without physics, so that this crate alone runs BitVLA on a robot: [`VlaPolicy::load`] and
//! [`Policy::query`].

// Tests may unwrap and print; library code returns errors and leaves printing to the program.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::print_stdout))]

pub mod action_tokens;
mod activation_buffer;
pub mod architecture;
pub mod attention;
pub mod bitvla;
#[cfg(feature = "candle")]
pub mod candle_engine;
pub mod checkpoint;
pub mod checkpoint_files;
pub mod config;
mod epilogue;
mod error;
pub mod export;
pub mod float_type;
pub mod formats;
pub mod head;
mod json_fields;
pub mod kernels;
pub mod language;
pub mod linear;
pub mod memory;
pub mod mlp;
mod mmap;
pub mod network;
pub mod normalise;
pub mod normaliser;
#[cfg(feature = "onnx")]
pub mod onnx;
mod ops;
pub mod packed;
mod partition;
mod policy;
pub mod preprocess;
pub mod processor;
mod processor_config;
pub mod profile;
pub mod prompt;
mod protocol;
mod scratch_buffers;
pub mod synthetic;
pub mod system;
mod template;
mod template_functions;
#[doc(hidden)]
pub mod testing;
pub mod threads;
mod tokenizer;
pub mod torch_checkpoint;
pub mod vision;
mod vla;
pub mod weight_source;
pub mod weights;

pub use architecture::Architecture;
pub use bitvla::{BitVla, NetworkInput, Trace};
pub use checkpoint::{Checkpoint, TensorSpecs};
pub use config::{AttentionMask, Config, TextConfig, VisionConfig};
pub use error::PolicyError;
pub use formats::WeightFormat;
pub use network::{LinearShape, VlaNetwork};
pub use normaliser::{NormaliserChoice, StatisticsTable};
pub use policy::*;
pub use protocol::{Flip, PolicyProtocol, QuaternionRule};
pub use scratch_buffers::ScratchBuffers;
pub use threads::Threads;
pub use vla::{Engine, VlaOptions, VlaPolicy};
