//! Demonstrations, behaviour cloning and quantize-then-distill: everything between the scripted expert and the
//! two checkpoints that ship. One command regenerates all of it: `bitvla-train all`.
//!
//! [`recipe`] says what is done in which order, [`collect`] drives the robot and writes [`frames`], [`trainer`]
//! turns frames into weights with the hand-written network of [`net`], [`checkpoint`] writes what inference reads.

pub mod checkpoint;
pub mod cli;
pub mod collect;
pub mod curves;
pub mod frames;
pub mod net;
pub mod optim;
pub mod progress;
pub mod recipe;
pub mod statistics;
pub mod trainer;
