//! Policies over WebSocket. Two protocols of the field, as client and as server: that of openpi's `openpi-client` 0.1 and that of
//! AllenAI's vla-evaluation-harness (`vla-eval` 0.8, protocol version 1). Both send MessagePack maps whose arrays carry their
//! bytes, type and shape.
//!
//! The crate knows nothing of simulators and policies: it takes and gives [`Observation`]s and action rows. Everything that arrives
//! is checked before it is used, every wait has a limit, and a reply that comes late answers no later question.

// Tests may unwrap and print; library code returns errors and leaves printing to the program.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::print_stdout))]

mod array;
mod client;
mod deadline_stream;
mod error;
mod interface;
mod observation;
mod openpi;
mod server;
mod value;
mod vla_eval;
mod wire;

pub use array::{Array, ElementType};
pub use client::{Answer, ClientOptions, RemoteClient};
pub use error::RemoteError;
pub use interface::{Component, Interface};
pub use observation::{Observation, RgbImage};
pub use server::{PolicySession, Server, ServerOptions, ServerPolicy};
pub use value::{MAX_MESSAGE_BYTES, Protocol};
