//! Distance of the simulated world to MuJoCo's: recorded states and actions of MuJoCo runs are played in this world and
//! compared quantity by quantity.
//!
//! `measure` gives one row per recorded item (sequence, state, object, episode, image) and draws no conclusion; `report`
//! turns rows into metrics with targets, tables and charts. [`run_parity`] does both and writes the folder: `parity.json`,
//! `parity.txt`, a CSV file per table and every plot as SVG and PNG. The same inputs give the same bytes for any number of
//! threads. The recorded files are described in `docs/reference/libero.md`, sections 4, 5, 8 and 12.

// Tests may unwrap and print; library code returns errors and leaves printing to the program.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::print_stdout))]

mod error;
mod geometry;
mod measure;
mod parity_config;
mod quantity;
mod recorded_scenes;
mod reference;
mod report;
mod run;

pub use error::ParityError;
pub use parity_config::{ParityConfig, ParityProgress, SUITES};
pub use quantity::Quantity;
pub use run::{ParityReport, run_parity};
