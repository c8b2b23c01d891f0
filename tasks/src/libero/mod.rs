//! LIBERO's suites from a checkout: tasks, initial states, and the fixture poses that LIBERO's evaluation draws. Their
//! models are read by [`LiberoDir`] for [`crate::Assets`].

mod catalog;
mod fixtures;
pub mod from_memory;
mod init;
mod pickle;
mod resets;
mod suites;

pub use crate::assets::LiberoDir;
pub use catalog::{LiberoSuite, SUITES, instruction};
pub use fixtures::{FixturePoses, PoseFile};
pub use init::InitFile;
pub use suites::LiberoSuites;
