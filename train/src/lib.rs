//! Demonstrations, behaviour cloning and quantize-then-distill: everything between the scripted expert and the
//! two checkpoints that ship. One command regenerates all of it: `bitvla-train all`.

pub mod net;
pub mod optim;
