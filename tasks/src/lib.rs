//! What is to be done in the simulated world: object models and arenas read from `assets/`, BDDL
//! problems, scenes, initial states, predicates, suites and the scripted expert.

mod assets;
pub mod bddl;
mod error;
mod validate;

pub use assets::Assets;
pub use error::TaskError;
