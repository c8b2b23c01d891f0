//! BDDL, the task language of LIBERO: objects, their regions, initial predicates and the goal
//! (`docs/reference/libero.md`, sections 6 and 7).
//!
//! [`Problem::parse`] checks names as well as syntax: an unknown section, predicate, object or region
//! is an error that names file, line and column. Names are compared in lower case.
//!
//! What LIBERO's reader takes and this program does nothing with is listed in `parse::WITHOUT_EFFECT` and
//! `parse::region`; a file that has such a part is read with a notice ([`Problem::notices`]) where it could matter.

mod arena;
mod condition;
mod error;
mod goal;
mod number;
mod parse;
mod predicate;
mod problem;
mod reader;
mod region;
mod sexpr;

pub use arena::PROBLEMS;
pub use condition::{Condition, Goal};
pub use error::{BddlError, SourceLocation};
pub use predicate::Predicate;
pub use problem::{ObjectDecl, PredicateInstance, Problem, Region};
