//! Interactive 3D viewer for bitvla-eval: live, recorded and compared episodes on one timeline.
//!
//! [`playback`] steps episodes in worker threads and depends on no window. [`session`] holds the episodes that are
//! displayed and the playhead they share. [`viewport`] draws them in 3D; [`ui`] draws panels and the timeline and handles
//! keys and files. [`app`] builds the Bevy application from the command line ([`args`]).

// Tests may unwrap and print; library code returns errors and leaves printing to the program.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::print_stdout))]

pub mod app;
pub mod args;
pub mod frame_pacing;
pub mod frame_rate;
pub mod offscreen;
pub mod outcomes;
pub mod playback;
pub mod preflight;
pub mod resources;
pub mod session;
pub mod startup;
pub mod status;
pub mod suite_cache;
pub mod ui;
pub mod viewport;
pub mod warnings;
