//! BDDL, the task language of LIBERO: objects, their regions, initial predicates and the goal
//! (`docs/reference/libero.md`, sections 6 and 7).
//!
//! [`Problem::parse`] checks names as well as syntax: an unknown section, predicate, object or region
//! is an error that names file, line and column. Names are compared in lower case.

mod error;
mod parse;
mod predicate;
mod problem;
mod reader;
mod sexpr;

pub use error::{BddlError, SourceLocation};
pub use predicate::Predicate;
pub use problem::{Goal, ObjectDecl, PredicateInstance, Problem, Region};
