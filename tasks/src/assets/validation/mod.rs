//! Checks of models and arenas beyond those of their types: names, parents, quaternions, ranges,
//! sizes, finite numbers. A broken file is refused here with its line, not later by a solver.

mod arena;
mod checker;
mod model;
mod shape;
#[cfg(test)]
mod tests;

pub(super) use arena::validate_arena;
pub(super) use model::validate_model;
