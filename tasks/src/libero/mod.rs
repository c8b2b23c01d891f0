//! Tasks of LIBERO's form: BDDL files, initial states, and the fixture poses that LIBERO's evaluation draws. Their
//! models are read by [`LiberoDir`] for [`crate::Assets`].

mod array;
mod catalog;
mod container;
mod fixtures;
mod floor_border;
pub mod from_memory;
mod init;
pub(crate) mod layout;
mod npy;
mod pickle;
mod plus_files;
mod resets;
pub(crate) mod scene_variants;
mod suites;
mod task_files;

pub use crate::assets::LiberoDir;
pub use catalog::{LiberoSuite, SUITES};
pub use fixtures::{FixturePoses, PoseFile};
pub(crate) use floor_border::with_border;
pub use init::InitFile;
pub use plus_files::PlusFiles;
pub use suites::LiberoSuites;
pub use task_files::{SETTLE_STEPS, SuiteFiles};
