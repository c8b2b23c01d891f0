//! The simulated world as a WebAssembly module: replays recorded episodes of `bitvla-eval` bit for bit, draws them from the
//! cameras of the policy and from a free one, and lets a page drive the arm. Without imports: no clock, no network, no
//! JavaScript glue.
//!
//! The interface ([`exports`]) is that of C. A page writes bytes to [`exports::buffer`] and calls a function; an answer is a
//! number, with bytes at [`exports::output`] where there are some. A negative number is an error, whose text is there then.
//! `web/build.sh` builds the module that reports embed.

// Tests may unwrap and print; library code returns errors.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::print_stdout))]

mod episode;
pub mod exports;
mod free_camera;

pub use episode::{Episode, EpisodeSpec};
pub use free_camera::Orbit;
