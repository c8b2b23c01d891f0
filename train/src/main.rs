//! Demonstrations, behaviour cloning and quantize-then-distill.

fn main() {}
