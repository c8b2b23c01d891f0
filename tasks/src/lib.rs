//! Tasks in the simulated world: object models and arenas read from `assets/` or from a LIBERO checkout, BDDL problems,
//! scenes, initial states, predicates, suites and the scripted expert. The feature `libero` reads LIBERO's own files.

// Tests may unwrap and print; library code returns errors and leaves printing to the program.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::print_stdout))]
// Some functions serve LIBERO's files alone.
#![cfg_attr(not(feature = "libero"), allow(dead_code, unused_imports))]

mod assets;
pub mod bddl;
mod error;
mod expert;
pub mod extent;
mod init_state;
pub mod instruction;
#[cfg(feature = "libero")]
pub mod libero;
#[cfg(feature = "libero")]
mod mjcf;
mod numpy_random;
mod parallel;
pub mod predicates;
pub mod random;
mod sampling;
pub mod scene;
mod settling;
pub mod suite;
mod version;

pub use assets::Assets;
pub use error::TaskError;
pub use expert::{Expert, RestingPositions};
pub use init_state::{InitState, Velocities};
pub use instruction::{InstructionRule, InstructionSource};
pub use numpy_random::NumpyRandom;
pub use parallel::{WorkerPanic, in_parallel, panic_message};
pub use settling::{sample_init_state, sample_wider_init_state};
pub use suite::{SETTLE_ACTION, Suite, Task};
pub use version::WORLD_VERSION;
