//! Demonstrations, behaviour cloning and quantize-then-distill.

use std::process::ExitCode;

fn main() -> ExitCode {
    bitvla_train::cli::main()
}
