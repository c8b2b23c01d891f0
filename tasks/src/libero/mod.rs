//! LIBERO's own files, read as they are: suites of BDDL problems, stored initial states and fixture poses
//! (fact sheet sections 7 to 10).

pub mod fixtures;
pub mod init;
mod pickle;
pub mod resets;
pub mod suites;

pub use fixtures::{FixturePoses, PoseFile};
pub use init::InitFile;
pub use suites::{LiberoSuite, LiberoSuites};
