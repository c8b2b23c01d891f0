//! Demonstrations, behaviour cloning and quantize-then-distill: everything between the scripted expert and the
//! two checkpoints that ship. One command regenerates all of it: `bitvla-train all`.
//!
//! [`pipeline`] runs the stages in their order, [`collect`] runs episodes and writes a [`dataset`], [`trainer`]
//! trains the network of [`net`] on its frames, [`checkpoint`] writes the files that inference reads.

// Tests may unwrap and print; library code returns errors and leaves printing to the program.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::print_stdout))]

pub mod checkpoint;
pub mod collect;
pub mod dataset;
pub mod loss_curves;
pub mod net;
pub mod optim;
pub mod pipeline;
pub mod stage_progress;
pub mod statistics;
pub mod trainer;
