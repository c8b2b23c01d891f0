//! The command line of bitvla-eval.

fn main() {}
