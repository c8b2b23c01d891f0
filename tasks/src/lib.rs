//! What is to be done in the simulated world: object models and arenas read from `assets/`, BDDL
//! problems, scenes, initial states, predicates, suites and the scripted expert.

mod assets;
pub mod bddl;
mod error;
mod expert;
pub mod extent;
pub mod libero;
mod parallel;
pub mod placement;
pub mod predicates;
pub mod suite;
mod validate;
mod version;

pub use assets::Assets;
pub use error::TaskError;
pub use expert::{Expert, RestingHeight};
pub use parallel::{WorkerPanic, in_parallel, panic_message};
pub use placement::{InitState, sample_init_state};
pub use suite::{SETTLE_ACTION, Suite, Task};
pub use version::WORLD_VERSION;
