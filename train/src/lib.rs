//! Demonstrations, behaviour cloning and quantize-then-distill: everything between the scripted expert and the
//! checkpoints that ship. One command regenerates all of it for a suite: `bitvla-train all --suite spatial`.
//!
//! A [`recipe`] lists the stages, [`pipeline`] runs them in their order, [`collect`] runs episodes and writes a
//! [`dataset`], [`trainer`] trains the network of [`net`] on its frames, [`checkpoint`] writes the files that inference
//! reads, [`install`] puts them where they ship, with a [`training_card`].

// Tests may unwrap and print; library code returns errors and leaves printing to the program.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::print_stdout))]

pub mod augmentation;
pub mod checkpoint;
pub mod collect;
pub mod dataset;
pub mod install;
pub mod loss_curves;
pub mod muon;
pub mod net;
pub mod optim;
pub mod pipeline;
pub mod pretrained;
pub mod recipe;
pub mod stage_progress;
mod stall;
pub mod statistics;
pub mod trainer;
pub mod training_card;
